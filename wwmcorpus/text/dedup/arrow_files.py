"""Tables in, Arrow IPC files out whose bytes do not depend on how the rows came; and chosen columns back from them.

All record batches but the last have the same number of rows, which stands in the schema's metadata, so that a row is
found without reading those before it. Only the columns that are asked for are read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from wwmcorpus.errors import CorpusError

_BATCH_ROWS = b"batch_rows"


def write_rows(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], batch_rows: int) -> int:
    """Write the rows of some tables, one after the other, and give their number."""
    num_rows = 0
    schema = schema.with_metadata({_BATCH_ROWS: str(batch_rows)})
    waiting = schema.empty_table()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for table in tables:
            num_rows += len(table)
            waiting = pa.concat_tables([waiting, table.replace_schema_metadata(schema.metadata)])
            while len(waiting) >= batch_rows:
                writer.write_table(waiting.slice(0, batch_rows).combine_chunks())
                waiting = waiting.slice(batch_rows)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())
    return num_rows


class RowsFile:
    """A file that ``write_rows`` wrote, open for reading. Made by ``open_rows``.

    Attributes:
        num_batches: Record batches.
        batch_rows: Rows of each but the last.
    """

    def __init__(self, path: Path, reader: pa.RecordBatchFileReader) -> None:
        self._path, self._reader = path, reader
        self.num_batches: int = reader.num_record_batches
        self.batch_rows = int((reader.schema.metadata or {}).get(_BATCH_ROWS, 1))

    def batch(self, index: int) -> pa.RecordBatch:
        """Read one record batch.

        Raises:
            CorpusError: it is damaged.
        """
        with _reading(self._path):
            return self._reader.get_batch(index)


@contextlib.contextmanager
def open_rows(path: Path, schema: pa.Schema, names: Sequence[str]) -> Iterator[RowsFile]:
    """Open a file to read some of its columns.

    Raises:
        CorpusError: it is absent or damaged.
    """
    options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in names])
    with contextlib.ExitStack() as stack:
        with _reading(path):
            file = stack.enter_context(pa.OSFile(str(path)))
            reader = pa.ipc.open_file(file, options=options)
        yield RowsFile(path, reader)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"a file of a deduplication cannot be read: {error}",
            value=path.name,
            where=str(path.parent),
            fix="Run the deduplication again with --overwrite.",
        ) from None
