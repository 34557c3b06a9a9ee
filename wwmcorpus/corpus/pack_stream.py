"""Documents in, rows that are full because documents are joined with [SEP], out.

A row: ``[CLS] end of document 1 [SEP] document 2 [SEP] beginning of document 3 [SEP]``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.pack_options import PackOptions
from wwmcorpus.corpus.pack_rows import (
    NUM_FRAME,
    Cutter,
    Provenance,
    count_rows,
    document_bounds,
    document_keys,
    drop_long_words,
    empty_rows,
    frame,
    row_targets,
)
from wwmcorpus.records import bounds_of


@dataclass(frozen=True, slots=True)
class _Joined:
    """Documents end to end, each with a piece at least.

    Attributes:
        piece_ids: (num_pieces,) int32, no [SEP] between the documents.
        word_start: (num_pieces,) bool.
        bounds: (num_documents + 1,) int64, of the documents in the two.
        source_index: (num_documents,) int32.
        document_offset: (num_documents,) int64.
        num_behind: Pieces of the first document that went into rows already.
    """

    piece_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    bounds: NDArray[np.int64]
    source_index: NDArray[np.int32]
    document_offset: NDArray[np.int64]
    num_behind: int = 0

    def and_then(self, batch: AlignedBatch) -> _Joined:
        """Add the documents of a batch that have pieces."""
        lengths = np.diff(document_bounds(batch))
        filled = lengths > 0
        return _Joined(
            np.concatenate([self.piece_ids, batch.piece_ids]),
            np.concatenate([self.word_start, batch.word_start]),
            bounds_of(np.concatenate([np.diff(self.bounds), lengths[filled]])),
            np.concatenate([self.source_index, batch.source_index[filled]]),
            np.concatenate([self.document_offset, batch.document_offset[filled]]),
            self.num_behind,
        )

    def since(self, begin: int) -> _Joined:
        """Leave out the pieces before ``begin``, and the documents that lie there whole."""
        if begin == len(self.piece_ids):
            return _nothing()
        document = int(np.searchsorted(self.bounds, begin, side="right")) - 1
        behind = begin - int(self.bounds[document])
        return _Joined(
            self.piece_ids[begin:].copy(),
            self.word_start[begin:].copy(),
            np.append(0, self.bounds[document + 1 :] - begin),
            self.source_index[document:].copy(),
            self.document_offset[document:].copy(),
            behind + self.num_behind if document == 0 else behind,
        )


class StreamPacker:
    """Fills rows with one document after the other; what does not fill a row waits for the next batch.

    Counts as other packers do; a [SEP] between documents is a special piece. Rows depend on the documents and their
    order.
    """

    def __init__(self, vocabulary: Vocabulary, options: PackOptions) -> None:
        self._vocabulary, self._options = vocabulary, options
        self._capacity = options.max_length - NUM_FRAME
        self._waiting = _nothing()
        self.counts: Counter[str] = Counter()

    def pack(self, batch: AlignedBatch) -> tuple[PackedRows, list[LongWord]]:
        """Give the rows that are full, and the words that were dropped because no row could hold them."""
        batch, long_words = drop_long_words(batch, self._capacity, self.counts)
        self._waiting = self._waiting.and_then(batch)
        return self._take(is_last=False), long_words

    def finish(self) -> PackedRows:
        """Give the row that was not full, or none."""
        return self._take(is_last=True)

    def _take(self, is_last: bool) -> PackedRows:
        """Give the rows that no further document changes, or all rows, and keep the rest."""
        joined = self._waiting
        ids = np.insert(joined.piece_ids, joined.bounds[1:-1], self._vocabulary.sep_id)
        starts = np.insert(joined.word_start, joined.bounds[1:-1], True)
        is_separator = np.zeros(len(ids) + 1, dtype=bool)
        is_separator[joined.bounds[1:-1] + np.arange(len(joined.bounds[1:-1]))] = True
        begins, ends = self._cut(joined, starts, is_separator[:-1], is_last)
        if not len(ends):
            return empty_rows()
        inside = np.ones(int(ends[-1]), dtype=bool)
        inside[ends[:-1][is_separator[ends[:-1]]]] = False
        before = bounds_of(is_separator)
        provenance = _provenance(joined, before[begins], before[ends])
        rows = frame(
            ids[: len(inside)][inside],
            starts[: len(inside)][inside],
            bounds_of(ends - begins),
            provenance,
            self._vocabulary,
        )
        count_rows(self.counts, rows, rows.num_rows + len(provenance.source_index))
        self._waiting = joined.since(int(ends[-1] - before[ends[-1]]))
        return rows

    def _cut(
        self, joined: _Joined, starts: NDArray[np.bool_], is_separator: NDArray[np.bool_], is_last: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give begins and ends of the rows in pieces with a [SEP] between documents.

        A row ends before such a [SEP], which its own last one stands for; the next begins behind it.
        """
        cuts = starts.copy()
        cuts[1:] &= ~is_separator[:-1]
        cutter, skip = Cutter(cuts, self._lengths(joined)), is_separator.data
        rows: list[tuple[int, int]] = []
        begin = 0
        while begin < len(starts):
            begin += skip[begin]
            if cutter.reach(begin) >= len(starts):
                if is_last:
                    rows.append((begin, len(starts)))
                break
            rows.append((begin, cutter.end(begin)))
            begin = rows[-1][1]
        found = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _lengths(self, joined: _Joined) -> NDArray[np.int64] | int:
        """Give how long a row should be that begins at each piece, a [SEP] between documents being one."""
        if not self._options.short_sequence_probability:
            return self._capacity
        keys = document_keys(self._options, joined.source_index, joined.document_offset)
        targets = row_targets(joined.word_start, joined.bounds, keys, self._options, joined.num_behind)
        return np.insert(targets, joined.bounds[1:-1], 0)


def _nothing() -> _Joined:
    none = np.empty(0, dtype=np.int32)
    return _Joined(none, np.empty(0, dtype=bool), np.zeros(1, dtype=np.int64), none, np.empty(0, dtype=np.int64))


def _provenance(joined: _Joined, first: NDArray[np.int64], last: NDArray[np.int64]) -> Provenance:
    """List the documents ``first`` to ``last``, included, of each row."""
    bounds = bounds_of(last - first + 1)
    entries = np.arange(bounds[-1]) + np.repeat(first - bounds[:-1], np.diff(bounds))
    return Provenance(joined.source_index[entries], joined.document_offset[entries], bounds)
