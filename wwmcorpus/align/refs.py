"""``chinese_ref``: the positions, [CLS] = 0, of pieces that continue a word and do not begin with ``##``.

It is how Hugging Face's scripts stored words before transformers 5. It is made here on demand and never stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.aligner import Aligner
from wwmcorpus.align.tokenizers import tokenizer_json
from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError, CorpusError, choices
from wwmcorpus.records import Pieces, WordSpans
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
            published script, which matches a line's purely Chinese words again as a set, longest first. Its
            positions count a special piece where a text spells one out: to it [MASK] is one piece, not text. The
            words are the segmenter's all the same, and hold no whitespace; LTP as released glues whitespace to the
            word before, which that script then takes for no Chinese word.

    Raises:
        ConfigError: the mode is unknown, or max_length is below 3.
        AlignmentError: the segmenter's words are not the text's.
    """
    if mode not in ("exact", "compat"):
        raise ConfigError("unknown mode", value=mode, where="chinese_ref", fix=choices(["exact", "compat"]))
    rows = RefMaker(segmenter, tokenizer, max_length).refs(texts)
    return [row.exact if mode == "exact" else row.compat for row in rows]


@dataclass(frozen=True, slots=True)
class Refs:
    """The positions, [CLS] = 0, of one row's continuing pieces, by position and as the published script finds them."""

    exact: list[int]
    compat: list[int]


class RefMaker:
    """Makes the ``chinese_ref`` of texts, both ways at once.

    Args:
        segmenter: Finds the words.
        tokenizer: The tokenizer of the rows.
        max_length: Pieces per row with [CLS] and [SEP].

    Attributes:
        aligner: With its counts.
    """

    def __init__(self, segmenter: Segmenter, tokenizer: PreTrainedTokenizerFast, max_length: int = 512) -> None:
        if max_length < 3:
            raise ConfigError(
                "rows too short for any piece", value=max_length, where="max_length", fix="[CLS] and [SEP] take two."
            )
        self.aligner = Aligner(tokenizer)
        self._segmenter, self._capacity = segmenter, max_length - 2
        self._vocabulary = Vocabulary.of(tokenizer)
        pieces = self._vocabulary.pieces
        self._begins_han = np.array([is_han(ord(piece[0])) if piece else False for piece in pieces])
        self._is_single = np.array([len(piece) == 1 for piece in pieces])
        self._is_marked_han = np.array([len(p) == 3 and p.startswith("##") and is_han(ord(p[2])) for p in pieces])
        self._published = _PublishedTokenizer(tokenizer)

    def refs(self, texts: Sequence[str]) -> list[Refs]:
        """Give the refs of each text.

        Raises:
            AlignmentError: the segmenter's words are not the text's.
        """
        spans = self._segmenter.segment(texts)
        rows = self.aligner.align(texts, spans)
        return [
            Refs(self._exact(row), self._compat(text, words, row))
            for text, words, row in zip(texts, spans, rows, strict=True)
        ]

    def _exact(self, row: Pieces) -> list[int]:
        ids, starts = row.piece_ids[: self._capacity], row.word_start[: self._capacity]
        return (np.flatnonzero(~self._vocabulary.continues[ids] & ~starts) + 1).tolist()

    def _compat(self, text: str, spans: WordSpans, row: Pieces) -> list[int]:
        """List the single Chinese characters that the published script marks with ``##``, or that have it already."""
        ids = self._published.read(text) if self._published.reads_otherwise(text) else row.piece_ids
        ids = ids[: self._capacity]
        words = {text[start:end] for start, end in spans.tolist()}
        pieces = [self._vocabulary.pieces[i] for i in ids.tolist()]
        matched = _match_again(pieces, self._begins_han[ids].tolist(), words)
        listed = self._is_marked_han[ids]
        listed[matched] = self._is_single[ids[matched]]
        return (np.flatnonzero(listed) + 1).tolist()


class _PublishedTokenizer:
    """The tokenizer as the published script uses it: special pieces that a text spells out are special pieces."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        specials = [token for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]
        # A special piece that is looked for in normalised text may have any spelling.
        spellings = [""] if any(token.normalized for token in specials) else [token.content for token in specials]
        self._spelled = re.compile("|".join(map(re.escape, spellings)))

    def reads_otherwise(self, text: str) -> bool:
        """Say whether its pieces may differ from an aligner's."""
        return self._spelled.search(text) is not None

    def read(self, text: str) -> NDArray[np.int32]:
        """Give its pieces."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int32)


def _match_again(pieces: list[str], begins_han: list[bool], words: set[str]) -> list[int]:
    """Match a line's Chinese words against its pieces as a set, from left to right, the longest first.

    Returns:
        The positions of the pieces that continue such a word.
    """
    chinese = {word for word in words if _is_chinese_word(word)}
    longest = max(map(len, chinese), default=0)
    continuing: list[int] = []
    at = 0
    while at < len(pieces):
        length = 1
        if begins_han[at]:
            for reach in range(min(len(pieces) - at, longest), 1, -1):
                if "".join(pieces[at : at + reach]) in chinese:
                    length = reach
                    break
        continuing.extend(range(at + 1, at + length))
        at += length
    return continuing


@lru_cache(maxsize=1 << 16)
def _is_chinese_word(word: str) -> bool:
    return len(word) > 1 and all(is_han(ord(character)) for character in word)


def word_start_of_ref(ids: NDArray[np.int32], ref: Sequence[int], vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """Read ``chinese_ref`` back: ``word_start`` of a row, with the ``##`` pieces joined to the word before them.

    Args:
        ids: (n,) the row with its special pieces.
        ref: Positions of continuing pieces in it.
        vocabulary: Of the row.

    Returns:
        (n,) bool.

    Raises:
        CorpusError: a position lies outside the row.
    """
    continuing = np.asarray(ref, dtype=np.int64)
    if len(continuing) and not 0 <= continuing.min() <= continuing.max() < len(ids):
        raise CorpusError(
            f"chinese_ref points outside a row of {len(ids)} pieces",
            value=continuing.tolist(),
            fix="Truncate both alike.",
        )
    starts = ~vocabulary.continues[ids]
    starts[continuing] = False
    return np.asarray(starts)
