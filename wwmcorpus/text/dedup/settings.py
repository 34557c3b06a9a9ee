"""The configuration of a deduplication. What decides signatures is kept apart from what decides duplicates."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.text.clean import CleanOptions
from wwmcorpus.text.sources import SourceOptions


class SignatureOptions(Config):
    """What is written down of each document to compare it by. Folders that are compared must agree in it.

    The estimate of a similarity J has a standard deviation of ``sqrt(J * (1 - J) / num_permutations)``: 0.04 with the
    defaults. Two documents are compared if all values of one band agree; with the defaults, the probability of that is
    0.99 at a similarity of 0.7 and 0.55 at 0.5.
    """

    #: "exact": documents of the same text. "near": also those that share most of their n-grams, by MinHash.
    kind: Literal["exact", "near"] = "near"
    #: Characters of an n-gram. Whitespace is taken out before; a shorter text is one n-gram.
    ngram: int = Field(default=5, ge=1, le=64)
    #: Bands of a MinHash signature.
    num_bands: int = Field(default=25, ge=1, le=1000)
    #: Values in each band.
    rows_per_band: int = Field(default=5, ge=1, le=64)
    #: Of the hash functions.
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    #: What is done to a text before it is looked at; should be what the build does.
    clean: CleanOptions = CleanOptions()

    @property
    def num_permutations(self) -> int:
        """Values of a MinHash signature."""
        return self.num_bands * self.rows_per_band

    def comparison_probability(self, similarity: float) -> float:
        """Give the probability that two documents of a Jaccard similarity are compared at all."""
        return 1.0 - (1.0 - similarity**self.rows_per_band) ** self.num_bands


class DedupConfig(SignatureOptions):
    """Everything that ``dedup`` and ``wwmcorpus dedup`` can be told."""

    #: Files, folders, glob patterns, URLs or ``hf:NAME``, as for the build; of two duplicates the first is kept.
    inputs: tuple[str, ...] = Field(strict=False, min_length=1)
    #: Folder to write; made if absent.
    output: str
    #: How files become documents; must be what the build does.
    source: SourceOptions = SourceOptions()
    #: Near duplicates are documents whose sets of n-grams have at least this Jaccard similarity, by estimate.
    threshold: float = Field(default=0.7, gt=0, le=1)
    #: Folders of earlier deduplications, oldest first: their documents are kept, and ours that repeat them dropped.
    against: tuple[str, ...] = Field(default=(), strict=False)
    #: Source bytes per task, and so per shard of signatures.
    task_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    #: Processes that read and sign; 0: everything in this one.
    num_workers: int = Field(default=1, ge=0)
    #: Replace the result of an earlier deduplication that is already in the output folder.
    overwrite: bool = False

    @property
    def signature_options(self) -> SignatureOptions:
        """The part that decides the signatures of a text."""
        return SignatureOptions(**{name: getattr(self, name) for name in SignatureOptions.model_fields})

    @property
    def min_equal_values(self) -> int:
        """How many values of two signatures must agree for near duplicates."""
        return math.ceil(self.threshold * self.num_permutations)

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides which documents are dropped, for the record."""
        signatures = self.signature_options.values()
        return signatures | {"source": self.source.values(), "threshold": self.threshold}
