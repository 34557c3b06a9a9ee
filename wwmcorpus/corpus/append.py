"""A committed corpus in, what a build adds its inputs to out.

Sources, tasks and rejections of the addition are numbered on from those of the corpus. What the corpus was before is
kept in the work folder, so that an addition that was stopped while it was committed goes on from there.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wwmcorpus.corpus.commit import Totals, committed, split_folder
from wwmcorpus.corpus.manifest import Content, Input, Manifest, RejectedDocument
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.corpus.workspace import Workspace
from wwmcorpus.errors import CorpusError, differences
from wwmcorpus.files import sync, whole_file, write_json


@dataclass(frozen=True, slots=True)
class Base:
    """The corpus that a build adds to; without contents, none.

    Attributes:
        contents: By split.
        locations: Where its inputs lay.
    """

    contents: dict[str, Content] = field(default_factory=dict)
    locations: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the corpus was made from."""
        return next((content.inputs for content in self.contents.values()), ())

    @property
    def quarantine(self) -> tuple[RejectedDocument, ...]:
        """What was left out of it for killing workers."""
        return next((content.quarantine for content in self.contents.values()), ())

    @property
    def num_tasks(self) -> int:
        """How many tasks made it."""
        return next((content.num_tasks for content in self.contents.values()), 0)

    @property
    def plan(self) -> list[str]:
        """What of it the addition depends on: the hashes of its shards."""
        return [shard.sha256 for content in self.contents.values() for shard in content.shards]

    def keep_list_sha256(self, added: str | None) -> str | None:
        """Give the hashes of the lists of duplicates of the corpus and of the addition."""
        own = next((content.keep_list_sha256 for content in self.contents.values()), None)
        return "+".join(part for part in (own, added) if part) or None

    def totals(self) -> Totals:
        """Give the totals that those of the addition are added to."""
        totals = Totals()
        for split, content in self.contents.items():
            totals.shards[split] = list(content.shards)
            totals.segmenters.add(content.segmenter)
            totals.counts, totals.rejected = Counter(content.counts), Counter(content.rejected)
            totals.examples, totals.statistics = list(content.rejected_examples), content.statistics
            totals.rejections += [content.rejections] if content.rejections else []
        return totals


def find_base(config: BuildConfig, output: Path, workspace: Workspace, content: dict[str, Any]) -> Base:
    """Give the corpus that a build adds to, or an empty one where it does not add.

    Args:
        config: Of the build.
        output: Its folder.
        workspace: Where the corpus's manifests are kept once the addition has begun.
        content: The fields of the addition's manifests that must be equal in the corpus.

    Raises:
        CorpusError: there is no corpus, or one that was built otherwise.
    """
    if not config.append:
        return Base()
    base = _kept(workspace) or _found(config, output)
    for split, found in base.contents.items():
        values = found.model_dump(mode="json")
        unlike = list(differences({key: values[key] for key in content}, json.loads(json.dumps(content))))
        if unlike:
            raise CorpusError(
                "the corpus was built otherwise than what is to be added",
                value="; ".join(unlike)[:2000],
                where=f"{output}, split {split}",
                fix="Build the addition as the corpus was built, or into another folder and use wwmcorpus merge.",
            )
    return base


def check_new(base: Base, inputs: tuple[Input, ...], output: Path) -> None:
    """Raise CorpusError for an input that the corpus already holds."""
    known = {each.sha256: each.name for each in base.inputs if each.size_bytes}
    for each in inputs:
        if each.sha256 in known:
            raise CorpusError(
                f"an input is in the corpus already, as {known[each.sha256]}",
                value=each.name,
                where=str(output),
                fix="Leave it out.",
            )


def keep_base(base: Base, config: BuildConfig, output: Path, workspace: Workspace) -> None:
    """Keep in the work folder what a commit will replace: the manifests, and the list of rejections."""
    if not base.contents or workspace.base_file.exists():
        return
    for split, content in base.contents.items():
        if content.rejections:
            source = split_folder(output, split, config) / content.rejections.name
            with source.open("rb") as file, whole_file(workspace.shards / source.name) as copy:
                shutil.copyfileobj(file, copy)
    sync(workspace.shards)
    contents = {split: content.values() for split, content in base.contents.items()}
    write_json(workspace.base_file, {"contents": contents, "locations": list(base.locations)})


def _kept(workspace: Workspace) -> Base | None:
    if not workspace.base_file.exists():
        return None
    kept = json.loads(workspace.base_file.read_text("utf-8"))
    contents = {split: Content(**values) for split, values in kept["contents"].items()}
    return Base(contents, tuple(kept["locations"]))


def _found(config: BuildConfig, output: Path) -> Base:
    manifests = committed(output)
    contents = {
        split: manifests[folder].content
        for split in config.splits
        if (folder := split_folder(output, split, config)) in manifests
    }
    if set(contents) != set(config.splits) or len(manifests) != len(contents):
        raise CorpusError(
            f"there is no corpus with the splits {', '.join(config.splits)} to add to",
            value=[_shown(folder, manifest) for folder, manifest in manifests.items()],
            where=str(output),
            fix="Build one first, with the same splits, or leave --append out.",
        )
    return Base(contents, tuple(next(iter(manifests.values())).run.get("inputs", ())))


def _shown(folder: Path, manifest: Manifest) -> str:
    return f"{folder.name}: {manifest.content.split}"
