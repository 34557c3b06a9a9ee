"""The records of all tasks in, a committed corpus out.

Shards have names of their content, so that nothing is ever written over; ``state.json`` comes last, and with splits
``dataset_dict.json`` after the last of those. Every step can be done again: a commit that was cut short is finished by
the next run.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wwmcorpus.align import Vocabulary
from wwmcorpus.corpus.manifest import STATE_FILE, Content, Manifest, RejectedDocument, Shard, StoredFile
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER
from wwmcorpus.corpus.rejections import first_examples
from wwmcorpus.corpus.settings import SPLITS, BuildConfig
from wwmcorpus.corpus.shards import ShardWriter
from wwmcorpus.corpus.statistics import Statistics, merge_statistics
from wwmcorpus.corpus.tasks import TaskRecord
from wwmcorpus.corpus.workspace import Workspace
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256, make_folder, move, remove, remove_folder, sync, whole_file, write_json

SPLITS_FILE = "dataset_dict.json"
#: Files named by their content.
SHARD_NAMES = ("data-[0-9]*-[0-9]*-????????.arrow", "rejected-????????.jsonl")


@dataclass(slots=True)
class Totals:
    """What all tasks gave together."""

    segmenters: set[str] = field(default_factory=set)
    shards: dict[str, list[Shard]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[RejectedDocument] = field(default_factory=list)
    rejections: list[StoredFile] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    sources_seen: set[int] = field(default_factory=set)
    stage_seconds: Counter[str] = field(default_factory=Counter)

    def add(self, record: TaskRecord) -> None:
        """Add the record of a task."""
        self.segmenters.add(record.segmenter)
        for split, shards in record.shards.items():
            self.shards.setdefault(split, []).extend(shards)
        self.counts.update(record.counts)
        self.rejected.update(record.rejected)
        self.examples = list(first_examples([*self.examples, *record.examples]))
        self.rejections += [record.rejections] if record.rejections else []
        self.sources_seen |= set(record.sources_seen)
        self.stage_seconds.update(record.stage_seconds)

    @property
    def segmenter(self) -> str:
        """Signature of the one segmenter of all tasks.

        Raises:
            CorpusError: there were several.
        """
        if len(self.segmenters) > 1:
            raise CorpusError(
                "the segmenter changed while the build ran",
                value=sorted(self.segmenters),
                fix="Put its files back as they were, and build again with --overwrite.",
            )
        return next(iter(self.segmenters))


def add_records(totals: Totals, records: Iterator[TaskRecord]) -> None:
    """Add the records of all tasks to totals, one at a time."""

    def passed() -> Iterator[Statistics]:
        yield totals.statistics
        for record in records:
            totals.add(record)
            yield record.statistics

    totals.statistics = merge_statistics(passed())


def is_stored(record: TaskRecord, workspace: Workspace, output: Path, config: BuildConfig) -> bool:
    """Say whether all files of a finished task are there, in the work folder or already under their final names."""
    stored = [(split, shard) for split, shards in record.shards.items() for shard in shards]
    stored += [(config.splits[0], record.rejections)] if record.rejections else []  # type: ignore[list-item]
    for split, file in stored:
        folder = split_folder(output, split, config)
        if not any(_has_size(path, file.size_bytes) for path in (workspace.shards / file.name, folder / _final(file))):
            return False
    return True


def split_folder(output: Path, split: str, config: BuildConfig) -> Path:
    """Give the folder of a split: the output itself where there is only one."""
    return output / split if len(config.splits) > 1 else output


def place_files(
    totals: Totals, workspace: Workspace, output: Path, config: BuildConfig, vocabulary: Vocabulary
) -> None:
    """Bring shards, tokenizer and the list of rejections to the corpus; nothing refers to them yet.

    Afterwards ``totals.shards`` has at least one shard for each split, and the shards their final names.
    """
    for split in config.splits:
        folder = split_folder(output, split, config)
        make_folder(folder)
        if not totals.shards.get(split):
            totals.shards[split] = [_empty_shard(workspace.shards, split, vocabulary, config)]
        for shard in totals.shards[split]:
            if (workspace.shards / shard.name).exists():
                (workspace.shards / shard.name).replace(folder / _final(shard))
        sync(folder)
        sync(workspace.shards)
        _place_tokenizer(workspace.folder / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)
        totals.shards[split] = [shard.model_copy(update={"name": _final(shard)}) for shard in totals.shards[split]]


def place_rejections(parts: list[StoredFile], workspace: Workspace, folder: Path) -> StoredFile | None:
    """Join the tasks' lists of rejections to one file named by its content; None where there is none."""
    if not parts:
        return None
    joined = workspace.folder / "rejected.jsonl"
    with whole_file(joined) as file:
        for part in parts:
            with (workspace.shards / part.name).open("rb") as lines:
                shutil.copyfileobj(lines, file)
    sha256, size_bytes = file_sha256(joined), joined.stat().st_size
    name = f"rejected-{sha256[:8]}.jsonl"
    move(joined, folder / name)
    return StoredFile(name=name, size_bytes=size_bytes, sha256=sha256)


def write_manifests(
    output: Path, config: BuildConfig, contents: dict[str, Content], run: dict[str, Any]
) -> dict[str, Manifest]:
    """Write the manifest of each split, the commit points, and with splits the one that binds them."""
    manifests = {}
    for split, content in contents.items():
        folder = split_folder(output, split, config)
        manifests[split] = Manifest(content=content, run=run, tokenizer_files=_stored_files(folder / TOKENIZER_FOLDER))
        manifests[split].commit(folder)
    if len(manifests) > 1:
        fingerprints = {split: manifest.fingerprint for split, manifest in manifests.items()}
        values = {"splits": list(manifests), "wwmcorpus": {"fingerprints": fingerprints}}
        write_json(output / SPLITS_FILE, values)
    return manifests


def committed(output: Path) -> dict[Path, Manifest]:
    """Give the manifests of the corpus, or of its splits, that an output folder holds, by folder.

    Raises:
        CorpusError: what is there is not ours, of another format, or damaged.
    """
    folders = [output] if (output / STATE_FILE).exists() else []
    folders += [output / split for split in SPLITS if (output / split / STATE_FILE).exists()]
    return {folder: Manifest.read(folder) for folder in folders}


def remove_unlike(output: Path, config: BuildConfig, vocabulary: Vocabulary) -> None:
    """Take away what a new corpus cannot replace in one step: other splits than its own, another tokenizer.

    The commit points go first; nothing but what the manifests name is touched.
    """
    kept = {split_folder(output, split, config) for split in config.splits}
    found = committed(output)
    if len(config.splits) == 1:
        remove(output / SPLITS_FILE)
    for folder, manifest in found.items():
        if folder in kept and manifest.content.vocabulary_sha256 == vocabulary.sha256:
            continue
        remove(folder / STATE_FILE)
        for name in (*(file.name for file in manifest.files), "dataset_info.json"):
            (folder / name).unlink(missing_ok=True)
        remove_folder(folder / TOKENIZER_FOLDER)
        if folder != output and not any(folder.iterdir()):
            folder.rmdir()


def remove_leftovers(folder: Path, manifest: Manifest) -> None:
    """Remove shards and lists that no manifest names: what a run that was cut short, or an older state, left."""
    _remove_files(folder, {file.name for file in manifest.files})


def remove_other_splits(output: Path, config: BuildConfig) -> None:
    """Remove what is left of splits that the corpus no longer has, their commit points gone before."""
    for folder in (output / split for split in SPLITS):
        is_ours = folder == split_folder(output, folder.name, config) and folder.name in config.splits
        if not is_ours and not (folder / STATE_FILE).exists() and _remove_files(folder, set()):
            (folder / "dataset_info.json").unlink(missing_ok=True)
            remove_folder(folder / TOKENIZER_FOLDER)
            if not any(folder.iterdir()):
                folder.rmdir()


def _remove_files(folder: Path, kept: set[str]) -> bool:
    """Remove files with names of ours that are not among those kept; say whether there were any."""
    unnamed = [path for pattern in SHARD_NAMES for path in folder.glob(pattern) if path.name not in kept]
    for path in unnamed:
        path.unlink()
    return bool(unnamed)


def _place_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer file by file; each is whole, and the folder is synced before anything refers to it."""
    make_folder(target)
    for path in sorted(source.iterdir()):
        with whole_file(target / path.name) as file:
            file.write(path.read_bytes())


def _stored_files(folder: Path) -> tuple[StoredFile, ...]:
    return tuple(
        StoredFile(name=path.name, size_bytes=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(folder.iterdir())
    )


def _empty_shard(folder: Path, split: str, vocabulary: Vocabulary, config: BuildConfig) -> Shard:
    """Write a shard without rows: ``datasets`` opens no corpus without shards."""
    attempt = folder / f"{split}-empty.tmp"
    ShardWriter(attempt, vocabulary.num_pieces, pairs=config.pairs is not None).close()
    sha256 = file_sha256(attempt)
    name = f"{split}-00000-00-{sha256[:8]}.arrow"
    move(attempt, folder / name)
    size_bytes = (folder / name).stat().st_size
    return Shard(name=name, size_bytes=size_bytes, sha256=sha256, num_rows=0, num_words=0, num_pieces=0)


def _final(file: StoredFile) -> str:
    """Give the name of a stored file in its corpus: ``train-00012-00-abcd1234.arrow`` -> ``data-00012-00-...``."""
    split, _, rest = file.name.partition("-")
    return f"data-{rest}" if split in SPLITS else file.name


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
