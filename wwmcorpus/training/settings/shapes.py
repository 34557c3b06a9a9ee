"""The shape and the first weights of a model that learns: a name, a file or a table in. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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


#: A name of the registry, a Hugging Face ``config.json`` or a folder with one, or an inline table.
Student = Annotated[str | StudentShape, BeforeValidator(_as_shape)]

_Layer = Annotated[int, Field(ge=1)]


class Initialisation(Config):
    """First weights taken from another model; whatever does not fit stays random.

    Transformer layers are numbered from 1, as in ``LayerMatch``. MiniRBT's assistant is the ``rbt6`` with
    ``layers="uniform"``: layers 1, 3, 5, 8, 10 and 12 of its teacher.
    """

    #: Folder or hub id of a BERT with the corpus's vocabulary; "teacher" is the teacher of the run.
    weights: str
    #: Which layers become the student's, in order: "uniform" spaces them evenly, first and last included; "first" takes
    #: the lowest; "none" leaves all random; or a list of as many numbers as the student has layers. A narrower student
    #: can take none, and with "uniform" takes none.
    layers: Literal["uniform", "first", "none"] | Annotated[tuple[_Layer, ...], Field(strict=False)] = "uniform"
    #: How embeddings come to a narrower student: "svd" projects them on the directions that keep most of their inner
    #: products, "select" keeps the columns that vary most over the vocabulary. "copy" needs equal widths.
    embeddings: Literal["copy", "svd", "select"] = "copy"
    #: Copy the masked language modelling head; to a student of another width, only the bias of each piece.
    head: bool = True
