"""The slices of a task in, batches of clean documents out; whatever is left out goes to the rejections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.tasks import Beat, Place, Task, Tell
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import Cleaner, Slice, read_slice, split_lines, split_sentences
from wwmcorpus.text.dedup import KeepList

#: Characters of the documents that go through segmenter and aligner at once: the same for every number of workers.
BATCH_CHARS = 1 << 16
#: How a worker died depends on the machine: the manifest's content says no more.
QUARANTINE_DETAIL = "it alone killed two workers"
#: A sign of life comes after so many documents and rejections at the latest, also where all of them are left out.
_ITEMS_PER_BEAT = 4096


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
        self._num_read = self._num_duplicates = self._num_documents = self._num_characters = self._num_sentences = 0
        self.sources_seen: set[int] = set()

    def sentences(self, documents: list[Document]) -> tuple[list[str], NDArray[np.int64]]:
        """Give the sentences of some documents, and the number of the document of each."""
        split = split_lines if self._config.source.document_break == "sentence_line" else split_sentences
        return split([document.text for document in documents])

    @property
    def counts(self) -> Counter[str]:
        """What was counted since ``start``."""
        together = Counter(
            documents_read=self._num_read,
            documents=self._num_documents,
            characters=self._num_characters,
            sentences=self._num_sentences,
        )
        if self._keep is not None:
            together["duplicates"] = self._num_duplicates
        together.update(self._cleaner.counts)
        return together

    def count_sentences(self, number: int) -> None:
        """Count sentences that were read out of the documents."""
        self._num_sentences += number

    def batches(
        self, task: Task, quarantine: frozenset[Place], reject: Callable[[Rejection], None], tell: Tell
    ) -> Iterator[list[Document]]:
        """Give the documents of a task in batches that depend on their text alone; tell of each before it is given."""
        for part in task.slices:
            limit = task.last_documents if part is task.slices[-1] else None
            batch: list[Document] = []
            size = told = 0
            for document in self._clean(part, limit, quarantine, reject, tell):
                batch.append(document)
                size += len(document.text)
                if size >= BATCH_CHARS:
                    done = min(document.offset - part.start, part.size_bytes) if part.is_splittable else told
                    tell(_beat(batch, max(done - told, 0)))
                    told = max(done, told)
                    self._count(batch, size)
                    yield batch
                    batch, size = [], 0
            if batch:
                tell(_beat(batch, 0))
                self._count(batch, size)
                yield batch
            tell(Beat(part.source_index, (), part.size_bytes - told))

    def _count(self, batch: list[Document], num_characters: int) -> None:
        self._num_read += len(batch)
        self._num_documents += len(batch)
        self._num_characters += num_characters

    def chosen(self, task: Task, suspects: frozenset[Place], tell: Tell) -> Iterator[Document]:
        """Give some documents of a task one by one, telling of each before."""
        left = set(suspects)
        for part in task.slices:
            for number, item in enumerate(read_slice(part, self._config.source)):
                if not left:
                    return
                if number % _ITEMS_PER_BEAT == 0:
                    tell(Beat(part.source_index, ()))
                if isinstance(item, Document) and (item.source_index, item.offset) in left:
                    left.remove((item.source_index, item.offset))
                    tell(Beat(item.source_index, (item.offset,)))
                    cleaned = self._cleaner.clean(item)
                    if isinstance(cleaned, Document):
                        yield cleaned
                    tell(Beat(item.source_index, (), is_done=True))

    def _clean(
        self,
        part: Slice,
        limit: int | None,
        quarantine: frozenset[Place],
        reject: Callable[[Rejection], None],
        tell: Tell,
    ) -> Iterator[Document]:
        """Give the clean documents of a slice; what it leaves out is rejected or counted."""
        items = read_slice(part, self._config.source)
        kept = self._cleaner.clean if not quarantine and self._keep is None else partial(self._kept, quarantine)
        for number, item in enumerate(items if limit is None else _first(items, limit)):
            if number % _ITEMS_PER_BEAT == 0:
                self.sources_seen.add(part.source_index)
                tell(Beat(part.source_index, ()))
            result = kept(item) if isinstance(item, Document) else item
            if isinstance(result, Document):
                yield result
                continue
            self._num_read += isinstance(item, Document)
            if result is not None:
                reject(result)

    def _kept(self, quarantine: frozenset[Place], document: Document) -> Document | Rejection | None:
        """Give the cleaned document, why it is left out, or None for a duplicate: those stand in the keep-list."""
        if quarantine and (document.source_index, document.offset) in quarantine:
            return Rejection(
                "quarantined",
                document.source,
                document.offset,
                QUARANTINE_DETAIL,
                source_index=document.source_index,
            )
        keep, source_index = self._keep, document.source_index - self._first_source
        if keep is not None and keep.is_dropped(source_index, document.offset):
            self._num_duplicates += 1
            return None
        return self._cleaner.clean(document)


def _first(items: Iterator[Document | Rejection], num_documents: int) -> Iterator[Document | Rejection]:
    """Give what stands before the document that would be one too many."""
    for item in items:
        if isinstance(item, Document):
            if num_documents == 0:
                return
            num_documents -= 1
        yield item


def _beat(batch: list[Document], num_bytes: int) -> Beat:
    return Beat(batch[0].source_index, tuple(document.offset for document in batch), num_bytes)
