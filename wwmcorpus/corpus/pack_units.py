"""Documents in, rows that hold pieces of one document, or of one line of it, out."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.pack_options import PackOptions
from wwmcorpus.corpus.pack_rows import (
    NUM_FRAME,
    Provenance,
    count_rows,
    cut_units,
    document_bounds,
    document_keys,
    drop_long_words,
    empty_rows,
    frame,
    row_targets,
)


class UnitPacker:
    """Gives each document, or each line, rows of its own: as few as whole words allow, the last one as long as is left.

    A row depends on its document alone.
    """

    def __init__(self, vocabulary: Vocabulary, options: PackOptions) -> None:
        self._vocabulary, self._options = vocabulary, options
        self._capacity = options.max_length - NUM_FRAME
        self.counts: Counter[str] = Counter()

    def pack(self, batch: AlignedBatch) -> tuple[PackedRows, list[LongWord]]:
        """Give the rows of some documents, and the words that were dropped because no row could hold them."""
        batch, long_words = drop_long_words(batch, self._capacity, self.counts)
        documents = document_bounds(batch)
        lengths: NDArray[np.int64] | int = self._capacity
        if self._options.short_sequence_probability:
            keys = document_keys(self._options, batch.source_index, batch.document_offset)
            lengths = row_targets(batch.word_start, documents, keys, self._options)
        units = documents if self._options.pack == "document" else _line_bounds(batch)
        row_bounds = cut_units(batch.word_start, units, lengths)
        home = np.searchsorted(documents, row_bounds[:-1], side="right") - 1
        provenance = Provenance(
            batch.source_index[home], batch.document_offset[home], np.arange(len(home) + 1, dtype=np.int64)
        )
        rows = frame(batch.piece_ids, batch.word_start, row_bounds, provenance, self._vocabulary)
        count_rows(self.counts, rows, NUM_FRAME * rows.num_rows)
        return rows, long_words

    def finish(self) -> PackedRows:
        """Give no rows: none waits."""
        return empty_rows()


def _line_bounds(batch: AlignedBatch) -> NDArray[np.int64]:
    """Give the bounds of the lines in the pieces; a document's end ends a line."""
    closes = batch.ends_line.copy()
    closes[:-1] |= np.diff(batch.sentence_document) > 0
    closes[-1:] = True
    return np.append(0, batch.sentence_bounds[1:][closes])
