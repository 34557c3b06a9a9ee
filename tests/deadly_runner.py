"""A blueprint whose documents are numbers, some of which kill, freeze or fill the process that reads them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from wwmcorpus.corpus.statistics import Statistics
from wwmcorpus.corpus.tasks import Beat, TaskRecord
from wwmcorpus.errors import SegmenterError

BATCH = 4


@dataclass(frozen=True)
class Deadly:
    """A task with slice [start, end) has one document per number; ``deeds`` says what some of them do."""

    deeds: tuple[tuple[int, str], ...]
    folder: str

    def open(self):
        if dict(self.deeds).get(-1) == "never starts":
            os._exit(7)
        return _Runner(dict(self.deeds), Path(self.folder))


class _Runner:
    def __init__(self, deeds, folder):
        self._deeds, self._folder = deeds, folder

    def run(self, task, quarantine, tell):
        part = task.slices[0]
        numbers = [n for n in range(part.start, part.end) if (part.source_index, n) not in quarantine]
        for begin in range(0, len(numbers), BATCH):
            batch = numbers[begin : begin + BATCH]
            tell(Beat(part.source_index, tuple(batch), len(batch)))
            for number in batch:
                self._do(number, "in a batch")
        return TaskRecord(
            index=task.index,
            segmenter=f"pid {os.getpid()}",
            shards={},
            counts={"documents": len(numbers), "sum": sum(numbers)},
            rejected={},
            examples=(),
            rejections=None,
            statistics=Statistics(),
            sources_seen=(part.source_index,),
            stage_seconds={},
        )

    def question(self, task, suspects, tell):
        for source_index, number in sorted(suspects):
            tell(Beat(source_index, (number,)))
            self._do(number, "alone" if len(suspects) == 1 else "one by one")

    def _do(self, number, when):
        deed = self._deeds.get(number)
        with (self._folder / "log").open("a") as log:
            log.write(f"{number} {when}\n")
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "freeze":
            time.sleep(3600)
        elif deed == "fill":
            bytearray(1 << 40)
        elif deed == "raise":
            raise ZeroDivisionError("a fault of ours")
        elif deed == "user error":
            raise SegmenterError("no such model", fix="Take another.")
        elif (deed == "kill once" and self._first(number)) or deed == f"kill {when}":
            os.kill(os.getpid(), signal.SIGKILL)

    def _first(self, number):
        marker = self._folder / f"killed-{number}"
        if marker.exists():
            return False
        marker.touch()
        return True
