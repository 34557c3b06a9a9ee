"""The masking schemes: how rows are cut into units, and what stands in place of those chosen. Configuration only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.masking.base import Masking, ReplacingMasking

__all__ = ["SCHEMES", "AnyMasking", "Masking", "WholeWordMasking", "WordPredictingMasking", "masking_of"]


class WholeWordMasking(ReplacingMasking):
    """Whole-word masking as MiniRBT does it: 15 % of the pieces, whole words, 80/10/10.

    Source: Devlin et al., arXiv:1810.04805, for the shares; Cui et al., arXiv:1906.08101, for whole Chinese words.
    """

    scheme: Literal["whole_word"] = "whole_word"


#: Scheme by the name that configuration files give it.
SCHEMES: dict[str, type[Masking]] = {"whole_word": WholeWordMasking}


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
