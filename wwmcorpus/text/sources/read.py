"""Slices in, documents and located rejections out: the one place that knows which kind of source is read how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.sources.documents import json_documents, line_documents, paragraph_documents
from wwmcorpus.text.sources.files import StoredFile, open_stored
from wwmcorpus.text.sources.lines import LineReader
from wwmcorpus.text.sources.make import DocumentMaker
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice, Source, as_source
from wwmcorpus.text.sources.tables import arrow_documents, parquet_documents
from wwmcorpus.text.sources.wikiextractor import article_documents, article_rows, holds_rows


def read_slice(part: Slice, options: SourceOptions | None = None) -> Iterator[Document | Rejection]:
    """Give the documents that begin in a slice, in order, and a rejection for each that cannot be read.

    The slices of a source, one after the other, give what the source gives as a whole. Where a file breaks off or is
    damaged, everything before the break is given and then one rejection, located at the break.

    Raises:
        SourceError: the source is gone or cannot be reached, which says nothing about what it holds.
    """
    options = options or SourceOptions()
    maker = DocumentMaker(part, options)
    with open_stored(part.source) as file:
        if part.source.kind == "parquet":
            yield from parquet_documents(file, maker, part, options)
        elif part.source.kind == "arrow":
            yield from arrow_documents(file, maker, options)
        else:
            yield from _text_documents(file, maker, part, options)


def read_sources(
    sources: Iterable[Source | Path | str], options: SourceOptions | None = None
) -> Iterator[Document | Rejection]:
    """Give the documents and rejections of whole sources, or files of this machine, one after the other.

    Raises:
        SourceError: a source is gone or cannot be reached.
    """
    for index, source in enumerate(map(as_source, sources)):
        yield from read_slice(Slice(index, source, 0, source.size_bytes), options)


def _text_documents(
    file: StoredFile, maker: DocumentMaker, part: Slice, options: SourceOptions
) -> Iterator[Document | Rejection]:
    lines = LineReader(file, part, options)
    end = part.end if part.is_splittable else None
    if part.source.kind == "jsonl":
        return json_documents(lines, maker, end)
    if options.document_break == "line":
        return line_documents(lines, maker, end)
    if options.document_break != "wikiextractor":
        return paragraph_documents(lines, maker, part, options, end)
    if holds_rows(part.source, options):
        return article_rows(lines, maker, end)
    return article_documents(lines, maker, part, options, end)
