"""The shape of a model that learns: a name, a file or a table in. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError


class StudentShape(Config):
    """The shape of a BERT; whatever is not named here is as in Hugging Face's ``BertConfig``."""

    #: Transformer layers.
    layers: int = Field(ge=1)
    #: Width of the hidden states.
    hidden: int = Field(ge=1)
    #: Attention heads; divides ``hidden``.
    heads: int = Field(ge=1)
    #: Width of the feed-forward layers.
    intermediate: int = Field(ge=1)
    #: Dropout of hidden states and of attention. In [0, 1).
    dropout: float = Field(default=0.1, ge=0, lt=1)
    #: Longest row, in pieces.
    max_positions: int = Field(default=512, ge=8)

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> StudentShape:
        if self.hidden % self.heads:
            raise ConfigError(
                "the heads do not divide the hidden size",
                value=(self.heads, self.hidden),
                where="heads, hidden",
                fix="Take a divisor.",
            )
        return self


def _as_shape(value: Any) -> Any:
    """Build the inline table at once, so that its own error is shown and not that of the union."""
    return StudentShape(**value) if isinstance(value, dict) else value


#: A name of the registry, the path of a Hugging Face ``config.json``, or an inline table.
Student = Annotated[str | StudentShape, BeforeValidator(_as_shape)]
