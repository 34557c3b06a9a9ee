"""What a deduplication writes: the list of duplicates, and what it was made from.

``duplicates.arrow`` has a row for every dropped document, in the order of the sources; ``dedup.json``, written last,
makes the folder a result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.files import write_json
from wwmcorpus.text.dedup.arrow_files import write_rows
from wwmcorpus.text.dedup.tasks import FORMAT_VERSION

RESULT_FILE = "dedup.json"
DUPLICATES_FILE = "duplicates.arrow"
SIGNATURES_FOLDER = "signatures"
_BATCH_ROWS = 1 << 14
#: ``kept_in`` is 0 where the kept document is one of the same deduplication, i where it is one of the i-th folder that
#: it was compared with. Documents are numbered as they were read, from 0.
DUPLICATES_SCHEMA = pa.schema(
    [
        ("source_index", pa.int32()),
        ("offset", pa.int64()),
        ("document", pa.int64()),
        ("kept_in", pa.int16()),
        ("kept_source_index", pa.int32()),
        ("kept_offset", pa.int64()),
        ("kept_document", pa.int64()),
    ]
)
#: What to do about a damaged result.
FIX = "Run the deduplication again with --overwrite."


class DedupInput(Config):
    """One source that was deduplicated."""

    name: str
    size_bytes: int
    sha256: str


class DedupFile(Config):
    """One Arrow file of a result; ``name`` is relative to its folder."""

    name: str
    num_documents: int
    size_bytes: int
    sha256: str


class DedupContent(Config):
    """What was deduplicated, how, and what came of it.

    Attributes:
        format_version: Of files and signatures.
        config: What decides which documents are dropped.
        versions: Of the packages that read and clean.
        inputs: The sources.
        against: ``sha256`` of the keep-list of each folder that was compared with.
        signatures: Shards, in order.
        duplicates: The list.
        counts: Documents, characters, duplicates ..., and what cleaning changed.
        rejected: Documents that could not be read or were left out by cleaning, by reason.
        rejected_examples: The first of each reason.
    """

    format_version: int
    config: dict[str, Any]
    versions: dict[str, str]
    inputs: tuple[DedupInput, ...] = Field(strict=False)
    against: tuple[str, ...] = Field(strict=False)
    signatures: tuple[DedupFile, ...] = Field(strict=False)
    duplicates: DedupFile
    counts: dict[str, int]
    rejected: dict[str, int]
    rejected_examples: tuple[dict[str, Any], ...] = Field(strict=False)

    @property
    def keep_list_sha256(self) -> str:
        """sha256 of the inputs and of the list of duplicates: what decides which documents a build leaves out."""
        inputs = [each.values() for each in self.inputs]
        return hashlib.sha256(json.dumps([inputs, self.duplicates.sha256], sort_keys=True).encode()).hexdigest()


def write_duplicates(path: Path, batches: Iterable[dict[str, NDArray[Any]]]) -> int:
    """Write the list of duplicates; give its length."""
    tables = (
        pa.table([pa.array(batch[field.name], field.type) for field in DUPLICATES_SCHEMA], schema=DUPLICATES_SCHEMA)
        for batch in batches
    )
    return write_rows(path, DUPLICATES_SCHEMA, tables, _BATCH_ROWS)


def write_content(folder: Path, content: DedupContent, run: dict[str, Any]) -> None:
    """Write ``dedup.json``: from its rename on, the folder is a result."""
    values = {"content": content.values(), "keep_list_sha256": content.keep_list_sha256, "run": run}
    write_json(folder / RESULT_FILE, values)


def read_content(folder: Path) -> DedupContent:
    """Read what a result says of itself.

    Raises:
        CorpusError: there is none, it is damaged, or of another format.
    """
    path = folder / RESULT_FILE
    try:
        values = json.loads(path.read_text("utf-8"))["content"]
        found = values["format_version"]
    except (FileNotFoundError, NotADirectoryError):
        raise CorpusError(
            "no result of a deduplication there", value=str(folder), fix="Check the path, or run wwmcorpus dedup."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise CorpusError("no result of ours", value=str(path), fix=FIX) from None
    if found != FORMAT_VERSION:
        raise CorpusError(
            f"a result of format {found}, this version reads {FORMAT_VERSION}", value=str(folder), fix=FIX
        )
    try:
        return DedupContent(**values)
    except ConfigError as error:
        raise CorpusError(f"the result is damaged: {error}", value=str(path), fix=FIX) from None
