"""Slices of sources in, tasks out; and the records of what became of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.text.dedup.settings import SignatureOptions
from wwmcorpus.text.sources import Slice, SourceOptions, group_slices

#: Raised when the same text would get another signature, or the files another layout.
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class SignTask:
    """Slices of sources whose signatures become one shard.

    Attributes:
        index: Its number in the plan.
        slices: What it reads, in order.
        key: Hash of everything that decides its shard.
    """

    index: int
    slices: tuple[Slice, ...]
    key: str

    @property
    def size_bytes(self) -> int:
        """Source bytes that it stands for."""
        return sum(part.size_bytes for part in self.slices)

    @property
    def where(self) -> str:
        """Its slices, for messages: ``news.txt [0, 4096)``."""
        return ", ".join(f"{part.name} [{part.start}, {part.end})" for part in self.slices)


@dataclass(frozen=True, slots=True)
class SignBlueprint:
    """What every worker needs to run tasks.

    Attributes:
        options: What is written down of a document.
        source: How sources become documents.
        folder: Where shards and records go; on a cluster, all nodes see it.
    """

    options: SignatureOptions
    source: SourceOptions
    folder: str


class SignRecord(Config):
    """What came of a task.

    Attributes:
        index: The task's.
        key: The task's.
        name: Of the shard, in the same folder as the record.
        num_documents: Rows of the shard.
        size_bytes: Of the shard.
        sha256: Of the shard.
        counts: Documents, their characters after cleaning, and what cleaning changed.
        rejected: Rejections by reason.
        examples: The first rejections of each reason.
        sources_seen: Indices of the sources that gave a document or a rejection.
    """

    index: int
    key: str
    name: str
    num_documents: int
    size_bytes: int
    sha256: str
    counts: dict[str, int]
    rejected: dict[str, int]
    examples: tuple[dict[str, Any], ...] = Field(strict=False)
    sources_seen: tuple[int, ...] = Field(strict=False)


def plan_sign_tasks(slices: Sequence[Slice], digests: Sequence[str], task_bytes: int, decisive: Any) -> list[SignTask]:
    """Group slices, in order, into tasks of about ``task_bytes``.

    Args:
        slices: Of all sources.
        digests: What identifies the content of each source.
        task_bytes: Source bytes of a task; small files share one.
        decisive: JSON-able; whatever else decides the signatures.
    """
    tasks = []
    for index, group in enumerate(group_slices(slices, task_bytes)):
        places = [(part.source_index, digests[part.source_index], part.name, part.start, part.end) for part in group]
        content = json.dumps([FORMAT_VERSION, decisive, places], sort_keys=True)
        tasks.append(SignTask(index, group, hashlib.sha256(content.encode()).hexdigest()))
    return tasks
