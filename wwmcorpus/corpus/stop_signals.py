"""SIGINT and SIGTERM in, a wish to stop out: a job can end where it can be resumed."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from wwmcorpus.errors import InterruptedJobError, TerminatedJobError

_log = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While it is entered, the first signal is only noted; the second interrupts at once.

    In a thread that is not the main one it does nothing: signals go to the main thread.

    Attributes:
        received: The signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.getsignal(each) for each in _SIGNALS}
        self.take()
        return self

    def take(self) -> None:
        """Take the signals, also from a library that took them meanwhile."""
        for each in self._before:
            signal.signal(each, self._note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def raise_if_received(self, where: str, fix: str) -> None:
        """Raise InterruptedJobError or TerminatedJobError if a signal came."""
        if self.received is not None:
            kind = TerminatedJobError if self.received == signal.SIGTERM else InterruptedJobError
            raise kind("stopped by a signal", value=signal.Signals(self.received).name, where=where, fix=fix)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        _log.warning("finishing the tasks that have begun; once more stops at once")
