"""Rows in, the units that are masked whole out: words, runs of words, or single pieces. Pure numpy.

Units cover a row from end to end. A special piece is a unit of its own, and never a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.hashing import draws_of
from wwmcorpus.records import Rows

#: Keeps the draws for the lengths of runs apart from those for choosing (1) and replacing.
_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Units:
    """The units of some rows, in order.

    Attributes:
        first: (num_units,) int64, the first piece of each.
        bounds: (num_rows + 1,) int64; the units of row i are [bounds[i], bounds[i + 1]).
        weights: (num_units,) float64, 0 for units that are never masked; None where all weigh 1.
    """

    first: NDArray[np.int64]
    bounds: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None


def words(rows: Rows) -> Units:
    """Give the groups of ``rows`` as units: words and special pieces.

    Raises:
        CorpusError: a row does not begin with ``word_start``, so that it would share a group with the row before.
    """
    begins = rows.bounds[:-1][rows.lengths > 0]
    if not rows.word_start[begins].all():
        bad = begins[~rows.word_start[begins]][0]
        raise CorpusError(
            "a row does not begin with a group of its own",
            value=int(rows.row_ids[np.searchsorted(rows.bounds, bad, side="right") - 1]),
            where="word_start",
            fix="word_start is True on [CLS].",
        )
    first = np.flatnonzero(rows.word_start)
    return Units(first, np.searchsorted(first, rows.bounds))


def pieces(rows: Rows, groups: Units) -> Units:
    """Give each piece as a unit, with the weight of its word."""
    weights = None
    if groups.weights is not None:
        weights = np.repeat(groups.weights, np.diff(groups.first, append=len(rows.input_ids)))
    return Units(np.arange(len(rows.input_ids)), rows.bounds, weights)


def runs(
    rows: Rows,
    groups: Units,
    keys: NDArray[np.uint64],
    shares: tuple[float, ...],
    budget: NDArray[np.int64] | None,
    is_frame: NDArray[np.bool_],
) -> Units:
    """Cut each row, from its first word on, into runs of words whose lengths are drawn one after another.

    A run ends early at a special piece or at a word that is never masked, and where it would exceed its row's budget;
    a word is never cut. The weight of a run is the mean of those of its words.

    Args:
        rows: The rows.
        groups: Their words and special pieces.
        keys: (num_rows,) uint64, one per row and epoch; draw i is the length of a run that begins with group i.
        shares: Of runs of 1, 2, ... words; they add up to 1.
        budget: (num_rows,) pieces that no run of more than one word may exceed; None for no limit.
        is_frame: (num_groups,) bool, True for special pieces.
    """
    num_groups = len(groups.first)
    closed = is_frame if groups.weights is None else is_frame | (groups.weights == 0)
    stops = np.append(closed, True)
    stops[groups.bounds] = True
    opens = np.flatnonzero(~closed & (np.append(True, closed[:-1]) | stops[:-1]))
    follows = np.minimum(_next_starts(rows, groups, keys, shares, budget), _next_stops(stops))
    starts = closed | _reached(opens, np.where(stops[follows], num_groups, follows))
    begins = np.flatnonzero(starts)
    weights = None
    if groups.weights is not None and num_groups:
        weights = np.add.reduceat(groups.weights, begins) / np.diff(begins, append=num_groups)
    return Units(groups.first[begins], np.searchsorted(begins, groups.bounds), weights)


def _next_starts(
    rows: Rows,
    groups: Units,
    keys: NDArray[np.uint64],
    shares: tuple[float, ...],
    budget: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Give for each group where the next run would begin, if one began here: (num_groups,) int64."""
    numbers = np.diff(groups.bounds)
    draws = draws_of(keys, numbers, _LENGTH)
    here = np.arange(len(draws))
    follows = here + 1
    for bound in np.cumsum(shares[:-1]).tolist():
        follows += draws >= int(bound * 2**32)
    if budget is None:
        return follows
    ends = np.append(groups.first, len(rows.input_ids))
    limits = groups.first + np.repeat(budget, numbers)
    over = np.flatnonzero(ends.take(follows, mode="clip") > limits)
    last = np.searchsorted(ends, limits[over], side="right") - 1
    follows[over] = np.maximum(np.minimum(follows[over], last), over + 1)
    return follows


def _next_stops(stops: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give for each group the first after it where a run must have ended, (num_groups,) int64."""
    at = np.flatnonzero(stops)
    return np.repeat(at[1:], np.diff(at))


def _reached(begins: NDArray[np.int64], follows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark what is met on the ways that lead from ``begins`` by ``follows`` up to the end, ``len(follows)``.

    In leaps of 8 first, from all beginnings at once; then every stop of a leap walks on by single steps.
    """
    end = len(follows)
    step = np.append(follows, end)
    leap = step
    for _ in range(3):
        leap = leap[leap]
    met = [begins]
    while len(met[-1]):
        further = leap[met[-1]]
        met.append(further[further < end])
    walkers, reached = np.concatenate(met), np.zeros(end + 1, dtype=bool)
    for _ in range(8):
        reached[walkers] = True
        walkers = step[walkers]
    return reached[:-1]
