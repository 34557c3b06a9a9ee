"""Parquet and Arrow files in, a document per row out: batch by batch, and nothing read that was not validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.sources.files import StoredFile
from wwmcorpus.text.sources.make import DocumentMaker
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice

Items = Iterator[Document | Rejection]

#: Bytes of a row group, and rows of any, that are read at once.
_BATCH_BYTES = 1 << 23
_BATCH_ROWS = 1024
#: Rows that are taken into Python at once: each may be long.
_STEP_ROWS = 32
#: How an Arrow stream ends; without it, it was cut off between two batches.
_STREAM_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_FILE_BEGIN = b"ARROW1"


def parquet_documents(file: StoredFile, maker: DocumentMaker, part: Slice, options: SourceOptions) -> Items:
    """Give the rows of the row groups that a slice holds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.PythonFile(file, mode="r"), buffer_size=1 << 20, page_checksum_verification=True)
        groups = [table.metadata.row_group(index) for index in range(table.metadata.num_row_groups)]
        rows = _Rows(file, maker, options, table.schema_arrow.names, "broken_parquet")
        if sum(group.num_rows for group in groups) != table.metadata.num_rows:
            raise pa.ArrowInvalid("the numbers of rows contradict one another")
    except _broken() as error:
        _pass_on(file)
        if part.start == 0:
            yield maker.reject("broken_parquet", 0, f"none of its rows can be read: {error}")
        return
    begins = _begins([group.total_byte_size for group in groups], part.source.size_bytes)
    first_row = 0
    for index, group in enumerate(groups):
        if part.start <= begins[index] < max(part.end, 1):
            fitting = group.num_rows * _BATCH_BYTES // max(group.total_byte_size, 1)
            batches = table.iter_batches(
                min(max(fitting, 1), _BATCH_ROWS), row_groups=[index], columns=rows.columns, use_threads=False
            )
            yield from rows.of_batches(batches, first_row, first_row + group.num_rows)
        first_row += max(group.num_rows, 0)


def arrow_documents(file: StoredFile, maker: DocumentMaker, options: SourceOptions) -> Items:
    """Give the rows of an Arrow file: a stream, as ``datasets`` writes it, or what pyarrow calls a file."""
    import pyarrow as pa

    is_file = file.read(len(_FILE_BEGIN)) == _FILE_BEGIN
    open_table = pa.ipc.open_file if is_file else pa.ipc.open_stream
    try:
        names = _open(open_table, file).schema.names
        rows = _Rows(file, maker, options, names, "broken_arrow")
        table = _open(open_table, file, sorted(names.index(name) for name in rows.columns))
    except _broken() as error:
        _pass_on(file)
        yield maker.reject("broken_arrow", 0, f"none of its rows can be read: {error}")
        return
    batches = map(table.get_batch, range(table.num_record_batches)) if is_file else iter(table)
    yield from rows.of_batches(batches, 0)
    if not is_file and not rows.is_broken and not _is_complete(file):
        yield maker.reject("broken_arrow", rows.next_row, "the stream ends without its end mark")


class _Rows:
    """Turns the batches of one table into documents.

    Args:
        file: That it is read from.
        maker: Of the slice.
        options: Name the columns.
        names: Of the columns that there are.
        reason: Of the rejection where a batch cannot be read.

    Attributes:
        columns: Names of those that are needed.
        next_row: Number of the row behind the last that was given.
        is_broken: Whether a batch could not be read.
    """

    def __init__(
        self, file: StoredFile, maker: DocumentMaker, options: SourceOptions, names: list[str], reason: str
    ) -> None:
        self._file = file
        self._maker, self._text_field, self._names, self._reason = maker, options.text_field, names, reason
        self.columns = [name for name in (options.text_field, options.id_field) if name in names]
        self.next_row = 0
        self.is_broken = False

    def of_batches(self, batches: Iterator[Any], first_row: int, end_row: int | None = None) -> Items:
        """Give the documents of batches whose first row has this number, and whose last stands before ``end_row``."""
        self.next_row = first_row
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    if end_row is None or self.next_row == end_row:
                        return
                    raise EOFError("there are fewer than were announced")
                columns = {name: _validated(batch.column(name)) for name in self.columns}
            except _broken() as error:
                _pass_on(self._file)
                self.is_broken = True
                lost = "the rows" if end_row is None else f"{end_row - self.next_row} rows"
                yield self._maker.reject(self._reason, self.next_row, f"{lost} from here on cannot be read: {error}")
                return
            yield from self._of_columns(columns, batch.num_rows)

    def _of_columns(self, columns: dict[str, Any], num_rows: int) -> Items:
        for start in range(0, num_rows, _STEP_ROWS):
            values = {name: column.slice(start, _STEP_ROWS).to_pylist() for name, column in columns.items()}
            for index in range(min(_STEP_ROWS, num_rows - start)):
                if self._text_field in values:
                    yield self._maker.of_row(self.next_row, {name: column[index] for name, column in values.items()})
                else:
                    yield self._maker.no_text_field(self.next_row, str(self._names[:8]))
                self.next_row += 1


def _validated(column: Any) -> Any:
    """Give a column whose offsets are sound, its strings as bytes: whether they are UTF-8 is asked of each alone."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = pa.DictionaryArray.from_arrays(column.indices, _validated(column.dictionary), safe=False)
        column.validate(full=True)
        column = column.dictionary_decode()
    column = column.view(_in_bytes(column.type))
    column.validate(full=True)
    return column


def _in_bytes(kind: Any) -> Any:
    """Give the type with bytes for strings, also in a list."""
    import pyarrow as pa

    bytes_of = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    if pa.types.is_list(kind):
        return pa.list_(_in_bytes(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_in_bytes(kind.value_type))
    return bytes_of.get(kind, kind)


def _begins(sizes: list[int], size_bytes: int) -> list[int]:
    """Give a place in the file for each row group, in proportion to their sizes: which slice it belongs to."""
    total = max(sum(sizes), 1)
    places, num_before = [], 0
    for size in sizes:
        places.append(max(0, min(num_before * size_bytes // total, size_bytes - 1)))
        num_before += size
    return places


def _open(open_table: Callable[..., Any], file: StoredFile, fields: list[int] | None = None) -> Any:
    import pyarrow as pa

    file.seek(0)
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=fields or None)
    return open_table(pa.PythonFile(file, mode="r"), options=options)


def _is_complete(file: StoredFile) -> bool:
    """Say whether a stream that gave no more batches ended with its end mark at the end of the file."""
    place = file.tell()
    if place < len(_STREAM_END) or file.seek(0, 2) != place:
        return False
    file.seek(place - len(_STREAM_END))
    return file.read(len(_STREAM_END)) == _STREAM_END


def _pass_on(file: StoredFile) -> None:
    """Raise the error of a file that could not be read: that is no damage of the table."""
    if file.failure:
        raise file.failure


def _broken() -> tuple[type[Exception], ...]:
    """Give what pyarrow raises where a file is damaged."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)
