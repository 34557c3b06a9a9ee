"""Corpora in, one corpus with the rows of all of them, in the order in which they were named, out.

Each corpus is read byte by byte and checked before anything of it is written. Sources are numbered on, so that a row's
provenance stays right; all else of a row stays as it is. It is committed as a build is, and goes on where it was
stopped when the same command is run again.
"""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from wwmcorpus.align import Vocabulary
from wwmcorpus.config import Config
from wwmcorpus.corpus import commit
from wwmcorpus.corpus.manifest import FORMAT_VERSION, Content, Manifest
from wwmcorpus.corpus.merge_members import Member, check_alike
from wwmcorpus.corpus.merge_rows import Before, renumbered, renumbered_documents
from wwmcorpus.corpus.merged_parts import joined, shared_config
from wwmcorpus.corpus.output_folder import check_free, make_output
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER, open_corpus
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.verify import corpus_bytes
from wwmcorpus.corpus.workspace import Workspace
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import disk_errors, folder_lock, make_folder, whole_file


class MergeConfig(Config):
    """What ``wwmcorpus merge`` can be told."""

    #: Corpus folders, or roots of corpora with splits; their rows follow one another in this order.
    corpora: tuple[str, ...] = Field(strict=False, min_length=2)
    #: Folder of the merged corpus; made if absent.
    output: str
    #: Mix words that different segmenters found.
    mixed_segmenters: bool = False
    #: Merge corpora that were made from the same input, whose rows then stand there twice.
    allow_duplicates: bool = False
    #: Replace a corpus, or an unfinished job, that is already in the output folder.
    overwrite: bool = False


def merge(config: MergeConfig, advance: Callable[[int], None] = lambda _: None) -> dict[str, Manifest]:
    """Merge corpora of the same tokenizer, length, pairs and splits, and give the manifest of each split.

    Args:
        config: Which, and where to.
        advance: Told of bytes, ``merge_bytes`` in all.

    Returns:
        One manifest, ``"train"``, where there are no splits; else one per split.

    Raises:
        CorpusError: a corpus is absent or damaged, two do not fit together, or the output folder is taken or in use.
    """
    started = time.monotonic()
    output = Path(config.output)
    paths = [Path(corpus) for corpus in config.corpora]
    _check_apart(paths, output)
    members = [Member.open(path, advance) for path in paths]
    check_alike(members, config.mixed_segmenters, config.allow_duplicates)
    make_output(output)
    with folder_lock(output, "wwmcorpus merge"), disk_errors(output):
        workspace = _begin(config, members, output)
        layout = _layout(config, members[0])
        _write(members, workspace, output, layout, advance)
        manifests = _commit(members, workspace, output, layout, started)
        workspace.remove()
    return manifests


def merge_bytes(corpora: Sequence[str]) -> int:
    """Give how many bytes merging corpora reads and writes."""
    return 2 * sum(corpus_bytes(corpus) for corpus in corpora)


def _check_apart(paths: list[Path], output: Path) -> None:
    target = output.resolve()
    for path in paths:
        source = path.resolve()
        if source == target or source in target.parents or target in source.parents:
            raise CorpusError(
                "a corpus and the merged one cannot lie in one another",
                value=str(path),
                where=f"output {output}",
                fix="Choose a folder apart from the corpora.",
            )


def _begin(config: MergeConfig, members: list[Member], output: Path) -> Workspace:
    """See whether the output may be written, and make or take up the work folder."""
    workspace = Workspace(output)
    plan = {
        "format_version": FORMAT_VERSION,
        "merge": [
            {split: manifest.content_sha256 for split, manifest in member.manifests.items()} for member in members
        ],
        "versions": _versions(members),
    }
    if not workspace.holds(plan):
        check_free(output, config.overwrite, "Choose another folder, or replace it with --overwrite.")
    workspace.begin(plan, start_anew=config.overwrite)
    target = workspace.folder / TOKENIZER_FOLDER
    make_folder(target)
    for path in sorted((members[0].first_folder / TOKENIZER_FOLDER).iterdir()):
        with path.open("rb") as source, whole_file(target / path.name) as copy:
            shutil.copyfileobj(source, copy)
    return workspace


def _layout(config: MergeConfig, member: Member) -> BuildConfig:
    """Give the configuration of a build that lays out its folders as the merged corpus's are."""
    return BuildConfig(
        inputs=config.corpora,
        output=config.output,
        pairs=member.content.config["pairs"],
        validation_fraction=0.1 if "validation" in member.manifests else 0.0,
        test_fraction=0.1 if "test" in member.manifests else 0.0,
    )


def _write(
    members: list[Member], workspace: Workspace, output: Path, layout: BuildConfig, advance: Callable[[int], None]
) -> None:
    """Write the corpora that no record says are written."""
    for member, before in zip(members, _befores(members), strict=True):
        record = workspace.record(before.num_corpora)
        if record is not None and commit.is_stored(record, workspace, output, layout):
            advance(corpus_bytes(member.path))
        else:
            workspace.add(renumbered(member, before, workspace.shards, advance))


def _befores(members: Sequence[Member]) -> Iterator[Before]:
    before = Before(0, 0, 0)
    for member in members:
        yield before
        content = member.content
        before = Before(
            before.num_corpora + 1, before.num_sources + len(content.inputs), before.num_tasks + content.num_tasks
        )


def _commit(
    members: list[Member], workspace: Workspace, output: Path, layout: BuildConfig, started: float
) -> dict[str, Manifest]:
    """Put shards and manifests in place."""
    vocabulary = open_corpus(members[0].first_folder).vocabulary
    totals = commit.Totals()
    commit.add_records(totals, workspace.records(len(members)))
    commit.remove_unlike(output, layout, vocabulary)
    commit.place_files(totals, workspace, output, layout, vocabulary)
    first = layout.splits[0]
    rejections = commit.place_rejections(totals.rejections, workspace, commit.split_folder(output, first, layout))
    shared = _shared_content(members, totals, vocabulary)
    contents = {
        split: Content(
            split=split,
            shards=tuple(totals.shards[split]),
            rejections=rejections if split == first else None,
            **shared,
        )
        for split in layout.splits
    }
    manifests = commit.write_manifests(output, layout, contents, _run_facts(members, started))
    for split, manifest in manifests.items():
        commit.remove_leftovers(commit.split_folder(output, split, layout), manifest)
    return manifests


def _shared_content(members: list[Member], totals: commit.Totals, vocabulary: Vocabulary) -> dict[str, Any]:
    parts = [part for member in members for part in member.parts]
    contents = [member.content for member in members]
    quarantine = [
        document
        for content, before in zip(contents, _befores(members), strict=True)
        for document in renumbered_documents(content.quarantine, before)
    ]
    return {
        "format_version": FORMAT_VERSION,
        "config": shared_config(parts),
        "segmenter": joined(part.segmenter for part in parts),
        "tokenizer": contents[0].tokenizer,
        "vocabulary_sha256": vocabulary.sha256,
        "num_pieces": vocabulary.num_pieces,
        "special_ids": vocabulary.special,
        "versions": _versions(members),
        "inputs": tuple(each for content in contents for each in content.inputs),
        "counts": dict(sorted(totals.counts.items())),
        "rejected": dict(sorted(totals.rejected.items())),
        "rejected_examples": tuple(totals.examples),
        "quarantine": tuple(quarantine),
        "keep_list_sha256": "+".join(filter(None, (content.keep_list_sha256 for content in contents))) or None,
        "statistics": totals.statistics,
        "num_tasks": sum(content.num_tasks for content in contents),
    }


def _versions(members: list[Member]) -> dict[str, str]:
    """Give the versions that made the rows; pyarrow's is that which wrote them last."""
    names = dict.fromkeys(name for member in members for name in member.content.versions)
    versions = {
        name: joined(member.content.versions[name] for member in members if name in member.content.versions)
        for name in names
    }
    return versions | {"pyarrow": version("pyarrow")}


def _run_facts(members: list[Member], started: float) -> dict[str, Any]:
    merged = [
        {
            "folder": str(member.path.absolute()),
            "fingerprints": {split: manifest.fingerprint for split, manifest in member.manifests.items()},
        }
        for member in members
    ]
    return {
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - started, 3),
        "inputs": [location for member in members for location in member.run.get("inputs", [])],
        "merged": merged,
        "python": platform.python_version(),
    }
