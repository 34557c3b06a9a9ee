"""The record batches of a corpus in, any of its rows out, end to end: one copy of what is asked, nothing else read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus.batches import bounds_of
from wwmcorpus.corpus.shards import ShardBatch
from wwmcorpus.records import Rows

T = TypeVar("T", bound=np.generic)
_Runs = list[tuple[int, int, int, int]]


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
        bounds = bounds_of(ends - begins)
        runs = _runs(homes, begins, ends, bounds)
        return Rows(
            _copied(self._ids, runs, int(bounds[-1]), np.int32),
            _unpacked(self._bits, homes, begins, ends, bounds),
            bounds,
            rows,
            _copied(self._types, runs, int(bounds[-1]), np.int8) if self.has_pairs else None,
            self._pair_labels(rows, homes) if self.has_pairs else None,
        )

    def _homes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the number of the batch of each row."""
        return np.searchsorted(self._batch_begins, rows, side="right") - 1

    def _pair_labels(self, rows: NDArray[np.int64], homes: NDArray[np.int64]) -> NDArray[np.int8]:
        places = (rows - self._batch_begins[homes]).tolist()
        labels = [self._labels[home][place] for home, place in zip(homes.tolist(), places, strict=True)]
        return np.array(labels, dtype=np.int8)


def _runs(
    homes: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64], targets: NDArray[np.int64]
) -> _Runs:
    """Give (source, its begin, its end, where it goes) of each row as Python integers."""
    return list(zip(homes.tolist(), begins.tolist(), ends.tolist(), targets[:-1].tolist(), strict=True))


def _copied(sources: Sequence[NDArray[np.integer]], runs: _Runs, size: int, dtype: type[T]) -> NDArray[T]:
    values = np.empty(size, dtype=dtype)
    for source, begin, end, target in runs:
        values[target : target + end - begin] = sources[source][begin:end]
    return values


def _unpacked(
    bitmaps: Sequence[NDArray[np.uint8]],
    homes: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    bounds: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Give the bits [begin, end) of each row's bitmap: the bytes that hold them are copied and unpacked all at once."""
    firsts, lasts = begins >> 3, (ends + 7) >> 3
    byte_bounds = bounds_of(lasts - firsts)
    packed = _copied(bitmaps, _runs(homes, firsts, lasts, byte_bounds), int(byte_bounds[-1]), np.uint8)
    bits = np.unpackbits(packed, bitorder="little").view(np.bool_)
    flags = np.empty(int(bounds[-1]), dtype=np.bool_)
    sources = (byte_bounds[:-1] * 8 + (begins & 7)).tolist()
    for source, begin, end in zip(sources, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        flags[begin:end] = bits[source : source + end - begin]
    return flags
