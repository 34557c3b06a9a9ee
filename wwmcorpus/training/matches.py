"""Settings and the shapes of two models in, layer matches and their projections out.

Layer 0 is the embedding output, layer k the k-th transformer layer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import nn

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.registry import Loss, find_loss
from wwmcorpus.training.settings import DistillLosses, LayerMatch

_INSIDE_A_LAYER = ("attention", "query", "key", "value")
_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class ModelShape(NamedTuple):
    """What matching has to know of a model.

    Attributes:
        layers: Transformer layers.
        width: Of the hidden states.
        heads: Attention heads.
    """

    layers: int
    width: int
    heads: int


def layer_pairs(name: str, teacher_layers: int, student_layers: int) -> list[tuple[int, int]]:
    """Give the (teacher, student) layers of a map by name.

    ``layer_pairs("uniform", 12, 6)`` -> ``[(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]``. Where the
    student's depth does not divide the teacher's, the nearest layer is taken, the higher one of two. "every_second" and
    "first" stop where either model ends.

    Source: TinyBERT, arXiv:1909.10351, section 3.1 ("uniform"); MiniRBT's layer maps.
    """
    if name == "uniform":
        return [
            ((2 * layer * teacher_layers + student_layers) // (2 * student_layers), layer)
            for layer in range(student_layers + 1)
        ]
    if name == "every_second":
        return [(2 * layer, layer) for layer in range(min(teacher_layers // 2, student_layers) + 1)]
    if name == "first":
        return [(layer, layer) for layer in range(min(teacher_layers, student_layers) + 1)]
    return [(teacher_layers, student_layers)] if name == "last" else []


def resolve_matches(losses: DistillLosses, teacher: ModelShape, student: ModelShape) -> list[LayerMatch]:
    """Give the matches of a run with the layers of each: maps by name are written out, every match is checked.

    Raises:
        ConfigError: a loss or a layer does not exist, the widths differ and there is no projection, the heads do not
            fit, or two matches are the same.
    """
    resolved = []
    for where, match in _asked_for(losses, teacher, student):
        loss = find_loss(match.loss, f"{where}.loss")
        written_out = _write_out(match, loss, teacher, student)
        for single in written_out:
            _check_layers(single, loss, teacher, student, where)
            _check_shapes(single, loss, teacher, student, where)
        resolved += written_out
    names = [term_name(match) for match in resolved]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            "two matches are the same", value=twice, where="losses.matches", fix="Raise the weight of one."
        )
    return resolved


def term_name(match: LayerMatch) -> str:
    """Give the name of a match in metrics: ``hidden_mse_12_6``, ``nst_0-4_0-2``."""
    sides = (layers_of(match.teacher_layer), layers_of(match.student_layer))
    return "_".join([match.loss, *("-".join(map(str, side)) for side in sides)])


def _asked_for(losses: DistillLosses, teacher: ModelShape, student: ModelShape) -> list[tuple[str, LayerMatch]]:
    if losses.matches:
        return [(f"losses.matches[{index}]", match) for index, match in enumerate(losses.matches)]
    if losses.layer_map == "none":
        return []
    projection: Literal["linear"] | None = None if teacher.width == student.width else "linear"
    match = LayerMatch(layers=losses.layer_map, weight=losses.hidden_weight, projection=projection)
    return [("losses.layer_map", match)]


def _write_out(match: LayerMatch, loss: Loss, teacher: ModelShape, student: ModelShape) -> list[LayerMatch]:
    if match.layers is None:
        return [match]
    pairs: list[tuple[int, int]] = layer_pairs(match.layers, teacher.layers, student.layers)
    if loss.feature in _INSIDE_A_LAYER:
        pairs = [(of_teacher, of_student) for of_teacher, of_student in pairs if of_teacher and of_student]
    paired = loss.feature == "hidden_pair"
    return [
        match.model_copy(
            update={
                "layers": None,
                "teacher_layer": (of_teacher, of_teacher) if paired else of_teacher,
                "student_layer": (of_student, of_student) if paired else of_student,
            }
        )
        for of_teacher, of_student in pairs
    ]


def layers_of(layer: int | tuple[int, int] | None) -> tuple[int, ...]:
    """Give the layers of one side of a match as a tuple."""
    assert layer is not None
    return layer if isinstance(layer, tuple) else (layer,)


def _check_layers(match: LayerMatch, loss: Loss, teacher: ModelShape, student: ModelShape, where: str) -> None:
    needs_two, has_two = loss.feature == "hidden_pair", isinstance(match.teacher_layer, tuple)
    if needs_two != has_two:
        raise ConfigError(
            f"{match.loss} compares {'products of two layers' if needs_two else 'single layers'}",
            value=match.teacher_layer,
            where=f"{where}.teacher_layer",
            fix="Give two layers for each model." if needs_two else "Give one layer for each model.",
        )
    least = 1 if loss.feature in _INSIDE_A_LAYER else 0
    for role, layers, limit in (
        ("teacher", layers_of(match.teacher_layer), teacher.layers),
        ("student", layers_of(match.student_layer), student.layers),
    ):
        for layer in layers:
            if not least <= layer <= limit:
                first = "0 (embeddings)" if least == 0 else "attention in layers 1"
                raise ConfigError(
                    f"the {role} has no such layer",
                    value=layer,
                    where=f"{where}.{role}_layer",
                    fix=f"It has {first} to {limit}.",
                )


def _check_shapes(match: LayerMatch, loss: Loss, teacher: ModelShape, student: ModelShape, where: str) -> None:
    hidden = loss.feature in ("hidden", "hidden_pair")
    if hidden and loss.equal_widths and match.projection is None and teacher.width != student.width:
        raise ConfigError(
            f"the student's width {student.width} is not the teacher's {teacher.width}",
            where=where,
            fix='Set projection = "linear".',
        )
    if not hidden and match.projection is not None:
        raise ConfigError(
            f"{match.loss} compares no hidden states to project",
            value=match.projection,
            where=f"{where}.projection",
            fix="Leave projection out.",
        )
    if loss.equal_heads and teacher.heads != student.heads:
        raise ConfigError(
            f"the student's {student.heads} attention heads are not the teacher's {teacher.heads}",
            where=where,
            fix="Take attention_mse_sum, attention_ce_mean or a relation.",
        )
    heads = relation_heads(match, student)
    if loss.feature in ("query", "key", "value") and (teacher.width % heads or student.width % heads):
        fitting = [
            str(count) for count in range(1, student.width + 1) if not (teacher.width % count or student.width % count)
        ]
        raise ConfigError(
            f"the relation heads do not divide the widths {teacher.width} and {student.width}",
            value=heads,
            where=f"{where}.relation_heads",
            fix=f"Choose one of: {', '.join(fitting)}.",
        )


def relation_heads(match: LayerMatch, student: ModelShape) -> int:
    """Give the number of heads of a relation."""
    return match.relation_heads or student.heads


class Projections(nn.Module):
    """The trained maps of a run from the student's width to the teacher's, first N(0, 0.02) with biases of zero.

    ``projections[2]`` is the map of the third match: the identity where it has none.

    Args:
        matches: As ``resolve_matches`` gives them.
        teacher_width: Width that comes out.
        student_width: Width that goes in.
        share: One map of a kind for all matches.
        seed: Decides the first weights; torch's own generator is left alone.
    """

    def __init__(
        self, matches: list[LayerMatch], teacher_width: int, student_width: int, share: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.maps = nn.ModuleList()
        self._number_of: list[int | None] = []
        kinds: dict[str, int] = {}
        generator = torch.Generator().manual_seed(seed)
        for match in matches:
            kind = match.projection
            if kind is None:
                self._number_of.append(None)
            elif share and kind in kinds:
                self._number_of.append(kinds[kind])
            else:
                kinds[kind] = len(self.maps)
                self._number_of.append(len(self.maps))
                linear = _first_linear(student_width, teacher_width, generator)
                self.maps.append(linear if kind == "linear" else nn.Sequential(linear, _ACTIVATIONS[kind]()))

    def __getitem__(self, match: int) -> nn.Module:
        number = self._number_of[match]
        return nn.Identity() if number is None else self.maps[number]


def _first_linear(width_in: int, width_out: int, generator: torch.Generator) -> nn.Linear:
    with torch.device("meta"):  # its own first weights would come from torch's global generator
        linear = nn.Linear(width_in, width_out)
    linear = linear.to_empty(device="cpu")
    nn.init.normal_(linear.weight, std=0.02, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear
