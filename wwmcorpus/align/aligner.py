"""Texts and their word spans in, pieces with ``word_start`` out, and a count of whatever is not one to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.wordpiece import FastWordPiece, FlatPieces, is_bert_wordpiece
from wwmcorpus.align.words import Alignment, align_words
from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import Pieces, WordSpans
from wwmcorpus.segment.spans import code_points

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast


class Aligner:
    """Puts words and pieces of a text together, by position.

    BERT's kind of tokenizer is read many times faster than it reads itself, with the same ids and offsets; any other
    fast tokenizer goes through its own offsets. The letters ``[MASK]`` in a text are text: special pieces are never
    read out of it.

    Args:
        tokenizer: A fast Hugging Face tokenizer, or a ``tokenizers.Tokenizer``. It is copied, not changed.

    Attributes:
        counts: Since construction: ``words``, ``words_one_to_one`` (that share a piece with no other word),
            ``merged_words`` (that share one with the word before), ``mixed_words`` (Chinese and other characters, such
            as 10万), ``words_without_pieces``; ``pieces``, ``unk_pieces``; ``groups`` (words as masking sees them);
            ``literal_specials`` (special pieces spelled out in a text). All depend on the texts alone.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast | Tokenizer) -> None:
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        self._tokenizer = Tokenizer.from_str(backend.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._fast = FastWordPiece(self._tokenizer) if is_bert_wordpiece(self._tokenizer) else None
        self._num_slow_texts = 0
        self._specials = [
            token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special
        ]
        unk = getattr(self._tokenizer.model, "unk_token", None)
        self._unk_id = self._tokenizer.token_to_id(unk) if unk else None
        self.counts: Counter[str] = Counter()

    def align(self, texts: Sequence[str], spans: Sequence[WordSpans]) -> list[Pieces]:
        """Give the pieces of each text with the words that they begin.

        Args:
            texts: Normalised texts; whatever the tokenizer drops (whitespace, control characters) has no piece.
            spans: The word spans of each, as a segmenter gives them.

        Returns:
            One ``Pieces`` per text, without special pieces.

        Raises:
            AlignmentError: texts and spans differ in number, or spans are not those of their text.
        """
        if len(texts) != len(spans):
            raise AlignmentError(
                f"{len(texts)} texts but {len(spans)} span arrays", fix="Give one array of word spans per text."
            )
        if not texts:
            return []
        flat = self._encode(texts)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        begins = (np.cumsum(lengths + 1) - lengths - 1).astype(np.int32)
        word_bounds = np.append(0, np.cumsum(np.fromiter(map(len, spans), dtype=np.int64, count=len(spans))))
        words = np.concatenate(spans) + np.repeat(begins, np.diff(word_bounds))[:, None]
        offsets = flat.offsets + np.repeat(begins, np.diff(flat.bounds))[:, None]
        alignment = align_words(offsets, words, flat.bounds, word_bounds)
        self._count(texts, flat, words, alignment)
        return [
            Pieces(flat.piece_ids[begin:end], alignment.word_start[begin:end], flat.offsets[begin:end])
            for begin, end in pairwise(flat.bounds.tolist())
        ]

    @property
    def num_slow_runs(self) -> int:
        """How many runs, or texts, the tokenizer itself was asked for so far; depends on what is cached already."""
        return self._num_slow_texts if self._fast is None else self._fast.num_slow_runs

    def _encode(self, texts: Sequence[str]) -> FlatPieces:
        if self._fast is not None:
            return self._fast.encode(texts)
        self._num_slow_texts += len(texts)
        return _encode_by_tokenizer(self._tokenizer, texts)

    def _count(self, texts: Sequence[str], flat: FlatPieces, words: NDArray[np.int32], alignment: Alignment) -> None:
        groups, held = int(alignment.word_start.sum()), int(alignment.has_piece.sum())
        joined = "\n".join(texts)
        self.counts.update(
            words=len(words),
            words_one_to_one=alignment.num_one_to_one,
            merged_words=held - groups,
            mixed_words=_count_mixed(joined, words),
            words_without_pieces=len(words) - held,
            pieces=len(flat.piece_ids),
            unk_pieces=int(np.count_nonzero(flat.piece_ids == self._unk_id)) if self._unk_id is not None else 0,
            groups=groups,
            literal_specials=sum(joined.count(special) for special in self._specials),
        )


def _encode_by_tokenizer(tokenizer: Tokenizer, texts: Sequence[str]) -> FlatPieces:
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    bounds = np.append(0, np.cumsum([len(encoding.ids) for encoding in encodings]))
    ids = np.array([piece_id for encoding in encodings for piece_id in encoding.ids], dtype=np.int32)
    offsets = np.array([offset for encoding in encodings for offset in encoding.offsets], dtype=np.int32)
    return FlatPieces(ids, offsets.reshape(-1, 2), bounds)


def _count_mixed(joined: str, words: NDArray[np.int32]) -> int:
    """Count the words that hold Chinese characters and others; ``words`` are spans in the joined texts."""
    codes = code_points(joined)
    # The main block and what lies beyond the Basic Multilingual Plane's end: enough to tell Chinese from the rest.
    chinese = ((codes >= 0x3400) & (codes <= 0x9FFF)) | ((codes >= 0x20000) & (codes <= 0x323AF))
    before = np.append(0, np.cumsum(chinese))
    inside = before[words[:, 1]] - before[words[:, 0]]
    return int(np.count_nonzero((inside > 0) & (inside < words[:, 1] - words[:, 0])))
