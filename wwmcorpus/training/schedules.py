"""A step in, the share of the peak learning rate out: pure functions, so that resuming needs no state."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate_scale(
    step: int, num_steps: int, schedule: Schedule = "linear", warmup_fraction: float = 0.1
) -> float:
    """Give the factor of the learning rate for one update.

    The warm-up ends on the peak and its first update is not lost: with 10 steps, 2 of them warm-up, linear gives
    0.5, 1, 1, 0.875, ..., 0.125.

    Args:
        step: Number of the update, counted from 0. In [0, num_steps).
        num_steps: Updates in all.
        schedule: What follows the warm-up.
        warmup_fraction: Share of the updates in which the factor rises in a line. In [0, 1].

    Returns:
        A number in (0, 1].
    """
    num_warmup = round(num_steps * warmup_fraction)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if schedule == "constant":
        return 1.0
    remaining = (num_steps - step) / (num_steps - num_warmup)
    return remaining if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * remaining))
