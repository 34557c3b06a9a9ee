"""What masking and packing need to know of a tokenizer: which id is which piece. Tokenizer in, plain numbers out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: The special pieces that a BERT needs, by the name of their attribute on a Hugging Face tokenizer.
SPECIAL_ROLES = ("pad", "unk", "cls", "sep", "mask")


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a tokenizer in id order, and the ids that have a role.

    Attributes:
        pieces: Every piece; its position is its id.
        pad_id: Fills the end of short rows.
        unk_id: Stands for what the vocabulary cannot spell.
        cls_id: Opens every row.
        sep_id: Closes every row.
        mask_id: Stands where a piece is masked.
    """

    pieces: tuple[str, ...]
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
        """Read the vocabulary of a Hugging Face tokenizer.

        Raises:
            ConfigError: a special piece that a BERT needs is missing.
        """
        ids = {role: getattr(tokenizer, f"{role}_token_id") for role in SPECIAL_ROLES}
        missing = [f"{role}_token" for role, piece_id in ids.items() if piece_id is None]
        if missing:
            raise ConfigError(
                "the tokenizer lacks special pieces", value=missing, fix="Masked language models need all of them."
            )
        return cls.of_ids(tokenizer.get_vocab(), ids)

    @classmethod
    def of_ids(cls, id_of: Mapping[str, int], special: Mapping[str, int]) -> Vocabulary:
        """Make a vocabulary from piece -> id and role -> id (roles as in ``SPECIAL_ROLES``)."""
        pieces = [""] * (max(id_of.values()) + 1)
        for piece, piece_id in id_of.items():
            pieces[piece_id] = piece
        return cls(tuple(pieces), **{f"{role}_id": special[role] for role in SPECIAL_ROLES})

    @property
    def num_pieces(self) -> int:
        """How many ids there are: the size of a model's embedding."""
        return len(self.pieces)

    @property
    def special(self) -> dict[str, int]:
        """Role -> id, for a manifest."""
        return {role: getattr(self, f"{role}_id") for role in SPECIAL_ROLES}

    @cached_property
    def sha256(self) -> str:
        """Hash of the pieces in id order: two tokenizers share it exactly when their ids mean the same."""
        return hashlib.sha256("\n".join(self.pieces).encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def frame_ids(self) -> NDArray[np.int32]:
        """The ids that frame text and are never part of it, (4,) int32: [PAD], [CLS], [SEP], [MASK].

        [UNK] is not among them: it stands for a real character.
        """
        return np.array([self.pad_id, self.cls_id, self.sep_id, self.mask_id], dtype=np.int32)

    @cached_property
    def replacement_ids(self) -> NDArray[np.int32]:
        """The ids of real pieces, (n,) int32, rising: no special piece, no [unusedN], no hole in the numbering."""
        special = set(self.special.values())
        real = [
            i for i, piece in enumerate(self.pieces) if piece and i not in special and not piece.startswith("[unused")
        ]
        return np.array(real, dtype=np.int32)

    @cached_property
    def continues(self) -> NDArray[np.bool_]:
        """Say of each id whether its piece begins with ``##``, (num_pieces,) bool."""
        return np.array([piece.startswith("##") for piece in self.pieces])
