"""Words and pieces put together the slow way, from the definition: what the tests compare the aligner with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def touched_words(offsets: Iterable[Span], spans: Sequence[Span]) -> list[set[int]]:
    """For each piece the set of words that hold a character of it, or that it lies inside of."""
    return [{i for i, (a, b) in enumerate(spans) if a < end and start < b} for start, end in offsets]


def naive_word_starts(offsets: Sequence[Span], spans: Sequence[Span]) -> list[bool]:
    """Say of each piece whether a group begins with it; offsets rise.

    No group begins between pieces of one word, nor between neighbours that both hold no character of a word and have
    the same words before them.
    """
    touched = touched_words(offsets, spans)
    num_before = [sum(b <= start for _, b in spans) for start, _ in offsets]
    return [
        not any(touched[i] & touched[j] for i in range(at) for j in range(at, len(touched)))
        and not (at and not touched[at - 1] and not touched[at] and num_before[at - 1] == num_before[at])
        for at in range(len(touched))
    ]
