"""A deduplication: configuration in, a committed list of duplicates out.

Plan, sign, find, commit: sources are cut into tasks, each task becomes a shard of signatures and a record, duplicates
are found in the signatures alone, and ``dedup.json``, written last, makes the folder a result. A job that was stopped
goes on from its records; one with another threshold uses the same signatures.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.files import disk_errors, file_sha256, folder_lock, make_folder, move, remove_folder, sync
from wwmcorpus.text.dedup.against import Earlier
from wwmcorpus.text.dedup.duplicates import DuplicateFinder
from wwmcorpus.text.dedup.keep_list import KeepList
from wwmcorpus.text.dedup.plan import WORK_FOLDER, Plan, make_plan
from wwmcorpus.text.dedup.result import (
    DUPLICATES_FILE,
    SIGNATURES_FOLDER,
    DedupContent,
    DedupFile,
    DedupInput,
    write_content,
    write_duplicates,
)
from wwmcorpus.text.dedup.settings import DedupConfig
from wwmcorpus.text.dedup.sign import MAX_EXAMPLES, sign_task, signature_schema
from wwmcorpus.text.dedup.signatures import Signatures
from wwmcorpus.text.dedup.tasks import FORMAT_VERSION, SignBlueprint, SignRecord, SignTask, plan_sign_tasks
from wwmcorpus.text.sources import plan_slices

#: Counts that stand in every result, also where they are 0.
_ALWAYS_COUNTED = ("characters", "compared_pairs", "crowded_buckets", "documents", "exact_duplicates")
#: Below this, the job says that it will miss duplicates.
_LEAST_PROBABILITY = 0.9
_log = logging.getLogger(__name__)

#: Does tasks, in any order and any process, and gives their records; the built-in ``map`` does them here.
Run = Callable[[Callable[[SignTask], SignRecord], Sequence[SignTask]], Iterable[SignRecord]]


class Progress(Protocol):
    """Watches a deduplication."""

    def start(self, total_bytes: int) -> None:
        """Learn how many source bytes there are to read."""
        ...

    def advance(self, num_bytes: int) -> None:
        """Learn that so many more were read."""
        ...


def dedup(config: DedupConfig, run: Run | None = None, progress: Progress | None = None) -> KeepList:
    """Find duplicate documents and write which of them to drop; or go on with a job that was stopped.

    Args:
        config: The job.
        run: Does the tasks; None: one after the other in this process.
        progress: Told of source bytes as they are read.

    Returns:
        The result, opened.

    Raises:
        SourceError: an input cannot be found or read.
        CorpusError: the output folder is taken or in use, an input changed meanwhile, or a folder to compare with is
            damaged or has other signatures.
        MissingExtraError: cleaning needs OpenCC.
    """
    started = time.monotonic()
    output = Path(config.output)
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), folder_lock(output, "wwmcorpus dedup"):
        plan = make_plan(config)
        _warn_if_missed(config)
        records = _sign(plan, run or map, progress)
        content = _find(plan, records)
        facts = {
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - started, 3),
            "num_workers": config.num_workers,
            "inputs": [source.location for source in plan.sources],
            "against": list(config.against),
        }
        write_content(output, content, facts)
    return KeepList.open(output)


def _warn_if_missed(config: DedupConfig) -> None:
    probability = config.comparison_probability(config.threshold)
    if config.kind == "near" and probability < _LEAST_PROBABILITY:
        _log.warning(
            "documents at the threshold %g are compared with a probability of %.2f only; fewer rows_per_band raise it",
            config.threshold,
            probability,
        )


def _sign(plan: Plan, run: Run, progress: Progress | None) -> list[SignRecord]:
    """Have every task done; give the records in the order of the tasks."""
    config, folder = plan.config, plan.output / SIGNATURES_FOLDER
    make_folder(folder)
    slices = plan_slices(plan.sources, config.task_bytes)
    decisive = [config.signature_options.values(), config.source.values(), plan.versions]
    tasks = plan_sign_tasks(slices, plan.digests, config.task_bytes, decisive)
    if progress:
        progress.start(sum(task.size_bytes for task in tasks))
    blueprint = SignBlueprint(config.signature_options, config.source, str(folder))
    records = []
    for record in run(functools.partial(sign_task, blueprint=blueprint), tasks):
        records.append(record)
        if progress:
            progress.advance(tasks[record.index].size_bytes)
    if len(records) < len(tasks):
        fix = "Run the same command again: it goes on where it stopped."
        raise CorpusError(f"{len(tasks) - len(records)} tasks were not done", where=str(plan.output), fix=fix)
    if changed := plan.changed_input():
        remove_folder(folder)
        fix = "Leave the inputs alone, and run it again."
        raise CorpusError("an input changed while it was read", value=changed, fix=fix)
    records.sort(key=lambda record: record.index)
    named = {record.name for record in records} | {f"task-{record.index:05d}.json" for record in records}
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink()
    return records


def _find(plan: Plan, records: list[SignRecord]) -> DedupContent:
    """Find the duplicates and put their list in place."""
    folder, work = plan.output / SIGNATURES_FOLDER, plan.output / WORK_FOLDER
    paths, lengths = [folder / record.name for record in records], [record.num_documents for record in records]
    ours = Signatures(paths, lengths, signature_schema(plan.config))
    remove_folder(work)
    make_folder(work)
    try:
        finder = DuplicateFinder(plan.config, plan.earlier.signatures.followed_by(ours), ours.num_documents, work)
        finder.find_exact()
        if plan.config.kind == "near":
            finder.find_near(plan.earlier.known_pairs())
        path = work / DUPLICATES_FILE
        num_duplicates = write_duplicates(path, _duplicates(plan.earlier, ours, finder))
        sync(path)
        duplicates = DedupFile(
            name=DUPLICATES_FILE,
            num_documents=num_duplicates,
            size_bytes=path.stat().st_size,
            sha256=file_sha256(path),
        )
        move(path, plan.output / DUPLICATES_FILE)
    finally:
        remove_folder(work)
    return _content(plan, records, duplicates, finder.counts)


def _duplicates(earlier: Earlier, ours: Signatures, finder: DuplicateFinder) -> Iterator[dict[str, NDArray[Any]]]:
    """Give the rows of the list, some at a time."""
    places = ["source_index", "offset"]
    for begin, columns in ours.scan(places):
        documents = np.arange(begin, begin + len(columns["offset"]))
        numbers = documents + earlier.num_documents
        roots = finder.clusters.roots(numbers)
        dropped = roots != numbers
        if not dropped.any():
            continue
        kept = finder.signatures.take(roots[dropped], places)
        kept_in, kept_document = earlier.folder_of(roots[dropped])
        yield {
            "source_index": columns["source_index"][dropped],
            "offset": columns["offset"][dropped],
            "document": documents[dropped],
            "kept_in": kept_in,
            "kept_source_index": kept["source_index"],
            "kept_offset": kept["offset"],
            "kept_document": kept_document,
        }


def _content(plan: Plan, records: list[SignRecord], duplicates: DedupFile, found: Counter[str]) -> DedupContent:
    """Add everything up, and say in the log what was left out or not looked at."""
    counts = Counter(dict.fromkeys(_ALWAYS_COUNTED, 0))
    counts.update(found)
    rejected, examples = Counter[str](), list[dict[str, Any]]()
    seen: set[int] = set()
    for record in records:
        counts.update(record.counts)
        rejected.update(record.rejected)
        examples += record.examples
        seen.update(record.sources_seen)
    for index, source in enumerate(plan.sources):
        if index not in seen:
            rejected["empty_source"] += 1
            empty = {"reason": "empty_source", "source": source.name, "offset": 0, "detail": "it holds no document"}
            examples.append(empty | {"source_index": index})
    firsts = [example for reason in sorted(rejected) for example in _of_reason(examples, reason)]
    for reason, number in sorted(rejected.items()):
        first = _of_reason(firsts, reason)[0]
        _log.warning(
            "%d rejected: %s; the first: %s at %d (%s)",
            number,
            reason,
            first["source"],
            first["offset"],
            first["detail"],
        )
    if counts["crowded_buckets"]:
        _log.warning("%d buckets were too large to compare all of their documents", counts["crowded_buckets"])
    counts["duplicates"] = duplicates.num_documents
    counts["near_duplicates"] = counts["duplicates"] - counts["exact_duplicates"]
    return DedupContent(
        format_version=FORMAT_VERSION,
        config=plan.config.decisive,
        versions=plan.versions,
        inputs=tuple(
            DedupInput(name=source.name, size_bytes=source.size_bytes or 0, sha256=digest)
            for source, digest in zip(plan.sources, plan.digests, strict=True)
        ),
        against=plan.earlier.sha256s,
        signatures=tuple(
            DedupFile(**record.model_dump(include={"name", "num_documents", "size_bytes", "sha256"}))
            for record in records
        ),
        duplicates=duplicates,
        counts=dict(sorted(counts.items())),
        rejected=dict(sorted(rejected.items())),
        rejected_examples=tuple(firsts),
    )


def _of_reason(examples: Iterable[dict[str, Any]], reason: str) -> list[dict[str, Any]]:
    return [example for example in examples if example["reason"] == reason][:MAX_EXAMPLES]
