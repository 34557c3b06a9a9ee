r"""Files in, documents and located rejections out.

Sources are read as bytes in bounded memory and split on ``"\n"`` only: ``str.splitlines`` would also cut at U+2028,
U+0085 and others that stand inside real text. A large plain file is read in slices [start, end) of its bytes, and each
document belongs to exactly one slice, so that any number of workers reads the same documents.
"""

from __future__ import annotations

import glob
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.errors import SourceError
from wwmcorpus.records import Document, Rejection

SUFFIXES = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")
_BOM = b"\xef\xbb\xbf"


class SourceOptions(Config):
    """How bytes become documents."""

    #: "line": each line of a .txt file is a document. "blank_line": blank lines separate documents.
    document_break: Literal["line", "blank_line"] = "line"
    #: Name of the field that holds the text of a .jsonl row: a string, or its words in a list, which become one string
    #: with a space between words, as the segmenter "given" reads them.
    text_field: str = "text"
    #: What becomes of a line that is not UTF-8: its document is rejected, or bad bytes become U+FFFD.
    invalid_utf8: Literal["reject", "replace"] = "reject"
    #: A longer document is skipped as it streams by and counted. Bytes.
    max_document_bytes: int = Field(default=16 * 1024 * 1024, ge=1)


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes [start, end) of one source; a compressed source is always one slice, counted in compressed bytes."""

    source_index: int
    path: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """The file's name without its folder: the same on every machine."""
        return shown(Path(self.path).name)

    @property
    def is_compressed(self) -> bool:
        """Whether its bytes can only be read from the file's beginning."""
        return _suffix(Path(self.path)).endswith(".gz")


def shown(path: Path | str) -> str:
    r"""Give a path as valid Unicode: bytes of it that are not UTF-8 (names in GBK, say) become ``\udc..`` escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def find_sources(inputs: Iterable[str]) -> list[Path]:
    """Give the files behind files, folders (searched recursively) and glob patterns, each group in sorted order.

    Raises:
        SourceError: an input is absent, has an unknown ending, or is a folder without any readable file.
    """
    found: list[Path] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and _suffix(file))
            problem = "a folder holds no readable file"
        elif path.exists():
            files = [path] if _suffix(path) else []
            problem = "a file has an ending that cannot be read"
        else:
            files = sorted(Path(match) for match in glob.glob(item, recursive=True) if _suffix(Path(match)))
            problem = "no such file"
        if not files:
            raise SourceError(problem, value=item, fix=f"Readable endings: {', '.join(SUFFIXES)}.")
        found.extend(files)
    if not found:
        raise SourceError("no input was given", fix="Name at least one file, folder or glob pattern.")
    return found


def plan_slices(paths: Iterable[Path], slice_bytes: int) -> list[Slice]:
    """Cut plain files into slices of ``slice_bytes``; compressed and empty files are one slice each."""
    slices: list[Slice] = []
    for index, path in enumerate(paths):
        size = path.stat().st_size
        step = max(size, 1) if _suffix(path).endswith(".gz") else slice_bytes
        for start in range(0, max(size, 1), step):
            slices.append(Slice(index, str(path), start, min(start + step, size)))
    return slices


def read_slice(part: Slice, options: SourceOptions) -> Iterator[Document | Rejection]:
    """Give the documents that begin in a slice, in order, and a rejection for each that cannot be read.

    A compressed stream that breaks off gives the documents before the break and one rejection at the break.
    """
    reader = _Reader(part, options)
    suffix = _suffix(Path(part.path))
    opener = gzip.open if part.is_compressed else open
    with opener(part.path, "rb") as stream:
        lines = reader.lines(stream)  # type: ignore[arg-type]
        if suffix.startswith(".jsonl"):
            yield from reader.json_documents(lines)
        elif options.document_break == "line":
            yield from reader.line_documents(lines)
        else:
            yield from reader.paragraph_documents(lines)


def read_sources(paths: Iterable[Path], options: SourceOptions | None = None) -> Iterator[Document | Rejection]:
    """Give the documents and rejections of whole files, one file after the other."""
    for part in plan_slices(paths, slice_bytes=1 << 62):
        yield from read_slice(part, options or SourceOptions())


@dataclass(frozen=True, slots=True)
class _Line:
    """One line without byte order mark and end; ``rejection`` stands where its bytes could not be had."""

    offset: int
    raw: bytes = b""
    bom_bytes: int = 0
    rejection: Rejection | None = None


class _Reader:
    """Turns the lines of one slice into documents."""

    def __init__(self, part: Slice, options: SourceOptions) -> None:
        self.part, self.options = part, options

    def lines(self, stream: BinaryIO) -> Iterator[_Line]:
        """Give every line from the slice's first line start to the file's end; callers stop when they own no more."""
        offset = self._seek_first_line(stream)
        limit = self.options.max_document_bytes
        while True:
            try:
                raw = stream.readline(limit + len(_BOM + b"\r\n"))
                bom_bytes = len(_BOM) if offset == 0 and raw.startswith(_BOM) else 0
                line = raw[bom_bytes:].removesuffix(b"\n").removesuffix(b"\r")
                if len(line) > limit:
                    size = len(raw) if raw.endswith(b"\n") else len(raw) + _skip_line(stream)
                    yield _Line(offset, rejection=self.too_long(offset, size))
                    offset += size
                    continue
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                detail = f"broken at byte {offset} or soon after: {error}; what stands before it was read"
                yield _Line(offset, rejection=self.reject("broken_gzip", offset, detail))
                return
            if not raw:
                return
            yield _Line(offset, line, bom_bytes)
            offset += len(raw)

    def _seek_first_line(self, stream: BinaryIO) -> int:
        if self.part.start == 0:
            return 0
        stream.seek(self.part.start - 1)
        return self.part.start - 1 + _skip_line(stream)

    def owns(self, offset: int) -> bool:
        """Say whether what begins at ``offset`` belongs to this slice."""
        return self.part.is_compressed or offset < self.part.end

    def line_documents(self, lines: Iterator[_Line]) -> Iterator[Document | Rejection]:
        for line in lines:
            if not self.owns(line.offset):
                return
            yield self.join([line])

    def json_documents(self, lines: Iterator[_Line]) -> Iterator[Document | Rejection]:
        for line in lines:
            if not self.owns(line.offset):
                return
            yield self.json_document(line)

    def paragraph_documents(self, lines: Iterator[_Line]) -> Iterator[Document | Rejection]:
        """A document belongs to the slice in which the last blank line before it begins; the first, to the first."""
        block: list[_Line] = []
        size = 0
        owned = self.part.start == 0
        for line in lines:
            if line.rejection is None and _is_blank(line.raw):
                if block:
                    yield self.join(block)
                block, size = [], 0
                owned = self.owns(line.offset)
            elif owned:
                block.append(line)
                size += len(line.raw) + len(b"\n")
                if size > self.options.max_document_bytes + len(b"\n"):
                    block = [_Line(block[0].offset, rejection=self.too_long(block[0].offset, size))]
            if not owned and not self.owns(line.offset):
                return
        if block:
            yield self.join(block)

    def join(self, block: list[_Line]) -> Document | Rejection:
        """Make one document of the lines of a block; a line that cannot be read costs the whole document."""
        texts = []
        for line in block:
            text = self.text(line)
            if isinstance(text, Rejection):
                return replace(text, offset_bytes=block[0].offset)
            texts.append(text)
        return self.document(block[0].offset, "\n".join(texts))

    def text(self, line: _Line) -> str | Rejection:
        if line.rejection is not None:
            return line.rejection
        try:
            return line.raw.decode("utf-8", "strict" if self.options.invalid_utf8 == "reject" else "replace")
        except UnicodeDecodeError as error:
            place = line.offset + line.bom_bytes + error.start
            return self.reject("invalid_utf8", line.offset, f"byte {place}: {error.reason}")

    def json_document(self, line: _Line) -> Document | Rejection:
        text = self.text(line)
        if isinstance(text, Rejection):
            return text
        if not text.strip():
            return self.reject("blank", line.offset, "a line without a row")
        field = self.options.text_field
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            return self.reject("broken_json", line.offset, str(error))
        if not isinstance(row, dict) or field not in row:
            found = sorted(row)[:8] if isinstance(row, dict) else type(row).__name__
            return self.reject("no_text_field", line.offset, f"no field {field!r}; found {found}")
        value = _spaced(row[field])
        if not isinstance(value, str):
            return self.reject("text_not_a_string", line.offset, f"field {field!r} holds {type(value).__name__}")
        return self.document(line.offset, value)

    def document(self, offset: int, text: str) -> Document | Rejection:
        if not text or text.isspace():
            return self.reject("blank", offset, "no characters but whitespace")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            return self.reject("lone_surrogate", offset, f"character {error.start} is half of a surrogate pair")
        return Document(text, self.part.source_index, self.part.name, offset)

    def too_long(self, offset: int, size: int) -> Rejection:
        detail = f"{size} bytes or more, at most {self.options.max_document_bytes} allowed"
        return self.reject("document_too_long", offset, detail)

    def reject(self, reason: str, offset: int, detail: str) -> Rejection:
        return Rejection(reason, self.part.name, offset, detail)


def _spaced(value: object) -> object:
    """Put a space between the words of a list; give whatever is no list of strings as it is."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return " ".join(value)
    return value


def _is_blank(raw: bytes) -> bool:
    head = raw[:4].decode("utf-8", "ignore")  # the first character is enough to tell for all but a few lines
    return not head.strip() and not raw.decode("utf-8", "replace").strip()


def _skip_line(stream: BinaryIO, chunk_bytes: int = 1 << 20) -> int:
    """Read to the end of the line, a chunk at a time, and give the number of bytes passed."""
    passed = 0
    while True:
        chunk = stream.readline(chunk_bytes)
        passed += len(chunk)
        if not chunk or chunk.endswith(b"\n"):
            return passed


def _suffix(path: Path) -> str:
    """Give the readable ending of a path, or an empty string."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), "")
