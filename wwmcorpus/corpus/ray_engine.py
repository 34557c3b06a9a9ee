"""Tasks in, records out, over a Ray cluster whose nodes share a file system (extra ``ray``).

Ray schedules the tasks and does those of lost nodes again; a task gives the same bytes wherever it runs, and writes
them under the name of their content. Which documents kill workers is found out by local builds only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wwmcorpus.corpus.runner import Blueprint, TaskRunner
from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.corpus.tasks import Place, Task, TaskRecord, where_of
from wwmcorpus.errors import CorpusError, MissingExtraError, WwmcorpusError

#: How often Ray does a task again whose process or node died.
_MAX_RETRIES = 5
_POLL_SECONDS = 1.0


def run_on_ray(
    blueprint: Blueprint,
    tasks: Sequence[Task],
    quarantine: frozenset[Place],
    advance: Callable[[int], None],
    stop: StopSignals,
) -> Iterator[TaskRecord]:
    """Give the record of each task as it is done; after a stop signal, only of those that Ray already runs.

    Raises:
        MissingExtraError: Ray is not installed.
        CorpusError: a task's processes died more often than Ray tries again, or the shards of one are not to be seen.
        WwmcorpusError: whatever a task raised.
    """
    ray = _connect(blueprint.config.ray_address)
    stop.take()
    run = ray.remote(num_cpus=blueprint.config.segmenter_threads, max_retries=_MAX_RETRIES)(_run_task)
    shared = ray.put(blueprint)
    # Twice as many as can run at once wait in the cluster; the others here, where a stop signal reaches them.
    room = max(2, 2 * int(ray.cluster_resources().get("CPU", 1) // blueprint.config.segmenter_threads))
    waiting = list(reversed(tasks))
    running: dict[Any, Task] = {}
    try:
        while (waiting and stop.received is None) or running:
            while waiting and len(running) < room and stop.received is None:
                task = waiting.pop()
                running[run.remote(shared, task, quarantine)] = task
            done, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
            for reference in done:
                task = running.pop(reference)
                record = _result(ray, reference, task)
                advance(task.size_bytes)
                yield record
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _connect(address: str | None) -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtraError.of("ray", "ray", "engine = ray") from None
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    return ray


def _run_task(blueprint: Blueprint, task: Task, quarantine: frozenset[Place]) -> dict[str, Any]:
    """Do a task in a worker of the cluster; what was loaded for one serves the next."""
    return _runner(blueprint).run(task, quarantine).values()


@functools.lru_cache(maxsize=1)
def _runner(blueprint: Blueprint) -> TaskRunner:
    return blueprint.open()


def _result(ray: Any, reference: Any, task: Task) -> TaskRecord:
    try:
        return TaskRecord(**ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, WwmcorpusError):
            raise error.cause from None
        raise CorpusError(
            f"a task failed: {error.cause!r}",
            where=where_of(task),
            fix="Build it with engine = local to see which document.",
        ) from error
    except ray.exceptions.RayError as error:
        raise CorpusError(
            f"a task's processes died {_MAX_RETRIES + 1} times ({type(error).__name__})",
            where=where_of(task),
            fix="Build it with engine = local: that finds the document that kills them.",
        ) from error
