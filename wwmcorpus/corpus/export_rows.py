"""Rows of a corpus and the documents that they came from in, the characters that each row covers out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.export_documents import PiecedDocument, SourceDocuments
from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.corpus.tasks import Place

#: Whatever ends a line for ``str.splitlines``: old scripts read files with it.
_LINE_ENDS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
#: Pieces that are compared at all places of a document at once.
_NUM_COMPARED = 8


class Row(NamedTuple):
    """One row of a corpus.

    Attributes:
        row_id: Its position in the corpus.
        ids: (n,) its pieces, [CLS] and [SEP] included.
        word_start: (n,) bool.
        places: Of the documents that it has pieces of.
    """

    row_id: int
    ids: NDArray[np.integer]
    word_start: NDArray[np.bool_]
    places: list[Place]


class RowText(NamedTuple):
    """The text of a row, or why there is none.

    Attributes:
        text: One line; empty where there is none.
        reason: Why there is none; None where there is.
        is_cut: Whether it begins or ends inside a run of characters that the tokenizer reads at once.
    """

    text: str
    reason: str | None = None
    is_cut: bool = False


def row_batches(corpus: Corpus) -> Iterator[tuple[list[Row], int]]:
    """Give the rows of a corpus, some at once, and the bytes of the shard that they close, 0 for all but its last."""
    index = 0
    for shard in corpus.manifest.content.shards:
        with pa.memory_map(str(corpus.path / shard.name)) as stored, pa.ipc.open_stream(stored) as reader:
            for batch in reader:
                yield list(_rows(batch, index)), 0
                index += batch.num_rows
        yield [], shard.size_bytes


def _rows(batch: pa.RecordBatch, first: int) -> Iterator[Row]:
    ids, starts = batch.column("input_ids"), batch.column("word_start").values.to_numpy(zero_copy_only=False)
    bounds, values = ids.offsets.to_numpy().tolist(), ids.values.to_numpy()
    sources, offsets = batch.column("source_index").to_pylist(), batch.column("document_offset").to_pylist()
    for row in range(batch.num_rows):
        pieces = slice(bounds[row], bounds[row + 1])
        yield Row(first + row, values[pieces], starts[pieces], list(zip(sources[row], offsets[row], strict=True)))


class RowTexts:
    """Finds the text of rows, one after the other in the order of their corpus.

    Args:
        documents: What the rows came from.
        vocabulary: Of the rows.
    """

    def __init__(self, documents: SourceDocuments, vocabulary: Vocabulary) -> None:
        self._documents, self._vocabulary = documents, vocabulary
        self._separator = f" {vocabulary.pieces[vocabulary.sep_id]} "
        self._place: Place | None = None
        self._num_behind = 0

    def of(self, row: Row) -> RowText:
        """Give the text of a row: from its first piece to its last, line ends as spaces, [SEP] between documents.

        Where there is none, the reason is ``"no_document"``, no document begins where the row says; or
        ``"not_in_document"``, its pieces do not follow one another there: a word between them was left out for its
        length, or another version of the tokenizer reads the text otherwise.
        """
        inner = row.ids[1:-1]
        ends = np.flatnonzero(inner == self._vocabulary.sep_id)
        segments = np.split(inner, ends)
        texts, is_cut = [], False
        for number, (place, segment) in enumerate(zip(row.places, segments, strict=True)):
            document = self._documents.at(place)
            if document is None:
                return RowText("", "no_document")
            found = self._take(document, segment[1:] if number else segment)
            if found is None:
                return RowText("", "not_in_document")
            begin, end = found
            texts.append(document.text[document.offsets[begin, 0] : document.offsets[end - 1, 1]])
            is_cut |= self._is_cut(document, begin) or self._is_cut(document, end)
        return RowText(_LINE_ENDS.sub(" ", self._separator.join(texts)), is_cut=is_cut)

    def _take(self, document: PiecedDocument, ids: NDArray[np.integer]) -> tuple[int, int] | None:
        """Give [begin, end) of the next place of some pieces in a document, and go on behind it."""
        if document.place != self._place:
            self._place, self._num_behind = document.place, 0
        begin = _find(document.piece_ids, ids, self._num_behind)
        if begin is None:
            return None
        self._num_behind = begin + len(ids)
        return begin, self._num_behind

    def _is_cut(self, document: PiecedDocument, place: int) -> bool:
        return place < len(document.piece_ids) and bool(self._vocabulary.continues[document.piece_ids[place]])


def _find(pieces: NDArray[np.int32], wanted: NDArray[np.integer], first: int) -> int | None:
    """Give the first place from ``first`` on where all of ``wanted``, one piece at least, follow one another."""
    if np.array_equal(pieces[first : first + len(wanted)], wanted):
        return first
    num_places = len(pieces) - len(wanted) - first + 1
    if num_places < 1:
        return None
    alike = np.ones(num_places, dtype=bool)
    for index, piece in enumerate(wanted[:_NUM_COMPARED].tolist()):
        alike &= pieces[first + index : first + index + num_places] == piece
    for place in (np.flatnonzero(alike) + first).tolist():
        if np.array_equal(pieces[place : place + len(wanted)], wanted):
            return int(place)
    return None
