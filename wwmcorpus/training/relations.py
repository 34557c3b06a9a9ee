# ruff: noqa: N803, N806 - names end in shape suffixes; the legend is in losses.py
"""Hidden states or queries, keys and values in, sums out: losses on how positions or features relate to each other."""

from __future__ import annotations

import torch
from torch import Tensor

from wwmcorpus.training.registry import Positions

#: Added to a score so that its softmax is zero; its logarithm stays finite in float32.
MASKED_SCORE = -1e4


def nst_sum(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], positions: Positions) -> Tensor:
    """Sum over pairs of counted positions the squared error of their similarity S1 S2' / D; the widths may differ.

    Source: neuron selectivity transfer, arXiv:1707.01219, as TextBrewer's ``nst`` and ``mmd`` have it; but divided by
    the width with a mask too, where TextBrewer takes the padded length.
    """
    error_BLL = _products(*student) - _products(*teacher)
    if positions.counted_BL is not None:
        error_BLL = error_BLL * positions.counted_BL.unsqueeze(-1) * positions.counted_BL.unsqueeze(1)
    return error_BLL.square().sum()


def _products(first_BLD: Tensor, second_BLD: Tensor) -> Tensor:
    return float32_product(first_BLD, second_BLD.transpose(1, 2)) / first_BLD.shape[-1]


def gram_sum(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], positions: Positions) -> Tensor:
    """Sum over rows the squared error, averaged over D x D, of the flow matrix S1' S2 over the row's counted positions.

    Source: Yim et al., CVPR 2017 ("FSP"). Its mean over rows equals TextBrewer's ``fsp`` and ``gram``.
    """
    error_BDD = _flow(*student, positions) - _flow(*teacher, positions)
    return error_BDD.square().mean(dim=(1, 2)).sum()


def _flow(first_BLD: Tensor, second_BLD: Tensor, positions: Positions) -> Tensor:
    if positions.counted_BL is None:
        return float32_product(first_BLD.transpose(1, 2), second_BLD) / first_BLD.shape[1]
    first_BLD = first_BLD.float() * positions.counted_BL.unsqueeze(-1)
    lengths_B = positions.counted_BL.sum(dim=1).clamp(min=1)
    return float32_product(first_BLD.transpose(1, 2), second_BLD) / lengths_B.view(-1, 1, 1)


def relation_sum(student_BALd: Tensor, teacher_BALd: Tensor, positions: Positions) -> Tensor:
    """Sum over counted positions the divergence of the student's relations from the teacher's, averaged over heads.

    A relation is softmax(X X' / sqrt(d)) over the positions that hold a piece, X being queries, keys or values cut into
    as many heads for both models; so neither widths nor attention heads need agree. In nats.

    Source: MiniLMv2, arXiv:2012.15828, section 3.1.
    """
    log_student_BALL = _log_relation(student_BALd, positions.real_BL)
    log_teacher_BALL = _log_relation(teacher_BALd, positions.real_BL)
    divergence_BAL = (log_teacher_BALL.exp() * (log_teacher_BALL - log_student_BALL)).sum(dim=-1)
    if positions.counted_BL is not None:
        divergence_BAL = divergence_BAL * positions.counted_BL.unsqueeze(1)
    return divergence_BAL.sum() / student_BALd.shape[1]


def _log_relation(heads_BALd: Tensor, real_BL: Tensor) -> Tensor:
    scores_BALL = float32_product(heads_BALd, heads_BALd.transpose(-1, -2)) / heads_BALd.shape[-1] ** 0.5
    return torch.log_softmax(mask_keys(scores_BALL, real_BL.view(real_BL.shape[0], 1, 1, -1)), dim=-1)


def float32_product(first: Tensor, second: Tensor) -> Tensor:
    """Give the matrix product in float32.

    Autocast would lower it again: what two models differ by is then lost in the rounding, and large sums are infinite.
    """
    with torch.autocast(first.device.type, enabled=False):
        return torch.matmul(first.float(), second.float())


def mask_keys(scores: Tensor, real: Tensor) -> Tensor:
    """Put the scores of keys that hold no piece so low that no softmax sees them; ``real`` broadcasts to the scores."""
    return scores.masked_fill(real == 0, MASKED_SCORE)
