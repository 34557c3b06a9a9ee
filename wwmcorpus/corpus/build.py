"""A build: configuration in, a committed corpus out.

Plan, run, commit: sources are cut into tasks before any work, each task becomes shards and a record in the work folder,
and ``state.json``, written last, makes the output a corpus. A build that was stopped anywhere goes on from its records
when the same command is run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
import unicodedata
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from wwmcorpus.align import Vocabulary, load_tokenizer, save_tokenizer, tokenizer_signature
from wwmcorpus.corpus import commit
from wwmcorpus.corpus.append import Base, check_new, find_base, keep_base
from wwmcorpus.corpus.documents import QUARANTINE_DETAIL
from wwmcorpus.corpus.engines import run_tasks
from wwmcorpus.corpus.inputs import Inputs, find_inputs, segmenter_identity
from wwmcorpus.corpus.manifest import FORMAT_VERSION, STATE_FILE, Content, Manifest, RejectedDocument
from wwmcorpus.corpus.output_folder import check_free, make_output
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER
from wwmcorpus.corpus.rejections import MAX_EXAMPLES
from wwmcorpus.corpus.runner import Blueprint
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.corpus.supervisor import Conviction
from wwmcorpus.corpus.tasks import Task, TaskRecord, limit_tasks, plan_tasks
from wwmcorpus.corpus.verify import verify
from wwmcorpus.corpus.workspace import WORK_FOLDER, Workspace
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import disk_errors, folder_lock
from wwmcorpus.text import plan_slices, shown

_log = logging.getLogger(__name__)
#: Reasons for leaving a document out that are no fault of it, or were asked for.
_WANTED = frozenset(("blank", "no_pieces", "empty_source", "long_word"))


class Progress(Protocol):
    """Watches a build."""

    def start(self, total_bytes: int) -> None:
        """Learn how many source bytes there are."""
        ...

    def advance(self, num_bytes: int) -> None:
        """Learn that so many more were dealt with; fewer than none where some must be done again."""
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    """What is known before the first task runs."""

    config: BuildConfig
    output: Path
    inputs: Inputs
    workspace: Workspace
    vocabulary: Vocabulary
    tokenizer: str
    base: Base
    plan: dict[str, Any]
    tasks: list[Task]

    def source_name(self, source_index: int) -> str:
        """Give the name of a source by its index in the corpus."""
        return self.inputs.sources[source_index - len(self.base.inputs)].name


def build(config: BuildConfig, progress: Progress | None = None) -> dict[str, Manifest]:
    """Build a corpus, or go on with a build that was stopped, and give the manifest of each split.

    Returns:
        One manifest, ``"train"``, where there are no splits; else one per split.

    Raises:
        SourceError: an input cannot be found.
        ConfigError: the segmenter or the tokenizer is unknown.
        CorpusError: the output folder is taken or in use, holds an unfinished build of something else, no document gave
            a row, too many were rejected, the inputs changed meanwhile, or workers die over no document in particular.
        InterruptedJobError: a signal came; what was done is kept.
    """
    started = time.monotonic()
    output = Path(config.output)
    make_output(output)
    with disk_errors(output), folder_lock(output, "wwmcorpus build"):
        job = _prepare(config, output)
        manifests = _built_already(job)
        if manifests is None:
            _run(job, progress)
            manifests = _commit(job, started)
        job.workspace.remove()
    return manifests


def _prepare(config: BuildConfig, output: Path) -> _Job:
    """Find the inputs, make the plan, and see whether the output may be written."""
    inputs = find_inputs(config)
    tokenizer = load_tokenizer(config.tokenizer)
    vocabulary, signature = Vocabulary.of(tokenizer), tokenizer_signature(tokenizer)
    workspace = Workspace(output)
    alike = {
        "format_version": FORMAT_VERSION,
        "config": config.decisive,
        "tokenizer": signature,
        "vocabulary_sha256": vocabulary.sha256,
        "versions": _versions(config),
    }
    base = find_base(config, output, workspace, alike)
    plan = {
        **alike,
        "segmenter": segmenter_identity(config),
        "inputs": [each.values() for each in inputs.recorded],
        "keep_list_sha256": inputs.keep_list_sha256,
        "base": base.plan,
    }
    tasks = _plan_tasks(config, inputs, base)
    job = _Job(config, output, inputs, workspace, vocabulary, signature, base, plan, tasks)
    if _built_already(job) is None:
        if not workspace.holds(plan):
            fix = "Choose another folder, add to it with --append, or replace it with --overwrite."
            check_free(output, config.overwrite or config.append, fix)
            check_new(base, inputs.recorded, output)
        workspace.begin(plan, start_anew=config.overwrite)
        keep_base(base, config, output, workspace)
        save_tokenizer(tokenizer, workspace.folder / TOKENIZER_FOLDER)
    return job


def _built_already(job: _Job) -> dict[str, Manifest] | None:
    """Give the manifests of the corpus in the output folder if it is what the plan would give; None if it is not."""
    if job.config.overwrite or job.config.append or job.workspace.is_begun():
        return None
    folders = {split: commit.split_folder(job.output, split, job.config) for split in job.config.splits}
    if not all((folder / STATE_FILE).exists() for folder in folders.values()):
        return None
    manifests = {split: Manifest.read(folder) for split, folder in folders.items()}
    if any(manifest.run.get("plan_sha256") != _plan_sha256(job) for manifest in manifests.values()):
        return None
    verify(job.output)
    _log.info("it is built already: %s", job.output)
    return manifests


def _plan_sha256(job: _Job) -> str:
    return hashlib.sha256(json.dumps(job.plan, sort_keys=True).encode()).hexdigest()


def _plan_tasks(config: BuildConfig, inputs: Inputs, base: Base) -> list[Task]:
    first = len(base.inputs)
    slices = [
        replace(part, source_index=part.source_index + first) for part in plan_slices(inputs.sources, config.task_bytes)
    ]
    tasks = plan_tasks(slices, config.task_bytes)
    return tasks if config.limit is None else limit_tasks(tasks, config.source, config.limit)


def _run(job: _Job, progress: Progress | None) -> None:
    """Do the tasks that no record says are done."""
    config, workspace = job.config, job.workspace
    records = {task.index: record for task in job.tasks if (record := _stored_record(job, task)) is not None}
    done = [task for task in job.tasks if task.index in records]
    left = [task for task in job.tasks if task.index not in records]
    advance: Callable[[int], None] = progress.advance if progress else lambda _: None
    if progress:
        progress.start(sum(task.size_bytes for task in job.tasks))
        advance(sum(task.size_bytes for task in done))
    if done:
        _log.info("%d of %d tasks are done already", len(done), len(job.tasks))
    limit = _RejectLimit(job)
    one_segmenter = _OneSegmenter(job)
    for record in records.values():
        limit.check(record.rejected)
        one_segmenter.check(record)
    blueprint = Blueprint(
        config,
        str((workspace.folder / TOKENIZER_FOLDER / "tokenizer.json").absolute()),
        tuple(job.vocabulary.special.items()),
        str(workspace.shards.absolute()),
        job.base.num_tasks,
        len(job.base.inputs),
    )
    quarantine = frozenset((each.source_index, each.offset) for each in workspace.quarantine)
    del records
    with (
        StopSignals() as stop,
        closing(run_tasks(blueprint, left, quarantine, _convicting(job), advance, stop)) as running,
    ):
        for record in running:
            one_segmenter.check(record)
            workspace.add(record)
            limit.check(record.rejected)
        _check_unchanged(job)
        stop.raise_if_received(str(job.output), "Run the same command again: it goes on with the tasks that are left.")


def _stored_record(job: _Job, task: Task) -> TaskRecord | None:
    """Give the record of a task if it is done and all of its files are there."""
    record = job.workspace.record(task.index)
    is_done = record is not None and commit.is_stored(record, job.workspace, job.output, job.config)
    return record if is_done else None


def _check_unchanged(job: _Job) -> None:
    """Forget what was made of inputs that changed while they were read, and say so."""
    try:
        job.inputs.check_unchanged()
    except CorpusError:
        job.workspace.forget_tasks()
        raise


class _OneSegmenter:
    """Sees to it that the words of all tasks, and of a corpus that is added to, come from the same segmenter."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._signature = next((content.segmenter for content in job.base.contents.values()), None)

    def check(self, record: TaskRecord) -> None:
        """Raise CorpusError for a task whose words come from another one."""
        self._signature = self._signature or record.segmenter
        if record.segmenter != self._signature:
            raise CorpusError(
                f"the segmenter is {record.segmenter}, but {self._signature} found the other words",
                where=str(self._job.output),
                fix="Take the segmenter that the corpus was begun with, with the same files and versions, or delete "
                f"{self._job.workspace.folder} to throw away what was done.",
            )


def _convicting(job: _Job) -> Callable[[Conviction], None]:
    def convict(found: Conviction) -> None:
        source_index, offset = found.place
        name = job.source_name(source_index)
        _log.warning("quarantined, as it alone killed two workers (%s): %s at %d", found.cause, name, offset)
        job.workspace.convict(
            RejectedDocument(
                reason="quarantined", source=name, source_index=source_index, offset=offset, detail=found.cause
            )
        )

    return convict


class _RejectLimit:
    """Fails a job that has to leave out more documents than it was allowed to."""

    def __init__(self, job: _Job) -> None:
        self._max_rejects, self._output = job.config.max_rejects, job.output
        self._wanted = _WANTED | job.config.clean.reasons
        self._found = 0

    def check(self, rejected: dict[str, int]) -> None:
        """Count the rejections of a task that are faults of documents."""
        self._found += sum(count for reason, count in rejected.items() if reason not in self._wanted)
        if self._max_rejects is not None and self._found > self._max_rejects:
            raise CorpusError(
                f"{self._found} documents were rejected, more than max_rejects = {self._max_rejects}; of the last task",
                value=rejected,
                where=str(self._output / WORK_FOLDER / "shards"),
                fix="See rejected-*.jsonl there; mend the inputs, or allow more with --max-rejects and run it again.",
            )


def _commit(job: _Job, started: float) -> dict[str, Manifest]:
    """Put the tasks' shards and the manifests in place."""
    _check_unchanged(job)
    totals = job.base.totals()
    commit.add_records(totals, job.workspace.records(len(job.tasks)))
    _add_empty_sources(job, totals)
    _report_rejections(totals)
    _check_rows(job, totals)
    config, output = job.config, job.output
    commit.remove_unlike(output, config, job.vocabulary)
    commit.place_files(totals, job.workspace, output, config, job.vocabulary)
    first = config.splits[0]
    rejections = commit.place_rejections(totals.rejections, job.workspace, commit.split_folder(output, first, config))
    shared = _shared_content(job, totals)
    contents = {
        split: Content(
            split=split,
            shards=tuple(totals.shards[split]),
            rejections=rejections if split == first else None,
            **shared,
        )
        for split in config.splits
    }
    manifests = commit.write_manifests(output, config, contents, _run_facts(job, totals, started))
    for split, manifest in manifests.items():
        commit.remove_leftovers(commit.split_folder(output, split, config), manifest)
    commit.remove_other_splits(output, config)
    return manifests


def _shared_content(job: _Job, totals: commit.Totals) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "config": job.config.decisive,
        "segmenter": totals.segmenter,
        "tokenizer": job.tokenizer,
        "vocabulary_sha256": job.vocabulary.sha256,
        "num_pieces": job.vocabulary.num_pieces,
        "special_ids": job.vocabulary.special,
        "versions": _versions(job.config),
        "inputs": (*job.base.inputs, *job.inputs.recorded),
        "counts": dict(sorted(totals.counts.items())),
        "rejected": dict(sorted(totals.rejected.items())),
        "rejected_examples": tuple(totals.examples),
        "quarantine": (
            *job.base.quarantine,
            *(found.model_copy(update={"detail": QUARANTINE_DETAIL}) for found in job.workspace.quarantine),
        ),
        "keep_list_sha256": job.base.keep_list_sha256(job.inputs.keep_list_sha256),
        "statistics": totals.statistics,
        "num_tasks": job.base.num_tasks + len(job.tasks),
    }


def _add_empty_sources(job: _Job, totals: commit.Totals) -> None:
    """A source that gave neither a document nor a rejection becomes a rejection; a limit may never have come to it."""
    planned = {part.source_index for task in job.tasks for part in task.slices}
    for index in sorted(planned - totals.sources_seen):
        totals.rejected["empty_source"] += 1
        if totals.rejected["empty_source"] > MAX_EXAMPLES:
            continue
        totals.examples.append(
            RejectedDocument(
                reason="empty_source",
                source=job.source_name(index),
                source_index=index,
                offset=0,
                detail="it holds no document",
            )
        )


def _report_rejections(totals: commit.Totals) -> None:
    for reason, count in sorted(totals.rejected.items()):
        first = next(found for found in totals.examples if found.reason == reason)
        _log.warning(
            "%d rejected: %s; the first: %s at %d (%s)", count, reason, first.source, first.offset, first.detail
        )


def _check_rows(job: _Job, totals: commit.Totals) -> None:
    if totals.counts["rows"] == 0:
        job.workspace.remove()
        found = "; ".join(f"{r.reason}: {r.source} at {r.offset} ({r.detail})" for r in totals.examples[:5])
        raise CorpusError(
            "no document gave a row",
            value=found,
            where=", ".join(job.config.inputs),
            fix="Check the inputs and how documents are separated.",
        )


def _versions(config: BuildConfig) -> dict[str, str]:
    packages = ["wwmcorpus", "tokenizers", "ltp-extension", "jieba", "pyarrow"]
    packages += ["opencc"] if config.clean.convert else []
    return {package: version(package) for package in packages} | {"unicode": unicodedata.unidata_version}


def _run_facts(job: _Job, totals: commit.Totals, started: float) -> dict[str, Any]:
    return {
        "plan_sha256": _plan_sha256(job),
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - started, 3),
        "stage_seconds": {stage: round(seconds, 3) for stage, seconds in sorted(totals.stage_seconds.items())},
        "segmenter": job.config.segmenter,
        "tokenizer": job.config.tokenizer,
        "quarantine": {f"{each.source} at {each.offset}": each.detail for each in job.workspace.quarantine},
        "engine": job.config.engine,
        "num_workers": job.config.num_workers,
        "inputs": [*job.base.locations, *(shown(source.location) for source in job.inputs.sources)],
        "python": platform.python_version(),
    }
