"""What a student learns from: the terms of its loss and the layers that are compared. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError


class LayerMatch(Config):
    """A hidden state of the student that is to look like one of the teacher. Layer 0 is the embedding output."""

    #: In [0, layers of the teacher].
    teacher_layer: int = Field(ge=0)
    #: In [0, layers of the student].
    student_layer: int = Field(ge=0)
    #: Mean squared error over the width, summed over positions.
    loss: Literal["hidden_mse"] = "hidden_mse"
    #: Factor of this term.
    weight: float = Field(default=1.0, gt=0)
    #: "linear": a trained map from the student's width to the teacher's, needed where they differ; None = no map.
    projection: Literal["linear"] | None = None


class DistillLosses(Config):
    """What the student learns from its teacher.

    MiniRBT's published choice is ``temperature=8, scale_by_squared_temperature=False, hidden_positions="all"``.
    """

    #: Divides the logits of both before the softmax. > 0. At high temperatures the gradient tends to the difference of
    #: the logits averaged over the vocabulary, most of which has no part in any one position. MiniRBT's is 8.
    temperature: float = Field(default=2.0, gt=0)
    #: Multiply the soft-label term by the temperature squared. Without it the term's gradient falls with 1 / T**2 and
    #: hardly counts at T = 8; with it weight and temperature can be chosen apart (Hinton et al., arXiv:1503.02531).
    scale_by_squared_temperature: bool = True
    #: Weight of the cross-entropy with the teacher's soft labels at masked positions. 0 = leave out.
    soft_weight: float = Field(default=1.0, ge=0)
    #: Weight of the masked language modelling loss with the true pieces. 0 = leave out, as MiniRBT does.
    hard_weight: float = Field(default=0.0, ge=0)
    #: Weight of each hidden-state term of a layer map by name.
    hidden_weight: float = Field(default=1.0, gt=0)
    #: "uniform": evenly spaced teacher layers, embeddings and last included; "first": layer k with layer k; "last": the
    #: last with the last; "none".
    layer_map: Literal["uniform", "first", "last", "none"] = "uniform"
    #: Layers matched by hand; they stand in place of ``layer_map`` and ``hidden_weight``.
    matches: tuple[LayerMatch, ...] = Field(default=(), strict=False)
    #: Positions of the hidden-state terms: those that hold a piece, or padding too.
    hidden_positions: Literal["real", "all"] = "real"

    @model_validator(mode="after")
    def _something_to_learn(self) -> DistillLosses:
        if not (self.soft_weight or self.hard_weight or self.matches or self.layer_map != "none"):
            raise ConfigError(
                "every loss is left out", where="losses", fix="Give soft_weight, hard_weight, layer_map or matches."
            )
        return self
