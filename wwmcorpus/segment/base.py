"""The Segmenter protocol: texts in, word spans out.

A segmenter finds words and nothing else. Whatever it does inside, its spans obey law 1: they cover every character
that is not ``str.isspace``, once, in order, and no word contains whitespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from wwmcorpus.records import WordSpans
from wwmcorpus.text.line import TextLine


@runtime_checkable
class Segmenter(Protocol):
    """Anything that finds the words of Chinese text."""

    @property
    def signature(self) -> str:
        """Name, version and a hash of whatever decides the words: ``"ltp-perceptron:embedded@1a2b3c4d"``."""
        ...

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give the word spans of each text.

        Returns:
            One (num_words, 2) int32 array per text: [start, end) in code points of that very string.

        Raises:
            AlignmentError: the words found are not the text's.
        """
        ...


@runtime_checkable
class LineSegmenter(Segmenter, Protocol):
    """A segmenter that reads many texts at once, without making an array for each."""

    def segment_line(self, line: TextLine) -> WordSpans:
        """Give the words of all texts of a line, in order: (num_words, 2) int32, positions on the line.

        Raises:
            AlignmentError: the words found are not the text's.
        """
        ...


def segment_line(segmenter: Segmenter, line: TextLine) -> WordSpans:
    """Give the words of all texts of a line with any segmenter: (num_words, 2) int32, positions on the line.

    Raises:
        AlignmentError: the words found are not the text's.
    """
    if isinstance(segmenter, LineSegmenter):
        return segmenter.segment_line(line)
    return line.place(segmenter.segment(line.texts))
