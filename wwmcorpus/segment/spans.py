"""Words to spans: the strings that a segmenter gave become positions in the text that it was given.

Segmenters drop leading spaces, glue inner spaces to words, and keep Latin phrases in one piece. Only the characters
that are not whitespace can be trusted, so spans are counted in those, and every run of whitespace separates words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import WordSpans

# Entry c is chr(c).isspace(); the last, which stands for all that follow, is False.
_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])
_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def replace_lone_surrogates(text: str) -> tuple[str, int]:
    """Give the text with U+FFFD for each half of a surrogate pair, which UTF-8 cannot hold, and how many there were."""
    return _HALF_OF_A_PAIR.subn("\ufffd", text)


def code_points(text: str) -> NDArray[np.uint32]:
    """Give the code points of ``text``, (len(text),) uint32; lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def word_positions(text: str) -> NDArray[np.int32]:
    """Give the positions of the characters that are not whitespace, (n,) int32, rising.

    ``"a 好"`` -> ``[0, 2]``
    """
    return np.flatnonzero(~_is_space(code_points(text))).astype(np.int32)


def _is_space(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Say of each code point whether it is whitespace to ``str.isspace``."""
    return np.asarray(_IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)])


def spans_of_texts(texts: Sequence[str], words: Sequence[Sequence[str]]) -> list[WordSpans]:
    """Give the spans of every text's words: ``spans_from_words`` for many texts at once.

    Args:
        texts: The texts that were segmented.
        words: The words of each, in order.

    Returns:
        One (num_words, 2) int32 array per text.

    Raises:
        AlignmentError: a text's words do not spell it.
    """
    line = "\n".join(texts)
    codes = code_points(line)
    positions = np.flatnonzero(~_is_space(codes))
    flat = list(chain.from_iterable(words))
    spelled = code_points("".join(flat))
    kept = ~_is_space(spelled)
    lengths = np.fromiter(map(len, flat), dtype=np.int64, count=len(flat))
    # How many characters that are not whitespace stand before each word, and before each text's first and last.
    before = np.append(0, np.cumsum(kept)).take(np.append(0, np.cumsum(lengths)))
    num_words = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    ends_of_words = before.take(np.cumsum(num_words))
    text_ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1) - 1
    is_spelled = np.array_equal(ends_of_words, np.searchsorted(positions, text_ends))
    if not is_spelled or not np.array_equal(codes.take(positions), spelled[kept]):
        return [spans_from_words(text, found) for text, found in zip(texts, words, strict=True)]
    begins = before[:-1]
    return spans_of_lines(texts, positions.take(begins[begins < len(positions)]))


def spans_of_cuts(texts: Sequence[str], cuts: Sequence[NDArray[np.int64]]) -> list[WordSpans]:
    """Give the spans of every text's words, for many texts at once, from the places where words begin.

    ``["他 叫汤姆"], [[0, 3]]`` -> ``[[[0, 1], [2, 3], [3, 5]]]``

    Args:
        texts: The texts that were segmented.
        cuts: For each, (n,) int64 in any order, in code points of that text. Its beginning, and every place where
            whitespace ends, need not be among them.

    Returns:
        One (num_words, 2) int32 array per text.
    """
    text_lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    begins = np.cumsum(text_lengths) - text_lengths
    inside = np.concatenate([np.empty(0, np.int64), *cuts])
    inside += np.repeat(begins, np.fromiter(map(len, cuts), dtype=np.int64, count=len(cuts)))
    return _spans_of_joined("".join(texts), text_lengths, inside)


def spans_of_lines(texts: Sequence[str], cuts: NDArray[np.int64]) -> list[WordSpans]:
    """Give the spans of every text's words from where words begin in the texts joined by line ends.

    ``["他 叫汤姆", "来"], [3, 5, 6]`` -> ``[[[0, 1], [2, 3], [3, 5]], [[0, 1]]]``
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    return _spans_of_joined("\n".join(texts), lengths, cuts)


def _spans_of_joined(joined: str, text_lengths: NDArray[np.int64], cuts: NDArray[np.int64]) -> list[WordSpans]:
    """Give the spans of each of the texts that make up a string, from where words begin in that string."""
    begins = np.cumsum(text_lengths) - text_lengths
    spans = _spans_between(code_points(joined), np.append(begins, cuts))
    bounds = np.append(np.searchsorted(spans[:, 0], begins), len(spans))
    spans -= np.repeat(begins, np.diff(bounds))[:, None].astype(np.int32)
    return [spans[begin:end] for begin, end in pairwise(bounds.tolist())]


def _spans_between(codes: NDArray[np.uint32], cuts: NDArray[np.int64]) -> WordSpans:
    """Give the runs of characters that are not whitespace, cut wherever a word begins."""
    inside = ~_is_space(codes)
    cut = np.zeros(len(codes) + 1, dtype=bool)
    cut[cuts] = True
    cut[1:] |= ~np.append(inside, True)[:-1]
    cut[-1] = True
    first = np.flatnonzero(inside & cut[:-1])
    last = np.flatnonzero(inside & (cut[1:] | ~np.append(inside[1:], False)))
    return np.stack([first, last + 1], axis=1).astype(np.int32)


def spans_from_words(text: str, words: Sequence[str]) -> WordSpans:
    """Give the spans of ``words`` in ``text``, split wherever whitespace lies inside a word.

    ``("  他 叫汤姆", ["他 叫", "汤姆"])`` -> ``[[2, 3], [4, 5], [5, 7]]``

    Args:
        text: The text that was segmented.
        words: Its words in order. Whitespace in them, or missing from them, is ignored.

    Returns:
        (num_words, 2) int32, covering every character of ``text`` that is not whitespace.

    Raises:
        AlignmentError: the words do not spell the text.
    """
    positions = word_positions(text)
    spelled = ["".join(word.split()) for word in words]
    if "".join(spelled) != "".join(text.split()):
        raise AlignmentError(
            "the segmenter's words do not spell the text",
            value=_first_difference(spelled, text),
            fix="Report it with this text, or choose another segmenter.",
        )
    lengths = np.array([len(word) for word in spelled if word], dtype=np.int64)
    return spans_from_lengths(positions, lengths)


def spans_from_lengths(positions: NDArray[np.int32], lengths: NDArray[np.int64]) -> WordSpans:
    """Give the spans of words that are ``lengths`` non-space characters long.

    Args:
        positions: (n,) int32, where the non-space characters of the text stand.
        lengths: (num_words,) all positive, summing to n.

    Returns:
        (num_spans, 2) int32; more spans than words where whitespace splits a word.
    """
    if len(positions) == 0:
        return np.empty((0, 2), np.int32)
    starts_word = np.zeros(len(positions), dtype=bool)
    starts_word[0] = True
    starts_word[np.cumsum(lengths)[:-1]] = True
    starts_word[1:] |= np.diff(positions) > 1
    first = np.flatnonzero(starts_word)
    last = np.append(first[1:], len(positions)) - 1
    return np.stack([positions[first], positions[last] + 1], axis=1)


def _first_difference(words: list[str], text: str) -> str:
    spelled, wanted = "".join(words), "".join(text.split())
    at = next(
        (i for i, (a, b) in enumerate(zip(spelled, wanted, strict=False)) if a != b), min(len(spelled), len(wanted))
    )
    around = slice(max(0, at - 5), at + 5)
    return f"...{spelled[around]!r} instead of {wanted[around]!r} at non-space character {at}"
