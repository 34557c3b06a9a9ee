# ruff: noqa: N803, N806 - names end in shape suffixes
"""Logits and hidden states in, sums out: a sum over positions, which the trainer divides by a global count.

So two ranks, or four micro-batches, give what one process gives. Without positions a sum is zero, not NaN, and keeps
its gradient path.

Shape suffixes: B rows, L positions of a row, M masked positions of all rows, V pieces of the vocabulary, K kept ones of
them, D width of the compared hidden states, H attention heads, A relation heads, d width of one head. All tensors
float32 or lower on the way in; sums are float32 scalars.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wwmcorpus.training.registry import Positions
from wwmcorpus.training.settings.losses import TemperatureSchedule

#: A number for all positions, or (M, 1) float32.
Temperature = float | Tensor


def soft_cross_entropy(student_MV: Tensor, teacher_MV: Tensor, temperature: Temperature) -> Tensor:
    """Give the cross-entropy of the student with the teacher's soft labels, (M,) float32, in nats.

    With p = softmax(teacher / T) and q = softmax(student / T): -sum over V of p log q. Its least value is the entropy
    of p, not zero.

    Source: Hinton et al., arXiv:1503.02531. Its mean equals TextBrewer's ``kd_ce_loss``.
    """
    scaled_MV = student_MV.float() / temperature
    target_MV = torch.softmax(teacher_MV.float() / temperature, dim=-1)
    # p sums to one, so -sum p log q = logsumexp(student) - sum p student: no second table of log probabilities is kept.
    return torch.logsumexp(scaled_MV, dim=-1) - (target_MV * scaled_MV).sum(dim=-1)


def soft_kl(student_MV: Tensor, teacher_MV: Tensor, temperature: Temperature) -> Tensor:
    """Give the Kullback-Leibler divergence of the student from the teacher, (M,) float32, in nats.

    ``soft_cross_entropy`` less the entropy of the teacher's labels: the same gradient, and zero where both agree.
    """
    log_target_MV = torch.log_softmax(teacher_MV.float() / temperature, dim=-1)
    entropy_M = -(log_target_MV.exp() * log_target_MV).sum(dim=-1)
    return soft_cross_entropy(student_MV, teacher_MV, temperature) - entropy_M


def logits_mse(student_MV: Tensor, teacher_MV: Tensor, temperature: Temperature) -> Tensor:
    """Give the squared error of the logits over the temperature, averaged over the vocabulary, (M,) float32.

    Its mean equals TextBrewer's ``kd_mse_loss``.
    """
    return ((student_MV.float() - teacher_MV.float()) / temperature).square().mean(dim=-1)


def top_k_cross_entropy(
    student_MV: Tensor, teacher_MK: Tensor, pieces_MK: Tensor, temperature: Temperature, *, kl: bool = False
) -> Tensor:
    """Give ``soft_cross_entropy`` (or ``soft_kl``) with a teacher of which only some logits are kept, (M,) float32.

    The kept probabilities are raised so that they sum to one, the others are zero; the student's softmax goes over the
    whole vocabulary, so that what it gives to other pieces costs. With K = V it is the loss with all logits.

    Args:
        student_MV: All logits of the student.
        teacher_MK: The teacher's kept logits.
        pieces_MK: int64, the pieces that they belong to.
        temperature: As above.
        kl: Take the entropy of the labels away.
    """
    scaled_MV = student_MV.float() / temperature
    log_target_MK = torch.log_softmax(teacher_MK.float() / temperature, dim=-1)
    target_MK = log_target_MK.exp()
    loss_M = torch.logsumexp(scaled_MV, dim=-1) - (target_MK * scaled_MV.gather(1, pieces_MK)).sum(dim=-1)
    return loss_M + (target_MK * log_target_MK).sum(dim=-1) if kl else loss_M


def position_temperatures(
    schedule: TemperatureSchedule,
    base: Temperature,
    student_MV: Tensor,
    teacher_MV: Tensor,
    counted_M: Tensor | None = None,
) -> Temperature:
    """Give each position its temperature, (M, 1) float32, by "flsw" or "cwsm"; other schedules leave ``base``.

    A position moves by how far its weight lies from the mean, which goes over the counted positions (``counted_M`` is
    1.0 there; None = all) of the micro-batch.

    Source: Wen et al., arXiv:1911.07471, with TextBrewer's constants; but no temperature falls below the schedule's
    least, where TextBrewer's can become negative.
    """
    if schedule.shape not in ("flsw", "cwsm"):
        return base
    student_MV = student_MV.detach().float()
    if schedule.shape == "flsw":
        teacher_MV = teacher_MV.float()
        lengths_M = (student_MV.norm(dim=-1) + 1e-4) * (teacher_MV.norm(dim=-1) + 1e-4)
        # Rounding can put a cosine of 1 above it, and a fractional power of a negative number is NaN.
        distance_M = (1 - (student_MV * teacher_MV).sum(dim=-1) / lengths_M).clamp(min=0)
        weight_M = distance_M.pow(schedule.gamma)
    else:
        weight_M = 1 / (torch.softmax(student_MV, dim=-1).amax(dim=-1) + 1e-3)
    counted_M = torch.ones_like(weight_M) if counted_M is None else counted_M
    mean = (weight_M * counted_M).sum() / counted_M.sum().clamp(min=1)
    temperature_M: Tensor = base + (mean - weight_M) * schedule.beta
    return temperature_M.clamp(min=schedule.least).unsqueeze(-1)


def hard_label_sum(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
    """Sum the masked language modelling cross-entropy over masked positions, in nats; targets are int64 piece ids."""
    return functional.cross_entropy(logits_MV.float(), targets_M, reduction="sum")


def hidden_mse_sum(student_BLD: Tensor, teacher_BLD: Tensor, positions: Positions) -> Tensor:
    """Sum over counted positions the squared error of the hidden states, averaged over their width.

    Divided by the number of positions it is TextBrewer's ``hidden_mse``, for one process.
    """
    error_BLD = student_BLD.float() - teacher_BLD.float()
    if positions.counted_BL is not None:
        error_BLD = error_BLD * positions.counted_BL.unsqueeze(-1)
    return error_BLD.square().sum() / student_BLD.shape[-1]


def cosine_sum(student_BLD: Tensor, teacher_BLD: Tensor, positions: Positions) -> Tensor:
    """Sum over counted positions one minus the cosine of the hidden states.

    Source: DistilBERT, arXiv:1910.01108. Its mean equals TextBrewer's ``cos``.
    """
    distance_BL = 1 - functional.cosine_similarity(student_BLD.float(), teacher_BLD.float(), dim=-1)
    return distance_BL.sum() if positions.counted_BL is None else (distance_BL * positions.counted_BL).sum()


def pkd_sum(student_BLD: Tensor, teacher_BLD: Tensor, positions: Positions) -> Tensor:
    """Sum over rows the squared distance of the unit vectors at position 0, [CLS].

    Source: patient knowledge distillation, arXiv:1908.09355. Its mean over rows equals TextBrewer's ``pkd``.
    """
    student_BD = functional.normalize(student_BLD[:, 0].float(), dim=-1)
    teacher_BD = functional.normalize(teacher_BLD[:, 0].float(), dim=-1)
    return (student_BD - teacher_BD).square().sum()
