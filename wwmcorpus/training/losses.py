# ruff: noqa: N803, N806 - names end in shape suffixes
"""Logits and hidden states in, sums out: a sum over positions, which the trainer divides by a global count.

So two ranks, or four micro-batches, give what one process gives. Without positions a sum is zero, not NaN, and keeps
its gradient path.

Shape suffixes: B rows, L positions of a row, M masked positions of all rows, V pieces of the vocabulary, D width of the
compared hidden states. All tensors float32 or lower on the way in; sums are float32 scalars.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft_label_sum(
    student_logits_MV: Tensor, teacher_logits_MV: Tensor, temperature: float, scale_by_squared_temperature: bool
) -> Tensor:
    """Sum the cross-entropy of the student with the teacher's soft labels over masked positions, in nats.

    With p = softmax(teacher / T) and q = softmax(student / T): sum over M of -sum over V of p log q, times T * T where
    asked for. Its least value is the entropy of p, not zero.

    Source: Hinton et al., arXiv:1503.02531. Equals TextBrewer's ``kd_ce_loss`` times M when not scaled.
    """
    student_MV = student_logits_MV.float() / temperature
    target_MV = torch.softmax(teacher_logits_MV.float() / temperature, dim=-1)
    # p sums to one, so -sum p log q = logsumexp(student) - sum p student: no second table of log probabilities is kept.
    total = torch.logsumexp(student_MV, dim=-1).sum() - (target_MV * student_MV).sum()
    return total * temperature**2 if scale_by_squared_temperature else total


def hard_label_sum(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
    """Sum the masked language modelling cross-entropy over masked positions, in nats; targets are int64 piece ids."""
    return functional.cross_entropy(logits_MV.float(), targets_M, reduction="sum")


def hidden_mse_sum(student_BLD: Tensor, teacher_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Sum over the positions of ``mask_BL`` the squared error of the hidden states, averaged over their width.

    Divided by the number of positions it is TextBrewer's ``hidden_mse`` with an input mask, for one process.
    """
    error_BL = (student_BLD.float() - teacher_BLD.float()).square().mean(dim=-1)
    return (error_BL * mask_BL.to(error_BL.dtype)).sum()
