"""The configuration of packing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError


class PackOptions(Config):
    """How documents become rows."""

    #: "document": each document fills rows of its own. "line": each line of a document does. "stream": the documents
    #: of a task are joined with [SEP], so that every row is full.
    pack: Literal["document", "line", "stream"] = "document"
    #: Pieces per row, special ones counted.
    max_length: int = Field(default=512, ge=8, le=65_536)
    #: Share of the rows that are made short on purpose: their length is drawn from 2 pieces to a full row. In [0, 1].
    short_sequence_probability: float = Field(default=0.0, ge=0, le=1)
    #: None: no pairs. "nsp": two segments, the second of which follows the first or is from another document.
    #: "sop": two segments that follow one another, in their order or swapped.
    pairs: Literal["nsp", "sop"] | None = None
    #: Decides which rows are short, and all that is drawn for pairs.
    seed: int = 0

    @model_validator(mode="after")
    def _pairs_have_documents(self) -> PackOptions:
        if self.pairs and self.pack != "document":
            raise ConfigError(
                "pairs are made of the sentences of one document",
                value=self.pack,
                where="pack",
                fix='Set pack to "document", or leave pairs out.',
            )
        return self
