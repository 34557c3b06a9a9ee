"""One task in, its shards and its record out: the whole road from bytes to rows, in one process.

read, clean -> segment -> align -> pack -> write
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from wwmcorpus.align import AlignedLine, Aligner, Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.documents import BATCH_CHARS, DocumentReader
from wwmcorpus.corpus.manifest import Shard
from wwmcorpus.corpus.pack import Packer, make_packer
from wwmcorpus.corpus.rejections import Rejections
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.shards import ShardWriter, count_rows
from wwmcorpus.corpus.statistics import StatisticsCounter
from wwmcorpus.corpus.tasks import Beat, Place, Task, TaskRecord, Tell
from wwmcorpus.errors import AlignmentError, CorpusError
from wwmcorpus.files import file_sha256, move
from wwmcorpus.records import Document, Rejection, bounds_of
from wwmcorpus.segment import load_segmenter, segment_line
from wwmcorpus.text import TextLine


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What every worker needs to run tasks.

    Attributes:
        config: Of the build.
        tokenizer_file: tokenizer.json.
        special_ids: Of the vocabulary.
        work_folder: Where shards and rejections are written; on a cluster, all nodes see it.
        first_task: Number of the first task among those of the corpus: not 0 where the build adds to one.
        first_source: The same for sources.
    """

    config: BuildConfig
    tokenizer_file: str
    special_ids: tuple[tuple[str, int], ...]
    work_folder: str
    first_task: int = 0
    first_source: int = 0

    def open(self) -> TaskRunner:
        """Load segmenter and tokenizer."""
        return TaskRunner(self)


class TaskRunner:
    """Runs tasks one after the other with one segmenter and one aligner."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._config, self._first_task = blueprint.config, blueprint.first_task
        self._folder = Path(blueprint.work_folder)
        tokenizer = Tokenizer.from_file(blueprint.tokenizer_file)
        self.vocabulary = Vocabulary.of_ids(tokenizer.get_vocab(), dict(blueprint.special_ids))
        self.segmenter = load_segmenter(
            self._config.segmenter, self._config.segmenter_threads, self._config.segmenter_options
        )
        self._reader = DocumentReader(self._config, blueprint.first_source)
        self._aligner = Aligner(tokenizer)
        self._seconds: Counter[str] = Counter()

    def run(self, task: Task, quarantine: frozenset[Place] = frozenset(), tell: Tell = lambda _: None) -> TaskRecord:
        """Write the shards of a task and give its record.

        Raises:
            CorpusError: a shard cannot be written.
        """
        name = f"{self._first_task + task.index:05d}"
        rejections = Rejections(self._folder / f"rejected-{name}.jsonl")
        statistics = StatisticsCounter(self.vocabulary.unk_id, self._config.max_length)
        outputs = {split: self._open_split(name, split, statistics) for split in self._config.splits}
        self._reader.start()
        self._aligner.counts.clear()
        self._seconds.clear()
        for documents in self._timed_batches(task, quarantine, rejections, tell):
            for kept, batch in self._aligned(documents, rejections, statistics, tell):
                for split, output in outputs.items():
                    output.add(kept, batch, self._in_split(kept, split), rejections)
        shards = {split: output.close() for split, output in outputs.items()}
        counts = self._reader.counts
        counts.update(self._aligner.counts)
        for output in outputs.values():
            counts.update(output.counts)
        return TaskRecord(
            index=task.index,
            segmenter=self.segmenter.signature,
            shards=shards,
            counts=dict(sorted(counts.items())),
            rejected=dict(sorted(rejections.counts.items())),
            examples=tuple(rejections.examples),
            rejections=rejections.close(),
            statistics=statistics.statistics(),
            sources_seen=tuple(sorted(self._reader.sources_seen)),
            stage_seconds={stage: round(seconds, 3) for stage, seconds in self._seconds.items()},
        )

    def question(self, task: Task, suspects: frozenset[Place], tell: Tell) -> None:
        """Segment, align and pack some documents one by one, and keep nothing."""
        packer = make_packer(self.vocabulary, self._config.pack_options)
        rejections = Rejections(Path("/dev/null"))
        statistics = StatisticsCounter(self.vocabulary.unk_id, self._config.max_length)
        for document in self._reader.chosen(task, suspects, tell):
            for _, batch in self._aligned([document], rejections, statistics, tell):
                packer.pack(batch)

    def _open_split(self, name: str, split: str, statistics: StatisticsCounter) -> _SplitOutput:
        packer = make_packer(self.vocabulary, self._config.pack_options)
        shards = _RollingShards(self._folder, f"{split}-{name}", self.vocabulary, self._config)
        return _SplitOutput(packer, shards, statistics, self._seconds)

    def _timed_batches(
        self, task: Task, quarantine: frozenset[Place], rejections: Rejections, tell: Tell
    ) -> Iterator[list[Document]]:
        batches = self._reader.batches(task, quarantine, rejections.add, tell)
        while True:
            with _timed(self._seconds, "read"):
                documents = next(batches, None)
            if documents is None:
                return
            yield documents

    def _aligned(
        self, documents: list[Document], rejections: Rejections, statistics: StatisticsCounter, tell: Tell
    ) -> Iterator[tuple[list[Document], AlignedBatch]]:
        """Give the pieces of documents; a document whose words do not fit its text is rejected alone."""
        with _timed(self._seconds, "read"):
            texts, owners = self._reader.sentences(documents)
        counts = Counter(self._aligner.counts)
        try:
            aligned = self._align(texts, statistics, tell)
        except AlignmentError as error:
            self._aligner.counts = counts
            if len(documents) > 1:
                for document in documents:
                    yield from self._aligned([document], rejections, statistics, tell)
            else:
                rejections.add(_rejection("words_misaligned", documents[0], str(error)))
            return
        self._reader.count_sentences(len(texts))
        batch = AlignedBatch(
            piece_ids=aligned.piece_ids,
            word_start=aligned.word_start,
            sentence_bounds=bounds_of(aligned.num_pieces),
            sentence_document=owners,
            ends_line=aligned.ends_line,
            source_index=np.array([document.source_index for document in documents], dtype=np.int32),
            document_offset=np.array([document.offset for document in documents], dtype=np.int64),
        )
        num_pieces = np.bincount(owners, weights=aligned.num_pieces, minlength=len(documents))
        for empty in np.flatnonzero(num_pieces == 0).tolist():
            rejections.add(_rejection("no_pieces", documents[empty], "the tokenizer drops all of it"))
        yield documents, batch

    def _align(self, texts: list[str], statistics: StatisticsCounter, tell: Tell) -> _Aligned:
        """Segment and align sentences, as many at once as memory and the signs of life allow."""
        lines: list[AlignedLine] = []
        for begin, end in _chunks(texts):
            if lines:
                tell(Beat(0, ()))
            chunk = texts[begin:end]
            with _timed(self._seconds, "segment"):
                spans = segment_line(self.segmenter, line := TextLine.of(chunk))
            with _timed(self._seconds, "align"):
                lines.append(self._aligner.align_line(line, spans))
        with _timed(self._seconds, "count"):
            for aligned in lines:
                statistics.add_texts(aligned)
        return _Aligned.of(lines)

    def _in_split(self, documents: list[Document], split: str) -> NDArray[np.bool_]:
        """Say which documents belong to a split."""
        if self._config.splits == (split,):
            return np.ones(len(documents), dtype=bool)
        return np.array([split_of(document.text, self._config) == split for document in documents], dtype=bool)


class _Aligned(NamedTuple):
    """What packing needs of some sentences.

    Attributes:
        piece_ids: (num_pieces,) int32, end to end.
        word_start: (num_pieces,) bool.
        num_pieces: (num_sentences,) int64, the pieces of each.
        ends_line: (num_sentences,) bool, whether a line end closes it.
    """

    piece_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    num_pieces: NDArray[np.int64]
    ends_line: NDArray[np.bool_]

    @classmethod
    def of(cls, lines: list[AlignedLine]) -> _Aligned:
        """Put the sentences of some lines together; one line, as a rule."""
        parts = [
            cls(each.pieces.piece_ids, each.word_start, np.diff(each.pieces.bounds), _ends_line(each.line))
            for each in lines
        ]
        return parts[0] if len(parts) == 1 else cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _SplitOutput:
    """Packs and writes what one split gets of a task."""

    def __init__(
        self, packer: Packer, shards: _RollingShards, statistics: StatisticsCounter, seconds: Counter[str]
    ) -> None:
        self._packer, self._shards, self._statistics, self._seconds = packer, shards, statistics, seconds

    @property
    def counts(self) -> Counter[str]:
        """What the packer counted."""
        return self._packer.counts

    def add(
        self, documents: list[Document], batch: AlignedBatch, chosen: NDArray[np.bool_], rejections: Rejections
    ) -> None:
        """Pack and write the chosen documents of a batch."""
        with _timed(self._seconds, "pack"):
            rows, long_words = self._packer.pack(batch.select(chosen))
        self._write(rows)
        places = np.flatnonzero(chosen)
        for word in long_words:
            rejections.add(_long_word(documents[places[word.document]], word))

    def close(self) -> list[Shard]:
        """Write what waits; give the shards."""
        self._write(self._packer.finish())
        with _timed(self._seconds, "write"):
            return self._shards.close()

    def _write(self, rows: PackedRows) -> None:
        if rows.num_rows:
            with _timed(self._seconds, "write"):
                self._statistics.add_rows(np.diff(rows.bounds))
                self._shards.write(rows)


class _RollingShards:
    """Writes rows to one shard after the other, each closed once it is large enough."""

    def __init__(self, folder: Path, name: str, vocabulary: Vocabulary, config: BuildConfig) -> None:
        self._folder, self._name, self._vocabulary, self._config = folder, name, vocabulary, config
        self._writer: ShardWriter | None = None
        self._done: list[Shard] = []

    def write(self, rows: PackedRows) -> None:
        """Add rows."""
        if self._writer is None:
            path = self._folder / f"{self._name}-{len(self._done):02d}.tmp"
            self._writer = ShardWriter(path, self._vocabulary.num_pieces, pairs=self._config.pairs is not None)
        self._writer.write(rows)
        if self._writer.size_bytes >= self._config.shard_bytes:
            self._finish(self._writer)

    def close(self) -> list[Shard]:
        """Close the shard that is open; give all of them."""
        if self._writer is not None:
            self._finish(self._writer)
        return self._done

    def _finish(self, writer: ShardWriter) -> None:
        """Close a shard, read it again, and give it the name of its content."""
        writer.close()
        self._writer = None
        found = count_rows(writer.path, self._vocabulary.num_pieces)
        if found != writer.num_rows:
            raise CorpusError(
                f"a shard was written with {writer.num_rows} rows and read with {found}",
                where=str(writer.path),
                fix="Check the disk, and build again.",
            )
        sha256 = file_sha256(writer.path)
        name = f"{self._name}-{len(self._done):02d}-{sha256[:8]}.arrow"
        move(writer.path, self._folder / name)
        self._done.append(
            Shard(
                name=name,
                size_bytes=(self._folder / name).stat().st_size,
                sha256=sha256,
                num_rows=writer.num_rows,
                num_words=writer.num_words,
                num_pieces=writer.num_pieces,
            )
        )


def split_of(text: str, config: BuildConfig) -> str:
    """Choose a document's split by a hash of its text, so that equal documents never lie in two."""
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    if place < config.validation_fraction:
        return "validation"
    return "test" if place < config.validation_fraction + config.test_fraction else "train"


@contextlib.contextmanager
def _timed(seconds: Counter[str], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] += time.perf_counter() - begin  # type: ignore[assignment]


def _chunks(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Give [begin, end) of runs of texts of about ``2 * BATCH_CHARS`` characters: one, but for a very long document."""
    ends = np.cumsum([len(text) for text in texts])
    bounds = [0]
    while bounds[-1] < len(texts):
        behind = ends[bounds[-1] - 1] if bounds[-1] else 0
        bounds.append(max(int(np.searchsorted(ends, behind + 2 * BATCH_CHARS, side="right")), bounds[-1] + 1))
    return list(pairwise(bounds))


def _ends_line(line: TextLine) -> NDArray[np.bool_]:
    """Say of each text, none of them empty, whether its last character is a line end."""
    return np.asarray(line.codes.take(line.ends - 1) == ord("\n"))


def _rejection(reason: str, document: Document, detail: str) -> Rejection:
    return Rejection(reason, document.source, document.offset, detail, source_index=document.source_index)


def _long_word(document: Document, word: LongWord) -> Rejection:
    return _rejection("long_word", document, f"a word of {word.num_pieces} pieces fits no row")
