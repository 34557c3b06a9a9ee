# ruff: noqa: N803, N806, N815 - names end in shape suffixes; the legend is in losses.py
"""What two models gave in, the sum of one term out: where settings, features and loss functions meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from wwmcorpus.training.attention import Attention
from wwmcorpus.training.losses import Temperature, position_temperatures, top_k_cross_entropy
from wwmcorpus.training.matches import layers_of
from wwmcorpus.training.registry import Positions, find_loss
from wwmcorpus.training.settings import DistillLosses, LayerMatch


class Features(NamedTuple):
    """What a model gave for its matches.

    Attributes:
        hidden_BLD: Embedding output, then each layer's.
        attention: By layer, from 1 up: what it attended with, or its scores (B, H, L, L).
    """

    hidden_BLD: Sequence[Tensor]
    attention: Mapping[int, Attention | Tensor]


class Grid(NamedTuple):
    """The positions of a micro-batch: 1.0 where there is a piece, (B, L) float32."""

    real_BL: Tensor

    @classmethod
    def of(cls, attention_mask_BL: Tensor) -> Grid:
        """Give the grid of an attention mask of any type."""
        return cls(attention_mask_BL.float())

    def positions(self, counted: Literal["real", "all"]) -> Positions:
        """Give what a match loss sees."""
        return Positions(self.real_BL if counted == "real" else None, self.real_BL)


def needs_hidden(matches: Sequence[LayerMatch]) -> bool:
    """Whether any match compares hidden states."""
    return any(find_loss(match.loss, "losses").feature in ("hidden", "hidden_pair") for match in matches)


def needs_attention(matches: Sequence[LayerMatch]) -> bool:
    """Whether any match compares attention or relations."""
    return any(find_loss(match.loss, "losses").feature not in ("hidden", "hidden_pair") for match in matches)


def count_padding(matches: Sequence[LayerMatch], hidden_positions: Literal["real", "all"]) -> bool:
    """Whether padding counts in any match; ``hidden_positions`` says it of matches that do not."""
    return any((match.positions or hidden_positions) == "all" for match in matches)


def sum_of_match(
    match: LayerMatch,
    student: Features,
    teacher: Features,
    projection: nn.Module,
    positions: Positions,
    relation_heads: int,
) -> Tensor:
    """Give the sum of one match over its unit, a float32 scalar."""
    loss = find_loss(match.loss, "losses.matches")
    of_student, of_teacher = layers_of(match.student_layer), layers_of(match.teacher_layer)
    if loss.feature in ("hidden", "hidden_pair"):
        ours = tuple(projection(student.hidden_BLD[layer]) for layer in of_student)
        theirs = tuple(teacher.hidden_BLD[layer] for layer in of_teacher)
        compared: tuple[Any, Any] = (ours, theirs) if loss.feature == "hidden_pair" else (ours[0], theirs[0])
        return loss.function(*compared, positions)
    sides = student.attention[of_student[0]], teacher.attention[of_teacher[0]]
    if loss.feature == "attention":
        return loss.function(*(_scores(side) for side in sides), positions)
    return loss.function(*(_heads(side, loss.feature, relation_heads) for side in sides), positions)


def _scores(side: Attention | Tensor) -> Tensor:
    return side if isinstance(side, Tensor) else side.scores()


def _heads(side: Attention | Tensor, part: str, num_heads: int) -> Tensor:
    assert isinstance(side, Attention)
    return side.relation_heads(part, num_heads)


def scheduled_temperature(losses: DistillLosses, progress: Tensor) -> Temperature:
    """Give the temperature after this share of the steps; "flsw" and "cwsm" move it further for each position."""
    schedule = losses.temperature_schedule
    if schedule.shape != "linear":
        return losses.temperature
    return losses.temperature + (schedule.end - losses.temperature) * progress


def soft_label_sum(
    losses: DistillLosses,
    student_MV: Tensor,
    teacher_MV: Tensor,
    pieces_MK: Tensor | None,
    temperature: Temperature,
    counted_M: Tensor | None = None,
) -> Tensor:
    """Sum the soft-label term over its positions.

    Args:
        losses: Which loss, which temperature schedule, how many logits are kept, whether times T squared.
        student_MV: Logits of the student.
        teacher_MV: Logits of the teacher; (M, K), falling, where ``pieces_MK`` says whose they are.
        pieces_MK: int64, or None where the teacher's logits are all there.
        temperature: The base temperature of this step.
        counted_M: Weight of each position; None = each counts.
    """
    if losses.soft_top_k is not None:
        teacher_MV, pieces_MK = _largest(teacher_MV, pieces_MK, losses.soft_top_k)
    own = position_temperatures(losses.temperature_schedule, temperature, student_MV, teacher_MV, counted_M)
    if pieces_MK is None:
        compare = find_loss(losses.soft_loss, "losses.soft_loss", soft=True).function
    else:
        compare = partial(_kept, pieces_MK=pieces_MK, kl=losses.soft_loss == "kl")
    loss_M: Tensor = compare(student_MV, teacher_MV, own)
    if counted_M is not None:
        loss_M = loss_M * counted_M
    return loss_M.sum() * temperature**2 if losses.scale_by_squared_temperature else loss_M.sum()


def _largest(teacher_MV: Tensor, pieces_MK: Tensor | None, top_k: int) -> tuple[Tensor, Tensor]:
    """Give the largest logits and their pieces; those that a cache kept stand in falling order already."""
    if pieces_MK is not None:
        return teacher_MV[:, :top_k], pieces_MK[:, :top_k]
    largest_MK, of_largest_MK = torch.topk(teacher_MV, min(top_k, teacher_MV.shape[1]), dim=-1)
    return largest_MK, of_largest_MK


def _kept(student_MV: Tensor, teacher_MK: Tensor, temperature: Temperature, *, pieces_MK: Tensor, kl: bool) -> Tensor:
    return top_k_cross_entropy(student_MV, teacher_MK, pieces_MK, temperature, kl=kl)
