"""Texts in, their pieces with offsets out: by the tokenizer itself, special pieces spelled out in a text being text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.tokenizers import tokenizer_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class TextPieces(NamedTuple):
    """The pieces of one text, without special pieces.

    Attributes:
        ids: (n,) int32.
        offsets: (n, 2) int32, [start, end) in code points of the text.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def part(self, begin: int, end: int) -> TextPieces:
        """Give the pieces [begin, end)."""
        return TextPieces(self.ids[begin:end], self.offsets[begin:end])


class TextEncoder:
    """Encodes texts without special pieces.

    Args:
        tokenizer: A fast tokenizer. It is copied, not changed.

    Raises:
        ConfigError: the tokenizer is not fast, or has parts written in Python.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[TextPieces]:
        """Give the pieces of each text."""
        return [
            TextPieces(
                np.array(encoding.ids, dtype=np.int32), np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
            )
            for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]
