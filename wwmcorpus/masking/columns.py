"""Rows of any data set in, their columns end to end out: mappings, columns, or Arrow tables; numpy, lists or tensors.

Nothing is known here of words: only which values a row holds, and how many.
"""

from __future__ import annotations

import operator
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError

#: What is read of rows, and nothing else: a list of integers or booleans per row, or one integer per row.
LISTS = ("input_ids", "word_start", "chinese_ref", "token_type_ids")
NUMBERS = ("row_ids", "pair_label")
#: What a collator takes: rows, columns, an Arrow table or record batch, or a list of such.
Batch = Any

_SHAPES = (
    "Give a list of rows, each a mapping such as {'input_ids': [...], 'word_start': [...]}; a mapping of such columns; "
    "or an Arrow table."
)


class Column(NamedTuple):
    """One list per row, end to end.

    Attributes:
        values: (num_values,) of an integer type or bool.
        lengths: (num_rows,) int64, values per row.
    """

    values: NDArray[np.generic]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """What rows hold.

    Attributes:
        lists: The columns of ``LISTS`` that are there.
        numbers: The columns of ``NUMBERS`` that are there, each (num_rows,) int64.
        names: Every name that the rows have, for messages.
    """

    lists: dict[str, Column]
    numbers: dict[str, NDArray[np.int64]]
    names: list[str]


def read_columns(batch: Batch) -> Columns:
    """Read the columns of a batch.

    Args:
        batch: A sequence of rows (mappings), a mapping of columns, a pyarrow table or record batch, or a sequence of
            those. A list per row may be a list, a numpy array or a tensor.

    Raises:
        CorpusError: it is none of these, it is empty, rows differ in their names, or a value is no integer.
    """
    if isinstance(batch, Mapping):
        return _of_mapping(batch)
    if _is_arrow(batch):
        return _of_arrow([batch])
    if not isinstance(batch, Sequence) or isinstance(batch, str | bytes):
        raise CorpusError("a batch that holds no rows", value=type(batch).__name__, fix=_SHAPES)
    if not batch:
        raise CorpusError("a batch without rows", fix="Skip it: there is nothing to mask.")
    if _is_arrow(batch[0]):
        return _of_arrow(batch)
    return _of_rows(batch)


def _is_arrow(value: object) -> bool:
    arrow = sys.modules.get("pyarrow")  # where nobody imported it, nothing is Arrow's
    return arrow is not None and isinstance(value, arrow.Table | arrow.RecordBatch)


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> Columns:
    for kind in dict.fromkeys(map(type, rows)):
        if not issubclass(kind, Mapping):
            raise CorpusError("a row that is no mapping", value=kind.__name__, fix=_SHAPES)
    names = rows[0].keys()
    if [True for row in rows if row.keys() != names]:
        for name in (*LISTS, *NUMBERS):
            without = [number for number, row in enumerate(rows) if name not in row]
            if 0 < len(without) < len(rows):
                raise CorpusError(
                    f"only some rows have {name}",
                    where=f"row {without[0]} of the batch has {sorted(rows[without[0]])}",
                    fix="Give it to all rows or to none.",
                )
    return Columns(
        {name: _joined(name, [row[name] for row in rows]) for name in LISTS if name in names},
        {name: _numbers(name, (row[name] for row in rows), len(rows)) for name in NUMBERS if name in names},
        sorted(names),
    )


def _of_mapping(columns: Mapping[str, Any]) -> Columns:
    names = sorted(columns)
    try:
        sizes = {name: len(columns[name]) for name in (*LISTS, *NUMBERS) if name in columns}
    except TypeError:
        raise CorpusError("a column that is no sequence", value=names, fix=_SHAPES) from None
    if len(set(sizes.values())) > 1:
        raise CorpusError("columns of different lengths", value=sizes, fix="Each has one entry per row.")
    if 0 in sizes.values():
        raise CorpusError("a batch without rows", fix="Skip it: there is nothing to mask.")
    return Columns(
        {name: _joined(name, columns[name]) for name in LISTS if name in sizes},
        {name: _numbers(name, columns[name], sizes[name]) for name in NUMBERS if name in sizes},
        names,
    )


def _of_arrow(tables: Sequence[Any]) -> Columns:
    import pyarrow as pa

    joined = [pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table for table in tables]
    try:
        table = joined[0] if len(joined) == 1 else pa.concat_tables(joined)
    except pa.ArrowInvalid as error:
        raise CorpusError(f"tables that do not fit together ({error})", fix="Give all the same columns.") from None
    if not table.num_rows:
        raise CorpusError("a batch without rows", fix="Skip it: there is nothing to mask.")
    names = table.column_names
    return Columns(
        {name: _arrow_lists(name, table.column(name)) for name in LISTS if name in names},
        {name: _numbers(name, table.column(name).to_pylist(), table.num_rows) for name in NUMBERS if name in names},
        sorted(names),
    )


def _arrow_lists(name: str, column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        lengths = pc.list_value_length(column).to_numpy()
        chunks = [_arrow_values(chunk.flatten()) for chunk in column.chunks]
    except (pa.ArrowNotImplementedError, AttributeError):
        raise _no_integers(name, str(column.type)) from None
    if column.null_count:
        raise _no_integers(name, "a row that is null")
    return Column(_checked(name, chunks[0] if len(chunks) == 1 else np.concatenate(chunks)), lengths.astype(np.int64))


def _arrow_values(values: Any) -> NDArray[np.generic]:
    """Give an Arrow array as numpy's; a null makes it floats or objects, which are refused later."""
    if str(values.type) != "bool" or values.null_count:
        return np.asarray(values.to_numpy(zero_copy_only=False))
    bits = np.frombuffer(values.buffers()[1] or b"", dtype=np.uint8)  # several times as fast as its own to_numpy
    end = values.offset + len(values)
    return np.unpackbits(bits, count=end, bitorder="little")[values.offset :].view(np.bool_)


def _joined(name: str, values: Any) -> Column:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return Column(_checked(name, values.reshape(-1)), np.full(len(values), values.shape[1], dtype=np.int64))
    values = list(values)
    try:
        lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        flat = _flat(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_integers(name, str(error)) from None
    return Column(_checked(name, flat), lengths)


def _flat(values: list[Any]) -> NDArray[np.generic]:
    """Put arrays, tensors or lists end to end; lists of numbers the quickest strict way there is."""
    kinds = set(map(type, values))
    if kinds == {np.ndarray}:
        joined: NDArray[np.generic] = np.concatenate(values)
        if joined.dtype.kind in "iub":  # empty floats among integers make floats of all; they are mended below
            return joined
    if kinds == {list}:
        try:
            return _flat_lists(values)
        except TypeError:  # numpy's booleans, say; what is no number at all is found below
            pass
    return np.concatenate([_as_array(value) for value in values])


def _flat_lists(values: list[list[Any]]) -> NDArray[np.generic]:
    first = next((value[0] for value in values if value), None)
    if isinstance(first, bool):
        return np.frombuffer(b"".join(map(bytes, values)), dtype=np.uint8)
    flat = array("q")
    for value in values:
        flat.fromlist(value)
    return np.frombuffer(flat, dtype=np.int64) if flat else np.empty(0, dtype=np.int64)


def _as_array(value: Any) -> NDArray[np.generic]:
    """Give a list, an array or a tensor as an array; an empty one, of which numpy makes floats, as integers."""
    found = np.asarray(value)
    return found if found.size or found.dtype.kind in "iub" else found.astype(np.int64)


def _checked(name: str, values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.ndim != 1:
        raise _no_integers(name, f"{values.ndim} dimensions per row")
    if values.dtype.kind not in "iub":
        raise _no_integers(name, str(values.dtype))
    return values


def _numbers(name: str, values: Iterable[Any], count: int) -> NDArray[np.int64]:
    try:
        return np.fromiter(map(operator.index, values), dtype=np.int64, count=count)
    except (TypeError, ValueError, OverflowError) as error:
        raise CorpusError(f"{name} is not one integer per row ({error})", fix="Give each row an integer.") from None


def _no_integers(name: str, found: str) -> CorpusError:
    return CorpusError(f"{name} is not one list of integers per row", value=found, fix=_SHAPES)
