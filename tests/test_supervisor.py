"""Workers that die, freeze and fail: what is done again, who is convicted, and what ends the job."""

import os
import signal
import threading
import time

import pytest
from deadly_runner import Deadly

from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.corpus.supervisor import Limits, Supervisor
from wwmcorpus.corpus.tasks import Task
from wwmcorpus.errors import CorpusError, InterruptedJobError, SegmenterError, TerminatedJobError
from wwmcorpus.text import Slice, Source

NUMBERS = Source(name="numbers", location="numbers.txt", kind="txt", compression="", size_bytes=1000)


def tasks_of(*bounds):
    return [Task(index, (Slice(0, NUMBERS, start, end),)) for index, (start, end) in enumerate(bounds)]


@pytest.fixture
def run(tmp_path):
    """Run tasks over documents that do what they are told; give records, convictions and bytes of progress."""

    def go(deeds, tasks, num_workers=2, stuck_seconds=60.0, quarantine=(), stop=None):
        convicted, progress = [], []
        supervisor = Supervisor(
            Deadly(tuple(deeds.items()), str(tmp_path)), Limits(num_workers, stuck_seconds), convicted.append
        )
        with stop or StopSignals() as signals:
            records = list(supervisor.run(tasks, frozenset(quarantine), progress.append, signals))
        return {record.index: record for record in records}, convicted, sum(progress)

    return go


def times(tmp_path, number, when):
    return (tmp_path / "log").read_text().split("\n").count(f"{number} {when}")


def test_every_task_is_done_once_and_progress_adds_up(run):
    records, convicted, progress = run({}, tasks_of((0, 10), (10, 13), (13, 14)))
    assert [records[index].counts["sum"] for index in range(3)] == [45, 33, 13]
    assert convicted == []
    assert progress == 14


def test_a_killed_worker_costs_nothing(run):
    records, convicted, progress = run({5: "kill once"}, tasks_of((0, 10), (10, 20)))
    assert [records[index].counts["documents"] for index in range(2)] == [10, 10]
    assert convicted == []
    assert progress == 20


@pytest.mark.parametrize(
    ("deed", "cause"),
    [("kill", "exit code -9"), ("fill", "out of memory"), ("raise", "ZeroDivisionError: a fault of ours")],
)
def test_a_document_that_kills_is_convicted_and_no_other_is(run, tmp_path, deed, cause):
    records, convicted, _ = run({6: deed}, tasks_of((0, 10), (10, 20)), num_workers=1)
    assert [(found.place, found.cause) for found in convicted] == [((0, 6), cause)]
    assert records[0].counts == {"documents": 9, "sum": 45 - 6}
    assert records[1].counts["documents"] == 10
    assert times(tmp_path, 6, "alone") == 2


def test_a_worker_without_a_sign_of_life_is_replaced(run):
    records, convicted, _ = run({2: "freeze"}, tasks_of((0, 6)), num_workers=1, stuck_seconds=0.6)
    assert [found.place for found in convicted] == [(0, 2)]
    assert "no sign of life" in convicted[0].cause
    assert records[0].counts["documents"] == 5


def test_two_that_kill_in_one_batch_are_both_found(run):
    records, convicted, _ = run({1: "kill", 3: "kill"}, tasks_of((0, 6)), num_workers=1)
    assert sorted(found.place for found in convicted) == [(0, 1), (0, 3)]
    assert records[0].counts["documents"] == 4


def test_documents_in_quarantine_are_not_read_again(run, tmp_path):
    records, convicted, _ = run({6: "kill"}, tasks_of((0, 10)), quarantine=[(0, 6)])
    assert convicted == []
    assert records[0].counts["documents"] == 9
    assert times(tmp_path, 6, "in a batch") == 0


def test_nobody_is_convicted_where_no_document_kills_alone(run):
    with pytest.raises(CorpusError, match="no document alone is to blame"):
        run({6: "kill in a batch"}, tasks_of((0, 10)), num_workers=1)


def test_errors_of_users_end_the_job_as_they_are(run):
    with pytest.raises(SegmenterError, match="no such model"):
        run({3: "user error"}, tasks_of((0, 10), (10, 20)))


def test_workers_that_never_start_end_the_job(run):
    with pytest.raises(CorpusError, match="before they begin"):
        run({-1: "never starts"}, tasks_of((0, 10)))


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, InterruptedJobError), (signal.SIGTERM, TerminatedJobError)]
)
def test_a_signal_lets_tasks_end_and_begins_no_more(run, number, kind):
    stop = StopSignals()
    threading.Timer(0.0, lambda: (time.sleep(1.0), os.kill(os.getpid(), number))).start()
    tasks = tasks_of(*((start, start + 1) for start in range(4000)))
    records, _, _ = run({}, tasks, num_workers=1, stop=stop)
    assert 0 <= len(records) < 4000
    with pytest.raises(kind, match=number.name):
        stop.raise_if_received("here", "Again.")
    assert kind.exit_status == 128 + number


def test_no_process_is_left_behind(run):
    import multiprocess

    with pytest.raises(SegmenterError):
        run({3: "user error"}, tasks_of((0, 10)))
    assert multiprocess.active_children() == []
