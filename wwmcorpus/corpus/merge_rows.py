"""One corpus in, its shards and its list of rejections with sources and tasks numbered on from those before out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from wwmcorpus.corpus.manifest import RejectedDocument, Shard, StoredFile
from wwmcorpus.corpus.merge_members import Member
from wwmcorpus.corpus.shards import open_shard
from wwmcorpus.corpus.tasks import TaskRecord
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256, move, sync, whole_file


class Before(NamedTuple):
    """What stands before a corpus in the one that it becomes a part of.

    Attributes:
        num_corpora: Corpora.
        num_sources: Their sources.
        num_tasks: Their tasks.
    """

    num_corpora: int
    num_sources: int
    num_tasks: int


def renumbered(member: Member, before: Before, folder: Path, advance: Callable[[int], None]) -> TaskRecord:
    """Write the shards and rejections of a corpus anew, and give the record of it.

    Args:
        member: The corpus.
        before: What stands before it.
        folder: Where to write.
        advance: Told of bytes as they are written.

    Raises:
        CorpusError: what was written cannot be read.
    """
    shards: dict[str, list[Shard]] = {}
    for split, manifest in member.manifests.items():
        shards[split] = []
        for shard in manifest.content.shards:
            if not shard.num_rows:  # it stood there because a split without rows has a shard too
                continue
            name = f"{split}-{_place_in_plan(shard.name, before)}"
            path = folder / f"{name}.tmp"
            _write_shard(member.folders[split] / shard.name, path, before.num_sources)
            shards[split].append(_stored(path, shard, manifest.content.num_pieces))
            advance(shard.size_bytes)
    content = member.content
    return TaskRecord(
        index=before.num_corpora,
        segmenter=content.segmenter,
        shards=shards,
        counts=content.counts,
        rejected=content.rejected,
        examples=renumbered_documents(content.rejected_examples, before),
        rejections=_write_rejections(member, before, folder),
        statistics=content.statistics,
        sources_seen=(),
        stage_seconds={},
    )


def renumbered_documents(found: tuple[RejectedDocument, ...], before: Before) -> tuple[RejectedDocument, ...]:
    """Give documents with their sources numbered on."""
    return tuple(each.model_copy(update={"source_index": each.source_index + before.num_sources}) for each in found)


def _place_in_plan(name: str, before: Before) -> str:
    """Give task and number of a shard: ``data-00003-01-1a2b3c4d.arrow`` behind 12 tasks -> ``00015-01``."""
    _, task, number, _ = name.split("-")
    return f"{int(task) + before.num_tasks:05d}-{number}"


def _write_shard(source: Path, target: Path, num_sources: int) -> None:
    with (
        pa.memory_map(str(source)) as stored,
        pa.ipc.open_stream(stored) as reader,
        pa.OSFile(str(target), "wb") as file,
        pa.ipc.new_stream(file, reader.schema) as writer,
    ):
        for batch in reader:
            writer.write_batch(_with_sources_from(batch, num_sources))
    sync(target)


def _stored(path: Path, shard: Shard, num_pieces: int) -> Shard:
    """Read a shard again, and give it the name of its content."""
    found = sum(len(batch.bounds) - 1 for batch in open_shard(path, num_pieces))
    if found != shard.num_rows:
        raise CorpusError(
            f"a shard was written with {shard.num_rows} rows and read with {found}",
            where=str(path),
            fix="Check the disk, and merge again.",
        )
    sha256, size_bytes = file_sha256(path), path.stat().st_size
    name = f"{path.stem}-{sha256[:8]}.arrow"
    move(path, path.with_name(name))
    return shard.model_copy(update={"name": name, "size_bytes": size_bytes, "sha256": sha256})


def _with_sources_from(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    """Give a batch with its sources numbered from ``first``."""
    index = batch.schema.get_field_index("source_index")
    column = batch.column(index)
    values = column.values.to_numpy() + np.int32(first)
    return batch.set_column(index, batch.schema.field(index), pa.ListArray.from_arrays(column.offsets, values))


def _write_rejections(member: Member, before: Before, folder: Path) -> StoredFile | None:
    rejections = member.content.rejections
    if rejections is None:
        return None
    path = folder / f"rejected-{before.num_corpora:05d}.jsonl"
    with (
        (member.first_folder / rejections.name).open(encoding="utf-8", newline="\n") as lines,
        whole_file(path, "w") as file,
    ):
        for line in lines:
            values = json.loads(line)
            values["source_index"] += before.num_sources
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
    return StoredFile(name=path.name, size_bytes=path.stat().st_size, sha256=file_sha256(path))
