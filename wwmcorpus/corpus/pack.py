"""The pieces of a document in, rows of at most ``max_length`` pieces out; a word is never cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as ListOf

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.records import Document, Pieces, Sequence


class Packer:
    """Fills rows with the words of one document after the other; documents are never mixed in a row.

    Args:
        vocabulary: Gives [CLS] and [SEP].
        max_length: Pieces per row, [CLS] and [SEP] counted.

    Attributes:
        counts: ``rows``, ``row_pieces`` (special pieces counted), ``dropped_words`` and ``dropped_pieces``: words
            longer than a row, dropped whole.
    """

    def __init__(self, vocabulary: Vocabulary, max_length: int) -> None:
        self._cls, self._sep = np.int32(vocabulary.cls_id), np.int32(vocabulary.sep_id)
        self._capacity = max_length - 2
        self.counts: Counter[str] = Counter()

    def pack(self, document: Document, texts: ListOf[Pieces]) -> Iterator[Sequence]:
        """Give the rows of a document whose pieces come in several texts (sentences, or the whole of it)."""
        ids = np.concatenate([text.piece_ids for text in texts]) if texts else np.empty(0, np.int32)
        starts = np.concatenate([text.word_start for text in texts]) if texts else np.empty(0, bool)
        ids, starts = self._without_long_words(ids, starts)
        for begin, end in row_bounds(starts, self._capacity):
            row = np.concatenate([[self._cls], ids[begin:end], [self._sep]])
            self.counts.update(rows=1, row_pieces=len(row))
            yield Sequence(
                row, np.concatenate([[True], starts[begin:end], [True]]), document.source_index, document.offset_bytes
            )

    def _without_long_words(
        self, ids: NDArray[np.int32], starts: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        first = np.flatnonzero(starts)
        lengths = np.diff(np.append(first, len(starts)))
        long = lengths > self._capacity
        if not long.any():
            return ids, starts
        self.counts.update(dropped_words=int(long.sum()), dropped_pieces=int(lengths[long].sum()))
        keep = np.repeat(~long, lengths)
        return ids[keep], starts[keep]


def row_bounds(starts: NDArray[np.bool_], capacity: int) -> list[tuple[int, int]]:
    """Cut pieces into runs of at most ``capacity`` that begin with a word: each as long as whole words allow.

    starts [1, 0, 1, 1, 0], capacity 3 -> [(0, 3), (3, 5)]

    Args:
        starts: (num_pieces,) bool; the first is True, and no word is longer than ``capacity``.
        capacity: Pieces per run.

    Returns:
        [start, end) of each run, in order, covering all pieces.
    """
    first = np.flatnonzero(starts)
    bounds = []
    begin = 0
    while begin < len(starts):
        end = len(starts)
        if begin + capacity < end:
            end = int(first[np.searchsorted(first, begin + capacity, side="right") - 1])
        bounds.append((begin, end))
        begin = end
    return bounds
