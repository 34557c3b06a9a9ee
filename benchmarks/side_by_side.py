"""Works that are compared, run in turns: a busy moment of the machine then hits neighbours alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

Work = Callable[[], object]


def in_turns(works: Mapping[str, Work], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Run each work once to warm up, then all of them ``rounds`` times over.

    Args:
        works: By name. A work may give its own seconds as a float: one that ran in another process.
        rounds: How many runs of each count.
        clock: ``time.process_time`` where everything runs on one thread, for it does not see what else the machine
            does; else ``time.perf_counter``.

    Returns:
        The seconds of each run.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            begin = clock()
            given = work()
            seconds = given if isinstance(given, float) else clock() - begin
            if number:
                times[name].append(seconds)
    return times


def times_as_fast(times: Mapping[str, list[float]], ours: str, theirs: str) -> float:
    """Give how many times as fast ours is: the median over the rounds."""
    return round(statistics.median(b / a for a, b in zip(times[ours], times[theirs], strict=True)), 3)
