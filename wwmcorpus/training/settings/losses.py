"""What a student learns from: the terms of its loss and the layers that are compared. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError

#: Pairs of layers by name: "uniform": evenly spaced teacher layers, embeddings and last included; "every_second": every
#: second teacher layer from the embeddings up; "first": layer k with layer k; "last": the last with the last.
LayerMap = Literal["uniform", "every_second", "first", "last"]
_Layer = Annotated[int, Field(ge=0)]
#: One layer, or two whose product is compared.
_Layers = _Layer | Annotated[tuple[_Layer, _Layer], Field(strict=False)]
_Share = Annotated[float, Field(ge=0, le=1)]


class WeightSchedule(Config):
    """How a weight moves: its factor goes in a line between two points of the run and stays outside them.

    "linear_growth": from 0 to 1; "linear_decay": from 1 to 0; "constant": 1. One term that decays where another grows
    is a curriculum.
    """

    shape: Literal["constant", "linear_growth", "linear_decay"] = "constant"
    #: Share of the steps at which the line begins. In [0, 1].
    begin: _Share = 0.0
    #: Share of the steps at which it ends. In [0, 1], above ``begin``.
    end: _Share = 1.0

    @model_validator(mode="after")
    def _has_a_length(self) -> WeightSchedule:
        if self.begin >= self.end:
            raise ConfigError("the schedule ends before it begins", value=(self.begin, self.end), fix="Raise end.")
        return self

    def factor(self, progress: float) -> float:
        """Give the factor of the weight after this share of the steps.

        ``WeightSchedule(shape="linear_growth").factor(0.25)`` -> 0.25.
        """
        if self.shape == "constant":
            return 1.0
        done = min(max((progress - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return done if self.shape == "linear_growth" else 1.0 - done


def _as_schedule(value: Any) -> Any:
    values: Any = {"shape": value} if isinstance(value, str) else value
    return WeightSchedule(**values) if isinstance(values, dict) else value


#: A table, or the name of a shape for the whole run.
Schedule = Annotated[WeightSchedule, BeforeValidator(_as_schedule)]


class TemperatureSchedule(Config):
    """How the temperature moves about its base value.

    "linear": from ``temperature`` to ``end`` over the run, as in annealed distillation (Jafari et al.,
    arXiv:2104.07163). "flsw" and "cwsm": each position has its own, ``temperature + beta * (mean(w) - w)``, with
    ``w = (1 - cos(student, teacher)) ** gamma`` or ``w = 1 / (max softmax(student) + 0.001)`` (Wen et al.,
    arXiv:1911.07471). Their mean is taken over a micro-batch, so they alone depend on how a batch is cut.
    """

    shape: Literal["constant", "linear", "flsw", "cwsm"] = "constant"
    #: Temperature at the end of "linear". > 0.
    end: float = Field(default=1.0, gt=0)
    #: Strength of "flsw" and "cwsm".
    beta: float = 1.0
    #: Exponent of "flsw". > 0.
    gamma: float = Field(default=1.0, gt=0)
    #: No temperature of "flsw" and "cwsm" falls below this. > 0.
    least: float = Field(default=0.1, gt=0)


class LayerMatch(Config):
    """A layer of the student that is to look like one of the teacher, or a whole map of them.

    Layer 0 is the embedding output, layer k the k-th transformer layer: its output for hidden states, what is inside it
    for attention and relations. Either both layers or ``layers``.
    """

    #: In [0, layers of the teacher]; two where the loss compares products of two layers.
    teacher_layer: _Layers | None = None
    #: In [0, layers of the student]; two where the teacher's are two.
    student_layer: _Layers | None = None
    #: Pairs by name, in place of the two layers.
    layers: LayerMap | None = None
    #: Name of a loss: hidden_mse, cosine, pkd, nst, gram, attention_mse, attention_mse_sum, attention_ce,
    #: attention_ce_mean, query_relation, key_relation, value_relation, or one given to ``register_loss``.
    loss: str = "hidden_mse"
    #: Factor of this term. > 0.
    weight: float = Field(default=1.0, gt=0)
    #: How the weight moves while training.
    schedule: Schedule = WeightSchedule()
    #: A trained map from the student's width to the teacher's, needed where they differ: linear, or linear with an
    #: activation; None = no map.
    projection: Literal["linear", "relu", "tanh"] | None = None
    #: Heads of a relation; divides both widths. None = the student's.
    relation_heads: int | None = Field(default=None, ge=1)
    #: As ``DistillLosses.hidden_positions``; None = as it says there.
    positions: Literal["real", "all"] | None = None

    @model_validator(mode="after")
    def _layers_are_given_once(self) -> LayerMatch:
        by_hand = (self.teacher_layer is not None, self.student_layer is not None)
        if (self.layers is not None and any(by_hand)) or (self.layers is None and not all(by_hand)):
            raise ConfigError(
                "a match needs its layers once",
                value={"teacher_layer": self.teacher_layer, "student_layer": self.student_layer, "layers": self.layers},
                fix='Give teacher_layer and student_layer, or a map such as layers = "uniform".',
            )
        if isinstance(self.teacher_layer, tuple) != isinstance(self.student_layer, tuple):
            raise ConfigError(
                "one layer is matched with two",
                value=(self.teacher_layer, self.student_layer),
                fix="Give one for each, or two for each.",
            )
        return self


class DistillLosses(Config):
    """What the student learns from its teacher.

    MiniRBT's published choice is ``temperature=8, scale_by_squared_temperature=False, hidden_positions="all"``.
    """

    #: What compares the logits: "cross_entropy" and "kl" differ by a constant and have one gradient; "mse": squared
    #: error of the logits over the temperature; or a name given to ``register_loss``.
    soft_loss: str = "cross_entropy"
    #: Divides the logits of both before the softmax. > 0. At high temperatures the gradient tends to the difference of
    #: the logits averaged over the vocabulary, most of which has no part in any one position. MiniRBT's is 8.
    temperature: float = Field(default=2.0, gt=0)
    #: How the temperature moves.
    temperature_schedule: TemperatureSchedule = TemperatureSchedule()
    #: Multiply the soft-label term by the temperature squared. Without it the term's gradient falls with 1 / T**2 and
    #: hardly counts at T = 8; with it weight and temperature can be chosen apart (Hinton et al., arXiv:1503.02531).
    scale_by_squared_temperature: bool = True
    #: Weight of the soft-label term. 0 = leave out.
    soft_weight: float = Field(default=1.0, ge=0)
    #: How that weight moves while training.
    soft_schedule: Schedule = WeightSchedule()
    #: Where logits are compared: at masked positions, at those that hold a piece, or at padding too. All but "masked"
    #: need a logit for each piece of the vocabulary at every position.
    soft_positions: Literal["masked", "real", "all"] = "masked"
    #: Keep only this many of the teacher's largest logits at each position; its other probabilities count as zero and
    #: the kept ones sum to one. None = all.
    soft_top_k: int | None = Field(default=None, ge=1)
    #: Weight of the masked language modelling loss with the true pieces. 0 = leave out, as MiniRBT does.
    hard_weight: float = Field(default=0.0, ge=0)
    #: How that weight moves while training.
    hard_schedule: Schedule = WeightSchedule()
    #: Weight of each hidden-state term of a layer map by name.
    hidden_weight: float = Field(default=1.0, gt=0)
    #: Hidden states that are compared by squared error, with linear projections where the widths differ; "none" leaves
    #: them out.
    layer_map: LayerMap | Literal["none"] = "uniform"
    #: What is matched, said in full; they stand in place of ``layer_map`` and ``hidden_weight``.
    matches: tuple[LayerMatch, ...] = Field(default=(), strict=False)
    #: Positions of the matches: those that hold a piece, or padding too.
    hidden_positions: Literal["real", "all"] = "real"
    #: One projection of a kind for all matches, as TinyBERT has it, or one for each.
    share_projection: bool = False

    @model_validator(mode="after")
    def _something_to_learn(self) -> DistillLosses:
        if not (self.soft_weight or self.hard_weight or self.matches or self.layer_map != "none"):
            raise ConfigError(
                "every loss is left out", where="losses", fix="Give soft_weight, hard_weight, layer_map or matches."
            )
        return self

    @model_validator(mode="after")
    def _top_k_fits(self) -> DistillLosses:
        if self.soft_top_k is None:
            return self
        if self.soft_loss not in ("cross_entropy", "kl"):
            raise ConfigError(
                "this loss needs every logit of the teacher",
                value=self.soft_loss,
                where="losses.soft_top_k",
                fix='Leave soft_top_k out, or set soft_loss = "cross_entropy".',
            )
        if self.temperature_schedule.shape == "flsw":
            raise ConfigError(
                "flsw needs every logit of the teacher", where="losses.soft_top_k", fix="Leave soft_top_k out."
            )
        return self
