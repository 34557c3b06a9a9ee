"""Cells in, each one's result or what went wrong with it out, as they are done: over processes, or in this one.

Each cell has a process of its own: what one leaves behind, or dies of, touches no other. A signal is passed on to them;
they write their checkpoints, and the same command goes on from there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.errors import InterruptedJobError, WwmcorpusError
from wwmcorpus.tasks.evaluate.cells import LOG_FILE, Cell, CellResult, find_result, write_request

_POLL_SECONDS = 0.2
#: Of a log, the last lines that may say what is wrong.
_TAIL_BYTES = 4096

#: Stands in a log before what each attempt says.
_ATTEMPT = "== attempt =="

#: A result, or one line that says why there is none.
Outcome = CellResult | str


def run_cells(cells: Sequence[Cell], num_workers: int, num_threads: int | None) -> Iterator[tuple[Cell, Outcome]]:
    """Run cells; a failed one stops no other.

    Args:
        cells: Those to be run.
        num_workers: Processes; 0: in this one.
        num_threads: Threads of each process; None: the cores shared among the processes. In this process the number
            stays as it is.

    Raises:
        InterruptedJobError: a signal came; the processes have ended, and wrote their checkpoints.
    """
    for cell in cells:
        write_request(cell)
    if num_workers == 0:
        yield from ((cell, _run_here(cell)) for cell in cells)
        return
    threads = num_threads or max((os.cpu_count() or 1) // num_workers, 1)
    with StopSignals() as stop:
        yield from _run_in_processes(cells, num_workers, threads, stop)
        stop.raise_if_received("evaluate", "Run the same command again: it goes on where it stopped.")


def _run_here(cell: Cell) -> Outcome:
    from wwmcorpus.tasks.evaluate.worker import run_cell

    try:
        return run_cell(cell.folder)
    except InterruptedJobError:
        raise
    except WwmcorpusError as error:
        return str(error)
    except Exception as error:  # whatever else one run dies of stops no other, as where each is a process
        with (cell.folder / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(f"{_ATTEMPT}\n{traceback.format_exc()}")
        return f"{type(error).__name__}: {error}"


def _run_in_processes(
    cells: Sequence[Cell], num_workers: int, num_threads: int, stop: StopSignals
) -> Iterator[tuple[Cell, Outcome]]:
    waiting, running = list(reversed(cells)), dict[Cell, subprocess.Popen[bytes]]()
    told = False
    try:
        while running or (waiting and stop.received is None):
            while waiting and len(running) < num_workers and stop.received is None:
                cell = waiting.pop()
                running[cell] = _start(cell, num_threads)
            if stop.received is not None and not told:
                told = True
                for process in running.values():
                    process.terminate()
            time.sleep(_POLL_SECONDS)
            for cell in [cell for cell, process in running.items() if process.poll() is not None]:
                status = running.pop(cell).returncode
                if not told or status == 0:
                    yield cell, _outcome(cell, status)
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def _start(cell: Cell, num_threads: int) -> subprocess.Popen[bytes]:
    threads = {name: str(num_threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    command = [sys.executable, "-m", "wwmcorpus.tasks.evaluate.worker", str(cell.folder), str(num_threads)]
    log: IO[bytes]
    with (cell.folder / LOG_FILE).open("ab") as log:
        log.write(f"{_ATTEMPT}\n".encode())
        log.flush()
        # Signals of the terminal come to this process alone, which passes them on.
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | threads, start_new_session=True, stdin=subprocess.DEVNULL
        )


def _outcome(cell: Cell, status: int) -> Outcome:
    found = find_result(cell) if status == 0 else None
    ended = f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
    return found or f"{ended}: {_last_words(cell.folder / LOG_FILE)}"


def _last_words(log: Path) -> str:
    """Give the line of a log that says what was wrong with the last attempt: the last error, or the last line."""
    tail = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").rpartition(f"{_ATTEMPT}\n")[-1]
    lines = [line for line in tail.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error: ")]
    return (said or lines or ["it said nothing"])[-1].removeprefix("error: ")
