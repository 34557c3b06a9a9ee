"""Lines of a text file in, its documents and located rejections out, each in the slice that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.sources.lines import LineReader
from wwmcorpus.text.sources.make import DocumentMaker
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice

#: The first bytes that a whitespace character of ``str.isspace`` has in UTF-8.
_SPACE_BEGINS = frozenset(b"\t\n\v\f\r\x1c\x1d\x1e\x1f \xc2\xe1\xe2\xe3")

Items = Iterator[Document | Rejection]


def line_documents(lines: LineReader, maker: DocumentMaker, end: int | None) -> Items:
    """Give a document for each line that begins before ``end``; for each of the file where it is None."""
    for offset, run in lines.runs():
        if end is not None and offset >= end:
            return
        yield from maker.of_run(offset, run, lines.bom_bytes, end)
    yield from rejected_end(lines, maker)


def json_documents(lines: LineReader, maker: DocumentMaker, end: int | None) -> Items:
    """Give the document of each row that begins before ``end``."""
    for offset, raw in lines:
        if end is not None and offset >= end:
            return
        yield maker.of_json(offset, raw, lines.bom_bytes)
    yield from rejected_end(lines, maker)


def paragraph_documents(
    lines: LineReader, maker: DocumentMaker, part: Slice, options: SourceOptions, end: int | None
) -> Items:
    """Give a document for each run of lines that are not blank.

    It belongs to the slice in which the last blank line before it begins; the first of the file, to the first.
    """
    block = Block(maker, options, lines)
    owned = part.start == 0
    for offset, raw in lines:
        if isinstance(raw, bytes) and is_blank(raw):
            yield from block.close()
            owned = end is None or offset < end
        elif owned:
            block.add(offset, raw)
        if not owned and end is not None and offset >= end:
            return
    if lines.broken and lines.broken.is_cut:
        yield from rejected_end(lines, maker, block.offset)
        return
    yield from block.close()
    yield from rejected_end(lines, maker)


def rejected_end(lines: LineReader, maker: DocumentMaker, offset: int | None = None) -> Iterator[Rejection]:
    """Give the rejection of what was lost where the lines broke off, at ``offset`` if it began earlier; or nothing."""
    if lines.broken:
        detail = f"{lines.broken.detail}; what stands before was read"
        yield maker.reject(lines.broken.reason, lines.end_offset if offset is None else offset, detail)


class Block:
    """The lines of one document, until it is complete.

    Args:
        maker: Of the slice.
        options: How sources become documents.
        lines: Where the lines come from.

    Attributes:
        offset: Where the document begins; None while there is none.
    """

    def __init__(self, maker: DocumentMaker, options: SourceOptions, lines: LineReader) -> None:
        self._maker, self._options, self._reader = maker, options, lines
        self._limit = options.max_document_bytes + 1  # the line feed behind the last line is counted too
        self.offset: int | None = None
        self._lines: list[tuple[int, bytes]] = []
        self._num_bytes = 0

    def begin(self, offset: int) -> None:
        """Begin a document."""
        self.offset, self._num_bytes = offset, 0
        self._lines.clear()

    def add(self, offset: int, raw: bytes | int) -> None:
        """Add a line; a document that grows too long is only measured from then on."""
        if self.offset is None:
            self.begin(offset)
        self._num_bytes += (raw if isinstance(raw, int) else len(raw)) + 1
        if isinstance(raw, int) or self._num_bytes > self._limit:
            self._lines.clear()
        else:
            self._lines.append((offset, raw))

    def close(self, make: Callable[[int, bytes], Document | Rejection] | None = None) -> Items:
        """Give the document, made of its offset and its joined lines, and a rejection for each line left out of it."""
        offset, self.offset = self.offset, None
        if offset is None:
            return
        if self._num_bytes > self._limit:
            yield self._maker.too_long(offset, self._num_bytes)
            return
        make = make or self._maker.of_line
        whole = make(offset, b"\n".join(raw for _, raw in self._lines))
        if isinstance(whole, Rejection) and whole.reason == "invalid_utf8":
            yield from self._repaired(offset, make)
        else:
            yield whole

    def _repaired(self, offset: int, make: Callable[[int, bytes], Document | Rejection]) -> Items:
        """Look at a document with bad bytes line by line."""
        good: list[bytes] = []
        for line_offset, raw in self._lines:
            text = self._maker.text(line_offset, raw, self._reader.bom_bytes)
            if isinstance(text, str):
                good.append(raw)
            elif self._options.invalid_utf8 == "skip_line":
                yield replace(text, reason="invalid_utf8_line")
            else:
                yield replace(text, offset=offset)
                return
        if good:
            yield make(offset, b"\n".join(good))


def is_blank(raw: bytes) -> bool:
    """Say whether a line holds nothing but whitespace; bad bytes are something."""
    return not raw or (raw[0] in _SPACE_BEGINS and raw.decode("utf-8", "replace").isspace())
