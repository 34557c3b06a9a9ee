"""Tasks in, records out, over processes of this machine that may die.

Workers are spawned, never forked (Rust tokenizers hold threads), and each talks over its own pipe. A worker that is
killed, crashes or gives no sign of life is replaced, and its task done again. Where the same documents were at hand
twice, a fresh worker goes through them one by one; a document that alone kills two fresh workers is convicted, and the
task is done without it. Nothing else is ever left out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import types
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.corpus.tasks import AnyTask, Beat, Opens, Place, where_of
from wwmcorpus.corpus.worker import Job, serve
from wwmcorpus.errors import CorpusError

_log = logging.getLogger(__name__)
#: Deaths of a task that no document is to blame for, until the job gives up.
_MAX_DEATHS = 5
#: Workers in a row that die before they are ready, until the job gives up.
_MAX_FAILED_STARTS = 2
#: Documents convicted while none was ever done, until the segmenter is blamed instead.
_MAX_CONVICTIONS_AT_FIRST = 3
#: Loading a model may take longer than any batch.
_START_PATIENCE = 6
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How many workers there are, and what each may take.

    Attributes:
        num_workers: Processes, at least 1.
        stuck_seconds: A worker that is silent for so long is replaced.
        memory_bytes: Of a worker's data; None for no limit.
    """

    num_workers: int
    stuck_seconds: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Conviction:
    """A document that alone killed two fresh workers, and how the last one died."""

    task: AnyTask
    place: Place
    cause: str


@dataclass(slots=True)
class _Worker:
    """A process, and what it was last heard of."""

    process: Any
    pipe: Any
    last_seen: float
    is_ready: bool = False
    is_fresh: bool = True
    job: Job | None = None
    beat: Beat | None = None
    num_bytes: int = 0
    last_words: str | None = None


@dataclass(slots=True)
class _Case:
    """What is known of a task that workers died of.

    Attributes:
        last_beat: Where the last worker stood when it died of the task.
        num_deaths: Deaths since a document was last convicted.
        unasked: Documents still to be gone through.
        kills: How many fresh workers a document has killed alone.
    """

    last_beat: Beat | None = None
    num_deaths: int = 0
    unasked: list[Place] = field(default_factory=list)
    kills: Counter[Place] = field(default_factory=Counter)


class Supervisor:
    """Runs tasks over workers.

    Args:
        blueprint: Sent to each worker.
        limits: How many, and what each may take.
        convict: Told of each document that is put into quarantine, before its task is done again.
    """

    def __init__(self, blueprint: Opens, limits: Limits, convict: Callable[[Conviction], None]) -> None:
        self._blueprint, self._limits, self._convict = blueprint, limits, convict
        self._workers: dict[Any, _Worker] = {}
        self._waiting: deque[Job] = deque()
        self._cases: dict[int, _Case] = {}
        self._quarantine: set[Place] = set()
        self._num_failed_starts = self._num_convictions = 0
        self._has_survived = False
        self._advance: Callable[[int], None] = lambda _: None
        self._is_stopping: Callable[[], bool] = lambda: False

    def run(
        self,
        tasks: Sequence[AnyTask],
        quarantine: frozenset[Place],
        advance: Callable[[int], None],
        stop: StopSignals,
    ) -> Iterator[Any]:
        """Give the record of each task as it is done; after a stop signal, only of those that had begun.

        Args:
            tasks: The tasks.
            quarantine: Documents that are already convicted.
            advance: Told of source bytes as they are dealt with.
            stop: Watched for a signal.

        Raises:
            CorpusError: workers die and no document is to blame, or cannot start.
            WwmcorpusError: whatever a worker raised.
        """
        self._quarantine, self._advance = set(quarantine), advance
        self._is_stopping = lambda: stop.received is not None
        self._waiting.extend(Job(task, frozenset()) for task in tasks)
        try:
            for _ in range(min(self._limits.num_workers, len(tasks))):
                self._spawn()
            while self._waiting or any(worker.job for worker in self._workers.values()):
                if stop.received is not None:
                    self._waiting.clear()
                self._hand_out()
                yield from self._listen()
                self._find_stuck()
        finally:
            for worker in list(self._workers.values()):
                self._end(worker)

    def _hand_out(self) -> None:
        """Give a job to each worker that is ready for one; whatever follows a death begins in a fresh worker."""
        for worker in [one for one in self._workers.values() if one.is_ready and one.job is None]:
            if not self._waiting:
                return
            job = self._waiting.popleft()
            if job.task.index in self._cases and not worker.is_fresh:
                self._waiting.appendleft(job)
                self._end(worker)
                self._spawn()
                continue
            worker.job = Job(job.task, frozenset(self._quarantine), job.suspects)
            worker.last_seen, worker.is_fresh = time.monotonic(), False
            worker.beat, worker.num_bytes = None, 0
            with contextlib.suppress(OSError):  # a worker that died meanwhile is found when it is read from
                worker.pipe.send(worker.job)

    def _listen(self) -> Iterator[Any]:
        """Take what the workers have to say, for a moment."""
        from multiprocess.connection import wait

        for pipe in wait(list(self._workers), timeout=_POLL_SECONDS):
            worker = self._workers.get(pipe)
            if worker is None:  # ended meanwhile, for a fresh one
                continue
            try:
                kind, value = pipe.recv()
            except (EOFError, OSError):
                self._bury(worker, None)
                continue
            worker.last_seen = time.monotonic()
            if kind == "ready":
                worker.is_ready, self._num_failed_starts = True, 0
            elif kind == "beat":
                worker.num_bytes += value.num_bytes
                self._has_survived |= worker.beat is not None
                worker.beat = value if value.offsets else None if value.is_done else worker.beat
                self._advance(value.num_bytes)
            elif kind == "crash":
                worker.last_words = value
            elif kind == "error":
                raise value
            else:
                yield from self._finish(worker, value)

    def _finish(self, worker: _Worker, record: Any) -> Iterator[Any]:
        """Take the end of a job: a record, or the news that no document that was asked about killed the worker."""
        job, worker.job = worker.job, None
        assert job is not None
        self._has_survived = True
        if record is not None:
            self._cases.pop(job.task.index, None)
            if not self._is_stopping():
                self._hand_out()  # nobody waits while the record is written
            yield record
        else:
            self._ask_further(job.task)

    def _find_stuck(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            patience = self._limits.stuck_seconds * (1 if worker.is_ready else _START_PATIENCE)
            if (worker.job or not worker.is_ready) and now - worker.last_seen > patience:
                self._bury(worker, f"no sign of life for {self._limits.stuck_seconds:g} seconds")

    def _bury(self, worker: _Worker, cause: str | None) -> None:
        """Put another worker in the place of one that died or is to die, and deal with its job."""
        self._end(worker)
        cause = cause or worker.last_words or f"exit code {worker.process.exitcode}"
        if not worker.is_ready:
            self._num_failed_starts += 1
            if self._num_failed_starts >= _MAX_FAILED_STARTS:
                raise CorpusError(
                    f"workers die before they begin: {cause}",
                    fix="Is there enough memory to load the segmenter? Try num_workers = 0 to see where it fails.",
                )
        if not self._is_stopping():
            self._spawn()
        if worker.job is not None:
            self._advance(-worker.num_bytes)
            self._deal_with(worker.job, worker.beat, cause)

    def _deal_with(self, job: Job, beat: Beat | None, cause: str) -> None:
        """Decide what follows the death of a worker that had a job."""
        case = self._cases.setdefault(job.task.index, _Case())
        case.num_deaths += 1
        _log.warning("a worker died (%s) at %s", cause, _where(job.task, beat))
        if case.num_deaths > _MAX_DEATHS:
            raise CorpusError(
                f"{case.num_deaths} workers died and no document alone is to blame; the last: {cause}",
                where=_where(job.task, beat),
                fix="Is there enough memory? Run it again with fewer workers: it goes on where it stopped.",
            )
        if job.suspects is not None and beat is not None:
            self._accuse(job, case, (beat.source_index, beat.offsets[0]), cause)
        elif job.suspects is None and _same_documents(beat, case.last_beat):
            assert beat is not None
            case.unasked = [(beat.source_index, offset) for offset in beat.offsets]
            self._ask_further(job.task)
        else:
            case.last_beat = beat
            self._waiting.appendleft(Job(job.task, frozenset()))

    def _accuse(self, job: Job, case: _Case, place: Place, cause: str) -> None:
        """A worker died over one document: ask it alone, in fresh workers, until it has killed two or lets one live."""
        assert job.suspects is not None
        if job.suspects == {place}:
            case.kills[place] += 1
            case.num_deaths -= 1  # the document is to blame, or will have to answer again
        else:
            case.unasked = sorted(other for other in job.suspects if other > place)
        if case.kills[place] < 2:
            self._waiting.appendleft(Job(job.task, frozenset(), frozenset([place])))
            return
        self._num_convictions += 1
        if self._num_convictions >= _MAX_CONVICTIONS_AT_FIRST and not self._has_survived:
            raise CorpusError(
                f"{self._num_convictions} documents each killed two workers, and none was ever done: {cause}",
                where=where_of(job.task),
                fix="Try the segmenter by itself, with wwmcorpus segment: its model may be damaged.",
            )
        self._quarantine.add(place)
        self._convict(Conviction(job.task, place, cause))
        case.num_deaths, case.last_beat = 0, None
        self._ask_further(job.task)

    def _ask_further(self, task: AnyTask) -> None:
        """Go through the documents that were not asked yet; where there are none, do the task again."""
        case = self._cases[task.index]
        suspects, case.unasked = frozenset(case.unasked), []
        self._waiting.appendleft(Job(task, frozenset(), suspects or None))

    def _spawn(self) -> None:
        import multiprocess

        context = multiprocess.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, self._blueprint, self._limits.memory_bytes, os.getpid())
        with _without_main():
            process = context.Process(target=serve, args=arguments, daemon=True)
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(process, ours, time.monotonic())

    def _end(self, worker: _Worker) -> None:
        del self._workers[worker.pipe]
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _same_documents(beat: Beat | None, other: Beat | None) -> bool:
    if beat is None or other is None:
        return False
    return (beat.source_index, beat.offsets) == (other.source_index, other.offsets)


def _where(task: AnyTask, beat: Beat | None) -> str:
    if beat is None:
        return where_of(task)
    name = next(part.name for part in task.slices if part.source_index == beat.source_index)
    return f"{name}, documents at {beat.offsets[0]} to {beat.offsets[-1]}"


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's main module while a worker starts: it needs nothing of it, and must not run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
