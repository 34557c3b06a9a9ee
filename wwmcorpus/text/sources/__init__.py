"""Where text comes from: inputs as a user names them in, documents and located rejections out.

    find_sources -> Source -> plan_slices -> Slice -> read_slice -> Document | Rejection

Everything is read in bounded memory and every document belongs to exactly one slice, so that any number of workers
reads the same documents.

What is left out is a ``Rejection``, and its reason one of these:

- of one document: ``blank``, ``document_too_long``, ``invalid_utf8``, ``lone_surrogate``, ``broken_json``,
  ``no_text_field``, ``text_not_a_string``, ``no_id``, ``unclosed_article``;
- of one line, where the document is kept or there is none: ``invalid_utf8_line``, ``outside_of_article``;
- of all that stands behind a place in a file: ``broken_gzip``, ``broken_zstd``, ``broken_bzip2``, ``broken_xz``,
  ``broken_parquet`` (of one row group), ``broken_arrow``, ``expansion_cap``.
"""

from wwmcorpus.text.sources.files import source_digest
from wwmcorpus.text.sources.find import find_sources
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.read import read_slice, read_sources
from wwmcorpus.text.sources.source import Slice, Source, group_slices, plan_slices, shown

__all__ = [
    "Slice",
    "Source",
    "SourceOptions",
    "find_sources",
    "group_slices",
    "plan_slices",
    "read_slice",
    "read_sources",
    "shown",
    "source_digest",
]
