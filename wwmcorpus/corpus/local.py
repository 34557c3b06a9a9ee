"""Tasks in, results out, over processes of this machine.

Workers are spawned, never forked (Rust tokenizers hold threads), and each talks to the parent over its own pipe, so
that a worker that dies is noticed at once and named with the task that it had.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from wwmcorpus.corpus.tasks import Blueprint, Task, TaskResult, TaskRunner
from wwmcorpus.errors import CorpusError, WwmcorpusError

Advance = Callable[[int], None]


def run_tasks(blueprint: Blueprint, tasks: list[Task], num_workers: int, advance: Advance) -> list[TaskResult]:
    """Run every task and give the results in task order.

    Args:
        blueprint: What the workers need.
        tasks: The tasks.
        num_workers: Processes; with one, or one task, everything runs in this process.
        advance: Told, as bytes of the sources, what was dealt with since it last was.

    Raises:
        CorpusError: a worker died.
        WwmcorpusError: whatever a task raised.
    """
    if min(num_workers, len(tasks)) <= 1:
        runner = TaskRunner(blueprint)
        return [runner.run(task, advance) for task in tasks]
    results = _Pool(blueprint, min(num_workers, len(tasks))).run(tasks, advance)
    return sorted(results, key=lambda result: result.index)


class _Pool:
    """A fixed number of workers, each with a pipe and at most one task."""

    def __init__(self, blueprint: Blueprint, num_workers: int) -> None:
        import multiprocess

        context = multiprocess.get_context("spawn")
        self._workers: dict[Any, tuple[Any, Task | None]] = {}
        with _without_main():
            for _ in range(num_workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, blueprint), daemon=True)
                process.start()
                theirs.close()
                self._workers[ours] = (process, None)

    def run(self, tasks: list[Task], advance: Advance) -> list[TaskResult]:
        waiting = list(reversed(tasks))
        results: list[TaskResult] = []
        try:
            while len(results) < len(tasks):
                for pipe, (kind, value) in self._messages():
                    if kind == "advance":
                        advance(value)
                    elif kind == "error":
                        raise value
                    else:
                        if kind == "result":
                            results.append(value)
                        self._give(pipe, waiting)
        finally:
            self._stop()
        return results

    def _give(self, pipe: Any, waiting: list[Task]) -> None:
        process, _ = self._workers[pipe]
        task = waiting.pop() if waiting else None
        self._workers[pipe] = (process, task)
        with contextlib.suppress(OSError):  # a worker that died meanwhile is found when it is read from
            pipe.send(task)

    def _messages(self) -> Iterator[tuple[Any, tuple[str, Any]]]:
        from multiprocess.connection import wait

        for pipe in wait([pipe for pipe, (process, _) in self._workers.items() if not pipe.closed]):
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                process, task = self._workers[pipe]
                process.join()
                if task is None and process.exitcode == 0:
                    pipe.close()
                    continue
                files = (
                    ", ".join(f"{part.name} [{part.start}, {part.end})" for part in task.slices) if task else "start-up"
                )
                raise CorpusError(
                    f"a worker died with exit code {process.exitcode}",
                    where=files,
                    fix="Is there enough memory? Build again with fewer workers.",
                ) from None
            yield pipe, message

    def _stop(self) -> None:
        for pipe, (process, _) in self._workers.items():
            process.terminate()
            process.join()
            pipe.close()


def _serve(pipe: Any, blueprint: Blueprint) -> None:
    """Answer tasks until None comes; runs in the worker."""
    try:
        runner = TaskRunner(blueprint)
        pipe.send(("ready", None))
        while (task := pipe.recv()) is not None:
            pipe.send(("result", runner.run(task, lambda size: pipe.send(("advance", size)))))
    except WwmcorpusError as error:
        pipe.send(("error", error))
    except EOFError:
        return
    except Exception:
        text = traceback.format_exc()
        pipe.send(
            ("error", CorpusError(f"a worker failed:\n{text}", fix="This is a fault of wwmcorpus: please report it."))
        )


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's main module while workers start: they need nothing of it, and must not run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
