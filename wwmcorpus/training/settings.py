"""What a training run can be told: TOML or keyword arguments in, frozen sections out. Imports no torch.

Every number has its unit and range beside it. Where a default differs from MiniRBT's recipe, the field says so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking.scheme import WholeWordMasking


class StudentShape(Config):
    """The shape of a BERT; whatever is not named here is as in Hugging Face's ``BertConfig``."""

    #: Transformer layers.
    layers: int = Field(ge=1)
    #: Width of the hidden states.
    hidden: int = Field(ge=1)
    #: Attention heads; divides ``hidden``.
    heads: int = Field(ge=1)
    #: Width of the feed-forward layers.
    intermediate: int = Field(ge=1)
    #: Dropout of hidden states and of attention. In [0, 1).
    dropout: float = Field(default=0.1, ge=0, lt=1)
    #: Longest row, in pieces.
    max_positions: int = Field(default=512, ge=8)

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> StudentShape:
        if self.hidden % self.heads:
            raise ConfigError(
                "the heads do not divide the hidden size",
                value=(self.heads, self.hidden),
                where="heads, hidden",
                fix="Take a divisor.",
            )
        return self


def _as_shape(value: Any) -> Any:
    """Build the inline table at once, so that its own error is shown and not that of the union."""
    return StudentShape(**value) if isinstance(value, dict) else value


#: A name of the registry, the path of a Hugging Face ``config.json``, or an inline table.
Student = Annotated[str | StudentShape, BeforeValidator(_as_shape)]


_Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Config):
    """AdamW and its learning rate."""

    #: Peak learning rate. MiniRBT's is 4e-4 at a batch of thousands.
    learning_rate: float = Field(default=4e-4, gt=0)
    #: Decoupled weight decay; biases and layer norms have none.
    weight_decay: float = Field(default=0.01, ge=0)
    #: Decay rates of the two moments. Each in [0, 1).
    betas: tuple[_Decay, _Decay] = Field(default=(0.9, 0.999), strict=False)
    #: Added to the root of the second moment.
    epsilon: float = Field(default=1e-6, gt=0)
    #: Largest norm of the gradient over student and projections together; None = no clipping. MiniRBT clips the
    #: student only.
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    #: How the learning rate falls after the warm-up.
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    #: Share of the steps during which the learning rate rises. In [0, 1].
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)


class Training(Config):
    """How long, how much at once, and how often to look."""

    #: Optimiser steps.
    steps: int = Field(default=1000, ge=1)
    #: Rows per step, over all ranks.
    global_batch_size: int = Field(default=64, ge=1)
    #: Rows per forward pass on one rank; None = the rank's whole slice at once. Changes memory and speed, not the loss.
    micro_batch_size: int | None = Field(default=None, ge=1)
    #: Number format of the matrix products; weights and losses stay fp32.
    precision: Literal["fp32", "bf16"] = "fp32"
    #: "auto" takes a GPU where there is one.
    device: Literal["auto", "cpu"] = "auto"
    #: Dropout of the student while it learns; None = as its shape says. In [0, 1).
    dropout: float | None = Field(default=None, ge=0, lt=1)
    #: Steps between two lines of metrics.
    log_every: int = Field(default=10, ge=1)
    #: Steps between two evaluations; None = only before and after.
    evaluate_every: int | None = Field(default=None, ge=1)
    #: At most this many rows of the validation corpus are evaluated.
    evaluation_rows: int = Field(default=2000, ge=1)
    #: Times that every evaluation row is masked, each time elsewhere but in every run alike, to steady the figures of a
    #: small corpus.
    evaluation_draws: int = Field(default=1, ge=1)
    #: Decides initial weights, data order, masks and dropout.
    seed: int = Field(default=0, ge=0, lt=2**63)


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


class _Run(Config):
    """What every run needs: data in, folder out."""

    #: Folder of the training corpus.
    corpus: str
    #: Folder of a corpus for evaluation; None = no evaluation.
    validation: str | None = None
    #: Folder to be made; it must not exist or be empty.
    output: str
    #: Which words are masked, in training and in evaluation.
    masking: WholeWordMasking = Field(default_factory=WholeWordMasking)


class PretrainConfig(_Run):
    """Masked language modelling from random weights."""

    #: The model that learns.
    student: Student
    #: First bias of the output layer: "log_frequency" starts the student as the unigram model of the corpus, so that no
    #: steps go into learning how often each piece occurs; "zero" is BERT's.
    output_bias: Literal["log_frequency", "zero"] = "log_frequency"
    training: Training = Field(default_factory=Training)
    optimiser: Optimiser = Field(default_factory=Optimiser)


class DistillConfig(PretrainConfig):
    """Distillation from one teacher."""

    #: Folder or hub id of a masked language model with the corpus's vocabulary.
    teacher: str
    losses: DistillLosses = Field(default_factory=DistillLosses)


class Stage(Config):
    """One distillation of a two-stage run."""

    #: The model that learns: a name of the registry, the path of a ``config.json``, or an inline table.
    model: Student
    #: First bias of the output layer, as in ``PretrainConfig``.
    output_bias: Literal["log_frequency", "zero"] = "log_frequency"
    training: Training = Field(default_factory=Training)
    optimiser: Optimiser = Field(default_factory=Optimiser)
    losses: DistillLosses = Field(default_factory=DistillLosses)


class TwoStageConfig(_Run):
    """Teacher -> assistant -> student, in ``output/assistant`` and ``output/student``."""

    #: Folder or hub id of the first teacher.
    teacher: str
    assistant: Stage
    student: Stage

    def stages(self) -> tuple[DistillConfig, DistillConfig]:
        """Give the two distillations in the order in which they run."""
        shared: dict[str, Any] = {"corpus": self.corpus, "validation": self.validation, "masking": self.masking}
        folder = f"{self.output}/assistant"
        return (
            DistillConfig(**shared, output=folder, teacher=self.teacher, **_sections(self.assistant)),
            DistillConfig(**shared, output=f"{self.output}/student", teacher=folder, **_sections(self.student)),
        )


def _sections(stage: Stage) -> dict[str, Any]:
    names = ("output_bias", "training", "optimiser", "losses")
    return {"student": stage.model} | {name: getattr(stage, name) for name in names}
