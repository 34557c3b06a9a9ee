"""Records of a run in; JSON lines, log lines, a bar and TensorBoard's files out. The caller passes the console."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from wwmcorpus.errors import MissingExtraError, TrainingError
from wwmcorpus.files import disk_errors

if TYPE_CHECKING:
    from rich.console import Console

METRICS_FILE = "metrics.jsonl"
#: Folder of TensorBoard's files, beside the metrics.
BOARD_FOLDER = "tensorboard"
#: Figures of a record that differ from run to run.
TIMES = ("pieces_per_second", "seconds", "seconds_left", "waiting_share", "mfu")

_log = logging.getLogger(__name__)


class Reporter:
    """Tells of one run; use it as a context manager.

    Args:
        title: What the run is called on the bar and in the log.
        num_steps: Length of the run.
        path: File that gets one JSON object per record; None = none.
        console: Shows a progress bar when it is a terminal; otherwise, and with None, lines go to the log.
        active: False on every rank but the first: nothing is written or shown.
        board: Write TensorBoard's files too, beside ``path``.

    Raises:
        MissingExtraError: TensorBoard is asked for and not installed.
        CorpusError: the file cannot be written; later also.
    """

    def __init__(
        self,
        title: str,
        num_steps: int,
        path: Path | None = None,
        console: Console | None = None,
        active: bool = True,
        board: bool = False,
    ) -> None:
        self.title, self.num_steps, self.active = title, num_steps, active
        self.path = path if active else None
        self._file: BinaryIO | None = None
        if self.path is not None:
            with disk_errors(self.path):
                self._file = self.path.open("ab")
        self._board_folder = path.parent / BOARD_FOLDER if active and board and path is not None else None
        self._board: Any = None if self._board_folder is None else _board(self._board_folder)
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
        if self._board is not None:
            self._board.close()
        if self._file is not None:
            with disk_errors(Path(self._file.name)):
                self._file.close()

    def keep(self) -> int:
        """Have the disk keep what was written so far, and give its length in bytes."""
        if self._file is None:
            return 0
        with disk_errors(Path(self._file.name)):
            os.fsync(self._file.fileno())
            return self._file.tell()

    def rewind(self, num_bytes: int, step: int = 0) -> None:
        """Cut the metrics off after so many bytes, those of ``step`` finished steps.

        Raises:
            TrainingError: there are not so many.
        """
        if self._file is not None:
            found = os.fstat(self._file.fileno()).st_size
            if found < num_bytes:
                raise TrainingError(
                    f"the metrics end before the checkpoint of step {step}: {found} of {num_bytes} bytes",
                    where=self._file.name,
                    fix="Put the file back, or delete the folder of the run to begin anew.",
                )
            self._file.truncate(num_bytes)
            self._file.seek(0, os.SEEK_END)
        if self._board_folder is not None:
            self._board.close()
            self._board = _board(self._board_folder, purge_step=step + 1)
        self.advance(step)

    def advance(self, step: int) -> None:
        """Move the bar to ``step`` finished steps."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=step)

    def record(self, kind: str, step: int, **figures: Any) -> None:
        """Write one record: its kind ("train", "evaluation", "baseline"), the number of finished steps, and figures."""
        if not self.active:
            return
        if self._file is not None:
            line = json.dumps({"kind": kind, "step": step, **figures}, ensure_ascii=False) + "\n"
            with disk_errors(Path(self._file.name)):
                self._file.write(line.encode())
                self._file.flush()
        if self._board is not None:
            for name, value in _scalars(figures):
                self._board.add_scalar(f"{kind}/{name}", value, step)
        shown = _line(figures)
        if self._progress is not None and self._task is not None:
            if kind == "train":
                self._progress.update(self._task, figures=shown)
            return
        _log.info("%s: step %d of %d, %s: %s", self.title, step, self.num_steps, kind, shown)


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """Give the records of one kind from a metrics file, in order."""
    with path.open(encoding="utf-8") as lines:
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [record for record in records if record["kind"] == kind]


def _board(folder: Path, purge_step: int | None = None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError.of("tensorboard", "viz", "training.tensorboard") from None
    return SummaryWriter(str(folder), purge_step=purge_step)


def _scalars(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Give the numbers among some figures, those of inner tables as ``terms/soft_labels``."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield prefix + name, value


def _line(figures: dict[str, Any]) -> str:
    """Give what fits on a line: the loss and, where there are several, its parts, and the rates."""
    shown = {
        "loss": "loss {:.4f}",
        "parts": "({})",
        "shown_scores": "{}",
        "word_accuracy": "{:.1%} of words",
        "piece_accuracy": "{:.1%} of pieces",
        "learning_rate": "lr {:.1e}",
        "pieces_per_second": "{:,.0f} pieces/s",
        "mfu": "MFU {:.0%}",
        "waiting_share": "{:.1%} waiting",
        "seconds_left": "{:.0f} s left",
    }
    terms = figures.get("terms", {})
    if len(terms) > 1:
        figures = figures | {"parts": " ".join(f"{name} {value:.3g}" for name, value in terms.items())}
    if "scores" in figures:
        figures = figures | {
            "shown_scores": ", ".join(f"{name} {value:.3f}" for name, value in figures["scores"].items())
        }
    return ", ".join(form.format(figures[name]) for name, form in shown.items() if figures.get(name) is not None)
