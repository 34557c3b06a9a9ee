"""Tasks in, their records out as they are done, by the engine that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wwmcorpus.corpus.runner import Blueprint
from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.corpus.supervisor import Conviction, Limits, Supervisor
from wwmcorpus.corpus.tasks import Place, Task, TaskRecord, Tell


def run_tasks(
    blueprint: Blueprint,
    tasks: Sequence[Task],
    quarantine: frozenset[Place],
    convict: Callable[[Conviction], None],
    advance: Callable[[int], None],
    stop: StopSignals,
) -> Generator[TaskRecord, None, None]:
    """Give the record of each task as it is done; after a stop signal, only of those that had begun.

    Args:
        blueprint: What the workers need.
        tasks: The tasks.
        quarantine: Documents to leave out.
        convict: Told of each further document that is to be left out.
        advance: Told, as bytes of the sources, what was dealt with since it last was.
        stop: Watched for a signal.

    Raises:
        WwmcorpusError: whatever a task raised, or workers that die.
    """
    config = blueprint.config
    if not tasks:
        return
    if config.engine == "ray":
        from wwmcorpus.corpus.ray_engine import run_on_ray

        yield from run_on_ray(blueprint, tasks, quarantine, advance, stop)
    elif config.num_workers == 0:
        yield from _run_here(blueprint, tasks, quarantine, advance, stop)
    else:
        limits = Limits(config.num_workers, config.stuck_seconds, config.worker_memory_bytes)
        yield from Supervisor(blueprint, limits, convict).run(tasks, quarantine, advance, stop)


@dataclass(frozen=True, slots=True)
class _Calling:
    """A function of a task, as workers run it; whatever kills one, no document is asked about."""

    function: Callable[[Any], Any]

    def open(self) -> _Calling:
        """There is nothing to load."""
        return self

    def run(self, task: Any, quarantine: frozenset[Place], tell: Tell) -> Any:
        """Call it."""
        return self.function(task)

    def question(self, task: Any, suspects: frozenset[Place], tell: Tell) -> None:
        """Never asked: it tells of no documents."""
        raise NotImplementedError


def map_over_workers(limits: Limits, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
    """Give ``function(task)`` of each task as it is done, over processes that are replaced where they die.

    Raises:
        CorpusError: workers die of a task again and again.
        InterruptedJobError: a signal came; what was given is whole.
        WwmcorpusError: whatever ``function`` raised.
    """

    def convict(_: Conviction) -> None:
        raise NotImplementedError

    with StopSignals() as stop:
        yield from Supervisor(_Calling(function), limits, convict).run(tasks, frozenset(), lambda _: None, stop)
        stop.raise_if_received("workers", "Run the same command again: it goes on where it stopped.")


def _run_here(
    blueprint: Blueprint,
    tasks: Sequence[Task],
    quarantine: frozenset[Place],
    advance: Callable[[int], None],
    stop: StopSignals,
) -> Iterator[TaskRecord]:
    runner = blueprint.open()
    for task in tasks:
        if stop.received is not None:
            return
        yield runner.run(task, quarantine, lambda beat: advance(beat.num_bytes))
