"""Slices of sources in, tasks out; and the records of what became of them.

The plan is made before any work: a task is a list of slices, and what it gives is a pure function of their bytes, the
configuration and the versions, so that it does not matter which worker runs it, or how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.corpus.manifest import RejectedDocument, Shard, StoredFile
from wwmcorpus.corpus.statistics import Statistics
from wwmcorpus.records import Rejection
from wwmcorpus.text import Slice, SourceOptions, group_slices, read_slice

#: A document by its place: (source_index, offset).
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Task:
    """Source slices that become one shard per split, or several where they are many.

    Attributes:
        index: Its number in the plan.
        slices: What it reads, in order.
        last_documents: How many documents of the last slice it reads; None for all.
    """

    index: int
    slices: tuple[Slice, ...]
    last_documents: int | None = None

    @property
    def size_bytes(self) -> int:
        """Source bytes that it stands for."""
        return sum(part.size_bytes for part in self.slices)


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's sign of life: the documents that it turns to, and the source bytes that lie behind it.

    Attributes:
        source_index: Of the documents' source.
        offsets: Where they begin in it.
        num_bytes: Source bytes dealt with since the last beat.
        is_done: Whether the documents told of before are behind it, so that none of them can be to blame.
    """

    source_index: int
    offsets: tuple[int, ...]
    num_bytes: int = 0
    is_done: bool = False


Tell = Callable[[Beat], None]


class AnyTask(Protocol):
    """Work on slices of sources: a build's ``Task``, or that of another job over workers."""

    @property
    def index(self) -> int:
        """Its number in the plan."""
        ...

    @property
    def slices(self) -> tuple[Slice, ...]:
        """What it reads, in order."""
        ...


class Runner(Protocol):
    """What a worker does with tasks. Made once per process, by ``Opens.open``."""

    def run(self, task: Any, quarantine: frozenset[Place], tell: Tell) -> Any:
        """Do a task but for the documents in quarantine, telling of each batch before it begins; give its record."""
        ...

    def question(self, task: Any, suspects: frozenset[Place], tell: Tell) -> None:
        """Do what is done to some documents of a task one by one, telling of each before, and keep nothing."""
        ...


class Opens(Protocol):
    """What is sent to a worker, to become its runner there."""

    def open(self) -> Runner:
        """Load what the tasks need."""
        ...


class TaskRecord(Config):
    """What came of a task; on disk, the proof that it is done.

    Attributes:
        index: The task's.
        segmenter: Signature of the segmenter that found its words.
        shards: By split; a split without rows has none.
        counts: Documents, characters, words, pieces ... as they were seen and dropped.
        rejected: Rejections by reason.
        examples: The first rejections of each reason.
        rejections: The file that lists every rejection; None without any.
        statistics: For the report.
        sources_seen: Indices of the sources that gave a document or a rejection.
        stage_seconds: Where the time went; no part of what a build gives.
    """

    index: int
    segmenter: str
    shards: dict[str, list[Shard]]
    counts: dict[str, int]
    rejected: dict[str, int]
    examples: tuple[RejectedDocument, ...] = Field(strict=False)
    rejections: StoredFile | None
    statistics: Statistics
    sources_seen: tuple[int, ...] = Field(strict=False)
    stage_seconds: dict[str, float]


def where_of(task: AnyTask) -> str:
    """Name the slices of a task, for messages: ``news.txt [0, 4096)``."""
    return ", ".join(f"{part.name} [{part.start}, {part.end})" for part in task.slices)


def plan_tasks(slices: Iterable[Slice], task_bytes: int) -> list[Task]:
    """Group slices, in order, into tasks of about ``task_bytes``; small files share a task."""
    return [Task(index, group) for index, group in enumerate(group_slices(slices, task_bytes))]


def limit_tasks(tasks: Iterable[Task], options: SourceOptions, num_documents: int) -> list[Task]:
    """Give the tasks that hold the first ``num_documents`` readable documents; reads no more than those."""
    kept: list[Task] = []
    left = num_documents
    for task in tasks:
        slices: list[Slice] = []
        for part in task.slices:
            slices.append(part)
            found = _count_documents(part, options, left)
            if found == left:
                return [*kept, replace(task, slices=tuple(slices), last_documents=left)]
            left -= found
        kept.append(task)
    return kept


def _count_documents(part: Slice, options: SourceOptions, enough: int) -> int:
    found = 0
    for item in read_slice(part, options):
        found += not isinstance(item, Rejection)
        if found == enough:
            break
    return found
