"""Weights in, which corpus serves each position out: a pure function, in memory that does not grow.

Every corpus takes its positions at even distances, as Bresenham's line takes its steps: the first one from all of them,
the next from those that are left, and so on. So among any n positions each has its share to within fewer rows
than there are corpora.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import ConfigError

#: Weights are rounded to this many parts, so that all arithmetic is exact.
TOTAL_SHARES = 1 << 20


def shares_of(weights: Sequence[float]) -> tuple[int, ...]:
    """Give each weight's part of ``TOTAL_SHARES``, by largest remainders: ``[1, 3]`` -> ``(262144, 786432)``.

    Raises:
        ConfigError: a weight is too small beside the others to get a part.
    """
    exact = np.asarray(weights, dtype=np.float64) / float(np.sum(weights)) * TOTAL_SHARES
    shares = np.floor(exact).astype(np.int64)
    missing = TOTAL_SHARES - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:missing]] += 1
    if (shares == 0).any():
        raise ConfigError(
            "a weight is too small beside the others",
            value=float(weights[int(np.argmin(shares))]),
            where="weights",
            fix=f"Give each corpus at least one part in {TOTAL_SHARES}.",
        )
    return tuple(shares.tolist())


def served(positions: NDArray[np.int64], shares: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Say which corpus serves each position of a mixture, and how many positions it served before.

    Args:
        positions: (n,) int64, each in [0, 2**42).
        shares: Of each corpus, at least 1; their sum is ``TOTAL_SHARES``.

    Returns:
        The corpora, (n,) int64 in [0, len(shares)), and the counts, (n,) int64.
    """
    corpora = np.full(len(positions), len(shares) - 1, dtype=np.int64)
    counts = positions.copy()
    left, waiting = TOTAL_SHARES, np.arange(len(positions))
    for number, share in enumerate(shares[:-1]):
        place = counts[waiting]
        before = place * share // left
        taken = (place + 1) * share // left > before
        corpora[waiting[taken]] = number
        counts[waiting] = np.where(taken, before, place - before)
        waiting = waiting[~taken]
        left -= share
    return corpora, counts
