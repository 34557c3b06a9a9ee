"""What a tokenizer says of a text in, the pieces that a neural LTP model reads out, with their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text as the model reads it.

    Attributes:
        text: The text, halves of surrogate pairs replaced.
        ids: (n,) int64, the pieces without special ones.
        starts: (n,) int64, where each begins in the text, never falling.
        visible: (n,) bool, False for pieces that stand for no character, or for the characters of the piece before.
    """

    text: str
    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    visible: NDArray[np.bool_]


def pieces_of(text: str, encoding: Any) -> Pieces:
    """Give the pieces of a text.

    Args:
        text: The text.
        encoding: Its ``tokenizers.Encoding``, without special pieces.
    """
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    visible = offsets[:, 0] < offsets[:, 1]
    visible[1:] &= (offsets[1:] != offsets[:-1]).any(axis=1)
    starts = np.maximum.accumulate(offsets[:, 0]) if len(offsets) else offsets[:, 0]
    return Pieces(text, np.array(encoding.ids, dtype=np.int64), starts, visible)
