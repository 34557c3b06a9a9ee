"""What a long job says while it runs: a bar on a terminal, nothing where there is none (the log has its lines)."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress


class ByteBar:
    """Shows how many bytes of a job are done, at what rate, and how long it will take.

    Args:
        console: Where; nothing is shown unless it is a terminal.
        job: What to call it.
    """

    #: What stands between the bar and the times.
    _middle: tuple[ProgressColumn, ...] = (DownloadColumn(), TransferSpeedColumn())

    def __init__(self, console: Console, job: str) -> None:
        columns = (TextColumn(job), BarColumn(), *self._middle, TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = RichProgress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(job, total=None)

    def start(self, total_bytes: int) -> None:
        """Learn how many bytes there are."""
        self._bar.update(self._task, total=total_bytes)

    def advance(self, num_bytes: int) -> None:
        """Learn that so many more were dealt with; fewer than none where some must be done again."""
        self._bar.advance(self._task, num_bytes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class CountBar(ByteBar):
    """The same for what is counted one by one, such as examples."""

    _middle = (MofNCompleteColumn(),)
