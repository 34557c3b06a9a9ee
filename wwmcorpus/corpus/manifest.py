"""The manifest: what a corpus is, what it was made from, and what was left out. It commits the corpus.

It lives inside ``state.json``, the file that ``datasets`` reads, so that one rename makes the corpus exist for both.
``content`` is a pure function of input bytes, configuration and versions; ``run`` holds everything else.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.corpus.statistics import Statistics
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.files import write_json
from wwmcorpus.records import Rejection

#: Raised when shards of the same rows would have other bytes. A corpus of another format must be built again.
FORMAT_VERSION = 2
STATE_FILE = "state.json"
_KEY = "wwmcorpus"


class Input(Config):
    """One source."""

    name: str
    size_bytes: int
    sha256: str


class StoredFile(Config):
    """One file; ``name`` is relative to its folder and has no folder in it."""

    name: str
    size_bytes: int
    sha256: str


class Shard(StoredFile):
    """One Arrow file."""

    num_rows: int
    num_words: int
    num_pieces: int


class RejectedDocument(Config):
    """Something that was left out, with the place to look at."""

    reason: str
    source: str
    source_index: int
    offset: int
    detail: str

    @classmethod
    def of(cls, rejection: Rejection) -> RejectedDocument:
        """Give the record of a rejection."""
        return cls(
            reason=rejection.reason,
            source=rejection.source,
            source_index=rejection.source_index,
            offset=rejection.offset,
            detail=rejection.detail,
        )


class Content(Config):
    """What decides, and describes, the rows of a corpus."""

    format_version: int
    split: str
    config: dict[str, Any]
    segmenter: str
    tokenizer: str
    vocabulary_sha256: str
    num_pieces: int
    special_ids: dict[str, int]
    versions: dict[str, str]
    inputs: tuple[Input, ...] = Field(strict=False)
    shards: tuple[Shard, ...] = Field(strict=False)
    #: Everything counted on the way: documents, words, pieces, dropped words ...; of all splits together.
    counts: dict[str, int]
    #: Rejections by reason; of all splits together.
    rejected: dict[str, int]
    #: The first rejections of each reason.
    rejected_examples: tuple[RejectedDocument, ...] = Field(strict=False)
    #: The file that lists every rejection, in the folder of the first split; None in the others, or without any.
    rejections: StoredFile | None
    #: Documents that killed the workers which read them, and were left out.
    quarantine: tuple[RejectedDocument, ...] = Field(strict=False)
    #: Hash of the list of duplicates that were left out; None without deduplication.
    keep_list_sha256: str | None
    #: For the report; of all splits together.
    statistics: Statistics
    #: How many tasks made the shards: those that are appended count on from there.
    num_tasks: int


class Manifest(Config):
    """The manifest of one corpus folder."""

    content: Content
    #: Files of the tokenizer beside the rows. Their layout is the libraries' business, and no part of the content.
    tokenizer_files: tuple[StoredFile, ...] = Field(strict=False)
    #: When, where and how it was built.
    run: dict[str, Any]

    @property
    def num_rows(self) -> int:
        """Rows of the corpus."""
        return sum(shard.num_rows for shard in self.content.shards)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """What the manifest commits: the shards, and the list of rejections where there is one."""
        rejections = self.content.rejections
        return (*self.content.shards, *((rejections,) if rejections else ()))

    @property
    def fingerprint(self) -> str:
        """sha256 of all rows in order and of the vocabulary that gives their ids a meaning, in hexadecimal."""
        parts = [str(self.content.format_version), self.content.vocabulary_sha256]
        parts += [shard.sha256 for shard in self.content.shards]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def content_sha256(self) -> str:
        """sha256 of the content as JSON with sorted keys, in hexadecimal: equal for builds that gave the same."""
        content = self.values()["content"]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()

    @property
    def signature(self) -> str:
        """One line to quote in a paper: segmenter, tokenizer, length, packing, format and version."""
        content = self.content
        return "|".join(
            [
                "wwm",
                f"seg:{content.segmenter}",
                f"tok:{content.tokenizer}",
                f"len:{content.config['max_length']}",
                f"pack:{content.config['pairs'] or content.config['pack']}",
                f"fmt:{content.format_version}",
                f"v:{content.versions['wwmcorpus']}",
            ]
        )

    def commit(self, folder: Path) -> None:
        """Write ``state.json``: from its rename on, the folder is a corpus."""
        state = {
            "_data_files": [{"filename": shard.name} for shard in self.content.shards],
            "_fingerprint": self.fingerprint[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": self.content.split,
            _KEY: {**self.values(), "content_sha256": self.content_sha256},
        }
        write_json(folder / "dataset_info.json", {})
        write_json(folder / STATE_FILE, state)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of a corpus folder.

        Raises:
            CorpusError: the folder holds no corpus, one of another format, or a damaged manifest.
        """
        path = folder / STATE_FILE
        try:
            state = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise CorpusError("no corpus there", value=str(folder), fix=_where_else(folder)) from None
        return cls.of_state(state, str(path))

    @classmethod
    def of_state(cls, state: bytes, place: str) -> Self:
        """Read the manifest in what ``state.json`` holds.

        Args:
            state: Its bytes.
            place: Where it lies, for messages.

        Raises:
            CorpusError: it holds none, one of another format, or a damaged one.
        """
        try:
            values = json.loads(state)[_KEY]
            found = values["content"]["format_version"]
        except (ValueError, KeyError, TypeError):
            raise CorpusError(
                "state.json holds no manifest of ours", value=place, fix="Build the corpus with wwmcorpus build."
            ) from None
        if found != FORMAT_VERSION:
            raise CorpusError(
                f"a corpus of format {found}, this version reads {FORMAT_VERSION}", value=place, fix="Build it again."
            )
        content_sha256 = values.pop("content_sha256", None)
        try:
            manifest = cls(**values)
        except ConfigError as error:
            raise CorpusError(f"the manifest is damaged: {error}", value=place, fix="Build the corpus again.") from None
        if manifest.content_sha256 != content_sha256:
            raise CorpusError(
                f"the manifest is damaged: its content has sha256 {manifest.content_sha256[:16]}, not {content_sha256}",
                value=place,
                fix="Build the corpus again.",
            )
        for file in (*manifest.files, *manifest.tokenizer_files):
            if Path(file.name).name != file.name or file.name.startswith("."):
                raise CorpusError(
                    "a file's name leaves the corpus folder",
                    value=file.name,
                    where=place,
                    fix="Do not open this corpus.",
                )
        return manifest


def _where_else(folder: Path) -> str:
    splits = sorted(path.parent.name for path in folder.glob(f"*/{STATE_FILE}"))
    if splits:
        return f"It has splits; open one of: {', '.join(str(folder / split) for split in splits)}."
    return "Check the path, or build one with wwmcorpus build."
