"""What the benchmarks share: timing, the machine, and the result file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def seconds(work: Callable[[], object], repeats: int = 5, warm_up: int = 1) -> list[float]:
    """Give the wall seconds of each of ``repeats`` runs, after ``warm_up`` runs that do not count."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def rate(num_bytes: int, times: list[float]) -> dict[str, Any]:
    """Give MB (10**6 bytes) per second: the median, and every run."""
    rates = [num_bytes / 1e6 / run for run in times]
    return {"mb_per_second": round(statistics.median(rates), 3), "runs": [round(value, 3) for value in rates]}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Give mean and sample deviation of what seeds gave; of one value there is no deviation."""
    return {"mean": statistics.mean(values), "deviation": statistics.stdev(values) if len(values) > 1 else None}


def shown(value: Mapping[str, Any], factor: float, digits: int) -> str:
    """Give a ``spread`` as ``mean ± deviation``, both times a factor."""
    deviation = "" if value["deviation"] is None else f" ± {factor * value['deviation']:.{digits}f}"
    return f"{factor * value['mean']:.{digits}f}{deviation}"


def machine(packages: tuple[str, ...]) -> dict[str, Any]:
    """Describe what the figures were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        "date": time.strftime("%Y-%m-%d"),
    }


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Write results/NAME.json and give its path."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return path


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").split("\n") if Path(path).is_file() else []
