"""The configuration of a build. What decides the rows is kept apart from what only decides how fast they come."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.corpus.pack import PackOptions
from wwmcorpus.errors import ConfigError
from wwmcorpus.segment.options import SegmenterOptions
from wwmcorpus.text import CleanOptions, SourceOptions

#: The splits of a corpus that has splits.
SPLITS = ("train", "validation", "test")
#: Fields that change neither rows nor shards, or whose content the manifest records without their paths.
_NOT_CONTENT = {
    "inputs",
    "output",
    "segmenter",
    "segmenter_options",
    "tokenizer",
    "dedup",
    "engine",
    "ray_address",
    "num_workers",
    "segmenter_threads",
    "worker_memory_bytes",
    "stuck_seconds",
    "max_rejects",
    "append",
    "overwrite",
}


class BuildConfig(Config):
    """Everything that ``build_corpus`` and ``wwmcorpus build`` can be told."""

    #: Files, folders, glob patterns, URLs or ``hf:NAME``; read in this order, folders and patterns sorted.
    inputs: tuple[str, ...] = Field(strict=False, min_length=1)
    #: Folder of the corpus; made if absent.
    output: str
    #: "ltp", "ltp:PLACE", "jieba", "rjieba" or "given".
    segmenter: str = "ltp"
    #: The user's own words, device and precision, for segmenters that have them.
    segmenter_options: SegmenterOptions = SegmenterOptions()
    #: "embedded", a folder, a vocab.txt, or a hub id.
    tokenizer: str = "embedded"
    #: Pieces per row, [CLS] and [SEP] counted.
    max_length: int = Field(default=512, ge=8, le=65_536)
    #: "document": each document fills rows of its own. "line": each line of a document does. "stream": documents are
    #: joined with [SEP] until a row is full.
    pack: Literal["document", "line", "stream"] = "document"
    #: Share of the rows that aim at a random shorter length, as in BERT.
    short_sequence_probability: float = Field(default=0.0, ge=0, le=1)
    #: Rows of two segments and a label: "nsp", the next sentences or another document's; "sop", in order or not.
    pairs: Literal["nsp", "sop"] | None = None
    #: Of whatever packing draws at random: short rows and pairs.
    pack_seed: int = Field(default=0, ge=0, lt=1 << 63)
    #: Share of the documents, chosen by a hash of their text, that becomes a validation split. In [0, 1).
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    #: The same for a test split.
    test_fraction: float = Field(default=0.0, ge=0, lt=1)
    #: How files become documents.
    source: SourceOptions = SourceOptions()
    #: What is done to a document's text, and which documents are left out for it.
    clean: CleanOptions = CleanOptions()
    #: Folder that ``wwmcorpus dedup`` wrote for these inputs; None: duplicates stay.
    dedup: str | None = None
    #: Read this many documents at most, from the beginning; for a try. None: all.
    limit: int | None = Field(default=None, ge=1)
    #: How often a mixture of corpora draws from this one, beside others; recorded for the stream.
    sampling_weight: float = Field(default=1.0, gt=0)
    #: Source bytes per task; a task gives one shard, or several where it grows beyond ``shard_bytes``.
    task_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    #: A shard is closed once it holds this many bytes.
    shard_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    #: "local": processes of this machine. "ray": a Ray cluster (extra ray) over a file system that all nodes share.
    engine: Literal["local", "ray"] = "local"
    #: Address of the Ray cluster; None: the one that this machine belongs to, or a new one on this machine.
    ray_address: str | None = None
    #: Processes; 0: everything in this one, where a document that kills the process kills the job.
    num_workers: int = Field(default=1, ge=0)
    #: Threads of the segmenter in each process.
    segmenter_threads: int = Field(default=1, ge=1)
    #: Memory that each worker may take for its data; None: no limit.
    worker_memory_bytes: int | None = Field(default=None, ge=256 * 1024 * 1024)
    #: A worker that gives no sign of life for so long is replaced.
    stuck_seconds: float = Field(default=600.0, gt=0)
    #: The job fails once more documents than this were broken or quarantined; None: never.
    max_rejects: int | None = Field(default=None, ge=0)
    #: Add the inputs to the corpus that is in the output folder and was built alike.
    append: bool = False
    #: Replace a corpus, or an unfinished build of another one, that is already in the output folder.
    overwrite: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                "nothing is left to train on",
                value=[self.validation_fraction, self.test_fraction],
                where="validation_fraction, test_fraction",
                fix="Their sum must be below 1.",
            )
        if self.append and self.overwrite:
            raise ConfigError(
                "a corpus is either added to or replaced", where="append, overwrite", fix="Give one of the two."
            )
        _ = self.pack_options  # what does not go together is found now, not in a worker
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The corpora that the build makes: one, or one per split."""
        asked = (True, self.validation_fraction > 0, self.test_fraction > 0)
        return tuple(split for split, wanted in zip(SPLITS, asked, strict=True) if wanted)

    @property
    def pack_options(self) -> PackOptions:
        """What the packer is told."""
        return PackOptions(
            pack=self.pack,
            max_length=self.max_length,
            short_sequence_probability=self.short_sequence_probability,
            pairs=self.pairs,
            seed=self.pack_seed,
        )

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides the rows, for the manifest."""
        return {key: value for key, value in self.values().items() if key not in _NOT_CONTENT}
