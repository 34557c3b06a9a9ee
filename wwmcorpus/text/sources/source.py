"""Names of files in, sources and their slices out: what there is to read, before a byte of it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wwmcorpus.text.sources.options import SourceOptions

Kind = Literal["txt", "jsonl", "parquet", "arrow"]
Compression = Literal["", "gz", "zst", "bz2", "xz"]

#: Endings of the files that can be read; those of text may be followed by one of a compression.
ENDINGS: dict[str, Kind] = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
COMPRESSED: dict[str, Compression] = {".gz": "gz", ".zst": "zst", ".bz2": "bz2", ".xz": "xz"}
READABLE = f"{', '.join(ENDINGS)}; text and JSON also with {', '.join(COMPRESSED)} behind"
_WIKIEXTRACTOR_NAME = re.compile(r"wiki_\d+")


@dataclass(frozen=True, slots=True)
class Source:
    """One file that holds documents.

    Attributes:
        name: Distinct within a job, and the same on every machine.
        location: Its path, or its URL for fsspec.
        kind: What it holds. A .json file is read as .jsonl is: one row a line.
        compression: Of the whole file; empty for none.
        size_bytes: As stored; 0 where that cannot be known.
    """

    name: str
    location: str
    kind: Kind
    compression: Compression
    size_bytes: int

    @property
    def is_remote(self) -> bool:
        """Whether fsspec has to open it."""
        return "://" in self.location


@dataclass(frozen=True, slots=True)
class Slice:
    """The documents of one source that lie in its stored bytes [start, end).

    A document of a plain text file lies where its first line begins (after a blank line: where that is). The row groups
    of a parquet file lie one after the other in proportion to their sizes. A source that can only be read from its
    beginning is always one slice.
    """

    source_index: int
    source: Source
    start: int
    end: int

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def size_bytes(self) -> int:
        """Stored bytes that it stands for."""
        return self.end - self.start

    @property
    def is_splittable(self) -> bool:
        """Whether the source is plain text: any range of its bytes can be read, and offsets of documents lie in it."""
        return self.source.kind in ("txt", "jsonl") and not self.source.compression and self.source.size_bytes > 0


def group_slices(slices: Iterable[Slice], group_bytes: int) -> list[tuple[Slice, ...]]:
    """Group slices, in order, into groups of about ``group_bytes``; small files share one."""
    groups: list[list[Slice]] = []
    filled = 0
    for part in slices:
        if not groups or filled + part.size_bytes > group_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(part)
        filled += part.size_bytes
    return [tuple(group) for group in groups]


def plan_slices(sources: Iterable[Source | Path | str], slice_bytes: int) -> list[Slice]:
    """Cut plain text and parquet files into slices of ``slice_bytes``; every other source is one slice."""
    slices: list[Slice] = []
    for index, source in enumerate(map(as_source, sources)):
        whole = Slice(index, source, 0, source.size_bytes)
        if not (whole.is_splittable or source.kind == "parquet") or whole.size_bytes <= slice_bytes:
            slices.append(whole)
            continue
        for start in range(0, source.size_bytes, slice_bytes):
            slices.append(Slice(index, source, start, min(start + slice_bytes, source.size_bytes)))
    return slices


def as_source(file: Source | Path | str) -> Source:
    """Give the source of a file of this machine under its bare name; one of unknown ending counts as text."""
    if isinstance(file, Source):
        return file
    path = Path(file)
    kind, compression = format_of(path.name, SourceOptions()) or ("txt", "")
    return Source(shown(path.name), str(path), kind, compression, path.stat().st_size if path.is_file() else 0)


def format_of(name: str, options: SourceOptions) -> tuple[Kind, Compression] | None:
    """Tell kind and compression from a file's name; None where it cannot be read."""
    stem, compression = name.lower(), COMPRESSED.get(f".{name.lower().rpartition('.')[2]}", "")
    if compression:
        stem = stem.removesuffix(f".{compression}")
    kind = ENDINGS.get(f".{stem.rpartition('.')[2]}") if "." in stem else None
    if kind is None and options.document_break == "wikiextractor" and _WIKIEXTRACTOR_NAME.fullmatch(stem):
        kind = "txt"
    if kind is None or (compression and kind in ("parquet", "arrow")):
        return None
    return kind, compression


def shown(path: Path | str) -> str:
    r"""Give a path as valid Unicode: bytes of it that are not UTF-8 (names in GBK, say) become ``\udc..`` escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
