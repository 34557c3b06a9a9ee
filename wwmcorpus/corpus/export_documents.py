"""Sources in, their cleaned documents with the pieces of each out, looked up by place in the order of a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align import Aligner
from wwmcorpus.corpus.documents import BATCH_CHARS, DocumentReader
from wwmcorpus.corpus.export_sources import FoundSource
from wwmcorpus.corpus.tasks import Place, Task
from wwmcorpus.errors import CorpusError
from wwmcorpus.records import Document, WordSpans
from wwmcorpus.text import Slice
from wwmcorpus.text.line import SPACE, TextLine


@dataclass(frozen=True, slots=True)
class PiecedDocument:
    """A document and its pieces.

    Attributes:
        place: Its source and where it begins there.
        text: Cleaned.
        piece_ids: (n,) int32, without special pieces.
        offsets: (n, 2) int64, [start, end) of each piece in code points of the text.
    """

    place: Place
    text: str
    piece_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


class SourceDocuments:
    """Walks through the documents of a corpus's sources, as the build did.

    Args:
        sources: The sources, in order.
        tokenizer_file: tokenizer.json.
        quarantine: Documents that the build left out because they killed workers.
    """

    def __init__(self, sources: list[FoundSource], tokenizer_file: Path, quarantine: frozenset[Place]) -> None:
        from tokenizers import Tokenizer

        self._sources, self._quarantine = sources, quarantine
        self._aligner = Aligner(Tokenizer.from_file(str(tokenizer_file)))
        self._documents: Iterator[PiecedDocument] = iter(())
        self._current: PiecedDocument | None = None
        self._asked: Place = (-1, 0)

    def at(self, place: Place) -> PiecedDocument | None:
        """Give the document at a place, not before the last that was asked for; None where none begins there.

        Raises:
            CorpusError: the place lies before the last one.
            SourceError: a source cannot be read.
        """
        if place < self._asked:
            raise CorpusError(
                "the rows of the corpus are not in the order of its inputs",
                value=f"{place} behind {self._asked}",
                fix="Build the corpus again.",
            )
        if place[0] != self._asked[0]:
            self._documents = self._read(place[0])
            self._current = next(self._documents, None)
        self._asked = place
        while self._current is not None and self._current.place < place:
            self._current = next(self._documents, None)
        return self._current if self._current is not None and self._current.place == place else None

    def _read(self, source_index: int) -> Iterator[PiecedDocument]:
        found = self._sources[source_index]
        whole = Slice(source_index, found.source, 0, found.source.size_bytes)
        # What is left out was counted by the build already.
        reader = DocumentReader(found.config)
        batches = reader.batches(Task(0, (whole,)), self._quarantine, lambda _: None, lambda _: None)
        for documents in batches:
            yield from self._pieced(documents, *reader.sentences(documents))

    def _pieced(
        self, documents: list[Document], texts: list[str], owners: NDArray[np.int64]
    ) -> Iterator[PiecedDocument]:
        """Give the pieces of documents; they depend on sentences, never on words."""
        ids, offsets, lengths = self._encode(texts)
        # Sentences follow one another: each begins where those before it in its document end.
        ends = np.cumsum([len(text) for text in texts])
        begins = np.append(0, ends)[:-1]
        document_bounds = np.searchsorted(owners, np.arange(len(documents) + 1))
        begins -= begins[document_bounds[:-1]].take(owners)
        places = offsets + np.repeat(begins, lengths)[:, None]
        bounds = np.append(0, np.cumsum(lengths))[document_bounds]
        for document, begin, end in zip(documents, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            place = (document.source_index, document.offset)
            yield PiecedDocument(place, document.text, ids[begin:end], places[begin:end])

    def _encode(self, texts: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Give the pieces of sentences end to end, their offsets, and how many each has; some sentences at once."""
        parts = []
        for begin, end in _runs(texts):
            chunk = texts[begin:end]
            parts.append(self._aligner.align_flat(chunk, _solid_runs(chunk)))
        return (
            np.concatenate([part.piece_ids for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([np.diff(part.bounds) for part in parts]),
        )


def _runs(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Give [begin, end) of runs of texts of about ``2 * BATCH_CHARS`` characters, so that memory has a bound."""
    begin = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= 2 * BATCH_CHARS or index + 1 == len(texts):
            yield begin, index + 1
            begin, size = index + 1, 0


def _solid_runs(texts: list[str]) -> list[WordSpans]:
    """Give the runs of characters that are no whitespace, as if they were words: pieces do not depend on them."""
    line = TextLine.of(texts)
    edges = np.flatnonzero(np.diff(line.kinds != SPACE, prepend=False)).reshape(-1, 2)
    homes = np.searchsorted(line.begins, edges[:, 0], side="right") - 1
    spans = (edges - line.begins[homes][:, None]).astype(np.int32)
    return np.split(spans, np.searchsorted(homes, np.arange(1, len(texts))))
