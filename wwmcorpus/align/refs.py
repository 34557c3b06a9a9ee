"""``chinese_ref``: the positions, [CLS] = 0, of pieces that continue a word and do not begin with ``##``.

It is how Hugging Face's scripts stored words before transformers 5. It is made here on demand and never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from wwmcorpus.align.aligner import Aligner
from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.records import WordSpans
from wwmcorpus.text import is_han

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from wwmcorpus.segment import Segmenter

Mode = Literal["exact", "compat"]


def chinese_ref(
    texts: Sequence[str],
    segmenter: Segmenter,
    tokenizer: PreTrainedTokenizerFast,
    max_length: int = 512,
    mode: Mode = "exact",
) -> list[list[int]]:
    """Give the ``chinese_ref`` of each text.

    Args:
        texts: One text per row of the old format.
        segmenter: Finds the words.
        tokenizer: The tokenizer of the rows.
        max_length: Pieces per row with [CLS] and [SEP]; positions that truncation removes are absent.
        mode: ``"exact"`` lists every continuing piece, mixed words such as 10万 included. ``"compat"`` reproduces the
            published script, which matches a line's purely Chinese words again as a set, longest first.

    Raises:
        ConfigError: the mode is unknown.
    """
    if mode not in ("exact", "compat"):
        raise ConfigError("unknown mode", value=mode, where="chinese_ref", fix=choices(["exact", "compat"]))
    vocabulary = Vocabulary.of(tokenizer)
    spans = segmenter.segment(texts)
    rows = Aligner(tokenizer).align(texts, spans)
    refs = []
    for text, words, row in zip(texts, spans, rows, strict=True):
        pieces = [vocabulary.pieces[i] for i in row.piece_ids[: max_length - 2]]
        starts = row.word_start if mode == "exact" else _compat_starts(pieces, text, words)
        refs.append([i + 1 for i, piece in enumerate(pieces) if not starts[i] and not piece.startswith("##")])
    return refs


def _compat_starts(pieces: list[str], text: str, spans: WordSpans) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Match the set of a line's Chinese words against its pieces from left to right, longest word first."""
    words = {text[start:end] for start, end in spans.tolist()}
    words = {word for word in words if len(word) > 1 and all(is_han(ord(character)) for character in word)}
    longest = max(map(len, words), default=0)
    starts = np.ones(len(pieces), dtype=bool)
    at = 0
    while at < len(pieces):
        length = 1
        if is_han(ord(pieces[at][0])):
            reach = min(len(pieces) - at, longest)
            length = next((n for n in range(reach, 1, -1) if "".join(pieces[at : at + n]) in words), 1)
        starts[at + 1 : at + length] = False
        at += length
    return starts
