"""What all masking schemes have: how much is predicted, how its share changes, what stands there. Configuration."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking.named_files import WithFiles
from wwmcorpus.masking.weights import WordWeights


class RatioSchedule(Config):
    """A masked share that goes from ``probability`` to another one while rows are given.

    ``RatioSchedule(final_probability=0.3, num_rows=1_000_000)`` with ``probability=0.15`` gives 0.225 half-way.
    """

    #: The share from row ``first_row + num_rows`` on. In (0, 1).
    final_probability: float = Field(gt=0, lt=1)
    #: Rows, over all ranks and epochs, that the way takes.
    num_rows: int = Field(ge=1)
    #: The first row of the way; before it the share is ``probability``.
    first_row: int = Field(default=0, ge=0)
    #: "linear", or "cosine": half a cosine wave, slow at both ends.
    shape: Literal["linear", "cosine"] = "linear"

    def share(self, probability: float, position: int) -> float:
        """Give the share at a global position, having begun with ``probability``."""
        done = min(1.0, max(0.0, (position - self.first_row) / self.num_rows))
        if self.shape == "cosine":
            done = 0.5 - 0.5 * math.cos(math.pi * done)
        return probability + (self.final_probability - probability) * done


class Masking(WithFiles):
    """Base of the masking schemes: how many pieces of a row are predicted, and which words sooner than others.

    A scheme cuts a row into units (words, runs of words, pieces) and chooses among them in an order of chance.
    """

    #: What the labels are: ids of pieces, or positions in the row. Heads that predict words refuse positions.
    predicts: ClassVar[Literal["words", "positions"]] = "words"
    #: What is chosen as one: a word, a run of words, or a piece.
    unit: ClassVar[Literal["word", "run", "piece"]] = "word"

    #: Share of a row's pieces, [CLS] and [SEP] counted ("exact"), or of its units ("bernoulli"). In (0, 1).
    probability: float = Field(default=0.15, gt=0, lt=1)
    #: "exact": as many pieces as BERT's rounding gives, units that would overflow are passed over.
    #: "bernoulli": each unit by itself. With either, a row that has a word has one masked.
    budget: Literal["exact", "bernoulli"] = "exact"
    #: At most so many pieces of a row, as BERT's max_predictions_per_seq; None for no limit. Only the one unit that a
    #: row has masked in any case may be longer.
    max_predictions: int | None = Field(default=None, ge=1)
    #: Words that are chosen sooner, later or never; None: all alike.
    weights: WordWeights | None = None
    #: How ``probability`` changes with the rows that were given; None: it does not.
    schedule: RatioSchedule | None = None

    def run_shares(self) -> tuple[float, ...]:
        """Give the shares of units of 1, 2, ... words; they add up to 1."""
        return (1.0,)

    def identity(self) -> dict[str, Any]:
        """Give what decides the masks as plain values: files, those of the weights too, by the hash of their content.

        Raises:
            ConfigError: a file cannot be read.
        """
        own = super().identity()
        return own if self.weights is None else own | {"weights": self.weights.identity()}

    def at(self, position: int) -> Self:
        """Give the scheme at a global position: rows given before, over all ranks and epochs; itself where it is fixed.

        ``position`` is that of a global batch's first row, so that all rows of the batch share one scheme.
        """
        if self.schedule is None:
            return self
        share = self.schedule.share(self.probability, position)
        return self.model_copy(update={"probability": share, "schedule": None})


class ReplacingMasking(Masking):
    """Base of the schemes whose chosen pieces become [MASK], or another piece, or stay: 80/10/10 unless told."""

    #: Share of the chosen pieces that become [MASK]. In [0, 1].
    mask_share: float = Field(default=0.8, ge=0, le=1)
    #: Share of the chosen pieces that become another piece; the rest stays as it is. In [0, 1].
    random_share: float = Field(default=0.1, ge=0, le=1)
    #: Whether the three-way draw is made for each piece, for each word, or for each unit (the whole n-gram or span).
    replace_by: Literal["piece", "word", "unit"] = "piece"
    #: Where other pieces come from: "pieces" are real ones only, no specials and no [unused]; "vocabulary" is every id,
    #: as BERT's code draws them.
    random_from: Literal["pieces", "vocabulary"] = "pieces"

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        shares_fit(self.mask_share, self.random_share, "mask_share, random_share")
        return self


def shares_fit(replaced: float, random: float, where: str) -> None:
    """Check that two shares leave something, or nothing, of 1.

    Raises:
        ConfigError: they exceed 1.
    """
    if replaced + random > 1 + 1e-9:
        raise ConfigError(
            "the shares exceed 1",
            value=(replaced, random),
            where=where,
            fix="What they leave of 1 is the share that stays unchanged.",
        )
