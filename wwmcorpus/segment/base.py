"""The Segmenter protocol: texts in, word spans out.

A segmenter finds words and nothing else. Whatever it does inside, its spans obey law 1: they cover every character
that is not ``str.isspace``, once, in order, and no word contains whitespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from wwmcorpus.records import WordSpans


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
