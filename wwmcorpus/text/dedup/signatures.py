"""Shards of signatures on disk in, their columns as arrays out: one after the other, or of chosen documents.

Documents are numbered in the order of the shards. Only what is looked at is read, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wwmcorpus.text.dedup.arrow_files import open_rows

Columns = dict[str, NDArray[Any]]


class Signatures:
    """Shards read as one.

    Args:
        paths: Of the shards, in order.
        lengths: Documents of each.
        schema: Of the shards.

    Attributes:
        num_documents: Of all shards.
    """

    def __init__(self, paths: Sequence[Path], lengths: Sequence[int], schema: pa.Schema) -> None:
        self._paths, self._lengths, self._schema = list(paths), list(lengths), schema
        self._bounds = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.num_documents = int(self._bounds[-1])

    def followed_by(self, others: Signatures) -> Signatures:
        """Give these and, numbered after them, others."""
        return Signatures([*self._paths, *others._paths], [*self._lengths, *others._lengths], self._schema)

    def scan(self, names: Sequence[str]) -> Iterator[tuple[int, Columns]]:
        """Give some columns of all documents, a few thousand at a time, with the number of the first of them.

        A column of numbers is (n,); one of binaries is (n, width) uint8.
        """
        for path, begin in zip(self._paths, self._bounds.tolist(), strict=False):
            with open_rows(path, self._schema, names) as rows:
                for index in range(rows.num_batches):
                    yield begin + index * rows.batch_rows, _columns(rows.batch(index), names)

    def take(self, numbers: NDArray[np.int64], names: Sequence[str]) -> Columns:
        """Give some columns of chosen documents, at least one, in the order of ``numbers``."""
        order = np.argsort(numbers, kind="stable")
        rising = numbers[order]
        parts: list[Columns] = []
        done = 0
        while done < len(rising):
            shard = int(np.searchsorted(self._bounds, rising[done], side="right")) - 1
            end = int(np.searchsorted(rising, self._bounds[shard + 1]))
            parts.extend(self._rows(shard, rising[done:end] - self._bounds[shard], names))
            done = end
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return {name: np.concatenate([part[name] for part in parts])[back] for name in names}

    def _rows(self, shard: int, chosen: NDArray[np.int64], names: Sequence[str]) -> Iterator[Columns]:
        """Give some columns of rows of one shard, a record batch at a time; ``chosen`` rises."""
        with open_rows(self._paths[shard], self._schema, names) as rows:
            batches = chosen // rows.batch_rows
            for index in np.unique(batches).tolist():
                within = chosen[batches == index] - index * rows.batch_rows
                yield _columns(rows.batch(index).take(pa.array(within)), names)


def _columns(batch: pa.RecordBatch, names: Sequence[str]) -> Columns:
    return {name: _array(batch.column(name)) for name in names}


def _array(column: pa.Array) -> NDArray[Any]:
    if not pa.types.is_fixed_size_binary(column.type):
        return np.asarray(column.to_numpy())
    width = column.type.byte_width
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return data[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)
