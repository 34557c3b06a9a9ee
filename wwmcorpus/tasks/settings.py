"""What fine-tuning and task distillation can be told: TOML or keyword arguments in, frozen sections out. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.training.settings import DistillLosses, Optimiser, Training

#: Fields that change nothing of what is learned, so that a run may be resumed or found again with others.
_NOT_CONTENT = {"device", "tensorboard"}


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


#: One name, or several.
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(strict=False)]


class TaskSource(Config):
    """A task and its files."""

    #: A name of ``task_names()``, or the path of a task's TOML file.
    task: str
    #: Files to learn from, one or several; none: the task's own. What ``augment`` wrote holds the examples themselves.
    train: Names = ()
    #: File that tells the best checkpoint; None: the task's own, or none.
    validation: str | None = None
    #: Most pieces of a row; None: 128, of reading comprehension 384, or as many as model and teachers have positions.
    max_length: int | None = Field(default=None, ge=5)
    #: Reading comprehension: from one window of a passage to the next, in pieces.
    stride: int = Field(default=128, ge=1)


class TaskTraining(Config):
    """How long, how much at once, how fast, and when to stop."""

    #: Passes over the rows.
    epochs: float = Field(default=3.0, gt=0)
    #: Rows of a step, over all ranks.
    batch_size: int = Field(default=32, ge=1)
    #: Peak learning rate; None: 1e-4 for students narrower than 512 (5e-5 on OCNLI), 3e-5 for others, 2e-5 for those
    #: of 1,024 and more, as MiniRBT's table has them. Of several tasks the smallest.
    learning_rate: float | None = Field(default=None, gt=0)
    #: How the learning rate falls after the warm-up.
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    #: Share of the steps during which the learning rate rises. In [0, 1].
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    #: Decoupled weight decay; biases and layer norms have none.
    weight_decay: float = Field(default=0.01, ge=0)
    #: Largest norm of the gradient; None = no clipping.
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    #: Steps between two evaluations, after each of which there is a checkpoint; None: one evaluation an epoch.
    evaluate_every: int | None = Field(default=None, ge=1)
    #: Stop after so many evaluations in a row without a better score; None = go on to the end. An error where nothing
    #: is scored.
    patience: int | None = Field(default=None, ge=1)
    #: Dropout of the model while it learns; None = as its configuration says. In [0, 1).
    dropout: float | None = Field(default=None, ge=0, lt=1)
    #: As in ``Training``.
    micro_batch_size: int | None = Field(default=None, ge=1)
    #: As in ``Training``.
    micro_batch_pieces: int | None = Field(default=None, ge=1)
    #: As in ``Training``.
    gradient_checkpointing: bool = False
    #: Number format of the matrix products.
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    #: "auto" takes a GPU where there is one.
    device: Literal["auto", "cpu"] = "auto"
    #: Steps between two lines of metrics.
    log_every: int = Field(default=10, ge=1)
    #: Write TensorBoard event files beside the metrics, extra ``viz``.
    tensorboard: bool = False
    #: Decides the weights of a new head, the order of the rows and dropout.
    seed: int = Field(default=0, ge=0, lt=2**63)

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides what comes out, as plain values."""
        return {key: value for key, value in self.values().items() if key not in _NOT_CONTENT}

    def loop(self, num_rows: int) -> Training:
        """Give the settings of the training loop for so many rows."""
        shared = {key: getattr(self, key) for key in _SHARED}
        an_epoch = max(1, round(num_rows / self.batch_size))
        steps = max(1, round(self.epochs * num_rows / self.batch_size))
        every = self.evaluate_every or an_epoch
        return Training(
            steps=steps,
            global_batch_size=self.batch_size,
            evaluate_every=every,
            # The best weights are those of a checkpoint; a run that is scored at its end alone has them to go on from.
            checkpoint_every=every if every <= steps else an_epoch,
            keep_checkpoints=1,
            **shared,
        )

    def optimiser(self, learning_rate: float) -> Optimiser:
        """Give the settings of the optimiser."""
        return Optimiser(
            learning_rate=self.learning_rate or learning_rate,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            schedule=self.schedule,
            warmup_fraction=self.warmup_fraction,
        )


#: Fields that stand in ``Training`` under the same name.
_SHARED = (
    "micro_batch_size",
    "micro_batch_pieces",
    "gradient_checkpointing",
    "precision",
    "device",
    "dropout",
    "log_every",
    "tensorboard",
    "seed",
)


class FinetuneConfig(TaskSource):
    """Fine-tuning of one model on one task."""

    #: Folder or hub id of the model; a head for another task, or for other labels, is replaced by a new one.
    model: str
    #: Folder to be made; it may hold this very run, finished or stopped, and nothing else.
    output: str
    training: TaskTraining = Field(default_factory=TaskTraining)


class TaughtTask(TaskSource):
    """A task with the teachers of it."""

    #: Folder or hub id of a model fine-tuned on the task, or of several, whose logits are averaged.
    teacher: Names
    #: Weight of each teacher; none: all the same. Divided by their sum.
    teacher_weights: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _weights_fit(self) -> TaughtTask:
        if not self.teacher:
            raise ConfigError("there is no teacher", where="teacher", fix="Name a folder or a hub id.")
        if self.teacher_weights and len(self.teacher_weights) != len(self.teacher):
            raise ConfigError(
                f"{len(self.teacher_weights)} weights for {len(self.teacher)} teachers",
                where="teacher_weights",
                fix="Give one for each, or none.",
            )
        return self


class IntermediateLosses(DistillLosses):
    """What is compared below the head.

    Where ``matches`` says nothing these are TinyBERT's: hidden states and attention of evenly spaced layers.
    """

    soft_weight: float = Field(default=0.0, ge=0, le=0)
    hard_weight: float = Field(default=0.0, ge=0, le=0)
    #: Weight of each attention term of a layer map by name: squared error of the scores where both models have as many
    #: heads, else cross-entropy of their mean over heads. 0 = leave out.
    attention_weight: float = Field(default=1.0, ge=0)


class PredictionLosses(DistillLosses):
    """What is compared at the head.

    Regression compares the values themselves, by squared error: ``soft_loss`` and ``soft_top_k`` do not hold there, nor
    do the temperature schedules "flsw" and "cwsm".
    """

    temperature: float = Field(default=1.0, gt=0)
    layer_map: Literal["uniform", "every_second", "first", "last", "none"] = "none"
    soft_positions: Literal["masked"] = "masked"


class IntermediateStage(TaskTraining):
    """TinyBERT's first stage: embeddings, hidden states and attention, at a constant learning rate."""

    epochs: float = Field(default=10.0, gt=0)
    learning_rate: float | None = Field(default=5e-5, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = "constant"
    warmup_fraction: float = Field(default=0.0, ge=0, le=1)
    losses: IntermediateLosses = Field(default_factory=IntermediateLosses)


class PredictionStage(TaskTraining):
    """TinyBERT's second stage: the teacher's logits."""

    losses: PredictionLosses = Field(default_factory=PredictionLosses)


class DistillTaskConfig(Config):
    """Task distillation, of one task or of several into one student.

    A single task may stand beside the other fields: ``DistillTaskConfig(task="ocnli", teacher="runs/teacher",
    student="runs/general", output="runs/student")``.
    """

    #: Tables of ``TaughtTask``.
    tasks: tuple[TaughtTask, ...] = Field(strict=False, min_length=1)
    #: Folder or hub id of the general student, or of what an intermediate stage gave.
    student: str
    #: Folder to be made. With both stages they lie in ``intermediate`` and ``prediction`` below it.
    output: str
    #: "both" runs the one and then, from where it ended, the other.
    stage: Literal["intermediate", "prediction", "both"] = "both"
    #: Several tasks: a task of n rows is taken for a step as often as n ** tau. 0: all alike; 1: by their rows.
    tau: float = Field(default=1.0, ge=0, le=1)
    #: Folder of a cache of the teachers' logits, for prediction stages over the same rows; None = no cache.
    cache: str | None = None
    intermediate: IntermediateStage = Field(default_factory=IntermediateStage)
    prediction: PredictionStage = Field(default_factory=PredictionStage)

    @model_validator(mode="before")
    @classmethod
    def _one_task_as_a_list(cls, values: Any) -> Any:
        given = {key: value for key, value in values.items() if key in TaughtTask.model_fields}
        if not given:
            return values
        if "tasks" in values:
            raise ConfigError(
                "one task stands beside a list of tasks", value=sorted(given), where="tasks", fix="Give one of the two."
            )
        rest = {key: value for key, value in values.items() if key not in given}
        return rest | {"tasks": (TaughtTask(**given),)}

    @model_validator(mode="after")
    def _cache_is_enough(self) -> DistillTaskConfig:
        losses = self.prediction.losses
        if self.cache is not None and (losses.matches or losses.layer_map != "none"):
            raise ConfigError(
                "these losses need more of the teacher than a cache of logits holds",
                where="cache",
                fix='Leave it out, or set prediction.losses.layer_map = "none".',
            )
        return self
