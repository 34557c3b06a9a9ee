"""What an augmentation is asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.segment import SegmenterOptions


class AugmentConfig(Config):
    """How variants of examples are made.

    The three numbers and their defaults are those of TinyBERT (Jiao et al., arXiv:1909.10351, and its script).
    """

    #: A known task, or the path of its TOML file.
    task: str
    #: The file to augment, with labels.
    input: str
    #: The file to write, in the same format: each example, then its variants.
    output: str
    #: A masked language model, as a folder or a hub id, that gives candidates; None: none.
    model: str | None = None
    #: Word vectors in text format that give candidates; None: none. With both, they take turns.
    vectors: str | None = None
    #: Candidates of each word (M).
    num_candidates: int = Field(default=15, ge=1)
    #: Variants that are drawn of each example (N); those that are drawn twice count once.
    num_variants: int = Field(default=30, ge=1)
    #: With which a word is replaced in a variant (p).
    probability: float = Field(default=0.4, gt=0, le=1)
    #: Which texts change: of "text_a", "text_b"; "question", "passage"; "tokens". None named: all.
    fields: tuple[str, ...] = Field(default=(), strict=False)
    #: Finds the words.
    segmenter: str = "ltp"
    segmenter_options: SegmenterOptions = SegmenterOptions()
    #: Words that stay, one a line; None: the package's list of function words. Negations and numbers stay anyhow.
    stop_words: str | None = None
    #: Of a word of several pieces, how many beginnings are followed from one piece to the next.
    beam_width: int = Field(default=5, ge=1)
    #: Pieces that the model sees around a word, special pieces and the other text of a pair counted. Each word costs
    #: some passes over so many pieces.
    max_length: int = Field(default=64, ge=16, le=512)
    #: Words that the model looks at together. Numbers, and so candidates that are nearly as good as one another, may
    #: change with it.
    batch_size: int = Field(default=32, ge=1)
    #: Where the model runs.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: The first so many vectors of the file are read: files begin with the most frequent words.
    max_vectors: int = Field(default=100_000, ge=2)
    seed: int = Field(default=0, ge=0)
    #: Processes; 0: everything in this one. Changes no byte of the output.
    num_workers: int = Field(default=0, ge=0)
    #: Threads of torch in each process; numbers may change with it.
    num_threads: int = Field(default=1, ge=1)
    #: Examples of a task of a worker.
    chunk_size: int = Field(default=64, ge=1)
    #: Replace the output if it is there.
    overwrite: bool = False

    @model_validator(mode="after")
    def _has_candidates(self) -> AugmentConfig:
        if self.model is None and self.vectors is None:
            raise ConfigError(
                "nothing gives candidates for words",
                where="model, vectors",
                fix="Name a masked language model, or a file of word vectors (wwmcorpus train-vectors makes one).",
            )
        return self
