"""The masking scheme: which share of the words is masked, and what stands in their place. Configuration only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError


class WholeWordMasking(Config):
    """Whole-word masking as MiniRBT does it: 15 % of the pieces, whole words, 80/10/10.

    Source: Devlin et al., arXiv:1810.04805, for the shares; Cui et al., arXiv:1906.08101, for whole Chinese words.
    """

    #: Share of a row's pieces, [CLS] and [SEP] counted ("exact"), or of its words ("bernoulli"). In (0, 1).
    probability: float = Field(default=0.15, gt=0, lt=1)
    #: "exact": as many pieces as BERT's rounding gives, words that would overflow are passed over.
    #: "bernoulli": each word by itself. With either, a row that has a word has one masked.
    budget: Literal["exact", "bernoulli"] = "exact"
    #: Share of the chosen pieces that become [MASK]. In [0, 1].
    mask_share: float = Field(default=0.8, ge=0, le=1)
    #: Share of the chosen pieces that become another real piece; the rest stays as it is. In [0, 1].
    random_share: float = Field(default=0.1, ge=0, le=1)
    #: Whether the three-way draw is made for each piece, as published, or once for each word.
    replace_by: Literal["piece", "word"] = "piece"

    @model_validator(mode="after")
    def _shares_fit(self) -> WholeWordMasking:
        if self.mask_share + self.random_share > 1 + 1e-9:
            raise ConfigError(
                "the shares exceed 1",
                value=(self.mask_share, self.random_share),
                where="mask_share, random_share",
                fix="What they leave of 1 is the share that stays unchanged.",
            )
        return self
