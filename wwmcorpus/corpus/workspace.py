"""The work folder of a build: a plan and the records of finished tasks in, whatever is still to be done out.

    OUTPUT/.work/plan.json            what the build is a function of; written before any task
    OUTPUT/.work/tokenizer/           for the workers, and for the corpus
    OUTPUT/.work/shards/              shards and lists of rejections, synced, under the names of their content
    OUTPUT/.work/records/00012.json   task 12 is done
    OUTPUT/.work/quarantine.json      documents that are left out because they killed workers
    OUTPUT/.work/base.json            what the corpus was, where a build adds to one

A killed build leaves it behind, and the next one with the same plan goes on from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wwmcorpus.config import Config
from wwmcorpus.corpus.manifest import RejectedDocument
from wwmcorpus.corpus.tasks import TaskRecord
from wwmcorpus.errors import ConfigError, CorpusError, differences
from wwmcorpus.files import make_folder, remove, remove_folder, sync, write_json

WORK_FOLDER = ".work"


class _Quarantine(Config):
    documents: tuple[RejectedDocument, ...]


class Workspace:
    """The work folder of one build.

    Args:
        output: Folder of the corpus.

    Attributes:
        folder: The work folder.
        shards: Where tasks write.
        base_file: The manifests' contents of the corpus that is added to.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output / WORK_FOLDER
        self.shards, self._records = self.folder / "shards", self.folder / "records"
        self.base_file = self.folder / "base.json"
        self._plan, self._quarantine = self.folder / "plan.json", self.folder / "quarantine.json"

    def holds(self, plan: dict[str, Any]) -> bool:
        """Say whether the build of a plan was begun here."""
        return bool(_read_json(self._plan) == json.loads(json.dumps(plan)))

    def is_begun(self) -> bool:
        """Say whether some build was begun here and not finished."""
        return self._plan.exists()

    def begin(self, plan: dict[str, Any], start_anew: bool) -> None:
        """Take up the build of a plan, or begin it.

        Args:
            plan: All that the rows are a function of; JSON-able.
            start_anew: Throw away what was done for another plan. A plan of which nothing was done is thrown away
                in any case.

        Raises:
            CorpusError: what lies there was done for another plan.
        """
        plan = json.loads(json.dumps(plan))
        found = _read_json(self._plan)
        if found is not None and found != plan and not start_anew and any(self._records.glob("*.json")):
            raise _another_plan(found, plan, self.folder.parent)
        if found != plan:
            self.remove()
            for folder in (self.folder, self.shards, self._records):
                make_folder(folder)
            write_json(self._plan, plan)

    def record(self, task_index: int) -> TaskRecord | None:
        """Give the record of a task; None if it is not done."""
        found = _read_json(self._record_path(task_index))
        try:
            return None if found is None else TaskRecord(**found)
        except (ConfigError, TypeError):  # of another version, or damaged: the task is done again
            return None

    def add(self, record: TaskRecord) -> None:
        """Have the disk keep the record of a finished task."""
        write_json(self._record_path(record.index), record.values())

    def forget_tasks(self) -> None:
        """Forget what was done: every task is done again."""
        for path in self._records.glob("*.json"):
            path.unlink()
        sync(self._records)

    def records(self, num_tasks: int) -> Iterator[TaskRecord]:
        """Give the records of all tasks, in order, one at a time.

        Raises:
            CorpusError: a record is missing.
        """
        for index in range(num_tasks):
            record = self.record(index)
            if record is None:
                raise CorpusError(
                    "the record of a finished task is gone",
                    value=index,
                    where=str(self._records),
                    fix="Run the same command again.",
                )
            yield record

    @property
    def quarantine(self) -> tuple[RejectedDocument, ...]:
        """Documents that are left out, in order of place."""
        found = _read_json(self._quarantine)
        return () if found is None else tuple(RejectedDocument(**each) for each in found["documents"])

    def convict(self, document: RejectedDocument) -> None:
        """Have the disk keep that a document is left out."""
        documents = sorted((*self.quarantine, document), key=lambda each: (each.source_index, each.offset))
        write_json(self._quarantine, _Quarantine(documents=tuple(documents)).values())

    def remove(self) -> None:
        """Remove all of it, the plan first: without one, whatever is left counts for nothing."""
        if self._plan.exists():
            remove(self._plan)
        remove_folder(self.folder)

    def _record_path(self, task_index: int) -> Path:
        return self._records / f"{task_index:05d}.json"


def _read_json(path: Path) -> Any:
    """Give what a JSON file holds; None if it is not there or not whole."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _another_plan(found: dict[str, Any], wanted: dict[str, Any], output: Path) -> CorpusError:
    return CorpusError(
        "an unfinished build of something else lies in the output folder",
        value="; ".join(sorted(differences(found, wanted)))[:2000],
        where=str(output),
        fix="Build as it was begun to go on with it, choose another folder, or throw it away: with --overwrite, or, "
        f"where it adds to a corpus that is to stay, by deleting {output / WORK_FOLDER}.",
    )
