"""Word spans and piece offsets of many texts in, ``word_start`` and counts out. Pure numpy.

All texts lie on one line of code points, one after the other, so that every step below is done for all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import AlignmentError


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which words the pieces hold.

    Attributes:
        word_start: (num_pieces,) bool, True where a word begins.
        has_piece: (num_words,) bool, False for words of which no piece holds a character.
        num_one_to_one: Words that share their pieces with no other word.
    """

    word_start: NDArray[np.bool_]
    has_piece: NDArray[np.bool_]
    num_one_to_one: int


def align_words(
    offsets: NDArray[np.int32],
    spans: NDArray[np.int32],
    piece_bounds: NDArray[np.int64],
    word_bounds: NDArray[np.int64],
) -> Alignment:
    """Say of each piece whether a word begins with it.

    offsets [[0, 1], [1, 2], [2, 3]], spans [[0, 2], [2, 3]], one text -> word_start [True, False, True]

    Words that share a piece become one word (20|24 against the piece 2024), so that a piece is never masked in part.

    Args:
        offsets: (num_pieces, 2) int32, [start, end) on the common line, in order.
        spans: (num_words, 2) int32, [start, end) on the common line, sorted and disjoint, covering every character
            that is not whitespace.
        piece_bounds: (num_texts + 1,) int64, the pieces of text i are [piece_bounds[i], piece_bounds[i + 1]).
        word_bounds: (num_texts + 1,) int64, the same for words.

    Returns:
        The alignment.

    Raises:
        AlignmentError: a piece lies outside the words of its text: spans and offsets belong to two different texts.

    Source:
        Cui et al., arXiv:1906.08101. Unlike the published reference script, positions are kept instead of being
        matched again as a set of words.
    """
    if len(offsets) == 0:
        return Alignment(np.empty(0, dtype=bool), np.zeros(len(spans), dtype=bool), 0)
    ends = np.maximum(offsets[:, 1] - 1, offsets[:, 0])
    word_at = _words_by_position(max(int(ends.max()), int(spans[-1, 0]) if len(spans) else 0) + 1, spans)
    first, last = word_at[offsets[:, 0]], word_at[ends]
    _check_texts(first, ends, spans, piece_bounds, word_bounds)
    last = np.maximum.accumulate(last)
    starts = np.empty(len(offsets), dtype=bool)
    starts[0] = True
    starts[1:] = first[1:] > last[:-1]
    has_piece = _words_held(first, last, len(spans))
    held = np.append(0, np.cumsum(has_piece))
    group_begins = np.flatnonzero(starts)
    group_ends = np.append(group_begins[1:], len(starts)) - 1
    words_of_group = held[last[group_ends] + 1] - held[first[group_begins]]
    return Alignment(starts, has_piece, int(np.count_nonzero(words_of_group == 1)))


def _words_by_position(length: int, spans: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the word at each position, -1 before the first; whitespace belongs to the word before it."""
    begins = np.zeros(length, dtype=bool)
    begins[spans[:, 0]] = True
    return np.cumsum(begins, dtype=np.int32) - np.int32(1)


def _words_held(first: NDArray[np.int32], last: NDArray[np.int32], num_words: int) -> NDArray[np.bool_]:
    """Say of each word whether it is in the range [first, last] of some piece."""
    held = np.zeros(num_words, dtype=bool)
    held[first] = True
    held[last] = True
    for piece in np.flatnonzero(last - first > 1).tolist():
        held[first[piece] : last[piece]] = True
    return held


def _check_texts(
    first: NDArray[np.int32],
    ends: NDArray[np.int32],
    spans: NDArray[np.int32],
    piece_bounds: NDArray[np.int64],
    word_bounds: NDArray[np.int64],
) -> None:
    """Check that the pieces of each text lie between its first and its last word."""
    texts = np.flatnonzero(np.diff(piece_bounds))
    begins = piece_bounds[texts]
    low, high = word_bounds[texts], word_bounds[texts + 1]
    last_ends = np.append(0, spans[:, 1])[high]
    outside = (low == high) | (first[begins] < low) | (np.maximum.reduceat(ends, begins) >= last_ends)
    if not outside.any():
        return
    text = int(np.flatnonzero(outside)[0])
    words = spans[low[text] : high[text]]
    shown = f"[{words[0, 0]}, {words[-1, 1]})" if len(words) else "none"
    raise AlignmentError(
        f"the pieces of a text lie outside its words: {shown}",
        value=int(texts[text]),
        where="number of the text in its batch",
        fix="Segmenter and tokenizer must read the same normalised text.",
    )
