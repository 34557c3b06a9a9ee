"""The slices of a task in, batches of clean documents out; whatever is left out goes to the rejections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.tasks import Beat, Place, Task, Tell
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import Cleaner, Slice, read_slice
from wwmcorpus.text.dedup import KeepList

#: Characters of the documents that go through segmenter and aligner at once: the same for every number of workers.
BATCH_CHARS = 1 << 16


class DocumentReader:
    """Reads, cleans and filters the documents of tasks.

    Args:
        config: Of the build.
        first_source: Index of the build's first source in the corpus: not 0 where the build adds to one.

    Attributes:
        counts: ``documents`` and ``characters`` after cleaning, and whatever cleaning changed.
        sources_seen: Indices of the sources that gave a document or a rejection.
    """

    def __init__(self, config: BuildConfig, first_source: int = 0) -> None:
        self._config, self._first_source = config, first_source
        self._keep = KeepList.open(Path(config.dedup)) if config.dedup else None
        self.start()

    def start(self) -> None:
        """Begin a new task."""
        self._cleaner = Cleaner(self._config.clean)
        self._counts: Counter[str] = Counter()
        self.sources_seen: set[int] = set()

    @property
    def counts(self) -> Counter[str]:
        """What was counted since ``start``."""
        together = Counter(self._counts)
        together.update(self._cleaner.counts)
        return together

    def count_sentences(self, number: int) -> None:
        """Count sentences that were read out of the documents."""
        self._counts["sentences"] += number

    def batches(
        self, task: Task, quarantine: frozenset[Place], reject: Callable[[Rejection], None], tell: Tell
    ) -> Iterator[list[Document]]:
        """Give the documents of a task in batches that depend on their text alone; tell of each before it is given."""
        for part in task.slices:
            limit = task.last_documents if part is task.slices[-1] else None
            batch: list[Document] = []
            size = told = 0
            for document in self._clean(part, limit, quarantine, reject):
                batch.append(document)
                size += len(document.text)
                if size >= BATCH_CHARS:
                    done = min(document.offset - part.start, part.size_bytes) if part.is_splittable else told
                    tell(_beat(batch, max(done - told, 0)))
                    told = max(done, told)
                    yield batch
                    batch, size = [], 0
            if batch:
                tell(_beat(batch, 0))
                yield batch
            tell(Beat(part.source_index, (), part.size_bytes - told))

    def chosen(self, task: Task, suspects: frozenset[Place], tell: Tell) -> Iterator[Document]:
        """Give some documents of a task one by one, telling of each before."""
        for part in task.slices:
            for item in read_slice(part, self._config.source):
                if isinstance(item, Document) and (item.source_index, item.offset) in suspects:
                    tell(Beat(item.source_index, (item.offset,)))
                    cleaned = self._cleaner.clean(item)
                    if isinstance(cleaned, Document):
                        yield cleaned

    def _clean(
        self, part: Slice, limit: int | None, quarantine: frozenset[Place], reject: Callable[[Rejection], None]
    ) -> Iterator[Document]:
        """Give the clean documents of a slice; what it leaves out is rejected or counted."""
        num_left = limit
        for item in read_slice(part, self._config.source):
            self.sources_seen.add(part.source_index)
            if isinstance(item, Rejection):
                reject(item)
                continue
            if num_left is not None:
                if num_left == 0:
                    return
                num_left -= 1
            result = self._kept(item, quarantine)
            if isinstance(result, Rejection):
                reject(result)
            elif result is not None:
                self._counts.update(documents=1, characters=len(result.text))
                yield result

    def _kept(self, document: Document, quarantine: frozenset[Place]) -> Document | Rejection | None:
        """Give the cleaned document, why it is left out, or None for a duplicate: those stand in the keep-list."""
        self._counts["documents_read"] += 1
        place = (document.source_index, document.offset)
        if place in quarantine:
            detail = "it alone killed two workers"
            return Rejection(
                "quarantined", document.source, document.offset, detail, source_index=document.source_index
            )
        if self._keep is not None and self._keep.is_dropped(place[0] - self._first_source, place[1]):
            self._counts["duplicates"] += 1
            return None
        return self._cleaner.clean(document)


def _beat(batch: list[Document], num_bytes: int) -> Beat:
    return Beat(batch[0].source_index, tuple(document.offset for document in batch), num_bytes)
