"""Rejections in, counts, first examples and one line of JSON for each out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from wwmcorpus.corpus.manifest import RejectedDocument, StoredFile
from wwmcorpus.files import file_sha256, sync
from wwmcorpus.records import Rejection

#: Rejections of one reason that a manifest shows; the file lists them all.
MAX_EXAMPLES = 20


class Rejections:
    """Takes the rejections of one task, in order.

    Args:
        path: File to list them in; written only if there is one to list.

    Attributes:
        counts: By reason.
        examples: The first of each reason.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self.counts: Counter[str] = Counter()
        self.examples: list[RejectedDocument] = []

    def add(self, rejection: Rejection) -> None:
        """Count and list a rejection."""
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
        found = RejectedDocument.of(rejection)
        self._file.write(json.dumps(found.values(), ensure_ascii=False) + "\n")
        self.counts[found.reason] += 1
        if self.counts[found.reason] <= MAX_EXAMPLES:
            self.examples.append(found)

    def close(self) -> StoredFile | None:
        """Have the disk keep the list; give its record."""
        if self._file is None:
            return None
        self._file.close()
        sync(self._path)
        return StoredFile(name=self._path.name, size_bytes=self._path.stat().st_size, sha256=file_sha256(self._path))


def first_examples(found: Iterable[RejectedDocument]) -> tuple[RejectedDocument, ...]:
    """Give the first ``MAX_EXAMPLES`` of each reason, in order."""
    counts: Counter[str] = Counter()
    kept = []
    for rejection in found:
        counts[rejection.reason] += 1
        if counts[rejection.reason] <= MAX_EXAMPLES:
            kept.append(rejection)
    return tuple(kept)
