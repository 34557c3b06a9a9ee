"""Documents in, shards of signatures on disk out: the part of a deduplication that runs in workers.

What a task gives is a pure function of its bytes and the options. Its record, written last, is the proof that it is
done; where a record of the same key lies already, the shard is not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wwmcorpus.errors import ConfigError
from wwmcorpus.files import file_sha256, move, sync, write_json
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text.clean import Cleaner
from wwmcorpus.text.dedup.arrow_files import write_rows
from wwmcorpus.text.dedup.minhash import MinHasher
from wwmcorpus.text.dedup.settings import SignatureOptions
from wwmcorpus.text.dedup.tasks import SignBlueprint, SignRecord, SignTask
from wwmcorpus.text.sources import read_slice

#: Characters of the documents that are hashed at once, and rows of a record batch: neither changes a signature.
_BATCH_CHARS, _BATCH_ROWS = 1 << 17, 4096
_TEXT_HASH_BYTES = 16
#: Rejections of one reason that are kept with their place; the others are only counted.
MAX_EXAMPLES = 20


def signature_schema(options: SignatureOptions) -> pa.Schema:
    """Give the columns of a shard; the values of a band are ``rows_per_band`` little-endian uint16 in one binary."""
    columns = [("source_index", pa.int32()), ("offset", pa.int64()), ("text_hash", pa.binary(_TEXT_HASH_BYTES))]
    if options.kind == "near":
        width = 2 * options.rows_per_band
        columns += [(name, pa.binary(width)) for name in band_names(options)]
    return pa.schema(columns)


def band_names(options: SignatureOptions) -> list[str]:
    """Give the names of the columns that hold the bands; none for exact duplicates."""
    return [f"band_{index:03d}" for index in range(options.num_bands)] if options.kind == "near" else []


def sign_task(task: SignTask, blueprint: SignBlueprint) -> SignRecord:
    """Write the shard of a task and its record; give the record, also where it was there already.

    Raises:
        SourceError: a source cannot be read.
        MissingExtraError: cleaning needs OpenCC.
    """
    folder = Path(blueprint.folder)
    record_path = folder / f"task-{task.index:05d}.json"
    done = _finished(record_path, task.key)
    if done is not None:
        return done
    signer = _Signer(blueprint)
    attempt = folder / f".task-{task.index:05d}.{task.key[:8]}.tmp"
    num_documents = signer.write(task, attempt)
    sync(attempt)
    sha256 = file_sha256(attempt)
    path = folder / f"signatures-{task.index:05d}-{sha256[:8]}.arrow"
    move(attempt, path)
    record = SignRecord(
        index=task.index,
        key=task.key,
        name=path.name,
        num_documents=num_documents,
        size_bytes=path.stat().st_size,
        sha256=sha256,
        counts=dict(sorted(signer.counts.items())),
        rejected=dict(sorted(signer.rejected.items())),
        examples=tuple(signer.examples),
        sources_seen=tuple(sorted(signer.sources_seen)),
    )
    write_json(record_path, record.values())
    return record


def _finished(record_path: Path, key: str) -> SignRecord | None:
    """Give the record of a task that is done, if its shard is still what the record says."""
    try:
        record = SignRecord(**json.loads(record_path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError, ConfigError):
        return None
    shard = record_path.parent / record.name
    if record.key != key or not shard.is_file() or file_sha256(shard) != record.sha256:
        return None
    return record


class _Signer:
    """Signs the documents of one task."""

    def __init__(self, blueprint: SignBlueprint) -> None:
        self._options, self._source = blueprint.options, blueprint.source
        self._cleaner = Cleaner(self._options.clean)
        self._hasher = MinHasher(self._options.num_permutations, self._options.ngram, self._options.seed)
        self._counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: list[dict[str, Any]] = []
        self.sources_seen: set[int] = set()

    @property
    def counts(self) -> Counter[str]:
        """What was seen and what cleaning changed."""
        return self._counts + self._cleaner.counts

    def write(self, task: SignTask, path: Path) -> int:
        """Write the signatures of a task's documents; give their number."""
        schema = signature_schema(self._options)
        return write_rows(path, schema, (self._table(batch, schema) for batch in self._batches(task)), _BATCH_ROWS)

    def _batches(self, task: SignTask) -> Iterator[list[Document]]:
        batch: list[Document] = []
        size = 0
        for part in task.slices:
            for item in read_slice(part, self._source):
                self.sources_seen.add(part.source_index)
                document = item if isinstance(item, Rejection) else self._cleaner.clean(item)
                if isinstance(document, Rejection):
                    self._reject(document)
                    continue
                batch.append(document)
                size += len(document.text)
                if size >= _BATCH_CHARS or len(batch) == _BATCH_ROWS:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _reject(self, rejection: Rejection) -> None:
        self.rejected[rejection.reason] += 1
        if self.rejected[rejection.reason] <= MAX_EXAMPLES:
            self.examples.append(asdict(rejection))

    def _table(self, documents: list[Document], schema: pa.Schema) -> pa.Table:
        texts = [document.text for document in documents]
        self._counts.update(documents=len(documents), characters=sum(map(len, texts)))
        hashes = b"".join(hashlib.sha256(text.encode()).digest()[:_TEXT_HASH_BYTES] for text in texts)
        columns = [
            pa.array([document.source_index for document in documents], pa.int32()),
            pa.array([document.offset for document in documents], pa.int64()),
            _binaries(hashes, _TEXT_HASH_BYTES),
        ]
        if self._options.kind == "near":
            values = self._hasher.signatures(texts).astype("<u2", copy=False)
            bands = np.split(values, self._options.num_bands, axis=1)
            columns += [_binaries(band.tobytes(), 2 * self._options.rows_per_band) for band in bands]
        return pa.table(columns, schema=schema)


def _binaries(data: bytes, width: int) -> pa.Array:
    """Give an array of binaries of ``width`` bytes that lie end to end."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(data) // width, [None, pa.py_buffer(data)])
