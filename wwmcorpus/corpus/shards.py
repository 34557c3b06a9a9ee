"""Rows in, one Arrow shard on disk out; and a shard on disk back as flat arrays without a copy.

A shard is an Arrow IPC *stream*, uncompressed: ``datasets.load_from_disk`` memory-maps it as it is. It carries no
``huggingface`` schema metadata, so that datasets 3, 4 and 5 all open it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.records import Sequence

BATCH_ROWS = 1024
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def shard_schema(num_pieces: int) -> pa.Schema:
    """Give the columns of a shard for a vocabulary of ``num_pieces``: uint16 ids where they fit, else int32."""
    ids = pa.uint16() if num_pieces <= 65_535 else pa.int32()
    return pa.schema(
        [
            ("input_ids", pa.list_(ids)),
            ("word_start", pa.list_(pa.bool_())),
            ("source_index", pa.list_(pa.int32())),
            ("document_offset", pa.list_(pa.int64())),
        ]
    )


class ShardWriter:
    """Writes rows to an attempt file; nothing else reads it until it is committed under its final name."""

    def __init__(self, path: Path, num_pieces: int) -> None:
        self.path = path
        self.num_rows = self.num_words = self.num_pieces = 0
        self._schema = shard_schema(num_pieces)
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._waiting: list[Sequence] = []

    def write(self, rows: Iterable[Sequence]) -> None:
        """Add rows, in order."""
        for row in rows:
            self._waiting.append(row)
            if len(self._waiting) == BATCH_ROWS:
                self._flush()

    def close(self) -> None:
        """Write what waits and the end mark, and have the disk keep it."""
        self._flush()
        self._writer.close()
        self._file.close()
        sync(self.path)

    def _flush(self) -> None:
        if not self._waiting:
            return
        lengths = [len(row.input_ids) for row in self._waiting]
        bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        ids = np.concatenate([row.input_ids for row in self._waiting])
        starts = np.concatenate([row.word_start for row in self._waiting])
        one_each = np.arange(len(self._waiting) + 1, dtype=np.int32)
        columns = [
            _lists(bounds, pa.array(ids, type=self._schema.field("input_ids").type.value_type)),
            _lists(bounds, pa.array(starts)),
            _lists(one_each, pa.array([row.source_index for row in self._waiting], pa.int32())),
            _lists(one_each, pa.array([row.offset_bytes for row in self._waiting], pa.int64())),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self.num_rows += len(lengths)
        self.num_pieces += len(ids)
        self.num_words += int(starts.sum()) - 2 * len(lengths)
        self._waiting.clear()


def _lists(bounds: NDArray[np.int32], values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values)


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """One record batch of a shard as views of its memory map.

    Attributes:
        input_ids: (num_values,) uint16 or int32.
        bounds: (num_rows + 1,) int32 into ``input_ids``.
        start_bits: The ``word_start`` bitmap, one bit a piece, least significant bit first.
    """

    input_ids: NDArray[np.integer]
    bounds: NDArray[np.int32]
    start_bits: NDArray[np.uint8]

    def word_start(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Give ``word_start`` of the values [begin, end), (end - begin,) bool."""
        bits = np.unpackbits(self.start_bits[begin >> 3 : (end + 7) >> 3], bitorder="little")
        return bits[begin & 7 : (begin & 7) + end - begin].view(bool)


def open_shard(path: Path, num_pieces: int) -> list[ShardBatch]:
    """Memory-map a shard and check what is cheap to check: its end mark, its columns, its offsets.

    Raises:
        CorpusError: the shard is absent, cut short, or not one of ours.
    """
    try:
        with path.open("rb") as file:
            file.seek(-len(_END_OF_STREAM), os.SEEK_END)
            if file.read() != _END_OF_STREAM:
                raise CorpusError(
                    "a shard is cut short", value=path.name, where=str(path.parent), fix="Build the corpus again."
                )
        table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"a shard does not open: {error}", value=path.name, where=str(path.parent), fix="Build the corpus again."
        ) from None
    wanted = shard_schema(num_pieces)
    if table.schema != wanted:
        raise CorpusError(
            f"a shard has the columns {_columns(table.schema)}, not {_columns(wanted)}",
            where=str(path),
            fix="Build the corpus again.",
        )
    return [_views(batch, path) for batch in table.to_batches()]


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _views(batch: pa.RecordBatch, path: Path) -> ShardBatch:
    ids, starts = batch.column("input_ids"), batch.column("word_start")
    if any(column.null_count for column in (ids, ids.values, starts, starts.values)):
        raise CorpusError("a shard has rows or pieces that are null", where=str(path), fix="Build the corpus again.")
    bounds = ids.offsets.to_numpy()
    if not np.array_equal(bounds, starts.offsets.to_numpy()):
        raise CorpusError("input_ids and word_start differ in length", where=str(path), fix="Build the corpus again.")
    bitmap = starts.values.buffers()[1]
    bits = np.frombuffer(bitmap, dtype=np.uint8) if bitmap is not None else np.empty(0, np.uint8)
    return ShardBatch(ids.values.to_numpy(zero_copy_only=True), bounds, bits)


def file_sha256(path: Path) -> str:
    """Give the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder, before anything refers to it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
