"""A build: configuration in, a committed corpus out.

Plan, run, commit: sources are cut into tasks before any work, each task becomes one shard, and ``state.json``, written
last, makes the folder a corpus. Until then everything lies in a work folder inside the output.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from wwmcorpus.align import Vocabulary, load_tokenizer, save_tokenizer, tokenizer_signature
from wwmcorpus.corpus.local import run_tasks
from wwmcorpus.corpus.manifest import (
    FORMAT_VERSION,
    STATE_FILE,
    Content,
    Input,
    Manifest,
    RejectedDocument,
    Shard,
    write_json,
)
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER
from wwmcorpus.corpus.settings import SPLITS, BuildConfig
from wwmcorpus.corpus.shards import file_sha256, sync
from wwmcorpus.corpus.tasks import MAX_EXAMPLES, Blueprint, TaskResult, plan_tasks
from wwmcorpus.errors import CorpusError
from wwmcorpus.records import Rejection
from wwmcorpus.text import find_sources, plan_slices, shown

SPLITS_FILE = "dataset_dict.json"
_WORK_FOLDER = ".work"
_log = logging.getLogger(__name__)


class Progress(Protocol):
    """Watches a build."""

    def start(self, total_bytes: int) -> None:
        """Learn how many source bytes there are."""
        ...

    def advance(self, num_bytes: int) -> None:
        """Learn that so many more were dealt with."""
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known before the first task runs."""

    config: BuildConfig
    output: Path
    work: Path
    sources: list[Path]
    inputs: tuple[Input, ...]


def build(config: BuildConfig, progress: Progress | None = None) -> dict[str, Manifest]:
    """Build a corpus and give the manifest of each split (one, ``"train"``, where there are no splits).

    Raises:
        SourceError: an input cannot be found.
        ConfigError: the segmenter or the tokenizer is unknown.
        CorpusError: the output folder is taken, no document gave a row, or a worker died.
    """
    started = time.monotonic()
    plan = _prepare(config)
    try:
        tokenizer = load_tokenizer(config.tokenizer)
        vocabulary = Vocabulary.of(tokenizer)
        tokenizer_folder = plan.work / TOKENIZER_FOLDER
        save_tokenizer(tokenizer, tokenizer_folder)
        blueprint = Blueprint(config, str(tokenizer_folder / "tokenizer.json"), vocabulary.special, str(plan.work))
        tasks = plan_tasks(plan_slices(plan.sources, config.task_bytes), config.task_bytes)
        if progress:
            progress.start(sum(part.end - part.start for task in tasks for part in task.slices))
        results = run_tasks(blueprint, tasks, config.num_workers, progress.advance if progress else lambda _: None)
        merged = _merge(results, plan)
        shared = {
            "format_version": FORMAT_VERSION,
            "config": config.decisive,
            "segmenter": merged.segmenter,
            "tokenizer": tokenizer_signature(tokenizer),
            "vocabulary_sha256": vocabulary.sha256,
            "num_pieces": vocabulary.num_pieces,
            "special_ids": vocabulary.special,
            "versions": _versions(),
            "inputs": plan.inputs,
            "counts": dict(sorted(merged.counts.items())),
            "rejected": dict(sorted(merged.rejected.items())),
            "rejected_examples": tuple(RejectedDocument(**_as_dict(rejection)) for rejection in merged.examples),
        }
        return _commit(plan, results, shared, _run_facts(plan, started))
    finally:
        shutil.rmtree(plan.work, ignore_errors=True)


def _prepare(config: BuildConfig) -> _Plan:
    sources = find_sources(config.inputs)
    output = Path(config.output)
    inside = [path for path in sources if output.resolve() in path.resolve().parents]
    if inside:
        raise CorpusError(
            "an input lies inside the output folder",
            value=str(inside[0]),
            where=str(output),
            fix="Choose a folder outside.",
        )
    output.mkdir(parents=True, exist_ok=True)
    taken = sorted(entry.name for entry in output.iterdir() if entry.name != _WORK_FOLDER)
    is_corpus = (output / STATE_FILE).exists() or (output / SPLITS_FILE).exists()
    if taken and not is_corpus:
        raise CorpusError(
            "the output folder holds other files",
            value=taken[:5],
            where=str(output),
            fix="Choose a new or empty folder.",
        )
    if is_corpus and not config.overwrite:
        raise CorpusError(
            "a corpus is already there",
            value=str(output),
            fix="Choose another folder, or overwrite it with --overwrite.",
        )
    try:
        _committed(output)
    except CorpusError as error:  # better now than after the work
        raise CorpusError(
            f"what lies in the output folder cannot be replaced: {error.what}",
            where=str(output),
            fix="Choose another folder, or delete this one.",
        ) from None
    work = output / _WORK_FOLDER
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    inputs = tuple(
        Input(name=shown(path.name), size_bytes=path.stat().st_size, sha256=file_sha256(path)) for path in sources
    )
    return _Plan(config, output, work, sources, inputs)


def _merge(results: list[TaskResult], plan: _Plan) -> TaskResult:
    """Add up the tasks' counts; a source that gave neither a document nor a rejection becomes a rejection."""
    total = TaskResult(index=0, segmenter=_only_segmenter(results))
    seen: set[int] = set()
    for result in results:
        total.counts.update(result.counts)
        total.rejected.update(result.rejected)
        total.examples.extend(result.examples)
        seen |= result.sources_seen
    for index, path in enumerate(plan.sources):
        if index not in seen:
            total.rejected["empty_source"] += 1
            total.examples.append(Rejection("empty_source", shown(path.name), 0, "the file holds no document"))
    kept: Counter[str] = Counter()
    examples = []
    for rejection in total.examples:
        kept[rejection.reason] += 1
        if kept[rejection.reason] <= MAX_EXAMPLES:
            examples.append(rejection)
    total.examples = examples
    for reason, count in sorted(total.rejected.items()):
        first = next(rejection for rejection in examples if rejection.reason == reason)
        _log.warning(
            "%d rejected: %s; the first: %s at byte %d (%s)",
            count,
            reason,
            first.source,
            first.offset_bytes,
            first.detail,
        )
    if total.counts["rows"] == 0:
        found = "; ".join(f"{r.reason}: {r.source} at byte {r.offset_bytes} ({r.detail})" for r in examples[:5])
        raise CorpusError(
            "no document gave a row",
            value=found,
            where=", ".join(plan.config.inputs),
            fix="Check the inputs and how documents are separated.",
        )
    return total


def _only_segmenter(results: list[TaskResult]) -> str:
    signatures = sorted({result.segmenter for result in results})
    if len(signatures) > 1:
        raise CorpusError(
            "the segmenter changed while the build ran", value=signatures, fix="Leave its files alone, and build again."
        )
    return signatures[0]


def _commit(plan: _Plan, results: list[TaskResult], shared: dict[str, Any], run: dict[str, Any]) -> dict[str, Manifest]:
    """Bring the shards under their final names and write the manifests, the commit points last."""
    splits = plan.config.splits
    _remove_corpus(plan.output)
    manifests = {}
    for split in splits:
        folder = plan.output / split if len(splits) > 1 else plan.output
        folder.mkdir(exist_ok=True)
        shutil.copytree(plan.work / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)
        content = Content(split=split, shards=_place_shards(results, split, folder), **shared)
        manifests[split] = Manifest(content=content, run=run)
        manifests[split].commit(folder)
    if len(splits) > 1:
        fingerprints = {split: manifest.fingerprint for split, manifest in manifests.items()}
        write_json(plan.output / SPLITS_FILE, {"splits": list(splits), "wwmcorpus": {"fingerprints": fingerprints}})
    return manifests


def _place_shards(results: list[TaskResult], split: str, folder: Path) -> tuple[Shard, ...]:
    """Rename the attempts of a split; shards without rows are left behind unless there is no other."""
    attempts = [result.shards[split] for result in results]
    attempts = [attempt for attempt in attempts if attempt.num_rows] or attempts[:1]
    shards = []
    for index, attempt in enumerate(attempts):
        name = f"data-{index:05d}-of-{len(attempts):05d}-{attempt.sha256[:8]}.arrow"
        os.replace(attempt.path, folder / name)
        shards.append(
            Shard(
                name=name,
                num_rows=attempt.num_rows,
                num_words=attempt.num_words,
                num_pieces=attempt.num_pieces,
                size_bytes=attempt.size_bytes,
                sha256=attempt.sha256,
            )
        )
    sync(folder)
    return tuple(shards)


def _remove_corpus(output: Path) -> None:
    """Take away a committed corpus, its commit points first; nothing but what its manifests name is touched."""
    committed = _committed(output)
    (output / SPLITS_FILE).unlink(missing_ok=True)
    for folder, manifest in committed.items():
        (folder / STATE_FILE).unlink()
        for name in (*(shard.name for shard in manifest.content.shards), "dataset_info.json"):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / TOKENIZER_FOLDER, ignore_errors=True)
        if folder != output and not any(folder.iterdir()):
            folder.rmdir()


def _committed(output: Path) -> dict[Path, Manifest]:
    """Give the manifests of the corpus, or of its splits, that an output folder holds, by folder.

    Raises:
        CorpusError: what is there is not ours, of another format, or damaged.
    """
    folders = [output] if (output / STATE_FILE).exists() else []
    if (output / SPLITS_FILE).exists():
        folders += [output / split for split in SPLITS if (output / split / STATE_FILE).exists()]
    return {folder: Manifest.read(folder) for folder in folders}


def _versions() -> dict[str, str]:
    packages = ("wwmcorpus", "tokenizers", "ltp-extension", "jieba", "pyarrow")
    return {package: version(package) for package in packages}


def _run_facts(plan: _Plan, started: float) -> dict[str, Any]:
    return {
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - started, 3),
        "num_workers": plan.config.num_workers,
        "inputs": [shown(path) for path in plan.sources],
        "python": platform.python_version(),
    }


def _as_dict(rejection: Rejection) -> dict[str, Any]:
    return {
        "reason": rejection.reason,
        "source": rejection.source,
        "offset_bytes": rejection.offset_bytes,
        "detail": rejection.detail,
    }
