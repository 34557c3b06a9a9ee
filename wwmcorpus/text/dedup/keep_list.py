"""A committed deduplication in, the documents that a build leaves out: by source, or asked one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256
from wwmcorpus.text.dedup.result import (
    DUPLICATES_FILE,
    DUPLICATES_SCHEMA,
    FIX,
    SIGNATURES_FOLDER,
    DedupContent,
    read_content,
)


class KeptPlace(NamedTuple):
    """Where the document lies that stands for a dropped one.

    Attributes:
        folder: Number of the deduplication that it belongs to: 0 for the same, i for the i-th it was compared with.
        source_index: Position of its source in that deduplication's list of sources.
        offset: Where it begins in its source.
    """

    folder: int
    source_index: int
    offset: int


class KeepList:
    """The result of a deduplication, opened.

    Made by ``open``. The rows lie in a memory map.

    Attributes:
        folder: Where it lies.
        content: What it says of itself.
    """

    def __init__(self, folder: Path, content: DedupContent, table: pa.Table) -> None:
        self.folder, self.content, self._table = folder, content, table
        num_sources = len(content.inputs)
        bounds = np.zeros(num_sources + 1, dtype=np.int64)
        for chunk in table.column("source_index").chunks:
            bounds += np.searchsorted(chunk.to_numpy(), np.arange(num_sources + 1))
        #: Row of the first dropped document of each source, and behind the last.
        self._bounds: list[int] = bounds.tolist()
        self._current: tuple[int, memoryview] | None = None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the result in a folder and check its files.

        Raises:
            CorpusError: the folder holds no result, one of another format, or a damaged one.
        """
        content = read_content(folder)
        path = folder / DUPLICATES_FILE
        try:
            if path.stat().st_size != content.duplicates.size_bytes or file_sha256(path) != content.duplicates.sha256:
                raise _damaged(folder, "it is not the file that was written")
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(folder, str(error)) from None
        if table.schema != DUPLICATES_SCHEMA or len(table) != content.duplicates.num_documents:
            raise _damaged(folder, "it has other columns or rows")
        return cls(folder, content, table)

    @property
    def sha256(self) -> str:
        """Of what decides which documents are left out: inputs and list."""
        return self.content.keep_list_sha256

    @property
    def num_documents(self) -> int:
        """Documents that were compared; those that could not be read are not among them."""
        return sum(each.num_documents for each in self.content.signatures)

    @property
    def num_duplicates(self) -> int:
        """Documents to drop."""
        return self.content.duplicates.num_documents

    def check_inputs(self, inputs: Sequence[tuple[str, int, str]]) -> None:
        """Check that the list was made for these sources.

        Args:
            inputs: (name, size in bytes, sha256) of each, in order.

        Raises:
            CorpusError: it was made for others; the first that differs is named on both sides.
        """
        ours = [(each.name, each.size_bytes, each.sha256) for each in self.content.inputs]
        if list(inputs) == ours:
            return
        index = next((i for i, pair in enumerate(zip(ours, inputs, strict=False)) if pair[0] != pair[1]), None)
        if index is None:
            what, value = "the keep-list is of another number of inputs", f"{len(ours)} there, {len(inputs)} here"
        else:
            what = f"the keep-list is of other inputs; they differ in number {index}"
            value = f"{_input_line(ours[index])} there, {_input_line(inputs[index])} here"
        raise CorpusError(
            what, value=value, where=str(self.folder), fix="Name the same inputs in the same order, or run dedup again."
        )

    def drops(self, source_index: int) -> NDArray[np.int64]:
        """Give where the documents to drop begin in a source, rising, (n,) int64; a view where they lie together."""
        if not 0 <= source_index < len(self.content.inputs):
            raise CorpusError(
                "the keep-list has no such source",
                value=source_index,
                where=str(self.folder),
                fix=f"It has {len(self.content.inputs)} sources, counted from 0.",
            )
        begin, end = self._bounds[source_index : source_index + 2]
        offsets = self._table.column("offset").slice(begin, end - begin)
        return np.asarray(offsets.chunk(0).to_numpy() if offsets.num_chunks == 1 else offsets.to_numpy())

    def is_dropped(self, source_index: int, offset: int) -> bool:
        """Say whether the document that begins at ``offset`` of a source is to be dropped."""
        return self._row(source_index, offset) is not None

    def kept_place(self, source_index: int, offset: int) -> KeptPlace:
        """Give the place of the document that stands for a dropped one.

        Raises:
            KeyError: the document is not dropped.
        """
        row = self._row(source_index, offset)
        if row is None:
            raise KeyError((source_index, offset))
        names = ("kept_in", "kept_source_index", "kept_offset")
        return KeptPlace(*(self._table.column(name)[row].as_py() for name in names))

    def _row(self, source_index: int, offset: int) -> int | None:
        """Give the row of a dropped document; None for others."""
        if self._current is None or self._current[0] != source_index:  # a build asks source by source
            self._current = source_index, memoryview(self.drops(source_index).data)
        offsets = self._current[1]
        place = bisect_left(offsets, offset)
        return self._bounds[source_index] + place if place < len(offsets) and offsets[place] == offset else None

    def pairs(self, rows: int = 1 << 16) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Give (document, kept_in, kept_document) of the dropped documents, some at a time."""
        for begin in range(0, self.num_duplicates, rows):
            yield {
                name: self._table.column(name).slice(begin, rows).to_numpy().astype(np.int64)
                for name in ("document", "kept_in", "kept_document")
            }

    @property
    def signature_files(self) -> list[Path]:
        """The shards of signatures, in order."""
        return [self.folder / SIGNATURES_FOLDER / each.name for each in self.content.signatures]


def _damaged(folder: Path, detail: str) -> CorpusError:
    return CorpusError(f"the list of duplicates is damaged: {detail}", where=str(folder / DUPLICATES_FILE), fix=FIX)


def _input_line(found: tuple[str, int, str]) -> str:
    name, size, sha256 = found
    return f"{name} ({size} bytes, sha256 {sha256[:12]})"
