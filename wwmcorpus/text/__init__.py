"""Source files in, normalised documents and their sentences out."""

from wwmcorpus.text.clean import Cleaner, CleanOptions
from wwmcorpus.text.han import HAN_BLOCKS, is_han
from wwmcorpus.text.line import TextLine
from wwmcorpus.text.normalise import normalise
from wwmcorpus.text.sentences import sentence_spans, split_lines, split_sentences
from wwmcorpus.text.sources import (
    Slice,
    Source,
    SourceOptions,
    find_sources,
    group_slices,
    plan_slices,
    read_slice,
    read_sources,
    shown,
    source_digest,
)

__all__ = [
    "HAN_BLOCKS",
    "CleanOptions",
    "Cleaner",
    "Slice",
    "Source",
    "SourceOptions",
    "TextLine",
    "find_sources",
    "is_han",
    "normalise",
    "group_slices",
    "plan_slices",
    "read_slice",
    "read_sources",
    "sentence_spans",
    "shown",
    "split_lines",
    "split_sentences",
    "source_digest",
]
