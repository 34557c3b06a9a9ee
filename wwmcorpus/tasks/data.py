"""A task, its files and a tokenizer in, rows to learn from and examples to be scored on out."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from wwmcorpus.errors import ConfigError
from wwmcorpus.tasks.batches import fingerprint
from wwmcorpus.tasks.declaration import Task, load_task
from wwmcorpus.tasks.encode import encode
from wwmcorpus.tasks.examples import Examples, ReadingExample, TaggedExample, TextExample
from wwmcorpus.tasks.features import Features
from wwmcorpus.tasks.settings import TaskSource, TaskTraining

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskData:
    """What a run reads of one task.

    Attributes:
        task: What it is.
        max_length: Most pieces of a row.
        stride: From window to window.
        train: Rows to learn from.
        rejected: Rows of their files that became none, by reason.
        examples: To be scored on; None where there are none.
        validation: Their rows.
    """

    task: Task
    max_length: int
    stride: int
    train: Features
    rejected: dict[str, int]
    examples: Examples | None = None
    validation: Features | None = None

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """The sha256 of the rows, by what they are for; and of the examples, whose answers scores come from."""
        held_out = None if self.validation is None else fingerprint(self.validation)
        examples = None if self.examples is None else _sha256(self.examples)
        return {"train": fingerprint(self.train), "validation": held_out, "validation_examples": examples}

    def content(self) -> dict[str, Any]:
        """Give what is worth keeping of it, as plain values: ``task.json``."""
        task = {key: value for key, value in self.task.values().items() if key not in ("train", "validation", "test")}
        return {"task": task, "max_length": self.max_length, "stride": self.stride}

    def counts(self) -> dict[str, Any]:
        """Give how many rows there are, and what was left out."""
        counts: dict[str, Any] = {"train": self.train.counts, "rejected": self.rejected, "validation_examples": None}
        if self.examples is None or self.validation is None:
            return counts
        return counts | {
            "validation_examples": len(self.examples),
            "validation": self.validation.counts,
            "validation_rejected": self.examples.rejected,
            "validation_notes": self.examples.notes,
        }


def train_files(task: Task, source: TaskSource) -> tuple[str, ...]:
    """Give the files to learn from: those of the source, or else that of the task.

    Raises:
        ConfigError: none is named.
    """
    names = source.train or ((task.train,) if task.train else ())
    if not names:
        raise ConfigError(
            f"the task {task.name} names no file to learn from", where="train", fix="Give train, one file or several."
        )
    return names


def read_data(task: Task, source: TaskSource, tokenizer: PreTrainedTokenizerFast, max_length: int) -> TaskData:
    """Read and encode the files of a task.

    Raises:
        ConfigError: no file is named to learn from.
        SourceError: a file is absent or holds no example.
        MissingExtraError: a metric needs a package that is not installed.
    """
    examples = _joined([task.read(name, to_learn=True) for name in train_files(task, source)])
    train = encode(task, examples, tokenizer, max_length, source.stride)
    _tell(task, "to learn from", train)
    held_out = source.validation or task.validation
    if held_out is None:
        return TaskData(task, max_length, source.stride, train, examples.rejected)
    scored = task.read(held_out)
    # Scored against itself first: a package that is missing is told before an epoch is over.
    task.metrics([_truth(example) for example in scored], scored)
    validation = encode(task, scored, tokenizer, max_length, source.stride)
    _tell(task, "to be scored on", validation)
    return TaskData(task, max_length, source.stride, train, examples.rejected, scored, validation)


def check_patience(training: TaskTraining, sources: Sequence[TaskSource], where: str) -> None:
    """Raise ConfigError where there is patience, but none of the tasks has a file to be scored on."""
    if training.patience is None or any(of.validation or load_task(of.task).validation for of in sources):
        return
    raise ConfigError(
        "nothing is scored here, so that patience never ends",
        value=training.patience,
        where=f"{where}.patience",
        fix="Leave it out, or give validation, a file to be scored on; an intermediate stage has no scores.",
    )


def _sha256(examples: Examples) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr(tuple(example)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _joined(files: list[Examples]) -> Examples:
    if len(files) == 1:
        return files[0]
    notes: Counter[str] = Counter()
    for file in files:
        notes.update(file.notes)
    items = tuple(chain.from_iterable(files))
    rejections = tuple(chain.from_iterable(file.rejections for file in files))
    return Examples(", ".join(file.path for file in files), items, rejections, dict(notes))


def _truth(example: object) -> Any:
    if isinstance(example, ReadingExample):
        return example.answers[0].text
    assert isinstance(example, TextExample | TaggedExample)
    return example.label if isinstance(example, TextExample) else example.tags


def _tell(task: Task, purpose: str, features: Features) -> None:
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in features.counts.items() if number)
    _log.info("%s, %s: %s", task.name, purpose, counts)
