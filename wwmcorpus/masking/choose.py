"""Units in, those that are masked out. Pure numpy; the only loops are over rounds that shrink fast.

Each unit has a priority, 32 bits of chance: the smaller, the sooner it is chosen. Priorities are a pure function of row
and epoch, and equal ones are told apart by position, so that the order in which a row's units are tried depends on
nothing else. The speed comes from trying few: those below a limit that leaves enough in almost every row, and only in
the others the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.masking.base import Masking
from wwmcorpus.masking.units import Units
from wwmcorpus.records import Rows

#: How many times the units that a budget takes on average are tried at first.
_AMPLE = 1.75


def budgets(row_lengths: NDArray[np.int64], masking: Masking) -> NDArray[np.int64] | None:
    """Give the pieces that each row may have masked, (num_rows,): BERT's rounding, and the limit; None without either.

    ``round(60 * 0.15)`` -> 9; halves go to the even number, and every row may have 1.
    """
    if masking.budget == "bernoulli":
        if masking.max_predictions is None:
            return None
        return np.full(len(row_lengths), masking.max_predictions)
    budget: NDArray[np.int64] = np.maximum(1, np.rint(row_lengths * masking.probability).astype(np.int64))
    return budget if masking.max_predictions is None else np.minimum(budget, masking.max_predictions)


def choose(
    rows: Rows,
    units: Units,
    draws: NDArray[np.uint64],
    frame_ids: NDArray[np.int32],
    budget: NDArray[np.int64] | None,
    masking: Masking,
) -> NDArray[np.int64]:
    """Choose units; each row that has a candidate has at least one chosen.

    Args:
        rows: The rows.
        units: Their units.
        draws: (num_units,) uint64, uniform below 2**32.
        frame_ids: Ids of special pieces; units that begin with one are no candidates.
        budget: As ``budgets`` gives it.
        masking: Probability and budget.

    Returns:
        The numbers of the chosen units, int64, rising.
    """
    trial = _Trial.of(rows, units, draws, frame_ids)
    if masking.budget == "bernoulli":
        chosen = trial.candidates(np.flatnonzero(_below(draws, masking.probability, units.weights)))
        chosen = chosen if budget is None else trial.fit(chosen, budget)[0]
    else:
        assert budget is not None
        chosen = _within_budget(trial, budget, masking.probability)
    empty = np.flatnonzero(np.diff(np.searchsorted(chosen, units.bounds)) == 0)
    if len(empty):
        firsts = trial.first_of(empty)
        chosen = np.sort(np.concatenate([chosen, firsts])) if len(firsts) else chosen
    return chosen


def _within_budget(trial: _Trial, budget: NDArray[np.int64], probability: float) -> NDArray[np.int64]:
    """Take units in order of priority while they fit, passing over those that do not."""
    limit = None if trial.units.weights is not None else int(probability * _AMPLE * 2**32)
    if limit is None or limit >= 2**32:
        return trial.fit(trial.candidates(np.arange(len(trial.priorities))), budget)[0]
    chosen, left = trial.fit(trial.candidates(np.flatnonzero(trial.priorities < limit)), budget)
    short = np.flatnonzero(left)
    if len(short):
        rest = trial.units_of(short)
        rest = trial.candidates(rest[trial.priorities[rest] >= limit])
        more, _ = trial.fit(rest, left)
        chosen = np.sort(np.concatenate([chosen, more]))
    return chosen


@dataclass(frozen=True, slots=True)
class _Trial:
    """Units with priorities, and what is asked of them."""

    rows: Rows
    units: Units
    priorities: NDArray[np.uint32] | NDArray[np.uint64]
    frame_ids: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Rows, units: Units, draws: NDArray[np.uint64], frame_ids: NDArray[np.int32]) -> _Trial:
        return cls(rows, units, draws if units.weights is None else waiting_times(draws, units.weights), frame_ids)

    def candidates(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give those of some units that may be masked."""
        ids = self.rows.input_ids.take(self.units.first.take(units))
        may = ~is_frame(ids, self.frame_ids)
        if self.units.weights is not None:
            may &= self.units.weights[units] > 0
        candidates: NDArray[np.int64] = units[may]
        return candidates

    def units_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the units of some rows, in order."""
        begins, ends = self.units.bounds[rows], self.units.bounds[rows + 1]
        return expand(begins, ends - begins)

    def first_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give of each of some rows the candidate that comes first; none of a row without candidates."""
        units = self.candidates(self.units_of(rows))
        counts = np.diff(np.searchsorted(units, self.units.bounds))
        first: NDArray[np.int64] = self._sorted(units, counts)[np.cumsum(counts)[counts > 0] - counts[counts > 0]]
        return first

    def fit(self, units: NDArray[np.int64], budget: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Take some units in order of priority while they fit their row's budget, passing over those that do not.

        Each round takes, in every row at once, the longest run of units that fit. A unit that does not fit what is left
        never will, so the rounds are few.

        Args:
            units: Candidates, rising.
            budget: (num_rows,) pieces.

        Returns:
            The units taken, rising, and what is left of each row's budget.
        """
        counts = np.diff(np.searchsorted(units, self.units.bounds))
        waiting, left, taken = self._sorted(units, counts), budget.copy(), []
        lengths = unit_lengths(self.units, waiting, len(self.rows.input_ids))
        while len(waiting):
            total = np.cumsum(lengths)
            ends = np.cumsum(counts)
            before = np.concatenate([[0], total])[ends - counts]
            fits = total <= np.repeat(before + left, counts)
            num_fitting = np.diff(np.concatenate([[0], np.cumsum(fits)])[np.concatenate([[0], ends])])
            left -= np.concatenate([[0], total])[ends - counts + num_fitting] - before
            taken.append(waiting[fits])
            rest = np.flatnonzero(~fits & (lengths <= np.repeat(left, counts)))
            counts = np.diff(np.searchsorted(rest, np.concatenate([[0], ends])))
            waiting, lengths = waiting[rest], lengths[rest]
        return np.sort(np.concatenate(taken)) if taken else waiting, left

    def _sorted(self, units: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put rising units in order of priority within each row; ``counts`` of them belong to each."""
        row_bits, unit_bits = len(counts).bit_length(), len(self.priorities).bit_length()
        rows = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
        if row_bits + unit_bits > 32:
            return units[np.lexsort((self.priorities[units], rows))]
        keys = (rows << np.uint64(32)) | self.priorities[units]
        keys = np.sort((keys << np.uint64(unit_bits)) | units.view(np.uint64))
        return (keys & np.uint64((1 << unit_bits) - 1)).view(np.int64)


def is_frame(ids: NDArray[np.int32], frame_ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Say which ids are among a few: as ``np.isin``, which is slower where they are few."""
    found: NDArray[np.bool_] = ids == frame_ids[0]
    for frame_id in frame_ids[1:]:
        found |= ids == frame_id
    return found


def unit_lengths(units: Units, which: NDArray[np.int64], num_pieces: int) -> NDArray[np.int64]:
    """Give the pieces of some units, (len(which),) int64."""
    lengths = units.first.take(which + 1, mode="clip") - units.first.take(which)
    if not lengths.all():
        lengths[lengths == 0] = num_pieces - units.first[-1]
    return lengths


def expand(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write ranges out: ``expand([5, 9], [2, 1])`` -> ``[5, 6, 9]``."""
    ends = np.cumsum(lengths)
    return np.repeat(begins - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def waiting_times(draws: NDArray[np.uint64], weights: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Make priorities of uniform draws so that units come in the order of a weighted draw without replacement.

    A unit waits ``-log(u) / weight``, which is the method of Efraimidis and Spirakis (2006). The logarithm is made of
    sums, products and quotients alone, which are the same on every machine; what comes back are the bits of the
    waiting times as floats of 32 bits, which rise with them. Weight 0 waits for ever.
    """
    mantissas, exponents = np.frexp((draws + 0.5) / 2**32)
    step = (mantissas - 1) / (mantissas + 1)
    square, series = step * step, np.zeros(len(draws))
    for odd in range(21, 0, -2):
        series = series * square + 1 / odd
    logarithms = 2 * step * series + exponents * 0.6931471805599453
    with np.errstate(divide="ignore"):
        times: NDArray[np.float64] = -logarithms / weights
    return times.astype(np.float32).view(np.uint32)


def _below(draws: NDArray[np.uint64], probability: float, weights: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    if weights is None:
        return draws < int(probability * 2**32)
    below: NDArray[np.bool_] = draws < np.minimum(weights * probability, 1.0) * 2**32
    return below
