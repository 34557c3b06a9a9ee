"""The configuration of a build. What decides the rows is kept apart from what only decides how fast they come."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.text import SourceOptions

#: The splits of a corpus that has splits.
SPLITS = ("train", "validation")
#: Fields that change neither rows nor shards, or are recorded elsewhere in the manifest.
_NOT_CONTENT = {"inputs", "output", "num_workers", "segmenter_threads", "overwrite"}


class BuildConfig(Config):
    """Everything that ``build_corpus`` and ``wwmcorpus build`` can be told."""

    #: Files, folders or glob patterns; read in this order, folders and patterns sorted.
    inputs: tuple[str, ...] = Field(strict=False, min_length=1)
    #: Folder of the corpus; made if absent.
    output: str
    #: "ltp", "ltp:PLACE", "jieba" or "given".
    segmenter: str = "ltp"
    #: "embedded", a folder, a vocab.txt, or a hub id.
    tokenizer: str = "embedded"
    #: Pieces per row, [CLS] and [SEP] counted.
    max_length: int = Field(default=512, ge=8, le=65_536)
    #: "document": each document fills rows of its own. "line": each line of a document does.
    pack: Literal["document", "line"] = "document"
    #: Share of the documents, chosen by a hash of their text, that becomes a validation split. In [0, 1).
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    #: How files become documents.
    source: SourceOptions = SourceOptions()
    #: Source bytes per task, and so per shard.
    task_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    #: Processes.
    num_workers: int = Field(default=1, ge=1)
    #: Threads of the segmenter in each process.
    segmenter_threads: int = Field(default=1, ge=1)
    #: Replace a corpus that is already in the output folder.
    overwrite: bool = False

    @property
    def splits(self) -> tuple[str, ...]:
        """The corpora that the build makes: one, or one per split."""
        return SPLITS if self.validation_fraction > 0 else SPLITS[:1]

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides the rows, for the manifest."""
        return {key: value for key, value in self.values().items() if key not in _NOT_CONTENT}
