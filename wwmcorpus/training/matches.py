"""Settings and two configurations in, layer matches and their projections out.

Layer 0 is the embedding output, layer k the output of the k-th transformer layer.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.settings import DistillLosses, LayerMatch


def layer_pairs(name: str, teacher_layers: int, student_layers: int) -> list[tuple[int, int]]:
    """Give the (teacher, student) layers of a map by name.

    ``layer_pairs("uniform", 12, 6)`` -> ``[(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]``. Where the
    student's depth does not divide the teacher's, the nearest layer is taken, the higher one of two.

    Source: TinyBERT, arXiv:1909.10351, section 3.1 ("uniform"); MiniRBT's layer maps.
    """
    if name == "uniform":
        return [
            ((2 * layer * teacher_layers + student_layers) // (2 * student_layers), layer)
            for layer in range(student_layers + 1)
        ]
    if name == "first":
        return [(layer, layer) for layer in range(min(teacher_layers, student_layers) + 1)]
    return [(teacher_layers, student_layers)] if name == "last" else []


def resolve_matches(losses: DistillLosses, teacher: tuple[int, int], student: tuple[int, int]) -> list[LayerMatch]:
    """Give the matches of a run: those listed, or those of the named map with projections where the widths differ.

    Args:
        losses: The settings.
        teacher: (layers, width) of the teacher.
        student: (layers, width) of the student.

    Raises:
        ConfigError: a layer does not exist, or the widths differ and there is no projection.
    """
    if not losses.matches:
        projection: Literal["linear"] | None = None if teacher[1] == student[1] else "linear"
        pairs = layer_pairs(losses.layer_map, teacher[0], student[0])
        return [
            LayerMatch(teacher_layer=t, student_layer=s, weight=losses.hidden_weight, projection=projection)
            for t, s in pairs
        ]
    for index, match in enumerate(losses.matches):
        where = f"losses.matches[{index}]"
        for role, layer, limit in (
            ("teacher", match.teacher_layer, teacher[0]),
            ("student", match.student_layer, student[0]),
        ):
            if layer > limit:
                raise ConfigError(
                    f"the {role} has no such layer",
                    value=layer,
                    where=f"{where}.{role}_layer",
                    fix=f"It has 0 (embeddings) to {limit}.",
                )
        if match.projection is None and teacher[1] != student[1]:
            raise ConfigError(
                f"the student's width {student[1]} is not the teacher's {teacher[1]}",
                where=where,
                fix='Set projection = "linear".',
            )
    return list(losses.matches)


def build_projections(
    matches: list[LayerMatch], teacher_width: int, student_width: int, seed: int = 0
) -> nn.ModuleList:
    """Give one map per match, from the student's width to the teacher's: linear, first N(0, 0.02), or the identity."""
    projections = nn.ModuleList()
    generator = torch.Generator().manual_seed(seed)
    for match in matches:
        if match.projection is None:
            projections.append(nn.Identity())
            continue
        with torch.device("meta"):  # its own first weights would come from torch's global generator
            linear = nn.Linear(student_width, teacher_width)
        linear = linear.to_empty(device="cpu")
        nn.init.normal_(linear.weight, std=0.02, generator=generator)
        nn.init.zeros_(linear.bias)
        projections.append(linear)
    return projections
