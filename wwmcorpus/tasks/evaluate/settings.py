"""What an evaluation can be told: TOML or keyword arguments in, frozen sections out. No torch."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.tasks.settings import TaskSource, TaskTraining


class EvaluatedModel(Config):
    """A model that is fine-tuned."""

    #: Folder or hub id.
    model: str
    #: What tables call it, and the name of its folder; "": the last part of ``model``.
    name: str = Field(default="", pattern=r"^[^/\\]*$")
    #: Peak learning rate on every task; None: that of ``training``, or where it has none that of fine-tuning.
    learning_rate: float | None = Field(default=None, gt=0)

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name or PurePath(self.model).name


class EvaluatedTask(TaskSource):
    """A task that models are fine-tuned on."""

    #: File that the fine-tuned models are scored on in the end; None: the task's own, or none.
    test: str | None = None


def _models(values: Any) -> Any:
    return tuple(_model(value) for value in values) if isinstance(values, list | tuple) else values


def _model(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    name, equals, model = value.partition("=")
    is_named = equals and not {"/", "\\"} & set(name)
    return {"model": model, "name": name} if is_named else {"model": value}


def _tasks(values: Any) -> Any:
    if not isinstance(values, list | tuple):
        return values
    return tuple({"task": value} if isinstance(value, str) else value for value in values)


class EvaluateConfig(Config):
    """Fine-tuning of every model on every task, for several numbers of epochs, each with several seeds.

    ``EvaluateConfig(models=["teacher=runs/teacher", "runs/student"], tasks=["ocnli"], teacher="teacher",
    output="runs/evaluation")``
    """

    #: Tables of ``EvaluatedModel``; a text stands for a folder, or ``NAME=FOLDER``. A name holds no slash, so that
    #: ``runs/a=b`` is a folder.
    models: Annotated[tuple[EvaluatedModel, ...], BeforeValidator(_models)] = Field(min_length=1, strict=False)
    #: Tables of ``EvaluatedTask``; a text stands for a task's name or file.
    tasks: Annotated[tuple[EvaluatedTask, ...], BeforeValidator(_tasks)] = Field(min_length=1, strict=False)
    #: Folder to be made, or one that holds a part of this evaluation: what is done is not done again.
    output: str
    #: Name of the model that the others are compared with; None: no comparison.
    teacher: str | None = None
    #: Numbers of epochs that are tried; the one with the best mean over the seeds counts, for each model and task.
    epochs: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(2.0, 3.0, 5.0, 10.0), min_length=1, strict=False)
    #: Seeds of the head, of the order of the rows and of dropout.
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2), min_length=1, strict=False)
    #: Which weights of a run are scored: those at its end, or the best of those after each epoch.
    weights: Literal["last", "best"] = "last"
    #: Which fine-tuned models stay on disk: of each model on each task the one with the best score, or all.
    keep: Literal["best", "all"] = "best"
    #: Score the models on test files too, where tasks have such files.
    test: bool = True
    #: All else of the fine-tuning. ``epochs`` and ``seed`` come from here above; ``patience`` must be None, and
    #: ``evaluate_every`` too unless the best weights are scored.
    training: TaskTraining = Field(default_factory=TaskTraining)
    #: Processes; 0: everything in this one.
    num_workers: int = Field(default=1, ge=0)
    #: Threads of a process; None: the cores shared among the processes.
    num_threads: int | None = Field(default=None, ge=1)
    #: Measure the time of a forward pass of each model.
    latency: bool = True
    #: Rows of a batch that is timed.
    latency_batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 32), strict=False)
    #: Pieces of each of its rows.
    latency_length: int = Field(default=128, ge=2)
    #: Time for each batch size, at least.
    latency_seconds: float = Field(default=5.0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> EvaluateConfig:
        titles = [model.title for model in self.models]
        for model in self.models:
            if model.title in ("", ".", ".."):
                raise ConfigError("a model has no name", value=model.model, where="models", fix="Give NAME=FOLDER.")
        for key, names in (("models", titles), ("seeds", self.seeds), ("epochs", self.epochs)):
            twice = [name for name, number in Counter(names).items() if number > 1]
            if twice:
                raise ConfigError("stands twice", value=twice, where=key, fix="Give each once, models under own names.")
        if self.teacher is not None and self.teacher not in titles:
            raise ConfigError(
                "the teacher is none of the models", value=self.teacher, where="teacher", fix=choices(titles)
            )
        if self.training.patience is not None:
            raise ConfigError(
                "the epochs are what is compared",
                value=self.training.patience,
                where="training.patience",
                fix='Leave it out; weights = "best" keeps the best of each run.',
            )
        if self.training.evaluate_every is not None and self.weights == "last":
            raise ConfigError(
                "a run is scored at its end only",
                value=self.training.evaluate_every,
                where="training.evaluate_every",
                fix='Leave it out, or set weights = "best".',
            )
        return self
