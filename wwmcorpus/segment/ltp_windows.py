"""Pieces of texts in, windows that a model can read out; the words of overlapping windows in, those of the text out.

Pure arithmetic on positions: what decides a word never depends on a clock, a batch or a machine.

A text that fits in one window is one window, as in LTP. A longer text falls into its lines; a line that is still too
long into runs of whole sentences, filled from its beginning; a sentence that is too long is read through overlapping
windows. So the words of a line depend on that line alone, and within a long line never on what follows their run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.text import sentence_spans

#: A batch takes shorter windows for as long as they are padded by no more than this share of its pieces.
_PADDING_SHARE = 0.02


def cut_into_runs(text: str, starts: NDArray[np.int64], window_pieces: int) -> list[tuple[int, int]]:
    """Give [first, end) in pieces of each run: text whose words are found together.

    Args:
        text: The text.
        starts: (num_pieces,) int64, where each piece begins in the text, in code points, never falling.
        window_pieces: How many pieces the model reads at once.

    Returns:
        Runs that follow one another and hold every piece. A run longer than a window is a single sentence.
    """
    if len(starts) <= window_pieces:
        return [(0, len(starts))] if len(starts) else []
    sentences = sentence_spans(text)
    ends = np.searchsorted(starts, [end for _, end in sentences])
    runs: list[tuple[int, int]] = []
    first = filled = 0
    for (_, char_end), end in zip(sentences, ends.tolist(), strict=True):
        if filled > first and end - first > window_pieces:
            runs.append((first, filled))
            first = filled
        filled = end
        if filled > first and (text[char_end - 1] == "\n" or end - first > window_pieces):
            runs.append((first, filled))
            first = filled
    return [*runs, (first, filled)] if filled > first else runs


def cut_into_windows(first: int, end: int, window_pieces: int) -> list[tuple[int, int]]:
    """Give [first, end) in pieces of the windows of one run; neighbours share a quarter of a window.

    ``(0, 1000, 510)`` -> ``[(0, 510), (383, 893), (766, 1000)]``
    """
    shared = window_pieces // 4
    num_windows = max(1, -(-(end - first - shared) // (window_pieces - shared)))
    begins = [first + number * (window_pieces - shared) for number in range(num_windows)]
    return [(begin, min(end, begin + window_pieces)) for begin in begins]


def stitch(windows: Sequence[tuple[int, int]], found: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.bool_], int]:
    """Join what overlapping windows found.

    Two windows meet where both begin a word, as near to the middle of what they share as can be. Where they agree on
    no such place, each piece goes to the window whose centre is nearer. A window's own first piece tells nothing:
    whatever comes first begins a word.

    Args:
        windows: [first, end) of each window, overlapping its neighbours.
        found: For each window, (end - first,) bool: True where a word begins.

    Returns:
        The same for the whole run, and how many pairs of windows agreed on no word.
    """
    joined, conflicts = found[0], 0
    for (_, end), (first, _), begins in zip(windows, windows[1:], found[1:], strict=False):
        num_shared = end - first
        both = np.flatnonzero(joined[-num_shared:][1:] & begins[1:num_shared]) + 1
        middle = num_shared // 2
        meet = int(both[np.argmin(np.abs(both - middle))]) if len(both) else middle
        conflicts += not len(both)
        joined = np.concatenate([joined[: len(joined) - num_shared + meet], begins[meet:]])
    return joined, conflicts


def plan_batches(lengths: Sequence[int], batch_pieces: int, padding_pieces: int) -> list[list[int]]:
    """Give the batches of some windows, as indices: like lengths together, the longest first.

    Args:
        lengths: How long each window is, its special pieces included.
        batch_pieces: How many pieces a batch may hold, padding included; a longer window is a batch by itself.
        padding_pieces: As much padding as costs no more time than a further batch. A batch may always hold it; more
            only where it is at most a fiftieth of the batch.
    """
    batches: list[list[int]] = []
    width = padding = 0
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        padding += width - lengths[index]
        area = width * (len(batches[-1]) + 1) if batches else 0
        if not batches or area > batch_pieces or padding > max(padding_pieces, _PADDING_SHARE * area):
            batches.append([])
            width, padding = lengths[index], 0
        batches[-1].append(index)
    return batches
