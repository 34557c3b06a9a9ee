"""Records of a run in, JSON lines, log lines and a progress bar out. The caller passes the console."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console

METRICS_FILE = "metrics.jsonl"

_log = logging.getLogger(__name__)


class Reporter:
    """Tells of one run; use it as a context manager.

    Args:
        title: What the run is called on the bar and in the log.
        num_steps: Length of the run.
        path: File that gets one JSON object per record; None = none.
        console: Shows a progress bar when it is a terminal; otherwise, and with None, lines go to the log.
        active: False on every rank but the first: nothing is written or shown.
    """

    def __init__(
        self, title: str, num_steps: int, path: Path | None = None, console: Console | None = None, active: bool = True
    ) -> None:
        self.title, self.num_steps, self.active = title, num_steps, active
        self._file = path.open("a", encoding="utf-8") if active and path is not None else None
        self._progress, self._task = None, None
        if active and console is not None and console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=console)
            self._task = self._progress.add_task(title, total=num_steps, figures="")

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        if self._file is not None:
            self._file.close()

    def advance(self, step: int) -> None:
        """Move the bar to ``step`` finished steps."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=step)

    def record(self, kind: str, step: int, **figures: Any) -> None:
        """Write one record: its kind ("train", "evaluation", "baseline"), the number of finished steps, and figures."""
        if not self.active:
            return
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, "step": step, **figures}, ensure_ascii=False) + "\n")
            self._file.flush()
        line = _line(figures)
        if self._progress is not None and self._task is not None:
            if kind == "train":
                self._progress.update(self._task, figures=line)
            return
        _log.info("%s: step %d of %d, %s: %s", self.title, step, self.num_steps, kind, line)


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """Give the records of one kind from a metrics file, in order."""
    with path.open(encoding="utf-8") as lines:
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [record for record in records if record["kind"] == kind]


def _line(figures: dict[str, Any]) -> str:
    shown = {
        "loss": "loss {:.4f}",
        "word_accuracy": "{:.1%} of words",
        "piece_accuracy": "{:.1%} of pieces",
        "learning_rate": "lr {:.1e}",
        "pieces_per_second": "{:,.0f} pieces/s",
        "seconds_left": "{:.0f} s left",
    }
    return ", ".join(form.format(figures[name]) for name, form in shown.items() if figures.get(name) is not None)
