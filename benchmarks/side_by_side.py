"""Works that are compared, run in turns, and the lines that say how they did.

A busy moment of the machine hits works that run in turns alike: the ratio of two of them is taken round by round, and
the median of those is what a line states.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MAX_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is timed.

    Attributes:
        run: What is timed. It may give its own seconds as a float: one that ran in another process.
        before: What comes before each run and is not timed.
    """

    run: Callable[[], object]
    before: Callable[[], object] = lambda: None


def in_turns(
    works: Mapping[str, Work],
    clock: Callable[[], float],
    seconds: float,
    min_rounds: int = 3,
    warm_up: Callable[[], object] | None = None,
) -> dict[str, list[float]]:
    """Run each work once to warm up, then all of them in turns, round by round.

    Args:
        works: By name.
        clock: ``time.process_time`` where everything runs on one thread, for it does not see what else the machine
            does; else ``time.perf_counter``.
        seconds: Wall time after which no further round begins.
        min_rounds: Rounds that are run all the same.
        warm_up: What is run instead of each work once, where a work takes long.

    Returns:
        The seconds of each run, as many for each work.
    """
    begin = time.perf_counter()
    if warm_up is None:
        for work in works.values():
            work.before()
            work.run()
    else:
        warm_up()
    times: dict[str, list[float]] = {name: [] for name in works}
    num_rounds = 0
    while num_rounds < min_rounds or (num_rounds < _MAX_ROUNDS and time.perf_counter() - begin < seconds):
        for name, work in works.items():
            work.before()
            start = clock()
            given = work.run()
            times[name].append(given if isinstance(given, float) else clock() - start)
        num_rounds += 1
    return times


def clock_of(num_threads: int) -> Callable[[], float]:
    """Give the CPU's clock for one thread, the wall's for more."""
    return time.perf_counter if num_threads > 1 else time.process_time


@dataclass(slots=True)
class Lines:
    """The lines of a result, printed as they come; each says all that its figures depend on.

    Attributes:
        machine: In a few words, such as ``"AMD EPYC, 2 cores"``.
        lines: One mapping for each comparison.
        missing: Parts that could not run, and why; they are printed, and in no file.
    """

    machine: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def head(self) -> None:
        """Print the machine, and the names of the columns."""
        print(f"{self.machine}; MB/s: 10^6 bytes of UTF-8 a second; ratio: median of the rounds, with their range")
        columns = f"{'MB/s':>9}{'beside':>9}{'ratio':>8}  {'range':<13}{'threads':>7}  {'precision':<10}{'load':>5}"
        print(f"{'ours / beside':<70}{'text':<36}{columns}", flush=True)

    def add(self, ours: str, beside: str, times: Mapping[str, Sequence[float]], num_bytes: int, **facts: Any) -> None:
        """Add and print a comparison.

        Args:
            ours: What is measured; a name in ``times``.
            beside: What it is measured beside; a name in ``times``.
            times: The seconds of each run, round by round.
            num_bytes: UTF-8 that each run went through.
            facts: What else the line says: ``text``, ``threads``, ``precision``, and more.
        """
        ratios = [theirs / own for own, theirs in zip(times[ours], times[beside], strict=True)]
        line = {
            "ours": ours,
            "beside": beside,
            **facts,
            "mb_per_second": _median_rate(num_bytes, times[ours]),
            "beside_mb_per_second": _median_rate(num_bytes, times[beside]),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
            "rounds": len(ratios),
            "bytes": num_bytes,
            "machine": self.machine,
            "load": round(os.getloadavg()[0], 2),
        }
        self.lines.append(line)
        least, most = line["ratio_range"]
        name = f"{ours} / {beside}"
        print(
            f"{name[:69]:<70}{facts['text'][:35]:<36}"
            f"{line['mb_per_second']:>9.4g}{line['beside_mb_per_second']:>9.4g}{line['ratio']:>8.3g}"
            f"  {f'{least:.3g}-{most:.3g}':<13}{facts['threads']:>7}  {facts['precision']:<10}{line['load']:>5}"
            + (f"  {facts['words']}" if "words" in facts else ""),
            flush=True,
        )

    def skip(self, part: str, why: str) -> None:
        """Say that a part cannot run here."""
        self.missing.append(f"{part}: {why}")
        print(f"left out: {part}: {why}", flush=True)


def _median_rate(num_bytes: int, times: Sequence[float]) -> float:
    return float(f"{num_bytes / 1e6 / statistics.median(times):.4g}")
