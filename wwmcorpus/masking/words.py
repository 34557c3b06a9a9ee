"""Rows in, the words to mask out. Pure numpy, no loop over pieces.

A group is what ``cumsum(word_start)`` numbers: a word, or one special piece. Only words are candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.hashing import below, mix
from wwmcorpus.masking.scheme import WholeWordMasking
from wwmcorpus.records import Rows

#: Keeps the draws for choosing words apart from those for replacing pieces.
_CHOICE = 1


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of some rows, in order.

    Attributes:
        of_piece: (num_pieces,) int64, the group of each piece.
        row: (num_groups,) int64, the row of each group.
        length: (num_groups,) int64, its number of pieces.
        index: (num_groups,) int64, its number within its row.
        is_word: (num_groups,) bool, False for special pieces.
    """

    of_piece: NDArray[np.int64]
    row: NDArray[np.int64]
    length: NDArray[np.int64]
    index: NDArray[np.int64]
    is_word: NDArray[np.bool_]


def group_rows(rows: Rows, frame_ids: NDArray[np.int32]) -> Groups:
    """Number the groups of ``rows``; a group that begins with one of ``frame_ids`` is no word.

    Raises:
        CorpusError: a row does not begin with ``word_start``, so that it would share a group with the row before.
    """
    begins = rows.bounds[:-1]
    filled = np.flatnonzero(rows.lengths)
    unmarked = filled[~rows.word_start[begins[filled]]]
    if len(unmarked):
        bad = int(rows.row_ids[unmarked[0]])
        raise CorpusError(
            "a row does not begin with a group of its own",
            value=bad,
            where="word_start",
            fix="word_start is True on [CLS].",
        )
    first = np.flatnonzero(rows.word_start)
    row = np.searchsorted(rows.bounds, first, side="right") - 1
    return Groups(
        of_piece=np.cumsum(rows.word_start) - 1,
        row=row,
        length=np.diff(np.append(first, len(rows.input_ids))),
        index=np.arange(len(first)) - np.searchsorted(first, begins)[row],
        is_word=~np.isin(rows.input_ids[first], frame_ids),
    )


def choose_words(
    groups: Groups, row_lengths: NDArray[np.int64], row_keys: NDArray[np.uint64], masking: WholeWordMasking
) -> NDArray[np.bool_]:
    """Say of each group whether it is masked; a row that has a word has at least one chosen.

    Args:
        groups: The groups of the rows.
        row_lengths: (num_rows,) pieces per row, special pieces counted.
        row_keys: (num_rows,) uint64, one key per row and epoch.
        masking: Probability and budget.

    Returns:
        (num_groups,) bool.
    """
    words = np.flatnonzero(groups.is_word)
    rows = groups.row[words]
    draws = mix(mix(row_keys, _CHOICE)[rows], groups.index[words])
    order = np.lexsort((draws, rows))
    words, rows, draws = words[order], rows[order], draws[order]
    if masking.budget == "bernoulli":
        taken = below(draws, masking.probability)
    else:
        budget = np.maximum(1, np.rint(row_lengths * masking.probability).astype(np.int64))
        taken = _fill(rows, groups.length[words], budget)
    chosen = np.zeros(len(groups.row), dtype=bool)
    chosen[words[taken | _first_of_empty_rows(rows, taken, len(row_lengths))]] = True
    return chosen


def _fill(rows: NDArray[np.int64], lengths: NDArray[np.int64], budget: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Take words in order while they fit their row's budget, passing over those that do not.

    Each round takes, in every row at once, the longest run of words that fit; a word that does not fit what is left
    never will, so the rounds are few.
    """
    left = budget.copy()
    taken = np.zeros(len(rows), dtype=bool)
    waiting = np.arange(len(rows))
    while len(waiting := waiting[lengths[waiting] <= left[rows[waiting]]]):
        row, length = rows[waiting], lengths[waiting]
        total = np.cumsum(length)
        row_begins = np.flatnonzero(np.diff(row, prepend=-1))
        before = np.repeat((total - length)[row_begins], np.diff(np.append(row_begins, len(row))))
        fits = total - before <= left[row]
        taken[waiting[fits]] = True
        left -= np.bincount(row[fits], weights=length[fits], minlength=len(left)).astype(np.int64)
        waiting = waiting[~fits]
    return taken


def _first_of_empty_rows(rows: NDArray[np.int64], taken: NDArray[np.bool_], num_rows: int) -> NDArray[np.bool_]:
    """Mark the first word, in drawing order, of each row of which none was taken."""
    has: NDArray[np.bool_] = np.bincount(rows[taken], minlength=num_rows) > 0
    first: NDArray[np.bool_] = np.diff(rows, prepend=-1) != 0
    return first & ~has[rows]
