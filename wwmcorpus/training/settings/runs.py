"""Whole runs: pretraining, distillation, two stages of it. TOML or keyword arguments in. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.masking.scheme import WholeWordMasking
from wwmcorpus.training.settings.loop import Optimiser, Training
from wwmcorpus.training.settings.losses import DistillLosses
from wwmcorpus.training.settings.shapes import Student


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
