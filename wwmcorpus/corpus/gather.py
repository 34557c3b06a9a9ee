"""The record batches of a corpus in, any of its rows out, end to end: one copy of what is asked, nothing else read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus.shards import ShardBatch
from wwmcorpus.records import Rows, bounds_of

T = TypeVar("T", bound=np.generic)


class RowTable:
    """Where each row of a corpus lies: four bytes a row.

    Args:
        batches: The record batches of all shards, in order; either all of them hold sentence pairs or none.

    Attributes:
        has_pairs: Whether rows are sentence pairs.
    """

    def __init__(self, batches: Sequence[ShardBatch]) -> None:
        sizes = np.array([len(batch.bounds) - 1 for batch in batches], dtype=np.int64)
        self._batch_begins = bounds_of(sizes)
        # Every batch has one bound more than it has rows: row r of batch b has bounds r + b and r + b + 1.
        self._bounds = np.concatenate([batch.bounds for batch in batches] or [np.empty(0, np.int32)])
        self._ids = [batch.input_ids for batch in batches]
        self._bits = [batch.start_bits for batch in batches]
        self._types = [batch.token_type_ids for batch in batches if batch.token_type_ids is not None]
        self._labels = [batch.pair_label for batch in batches if batch.pair_label is not None]
        self.has_pairs = bool(self._types)

    def __len__(self) -> int:
        return int(self._batch_begins[-1])

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give the pieces of each row, int32; ``rows`` are int64 in [0, len)."""
        at = rows + self._homes(rows)
        lengths: NDArray[np.int32] = self._bounds[at + 1] - self._bounds[at]
        return lengths

    def gather(self, rows: NDArray[np.int64]) -> Rows:
        """Give rows, (num_rows,) int64 in [0, len), in that order, end to end."""
        homes = self._homes(rows)
        begins = self._bounds[rows + homes].astype(np.int64)
        ends = self._bounds[rows + homes + 1].astype(np.int64)
        if not len(rows):
            return _no_rows(self.has_pairs)
        return Rows(
            _slices(self._ids, homes, begins, ends).astype(np.int32, copy=False),
            _bits(self._bits, homes, begins, ends),
            bounds_of(ends - begins),
            rows,
            _slices(self._types, homes, begins, ends) if self.has_pairs else None,
            self._pair_labels(rows, homes) if self.has_pairs else None,
        )

    def _homes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the number of the batch of each row."""
        return np.searchsorted(self._batch_begins, rows, side="right") - 1

    def _pair_labels(self, rows: NDArray[np.int64], homes: NDArray[np.int64]) -> NDArray[np.int8]:
        places = (rows - self._batch_begins[homes]).tolist()
        labels = [self._labels[home][place] for home, place in zip(homes.tolist(), places, strict=True)]
        return np.array(labels, dtype=np.int8)


def _no_rows(has_pairs: bool) -> Rows:
    none, labels = np.empty(0, np.int32), np.empty(0, np.int8)
    return Rows(
        none, none.astype(bool), np.zeros(1, np.int64), none.astype(np.int64), *([labels, labels] if has_pairs else [])
    )


def _slices(
    sources: Sequence[NDArray[T]], homes: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[T]:
    """Give the values [begin, end) of each row's source, end to end, in one copy."""
    spans = zip(homes.tolist(), begins.tolist(), ends.tolist(), strict=True)
    return np.concatenate([sources[home][begin:end] for home, begin, end in spans])


def _bits(
    bitmaps: Sequence[NDArray[np.uint8]], homes: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Give the bits [begin, end) of each row's bitmap: the bytes that hold them are copied and unpacked all at once."""
    firsts, lasts = begins >> 3, (ends + 7) >> 3
    flags = np.unpackbits(_slices(bitmaps, homes, firsts, lasts), bitorder="little").view(np.bool_)
    at = bounds_of(lasts - firsts)[:-1] * 8 + (begins & 7)
    return _slices([flags], np.zeros_like(homes), at, at + ends - begins)
