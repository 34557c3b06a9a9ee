"""Texts in, one line of code points out, on which all of them are dealt with at once."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import WordSpans, bounds_of
from wwmcorpus.text.han import HAN_BLOCKS
from wwmcorpus.text.spaces import SPACES

#: Kinds of characters.
OTHER, HAN, SPACE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TextLine:
    r"""Texts one after the other, each followed by a line break: ``["他", "ab"]`` -> ``"他\nab\n"``, begins ``[0, 2]``.

    Attributes:
        texts: One by one.
        text: All of them.
        codes: (n,) uint32, its code points.
        kinds: (n,) uint8, ``HAN``, ``SPACE`` (to ``str.isspace``) or ``OTHER``.
        begins: (num_texts,) int32, where each text begins.
    """

    texts: Sequence[str]
    text: str
    codes: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    begins: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[str]) -> TextLine:
        """Lay texts on a line.

        Raises:
            AlignmentError: a text holds half of a surrogate pair, which no tokenizer reads.
        """
        begins = np.append(0, ends_of(texts) + 1)[: len(texts)].astype(np.int32)
        text = "\n".join([*texts, ""])
        try:
            codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        except UnicodeEncodeError as error:
            raise AlignmentError(
                "half of a surrogate pair in a text",
                value=text[error.start],
                where=f"text {_text_at(begins, error.start)} of its batch",
                fix="Decode the source as UTF-8, which has no such characters.",
            ) from None
        return cls(texts, text, codes, _kinds().take(codes), begins)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each text ends, (num_texts,) int64: the place of the line break behind it."""
        return np.append(self.begins, len(self.codes))[1:] - 1

    def place(self, spans: Sequence[WordSpans]) -> WordSpans:
        """Give, for the spans of each text, where they lie on the line: (num_spans, 2) int32."""
        flat = np.concatenate([np.empty((0, 2), dtype=np.int32), *spans])
        return flat + self.shifts(bounds_of(np.fromiter(map(len, spans), dtype=np.int64, count=len(spans))))[:, None]

    def shifts(self, bounds: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give, for things counted by text, where the text of each begins.

        Args:
            bounds: (num_texts + 1,) int64; the things of text i are [bounds[i], bounds[i + 1]).

        Returns:
            (bounds[-1],) int32: add it to positions in a text, subtract it from positions on the line.
        """
        return np.repeat(self.begins, np.diff(bounds))

    def text_at(self, position: int) -> int:
        """Give the number of the text that holds a position of the line."""
        return _text_at(self.begins, position)


def ends_of(texts: Sequence[str]) -> NDArray[np.int64]:
    """Give where each of some texts ends when they are joined by line breaks: ``["他", "ab"]`` -> ``[1, 4]``, int64."""
    return np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1) - 1


def _text_at(begins: NDArray[np.int32], position: int) -> int:
    return int(np.searchsorted(begins, position, side="right")) - 1


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    """Give the kind of every code point, (0x110000,) uint8."""
    kinds = np.full(sys.maxunicode + 1, OTHER, dtype=np.uint8)
    for first, last in HAN_BLOCKS:
        kinds[first : last + 1] = HAN
    kinds[list(SPACES)] = SPACE
    return kinds
