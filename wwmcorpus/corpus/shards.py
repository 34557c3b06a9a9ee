"""Rows in, one Arrow shard on disk out; and a shard on disk back as flat arrays without a copy.

A shard is an Arrow IPC *stream*, uncompressed: ``datasets.load_from_disk`` memory-maps it as it is. It carries no
``huggingface`` schema metadata, so that datasets 3, 4 and 5 all open it. Rows of sentence pairs have two columns more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wwmcorpus.corpus.batches import PackedRows
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import sync

#: Rows of a record batch; the last one of a shard may have fewer.
BATCH_ROWS = 1024
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def shard_schema(num_pieces: int, pairs: bool = False) -> pa.Schema:
    """Give the columns of a shard for a vocabulary of ``num_pieces``: uint16 ids where they fit, else int32."""
    ids = pa.uint16() if num_pieces <= 65_535 else pa.int32()
    columns = [
        ("input_ids", pa.list_(ids)),
        ("word_start", pa.list_(pa.bool_())),
        ("source_index", pa.list_(pa.int32())),
        ("document_offset", pa.list_(pa.int64())),
    ]
    if pairs:
        columns += [("token_type_ids", pa.list_(pa.int8())), ("pair_label", pa.int8())]
    return pa.schema(columns)


class ShardWriter:
    """Writes rows to an attempt file; nothing else reads it until it is committed under its final name.

    The bytes of the file depend on the rows alone, not on how many come at once.

    Args:
        path: The attempt file.
        num_pieces: Size of the vocabulary.
        pairs: Whether rows have ``token_type_ids`` and ``pair_label``.

    Attributes:
        path: The attempt file.
        num_rows: Rows so far.
        num_words: Words so far; special pieces are none.
        num_pieces: Pieces so far, special ones counted.

    Raises:
        CorpusError: here, or from any method: the file cannot be written.
    """

    def __init__(self, path: Path, num_pieces: int, pairs: bool = False) -> None:
        self.path = path
        self.num_rows = self.num_words = self.num_pieces = 0
        self._schema = shard_schema(num_pieces, pairs)
        self._id_type = self._schema.field("input_ids").type.value_type.to_pandas_dtype()
        self._waiting: list[PackedRows] = []
        self._num_waiting = self._num_waiting_pieces = self._written_bytes = 0
        with _writing(path):
            self._file = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_stream(self._file, self._schema)

    @property
    def size_bytes(self) -> int:
        """About how large the file is, with what waits to be written."""
        return self._written_bytes + self._num_waiting_pieces * int(np.dtype(self._id_type).itemsize)

    def write(self, rows: PackedRows) -> None:
        """Add rows, in order."""
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self._num_waiting += rows.num_rows
        self._num_waiting_pieces += len(rows.input_ids)
        self.num_rows += rows.num_rows
        self.num_pieces += len(rows.input_ids)
        num_separators = 2 * rows.num_rows if rows.token_type_ids is not None else len(rows.source_index)
        self.num_words += int(np.count_nonzero(rows.word_start)) - rows.num_rows - num_separators
        if self._num_waiting >= BATCH_ROWS:
            self._flush(self._num_waiting - self._num_waiting % BATCH_ROWS)

    def close(self) -> None:
        """Write what waits and the end mark, and have the disk keep it."""
        if self._num_waiting:
            self._flush(self._num_waiting)
        with _writing(self.path):
            self._writer.close()
            self._file.close()
            sync(self.path)
        self._written_bytes = self.path.stat().st_size

    def _flush(self, num_rows: int) -> None:
        """Write the first ``num_rows`` of the rows that wait."""
        rows = PackedRows.joined(self._waiting)
        with _writing(self.path):
            for begin in range(0, num_rows, BATCH_ROWS):
                self._writer.write_batch(self._record_batch(rows.between(begin, min(begin + BATCH_ROWS, num_rows))))
            self._written_bytes = self._file.tell()
        rest = rows.between(num_rows, rows.num_rows)
        self._waiting = [rest] if rest.num_rows else []
        self._num_waiting, self._num_waiting_pieces = rest.num_rows, len(rest.input_ids)

    def _record_batch(self, rows: PackedRows) -> pa.RecordBatch:
        bounds = pa.array(rows.bounds.astype(np.int32))
        entries = pa.array(rows.provenance_bounds.astype(np.int32))
        bits = pa.py_buffer(np.packbits(rows.word_start, bitorder="little"))
        columns = [
            pa.ListArray.from_arrays(bounds, pa.array(rows.input_ids.astype(self._id_type))),
            pa.ListArray.from_arrays(bounds, pa.Array.from_buffers(pa.bool_(), len(rows.word_start), [None, bits])),
            pa.ListArray.from_arrays(entries, pa.array(rows.source_index)),
            pa.ListArray.from_arrays(entries, pa.array(rows.document_offset)),
        ]
        if rows.token_type_ids is not None:
            columns += [pa.ListArray.from_arrays(bounds, pa.array(rows.token_type_ids)), pa.array(rows.pair_label)]
        return pa.record_batch(columns, schema=self._schema)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"a shard cannot be written: {error}", value=path.name, where=str(path.parent), fix="Make room on the disk."
        ) from None


@dataclass(frozen=True, slots=True)
class ShardBatch:
    """One record batch of a shard as views of its memory map.

    Attributes:
        input_ids: (num_values,) uint16 or int32.
        bounds: (num_rows + 1,) int32 into ``input_ids``.
        start_bits: The ``word_start`` bitmap, one bit a piece, least significant bit first.
        token_type_ids: (num_values,) int8; None where rows are no pairs.
        pair_label: (num_rows,) int8; None where rows are no pairs.
    """

    input_ids: NDArray[np.integer]
    bounds: NDArray[np.int32]
    start_bits: NDArray[np.uint8]
    token_type_ids: NDArray[np.int8] | None = None
    pair_label: NDArray[np.int8] | None = None

    def word_start(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Give ``word_start`` of the values [begin, end), (end - begin,) bool."""
        bits = np.unpackbits(self.start_bits[begin >> 3 : (end + 7) >> 3], bitorder="little")
        return bits[begin & 7 : (begin & 7) + end - begin].view(bool)


def open_shard(path: Path, num_pieces: int) -> list[ShardBatch]:
    """Memory-map a shard and check what is cheap to check: its end mark, its columns, its offsets.

    Raises:
        CorpusError: the shard is absent, cut short, or not one of ours.
    """
    return list(_batches(path, num_pieces, pa.memory_map))


def count_rows(path: Path, num_pieces: int) -> int:
    """Read a shard from the disk, a batch at a time, and check it as ``open_shard`` does; give how many rows it has.

    Raises:
        CorpusError: as for ``open_shard``.
    """
    return sum(len(batch.bounds) - 1 for batch in _batches(path, num_pieces, pa.OSFile))


def _batches(path: Path, num_pieces: int, opened: Callable[[str], pa.NativeFile]) -> Iterator[ShardBatch]:
    try:
        with path.open("rb") as file:
            file.seek(-len(_END_OF_STREAM), os.SEEK_END)
            if file.read() != _END_OF_STREAM:
                raise CorpusError(
                    "a shard is cut short", value=path.name, where=str(path.parent), fix="Build the corpus again."
                )
        reader = pa.ipc.open_stream(opened(str(path)))
        _check_schema(reader.schema, num_pieces, path)
        for batch in reader:
            batch.validate(full=True)
            yield _views(batch, path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"a shard does not open: {error}", value=path.name, where=str(path.parent), fix="Build the corpus again."
        ) from None


def _check_schema(found: pa.Schema, num_pieces: int, path: Path) -> None:
    single, paired = shard_schema(num_pieces), shard_schema(num_pieces, pairs=True)
    if found not in (single, paired):
        raise CorpusError(
            f"a shard has the columns {_columns(found)}, not {_columns(single)}",
            where=str(path),
            fix="Build the corpus again.",
        )


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _views(batch: pa.RecordBatch, path: Path) -> ShardBatch:
    lists = [column for column in batch.columns if pa.types.is_list(column.type)]
    if any(column.null_count for column in [*batch.columns, *(column.values for column in lists)]):
        raise CorpusError("a shard has rows or values that are null", where=str(path), fix="Build the corpus again.")
    ids = batch.column("input_ids")
    bounds = ids.offsets.to_numpy()
    values = {}
    for name in ("word_start", "token_type_ids"):
        if name in batch.schema.names:
            column = batch.column(name)
            if not np.array_equal(bounds, column.offsets.to_numpy()):
                raise CorpusError(
                    f"input_ids and {name} differ in length", where=str(path), fix="Build the corpus again."
                )
            values[name] = column.values
    bitmap = values["word_start"].buffers()[1]
    bits = np.frombuffer(bitmap, dtype=np.uint8) if bitmap is not None else np.empty(0, np.uint8)
    return ShardBatch(
        ids.values.to_numpy(),
        bounds,
        bits,
        values["token_type_ids"].to_numpy() if "token_type_ids" in values else None,
        batch.column("pair_label").to_numpy() if "token_type_ids" in values else None,
    )
