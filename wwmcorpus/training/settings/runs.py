"""Whole runs: pretraining, distillation, two stages of it. TOML or keyword arguments in. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking.scheme import WholeWordMasking, WordPredictingMasking
from wwmcorpus.stream.settings import StreamOptions
from wwmcorpus.training.settings.loop import Optimiser, Training
from wwmcorpus.training.settings.losses import DistillLosses
from wwmcorpus.training.settings.presets import with_preset
from wwmcorpus.training.settings.shapes import Initialisation, Student


class _Run(Config):
    """What every run needs: data in, folder out."""

    #: Folder of the training corpus.
    corpus: str
    #: Folder of a corpus for evaluation; None = no evaluation.
    validation: str | None = None
    #: Folder to be made; it may hold this very run, finished or stopped, and nothing else.
    output: str
    #: Which words are masked, in training and in evaluation; there always as many as training begins with, and whole
    #: words where training hides none.
    masking: WordPredictingMasking = Field(default_factory=WholeWordMasking)
    #: How rows become batches, beside masking, seed and batch size.
    stream: StreamOptions = Field(default_factory=StreamOptions)

    @model_validator(mode="after")
    def _batches_are_padded(self) -> _Run:
        if self.stream.layout != "padded":
            raise ConfigError(
                "training reads padded batches",
                value=self.stream.layout,
                where="stream.layout",
                fix="Leave it out: the trainer lays rows end to end by itself, see training.unpad.",
            )
        return self


class PretrainConfig(_Run):
    """Masked language modelling, from random weights or continued from a checkpoint."""

    #: The model that learns; None = of the shape of ``init.weights``, whose training goes on.
    student: Student | None = None
    #: First weights from another model; None = random ones.
    init: Initialisation | None = None
    #: Weights that do not learn, as patterns of their names: "bert.embeddings.*", "bert.encoder.layer.0.*".
    freeze: tuple[str, ...] = Field(default=(), strict=False)
    #: First bias of the output layer, unless a head is copied: "log_frequency" starts the student as the unigram model
    #: of the corpus, so that no steps go into learning how often each piece occurs; "zero" is BERT's.
    output_bias: Literal["log_frequency", "zero"] = "log_frequency"
    #: Weight of the loss of a head that tells pairs from no pairs, on a corpus built with ``pairs``: next sentences or
    #: order of sentences. BERT's is 1. 0 = no such head.
    pair_weight: float = Field(default=0.0, ge=0)
    training: Training = Field(default_factory=Training)
    optimiser: Optimiser = Field(default_factory=Optimiser)

    @model_validator(mode="after")
    def _something_learns(self) -> PretrainConfig:
        if self.student is None and self.init is None:
            raise ConfigError(
                "there is no model that learns",
                where="student",
                fix="Give student, or init.weights to continue a model.",
            )
        return self

    @model_validator(mode="after")
    def _cache_has_a_teacher(self) -> PretrainConfig:
        if self.training.teacher_cache is not None and "teacher" not in type(self).model_fields:
            raise ConfigError(
                "there is no teacher whose logits could be kept",
                value=self.training.teacher_cache,
                where="training.teacher_cache",
                fix="Leave it out, or distil.",
            )
        return self


class DistillConfig(PretrainConfig):
    """Distillation from one teacher: the same with something to compare with."""

    #: Published settings to begin with; what is said beside it wins. ``preset_names()`` lists them.
    preset: str | None = None
    #: Folder or hub id of a masked language model with the corpus's vocabulary.
    teacher: str
    #: Go on with a teacher that knows no more of held-out text than the frequency of its pieces.
    accept_teacher: bool = False
    losses: DistillLosses = Field(default_factory=DistillLosses)

    @model_validator(mode="before")
    @classmethod
    def _over_the_preset(cls, values: Any) -> Any:
        return with_preset(values)


class Stage(Config):
    """One distillation of a two-stage run. The fields are those of ``DistillConfig``."""

    #: As in ``DistillConfig``; the masking is that of the run.
    preset: str | None = None
    #: The model that learns: as ``student`` of ``DistillConfig``.
    model: Student
    #: "teacher" in ``init.weights`` is the teacher of this stage.
    init: Initialisation | None = None
    freeze: tuple[str, ...] = Field(default=(), strict=False)
    output_bias: Literal["log_frequency", "zero"] = "log_frequency"
    #: As in ``DistillConfig``; a teacher cache is a folder by the stage's name in the one that is named here, for each
    #: stage has its own teacher.
    training: Training = Field(default_factory=Training)
    optimiser: Optimiser = Field(default_factory=Optimiser)
    losses: DistillLosses = Field(default_factory=DistillLosses)

    @model_validator(mode="before")
    @classmethod
    def _over_the_preset(cls, values: Any) -> Any:
        return with_preset(values, leave_out=("masking",), rename={"student": "model"})


class TwoStageConfig(_Run):
    """Teacher -> assistant -> student, in ``output/assistant`` and ``output/student``."""

    #: Folder or hub id of the first teacher.
    teacher: str
    #: As in ``DistillConfig``, for the first teacher and the assistant.
    accept_teacher: bool = False
    assistant: Stage
    student: Stage
    #: Also distil the student straight from the teacher, with the student's own settings and as many steps, into
    #: ``output/one_stage``: what the assistant is worth.
    one_stage: bool = False

    @model_validator(mode="after")
    def _control_fits(self) -> TwoStageConfig:
        if self.one_stage and any(match.layers is None for match in self.student.losses.matches):
            raise ConfigError(
                "layers matched by hand fit the assistant and not the teacher",
                where="student.losses.matches",
                fix="Take a layer_map by name, or run the one-stage control with wwmcorpus distill.",
            )
        return self

    @model_validator(mode="after")
    def _one_device(self) -> TwoStageConfig:
        devices = {"assistant": self.assistant.training.device, "student": self.student.training.device}
        if len(set(devices.values())) > 1:
            raise ConfigError(
                "both stages run in one process, on one device",
                value=devices,
                where="student.training.device",
                fix="Give both the same, or run them one by one with wwmcorpus distill.",
            )
        return self

    def stages(self) -> dict[str, DistillConfig]:
        """Give the distillations by name, in the order in which they run."""
        asked = {"assistant": (self.assistant, self.teacher), "student": (self.student, f"{self.output}/assistant")}
        if self.one_stage:
            asked["one_stage"] = (self.student, self.teacher)
        return {name: self._stage(name, stage, teacher) for name, (stage, teacher) in asked.items()}

    def _stage(self, name: str, stage: Stage, teacher: str) -> DistillConfig:
        shared: dict[str, Any] = {key: getattr(self, key) for key in (*_Run.model_fields, "accept_teacher")}
        own = {key: getattr(stage, key) for key in Stage.model_fields if key != "model"}
        places = {"output": f"{self.output}/{name}", "teacher": teacher, "student": stage.model}
        if stage.training.teacher_cache is not None:
            folder = f"{stage.training.teacher_cache}/{name}"
            own["training"] = stage.training.model_copy(update={"teacher_cache": folder})
        return DistillConfig(**shared | own | places)
