"""Lines of WikiExtractor's files in, one document per article out.

Its blocks begin with ``<doc id="12" url="..." title="...">``, end with ``</doc>`` and hold the title, a blank line and
the text; with ``--json`` it writes rows. In both the text has ``&``, ``<`` and ``>`` escaped as in HTML.
"""

from __future__ import annotations

import re
from functools import partial

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.sources.documents import Block, Items, is_blank, rejected_end
from wwmcorpus.text.sources.files import open_stored
from wwmcorpus.text.sources.lines import LineReader
from wwmcorpus.text.sources.make import DocumentMaker
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice, Source

_BEGIN, _END = b"<doc ", b"</doc>"
_ID = re.compile(rb'\bid="([^"]*)"')


def article_documents(
    lines: LineReader, maker: DocumentMaker, part: Slice, options: SourceOptions, end: int | None
) -> Items:
    """Give the document of each block that begins before ``end``, with its id.

    What stands between two blocks belongs to the slice of the first, and is rejected.
    """
    block = Block(maker, options, lines)
    doc_id = ""
    owned = part.start == 0
    for offset, raw in lines:
        if isinstance(raw, bytes) and raw.startswith(_BEGIN):
            yield from _unclosed(block, maker)
            if end is not None and offset >= end:
                return
            block.begin(offset)
            owned = True
            found = _ID.search(raw)
            doc_id = found[1].decode("utf-8", "replace") if found else ""
        elif block.offset is not None:
            if isinstance(raw, bytes) and raw.strip() == _END:
                yield from block.close(partial(_article, maker, doc_id or None))
            else:
                block.add(offset, raw)
        elif owned and not (isinstance(raw, bytes) and is_blank(raw)):
            yield maker.reject("outside_of_article", offset, "text that stands between no <doc ...> and </doc>")
        elif not owned and end is not None and offset >= end:
            return
    if lines.broken and lines.broken.is_cut:
        yield from rejected_end(lines, maker, block.offset)
        return
    yield from _unclosed(block, maker)
    yield from rejected_end(lines, maker)


def article_rows(lines: LineReader, maker: DocumentMaker, end: int | None) -> Items:
    """Give the document of each row that begins before ``end``."""
    for offset, raw in lines:
        if end is not None and offset >= end:
            return
        yield maker.of_json(offset, raw, lines.bom_bytes, _unescaped)
    yield from rejected_end(lines, maker)


def holds_rows(source: Source, options: SourceOptions) -> bool:
    """Say whether a file holds rows of JSON and no blocks: its beginning tells, whichever slice is to be read."""
    with open_stored(source) as file:
        for _, raw in LineReader(file, Slice(0, source, 0, source.size_bytes), options):
            if isinstance(raw, int) or raw.strip():
                return isinstance(raw, bytes) and raw.lstrip().startswith(b"{")
    return False


def _unclosed(block: Block, maker: DocumentMaker) -> Items:
    if block.offset is not None:
        yield maker.reject("unclosed_article", block.offset, "a <doc ...> without its </doc>")
        block.offset = None


def _article(maker: DocumentMaker, doc_id: str | None, offset: int, raw: bytes) -> Document | Rejection:
    text = maker.text(offset, raw)
    return text if isinstance(text, Rejection) else maker.of_text(offset, _unescaped(text.strip("\n")), doc_id)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
