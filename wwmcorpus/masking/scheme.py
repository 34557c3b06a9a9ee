"""The masking schemes: how rows are cut into units, and what stands in place of those chosen. Configuration only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from wwmcorpus.config import Config, load_config, read_toml
from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.masking.base import Masking, ReplacingMasking, shares_fit

__all__ = [
    "SCHEMES",
    "AnyMasking",
    "Masking",
    "NgramMasking",
    "PermutationMasking",
    "SimilarWordMasking",
    "SpanMasking",
    "TokenMasking",
    "WholeWordMasking",
    "WordPredictingMasking",
    "load_masking",
    "masking_of",
]

#: Of runs of one to four words, in MacBERT and PERT.
MACBERT_SHARES = (0.4, 0.3, 0.2, 0.1)


class WholeWordMasking(ReplacingMasking):
    """Whole-word masking as MiniRBT does it: 15 % of the pieces, whole words, 80/10/10.

    Source: Devlin et al., arXiv:1810.04805, for the shares; Cui et al., arXiv:1906.08101, for whole Chinese words.
    """

    scheme: Literal["whole_word"] = "whole_word"


class TokenMasking(ReplacingMasking):
    """Masking of single pieces, whatever words they are of: BERT before whole words.

    Source: Devlin et al., arXiv:1810.04805.
    """

    unit: ClassVar[Literal["word", "run", "piece"]] = "piece"
    scheme: Literal["token"] = "token"


class _Ngrams(Masking):
    """The part of a scheme that chooses runs of neighbouring words."""

    unit: ClassVar[Literal["word", "run", "piece"]] = "run"

    #: Shares of runs of 1, 2, ... words, which add up to 1; or "inverse": of n words as likely as 1/n.
    shares: tuple[float, ...] | Literal["inverse"] = Field(default=MACBERT_SHARES, union_mode="left_to_right")
    #: The longest run where ``shares`` is "inverse".
    max_words: int = Field(default=3, ge=1, le=32)

    @field_validator("shares", mode="before")
    @classmethod
    def _tuple(cls, shares: Any) -> Any:
        return tuple(shares) if isinstance(shares, list) else shares

    @field_validator("shares")
    @classmethod
    def _add_up(cls, shares: tuple[float, ...] | str) -> tuple[float, ...] | str:
        if isinstance(shares, tuple) and (min(shares, default=-1) < 0 or not abs(sum(shares) - 1) <= 1e-6):
            raise ConfigError(
                "the shares of n-grams do not add up to 1",
                value=shares,
                fix='Give one share for each length from 1 on, as (0.4, 0.3, 0.2, 0.1), or "inverse".',
            )
        return shares

    def run_shares(self) -> tuple[float, ...]:
        """Give the shares of runs of 1, 2, ... words; they add up to 1."""
        if isinstance(self.shares, tuple):
            return self.shares
        return _normalised([1 / number for number in range(1, self.max_words + 1)])


class NgramMasking(_Ngrams, ReplacingMasking):
    """Masking of runs of one to four words, 40/30/20/10, each run masked whole: MacBERT's choice with [MASK].

    ``shares="inverse"`` is the choice of ERNIE's and Megatron's code: up to ``max_words``, n words as likely as 1/n.
    Source: Cui et al., arXiv:2004.13922.
    """

    scheme: Literal["ngram"] = "ngram"


class SpanMasking(ReplacingMasking):
    """Masking of longer runs of words, whose lengths are drawn from a geometric distribution cut off at ten.

    With 0.2 and 10 a span has 3.8 words on average. [MASK], another piece or the piece itself is drawn once per span.
    Source: Joshi et al., arXiv:1907.10529.
    """

    unit: ClassVar[Literal["word", "run", "piece"]] = "run"
    scheme: Literal["span"] = "span"
    #: Probability that a span ends after each of its words. In (0, 1).
    stop_probability: float = Field(default=0.2, gt=0, lt=1)
    #: The longest span, in words.
    max_words: int = Field(default=10, ge=1, le=128)
    #: As for the others; once for a span, as published.
    replace_by: Literal["piece", "word", "unit"] = "unit"

    def run_shares(self) -> tuple[float, ...]:
        """Give the shares of spans of 1, 2, ... words; they add up to 1."""
        stop = self.stop_probability
        return _normalised([stop * (1 - stop) ** number for number in range(self.max_words)])


class SimilarWordMasking(_Ngrams):
    """Words replaced by similar words instead of [MASK], so that the model sees in training what it sees in use.

    Runs of words are chosen as in ``NgramMasking``; each word of them becomes a similar one of as many pieces, random
    pieces, or stays. Where the table has no similar word, random pieces stand. Source: Cui et al., arXiv:2004.13922.
    """

    file_fields: ClassVar[tuple[str, ...]] = ("table",)
    scheme: Literal["similar"] = "similar"
    #: A UTF-8 file of lines ``word<TAB>similar word<TAB>...`` (``write_similar_words`` makes one of word vectors).
    table: str
    #: Share of the chosen words that become a similar word. In [0, 1].
    similar_share: float = Field(default=0.8, ge=0, le=1)
    #: Share of the chosen words that become random pieces; the rest stays as it is. In [0, 1].
    random_share: float = Field(default=0.1, ge=0, le=1)
    #: Where random pieces come from, as in ``ReplacingMasking``.
    random_from: Literal["pieces", "vocabulary"] = "pieces"

    @model_validator(mode="after")
    def _shares_fit(self) -> SimilarWordMasking:
        shares_fit(self.similar_share, self.random_share, "similar_share, random_share")
        return self


class PermutationMasking(_Ngrams):
    """Chosen words change places, and the labels say where each piece went: nothing is masked at all.

    The label at a position is the position in the row, [CLS] = 0, where the piece that belongs there stands now. Heads
    that predict words must not be given it. Source: Cui et al., arXiv:2203.06906 (PERT).
    """

    predicts: ClassVar[Literal["words", "positions"]] = "positions"
    scheme: Literal["permutation"] = "permutation"
    #: Share of the chosen words whose pieces change places with one another; the rest stays and is asked for too.
    shuffle_share: float = Field(default=0.9, ge=0, le=1)
    #: Whether what stays is drawn for each piece, each word, or each run.
    shuffle_by: Literal["piece", "word", "unit"] = "word"


def _normalised(rates: list[float]) -> tuple[float, ...]:
    return tuple(rate / sum(rates) for rate in rates)


#: Scheme by the name that configuration files give it.
SCHEMES: dict[str, type[Masking]] = {
    "whole_word": WholeWordMasking,
    "token": TokenMasking,
    "ngram": NgramMasking,
    "span": SpanMasking,
    "similar": SimilarWordMasking,
    "permutation": PermutationMasking,
}


def masking_of(values: Any) -> Any:
    """Make a scheme of a table with an optional ``scheme`` ("whole_word" where absent); give a scheme as it is.

    Raises:
        ConfigError: there is no such scheme, or it has no such option.
    """
    if not isinstance(values, dict):
        return values
    name = values.get("scheme", "whole_word")
    if name not in SCHEMES:
        close = nearest(str(name), SCHEMES)
        hint = f"Did you mean {close!r}? " if close else ""
        raise ConfigError("unknown masking scheme", value=name, where="scheme", fix=hint + choices(SCHEMES))
    return SCHEMES[name](**values)


def load_masking(path: str | Path | None = None, scheme: str | None = None, overrides: Sequence[str] = ()) -> Masking:
    """Make a scheme of the ``[masking]`` table of a TOML file, a name and ``key=value`` overrides, the later first.

    Raises:
        ConfigError: the file is absent or not TOML, or the scheme is not one.
    """
    values = {} if path is None else read_toml(path).get("masking", {})
    if scheme is not None:
        values = values | {"scheme": scheme}
    section = load_config(_Section, None, [f"masking.{override}" for override in overrides], masking=values)
    return section.masking


def word_predicting(masking: Masking) -> Masking:
    """Give the scheme back if its labels are words.

    Raises:
        ConfigError: its labels are positions, and a head that predicts words would learn nonsense from them.
    """
    if masking.predicts != "words":
        raise ConfigError(
            f"the masking predicts {masking.predicts}, the head words",
            value=type(masking).__name__,
            fix="Use a scheme that predicts words, or train a head of your own on Stream.",
        )
    return masking


#: The type of a configuration's field that takes any scheme; give it ``Field(default_factory=WholeWordMasking)``.
AnyMasking = Annotated[SerializeAsAny[Masking], BeforeValidator(masking_of)]
#: The same for models that predict words.
WordPredictingMasking = Annotated[AnyMasking, AfterValidator(word_predicting)]


class _Section(Config):
    masking: AnyMasking
