"""Word spans and piece offsets of many texts in, ``word_start`` and counts out. Pure numpy.

All texts lie on one line of code points, one after the other, so that every step below is done for all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.wordpiece import LinePieces
from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import WordSpans
from wwmcorpus.text.line import SPACE, TextLine


@dataclass(frozen=True, slots=True)
class WordsOnLine:
    """The words of all texts of a line.

    Attributes:
        starts: (num_words,) int32, where each begins on the line.
        ends: (num_words,) int32, where it ends.
        begun: (n + 1,) int32, how many words begin before each position of the line.
        ended: (n + 1,) int32, how many words end at or before each position.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    begun: NDArray[np.int32]
    ended: NDArray[np.int32]

    @classmethod
    def of(cls, spans: WordSpans, line: TextLine) -> WordsOnLine:
        """Look at words that lie on the line: (num_words, 2) int32, positions on it.

        Raises:
            AlignmentError: words of a text do not cover every character that is not whitespace once, in order.
        """
        starts, ends = np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1])
        num_positions = len(line.codes) + 1
        is_fit = starts < ends
        is_fit[1:] &= starts[1:] >= ends[:-1]
        if len(starts):
            is_fit[0] &= starts[0] >= 0
            is_fit[-1] &= ends[-1] < num_positions
        if not is_fit.all():
            raise _other_text(line.text_at(max(int(starts[np.argmin(is_fit)]), 0)))
        begun, ended = _num_by_position(starts + 1, num_positions), _num_by_position(ends, num_positions)
        is_wrong = (begun[1:] != ended[:-1]) == (line.kinds == SPACE)
        if is_wrong.any():
            raise _other_text(line.text_at(int(np.argmax(is_wrong))))
        return cls(starts, ends, begun, ended)


def _num_by_position(marks: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Give how many of some distinct marks lie at or before each position, (length,) int32."""
    marked = np.zeros(length, dtype=bool)
    marked[marks] = True
    return np.cumsum(marked, dtype=np.int32)


def _other_text(number: int) -> AlignmentError:
    return AlignmentError(
        "word spans that are not those of their text",
        where=f"text {number} of its batch",
        fix="They must cover all but whitespace, in order: segmenter and tokenizer must read the same normalised text.",
    )


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which words the pieces hold.

    Attributes:
        word_start: (num_pieces,) bool, True where a group begins: a word, or several that share a piece, or whitespace.
        num_words_held: Words that lie in some group; the others have no pieces.
        num_word_groups: Groups that hold a word; the others are whitespace.
        num_one_to_one: Groups of one word.
    """

    word_start: NDArray[np.bool_]
    num_words_held: int
    num_word_groups: int
    num_one_to_one: int


def align_words(pieces: LinePieces, words: WordsOnLine) -> Alignment:
    """Say of each piece whether a group begins with it: what masking will see, whole or not at all.

    offsets [[0, 1], [1, 2], [2, 3]], spans [[0, 2], [2, 3]], one text -> word_start [True, False, True]

    A piece belongs to the words that hold its characters, whitespace aside: ``Ġhello`` to hello. Words that share a
    piece become one group (20|24 against the piece 2024), so that a piece is never masked in part. Pieces without any
    character of a word are groups of their own, one between two words, so that whitespace never joins a word.

    Args:
        pieces: Of the texts of the line. A piece may hold no character (start = end), and several the same one.
        words: Of the same texts.

    Returns:
        The alignment.

    Source:
        Cui et al., arXiv:1906.08101. Unlike the published reference script, positions are kept instead of being
        matched again as a set of words.
    """
    if len(pieces.piece_ids) == 0:
        return Alignment(np.empty(0, dtype=bool), 0, 0, 0)
    # A piece holds the words [first, last]; where it holds none, first = last + 1 is the word that comes next.
    first = words.ended.take(pieces.starts)
    last = words.begun.take(pieces.ends) - 1
    is_blank = first > last
    continues_blank = is_blank[1:] & is_blank[:-1] & (first[1:] == first[:-1])
    # Offsets rise as a rule. Where they do not, whatever lies between two pieces of one word joins it.
    if (first[1:] < first[:-1]).any():
        first = np.minimum.accumulate(first[::-1])[::-1]
    if (last[1:] < last[:-1]).any():
        last = np.maximum.accumulate(last)
    starts = np.empty(len(first), dtype=bool)
    starts[1:] = (first[1:] > last[:-1]) & ~continues_blank
    starts[pieces.bounds[:-1][np.diff(pieces.bounds) > 0]] = True
    begins = np.flatnonzero(starts)
    ends = np.append(begins[1:], len(starts)) - 1
    num_words = last.take(ends) - first.take(begins) + 1
    return Alignment(
        starts, int(num_words.sum()), int(np.count_nonzero(num_words)), int(np.count_nonzero(num_words == 1))
    )
