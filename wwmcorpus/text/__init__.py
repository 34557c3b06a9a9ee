"""Source files in, normalised documents and their sentences out."""

from wwmcorpus.text.han import HAN_BLOCKS, is_han
from wwmcorpus.text.normalise import normalise
from wwmcorpus.text.sentences import sentence_spans
from wwmcorpus.text.sources import Slice, SourceOptions, find_sources, plan_slices, read_slice, read_sources, shown

__all__ = [
    "HAN_BLOCKS",
    "Slice",
    "SourceOptions",
    "find_sources",
    "is_han",
    "normalise",
    "plan_slices",
    "read_slice",
    "read_sources",
    "sentence_spans",
    "shown",
]
