"""Texts and their word spans in, pieces with ``word_start`` out, and a count of whatever is not one to one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.tokenizers import tokenizer_json
from wwmcorpus.align.wordpiece import FastWordPiece, LinePieces, encode_by_tokenizer, is_bert_wordpiece
from wwmcorpus.align.words import Alignment, WordsOnLine, align_words
from wwmcorpus.errors import AlignmentError
from wwmcorpus.records import Pieces, WordSpans
from wwmcorpus.text.line import HAN, TextLine

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class FlatAlignment:
    """The pieces of several texts, end to end, with the words that they begin.

    Attributes:
        piece_ids: (num_pieces,) int32, without special pieces.
        word_start: (num_pieces,) bool, True where a group begins, as masking sees words; True for each text's first.
        offsets: (num_pieces, 2) int32, [start, end) of each piece in code points of its own text.
        bounds: (num_texts + 1,) int64; the pieces of text i are [bounds[i], bounds[i + 1]).
    """

    piece_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    offsets: NDArray[np.int32]
    bounds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AlignedLine:
    """Texts on one line of code points, with their words and pieces.

    Attributes:
        line: The texts.
        words: Their words.
        pieces: Their pieces, without special pieces.
        word_start: (num_pieces,) bool, as in ``FlatAlignment``.
    """

    line: TextLine
    words: WordsOnLine
    pieces: LinePieces
    word_start: NDArray[np.bool_]


class Aligner:
    """Puts words and pieces of a text together, by position.

    BERT's kind of tokenizer is read many times faster than it reads itself, with the same ids and offsets; any other
    fast tokenizer goes through its own offsets. The letters ``[MASK]`` in a text are text: special pieces are never
    read out of it.

    Every piece is in one group, and no word is in two. A group is a word, or the words that share a piece, or the
    pieces between two words that hold whitespace only (``▁``, ``Ġ``): whitespace joins a word only inside a piece that
    holds some of the word too (``▁你好``).

    Args:
        tokenizer: A fast Hugging Face tokenizer, or a ``tokenizers.Tokenizer``. It is copied, not changed.

    Attributes:
        counts: Since construction: ``words``, ``words_one_to_one`` (that share a piece with no other word),
            ``merged_words`` (that share one with the word before), ``mixed_words`` (Chinese and other characters, such
            as 10万), ``words_without_pieces``; ``pieces``, ``unk_pieces``; ``groups`` (of words, as masking sees them:
            ``words`` less the merged and those without pieces), ``whitespace_groups`` (absent where there are none);
            ``literal_specials`` (special pieces spelled out in a text). All depend on the texts alone.

    Raises:
        ConfigError: the tokenizer is not fast, or has parts written in Python.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast | Tokenizer) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._fast = FastWordPiece(self._tokenizer) if is_bert_wordpiece(self._tokenizer) else None
        self._num_slow_texts = 0
        self._specials = [
            token.content
            for token in self._tokenizer.get_added_tokens_decoder().values()
            if token.special and token.content
        ]
        self._unk_id = _unk_id(self._tokenizer)
        self.counts: Counter[str] = Counter()

    def align(self, texts: Sequence[str], spans: Sequence[WordSpans]) -> list[Pieces]:
        """Give the pieces of each text with the words that they begin: ``align_flat``, text by text.

        Args:
            texts: Normalised texts; whatever the tokenizer drops (whitespace, control characters) has no piece.
            spans: The word spans of each, as a segmenter gives them.

        Returns:
            One ``Pieces`` per text, without special pieces.

        Raises:
            AlignmentError: texts and spans differ in number, or spans are not those of their text.
        """
        flat = self.align_flat(texts, spans)
        return [
            Pieces(flat.piece_ids[begin:end], flat.word_start[begin:end], flat.offsets[begin:end])
            for begin, end in pairwise(flat.bounds.tolist())
        ]

    def align_flat(self, texts: Sequence[str], spans: Sequence[WordSpans]) -> FlatAlignment:
        """Give the pieces of many texts, end to end, with the words that they begin.

        ``(["他叫汤姆", "买"], [[[0, 1], [1, 2], [2, 4]], [[0, 1]]])`` -> word_start ``[1, 1, 1, 0, 1]``, bounds
        ``[0, 4, 5]``

        Args:
            texts: Normalised texts; whatever the tokenizer drops (whitespace, control characters) has no piece.
            spans: The word spans of each, as a segmenter gives them.

        Returns:
            The pieces of all texts, without special pieces.

        Raises:
            AlignmentError: texts and spans differ in number, or spans are not those of their text.
        """
        if len(texts) != len(spans):
            raise AlignmentError(
                f"{len(texts)} texts but {len(spans)} span arrays", fix="Give one array of word spans per text."
            )
        line = TextLine.of(texts)
        aligned = self.align_line(line, line.place(spans))
        pieces = aligned.pieces
        return FlatAlignment(pieces.piece_ids, aligned.word_start, pieces.offsets(line), pieces.bounds)

    def align_line(self, line: TextLine, spans: WordSpans) -> AlignedLine:
        """Give what ``align_flat`` gives, by places on the line: what a build calls, which needs no offsets.

        Args:
            line: The texts.
            spans: Their words, (num_words, 2) int32, positions on the line.

        Raises:
            AlignmentError: the spans are not those of the texts.
        """
        pieces = self._encode(line)
        words = WordsOnLine.of(spans, line)
        alignment = align_words(pieces, words)
        self._count(line, pieces.piece_ids, words, alignment)
        return AlignedLine(line, words, pieces, alignment.word_start)

    @property
    def num_slow_runs(self) -> int:
        """How many runs, or texts, the tokenizer itself was asked for so far; depends on what is cached already."""
        return self._num_slow_texts if self._fast is None else self._fast.num_slow_runs

    def _encode(self, line: TextLine) -> LinePieces:
        if self._fast is not None:
            return self._fast.encode_line(line)
        self._num_slow_texts += len(line.texts)
        return encode_by_tokenizer(self._tokenizer, line)

    def _count(self, line: TextLine, piece_ids: NDArray[np.int32], words: WordsOnLine, alignment: Alignment) -> None:
        num_words, held = len(words.starts), alignment.num_words_held
        self.counts.update(
            words=num_words,
            words_one_to_one=alignment.num_one_to_one,
            merged_words=held - alignment.num_word_groups,
            mixed_words=_count_mixed(line, words),
            words_without_pieces=num_words - held,
            pieces=len(piece_ids),
            unk_pieces=int(np.count_nonzero(piece_ids == self._unk_id)) if self._unk_id is not None else 0,
            groups=alignment.num_word_groups,
            literal_specials=sum(line.text.count(special) for special in self._specials),
        )
        if num_whitespace_groups := int(np.count_nonzero(alignment.word_start)) - alignment.num_word_groups:
            self.counts["whitespace_groups"] += num_whitespace_groups


def _unk_id(tokenizer: Tokenizer) -> int | None:
    """Give the id of what stands for unknown characters: a model names either the piece or the id, or has none."""
    model = json.loads(tokenizer.to_str())["model"]
    unk = model.get("unk_token")
    return model.get("unk_id") if unk is None else tokenizer.token_to_id(unk)


def _count_mixed(line: TextLine, words: WordsOnLine) -> int:
    """Count the words that hold Chinese characters and others."""
    before = np.append(0, np.cumsum(line.kinds == HAN, dtype=np.int32))
    inside = before.take(words.ends) - before.take(words.starts)
    return int(np.count_nonzero((inside > 0) & (inside < words.ends - words.starts)))
