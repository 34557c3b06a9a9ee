"""One task in, one shard (per split) out: the whole road from bytes to rows, in one process.

A task is a list of source slices. Its shard is a pure function of those bytes, the configuration and the versions, so
that it does not matter which worker runs it, or how often.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from wwmcorpus.align import Aligner, Vocabulary
from wwmcorpus.corpus.pack import Packer
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.shards import ShardWriter, file_sha256
from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import Document, Pieces, Rejection
from wwmcorpus.segment import load_segmenter
from wwmcorpus.text import Slice, normalise, read_slice, sentence_spans

#: Characters of the documents that go through segmenter and aligner at once: the same for every number of workers.
_BATCH_CHARS = 1 << 16
#: Rejections of one reason that are kept with their place; the others are only counted.
MAX_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Task:
    """Source slices that become one shard per split."""

    index: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What every worker needs to run tasks."""

    config: BuildConfig
    tokenizer_file: str
    special_ids: dict[str, int]
    work_folder: str


@dataclass(slots=True)
class ShardAttempt:
    """A shard that is written but not yet committed."""

    path: str
    num_rows: int
    num_words: int
    num_pieces: int
    size_bytes: int
    sha256: str


@dataclass(slots=True)
class TaskResult:
    """What came of a task.

    Attributes:
        index: The task's.
        segmenter: Signature of the segmenter that found its words.
        shards: One attempt per split.
        counts: Documents, characters, words, pieces ... as they were seen and dropped.
        rejected: Rejections by reason.
        examples: The first rejections of each reason.
        sources_seen: Indices of the sources that gave a document or a rejection.
    """

    index: int
    segmenter: str
    shards: dict[str, ShardAttempt] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[Rejection] = field(default_factory=list)
    sources_seen: set[int] = field(default_factory=set)

    def reject(self, rejection: Rejection) -> None:
        """Count a rejection and keep it as an example while there are few of its reason."""
        self.rejected[rejection.reason] += 1
        if self.rejected[rejection.reason] <= MAX_EXAMPLES:
            self.examples.append(rejection)


def plan_tasks(slices: Iterable[Slice], task_bytes: int) -> list[Task]:
    """Group slices, in order, into tasks of about ``task_bytes``; small files share a task."""
    groups: list[list[Slice]] = []
    filled = 0
    for part in slices:
        size = part.end - part.start
        if not groups or filled + size > task_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(part)
        filled += size
    return [Task(index, tuple(group)) for index, group in enumerate(groups)]


class TaskRunner:
    """Runs tasks one after the other with one segmenter and one aligner."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._config = blueprint.config
        self._work_folder = Path(blueprint.work_folder)
        tokenizer = Tokenizer.from_file(blueprint.tokenizer_file)
        self.vocabulary = Vocabulary.of_ids(tokenizer.get_vocab(), blueprint.special_ids)
        self.segmenter = load_segmenter(self._config.segmenter, self._config.segmenter_threads)
        self._aligner = Aligner(tokenizer)
        self._packer = Packer(self.vocabulary, self._config.max_length)

    def run(self, task: Task, advance: Callable[[int], None] = lambda _: None) -> TaskResult:
        """Write the shards of a task; ``advance`` is told how many source bytes were dealt with since it last was."""
        result = TaskResult(task.index, self.segmenter.signature)
        self._aligner.counts.clear()
        self._packer.counts.clear()
        writers = {
            split: ShardWriter(self._work_folder / f"task-{task.index:05d}-{split}.tmp", self.vocabulary.num_pieces)
            for split in self._config.splits
        }
        for part in task.slices:
            for batch in self._batches(part, result, advance):
                for document, texts in self._align(batch, result):
                    rows = [row for unit in texts for row in self._packer.pack(document, unit)]
                    if not rows:
                        result.reject(
                            Rejection("no_pieces", document.source, document.offset_bytes, "no piece that fits a row")
                        )
                    writers[self._split_of(document.text)].write(rows)
        result.counts.update(self._aligner.counts)
        result.counts.update(self._packer.counts)
        for split, writer in writers.items():
            result.shards[split] = _finish(writer)
        return result

    def _batches(self, part: Slice, result: TaskResult, advance: Callable[[int], None]) -> Iterator[list[Document]]:
        """Give the documents of a slice in batches that depend on their text alone."""
        batch: list[Document] = []
        size, told = 0, 0
        for item in read_slice(part, self._config.source):
            result.sources_seen.add(part.source_index)
            document = self._clean(item, result)
            if document is None:
                continue
            batch.append(document)
            size += len(document.text)
            if size >= _BATCH_CHARS:
                yield batch
                batch, size = [], 0
                if not part.is_compressed:
                    advance(document.offset_bytes - part.start - told)
                    told = document.offset_bytes - part.start
        if batch:
            yield batch
        advance(part.end - part.start - told)

    def _clean(self, item: Document | Rejection, result: TaskResult) -> Document | None:
        if isinstance(item, Rejection):
            result.reject(item)
            return None
        text, removed = normalise(item.text)
        result.counts.update(documents=1, characters=len(text), removed_characters=removed)
        if not text.strip():
            result.reject(Rejection("blank", item.source, item.offset_bytes, "nothing left after normalisation"))
            return None
        return Document(text, item.source_index, item.source, item.offset_bytes)

    def _align(self, documents: list[Document], result: TaskResult) -> Iterator[tuple[Document, list[list[Pieces]]]]:
        """Give the pieces of each document's sentences, grouped into what shares rows: the document, or each line.

        A document whose words do not fit its text is rejected alone.
        """
        sentences = [
            [document.text[start:end] for start, end in sentence_spans(document.text)] for document in documents
        ]
        texts = [text for document in sentences for text in document]
        try:
            pieces = iter(self._aligner.align(texts, self.segmenter.segment(texts)))
        except AlignmentError as error:
            if len(documents) > 1:
                for document in documents:
                    yield from self._align([document], result)
            else:
                result.reject(Rejection("words_misaligned", documents[0].source, documents[0].offset_bytes, str(error)))
            return
        result.counts.update(sentences=len(texts))
        for document, parts in zip(documents, sentences, strict=True):
            yield document, self._units([(text, next(pieces)) for text in parts])

    def _units(self, parts: list[tuple[str, Pieces]]) -> list[list[Pieces]]:
        units: list[list[Pieces]] = [[]]
        for text, pieces in parts:
            units[-1].append(pieces)
            if self._config.pack == "line" and text.endswith("\n"):
                units.append([])
        return units

    def _split_of(self, text: str) -> str:
        """Choose a document's split by a hash of its text, so that equal documents never lie in both."""
        if self._config.validation_fraction == 0:
            return "train"
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return "validation" if number < self._config.validation_fraction * 2**64 else "train"


def _finish(writer: ShardWriter) -> ShardAttempt:
    writer.close()
    path = writer.path
    return ShardAttempt(
        str(path), writer.num_rows, writer.num_words, writer.num_pieces, path.stat().st_size, file_sha256(path)
    )
