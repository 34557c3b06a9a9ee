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
from wwmcorpus.text.line import ends_of
from wwmcorpus.text.spaces import SPACES

# Entry c is chr(c).isspace(); the last, which stands for all that follow, is False.
_IS_SPACE = np.isin(np.arange(SPACES[-1] + 2), SPACES)
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
    codes = code_points("\n".join(texts))
    inside = ~_is_space(codes)
    text_ends = ends_of(texts)
    cuts = cuts_of_words(codes, inside, text_ends, words)
    if cuts is None:
        return [spans_from_words(text, found) for text, found in zip(texts, words, strict=True)]
    return _by_text(spans_between(inside, np.append(text_ends[:-1] + 1, cuts)), text_ends)


def cuts_of_words(
    codes: NDArray[np.uint32], inside: NDArray[np.bool_], text_ends: NDArray[np.int64], words: Sequence[Sequence[str]]
) -> NDArray[np.int64] | None:
    """Give where words begin in texts that lie one after the other, a line end behind each but perhaps the last.

    Args:
        codes: The code points of the texts.
        inside: Which of them are not whitespace.
        text_ends: Where each text ends.
        words: The words of each, in order.

    Returns:
        Rising positions, int64; or None where the words of some text do not spell it.
    """
    flat = list(chain.from_iterable(words))
    positions = np.flatnonzero(inside)
    spelled = code_points("".join(flat))
    behind = np.cumsum(np.fromiter(map(len, flat), dtype=np.int64, count=len(flat)))
    kept = ~_is_space(spelled)
    # How many characters that are not whitespace stand before each word.
    before = np.append(0, behind) if kept.all() else np.append(0, np.cumsum(kept)).take(np.append(0, behind))
    ends_of_words = before.take(np.cumsum(np.fromiter(map(len, words), dtype=np.int64, count=len(words))))
    if not np.array_equal(ends_of_words, np.searchsorted(positions, text_ends)):
        return None
    if not np.array_equal(codes.take(positions), spelled if len(spelled) == len(positions) else spelled[kept]):
        return None
    begins = before[:-1]
    return positions.take(begins[begins < len(positions)])


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
    ends = ends_of(texts)
    inside = np.concatenate([np.empty(0, np.int64), *cuts])
    begins = np.append(0, ends[:-1] + 1)[: len(texts)]
    inside += np.repeat(begins, np.fromiter(map(len, cuts), dtype=np.int64, count=len(cuts)))
    return spans_of_lines("\n".join(texts), ends, inside)


def spans_of_lines(joined: str, text_ends: NDArray[np.int64], cuts: NDArray[np.int64]) -> list[WordSpans]:
    r"""Give the spans of every text's words from where words begin in the texts joined by line ends.

    ``"他 叫汤姆\n来", [5, 7], [3, 6]`` -> ``[[[0, 1], [2, 3], [3, 5]], [[0, 1]]]``
    """
    return _by_text(spans_between(~_is_space(code_points(joined)), cuts), text_ends)


def spans_between(inside: NDArray[np.bool_], cuts: NDArray[np.int64]) -> WordSpans:
    """Give the runs of characters that are ``inside``, cut wherever a word begins: (num_words, 2) int32."""
    cut = np.zeros(len(inside) + 1, dtype=bool)
    cut[cuts] = True
    cut[1:] |= ~np.append(inside, True)[:-1]
    cut[-1] = True
    cut[:1] = True
    # Column by column: whoever reads begins does not read ends.
    spans = np.empty((2, np.count_nonzero(begins := inside & cut[:-1])), dtype=np.int32)
    spans[0] = np.flatnonzero(begins)
    spans[1] = np.flatnonzero(inside & (cut[1:] | ~np.append(inside[1:], False)))
    spans[1] += 1
    return spans.T


def _by_text(spans: WordSpans, text_ends: NDArray[np.int64]) -> list[WordSpans]:
    """Part the spans of texts that lie one after the other, each counted from its text's beginning."""
    bounds = np.append(0, np.searchsorted(spans[:, 0], text_ends))
    begins = np.append(0, text_ends[:-1] + 1)[: len(text_ends)]
    spans = spans - np.repeat(begins, np.diff(bounds))[:, None].astype(np.int32)
    return [spans[begin:end] for begin, end in pairwise(bounds.tolist())]


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
