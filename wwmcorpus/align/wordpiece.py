"""Texts in, the pieces and offsets of a BERT WordPiece tokenizer out, exactly and many times faster.

BERT's tokenizer cuts around whitespace, punctuation and Chinese characters before it looks anything up. What stands
between such cuts, a run, is therefore tokenized by itself whatever its neighbours are; and a Chinese character or a
mark alone is always the same piece. So characters alone are read from a table, by numpy, for all texts at once, and
runs from a cache. Whatever the cache does not hold is asked of the Hugging Face tokenizer itself, run by run: accents,
controls, emoji, other scripts and their offsets are its answers, not an imitation of them.

The tables, too, are the tokenizer's own answers: a character counts as standing alone only if the tokenizer cut around
it when it was asked, and everything unknown is part of a run. A wrong guess would cost speed, never exactness.
"""

from __future__ import annotations

import functools
import json
import string
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from wwmcorpus.records import bounds_of
from wwmcorpus.text import HAN_BLOCKS
from wwmcorpus.text.line import TextLine

_RUN, _SPACE, _ALONE = 0, 1, 2
# Whitespace to every version of Unicode and to BERT, which removes control characters that are whitespace elsewhere.
_SPACES = "\t\n\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_MAX_RUN_CHARACTERS = 1 << 18


@dataclass(frozen=True, slots=True)
class LinePieces:
    """The pieces of texts that lie on a line.

    Attributes:
        piece_ids: (num_pieces,) int32.
        starts: (num_pieces,) int32, where each piece begins on the line.
        ends: (num_pieces,) int32, where it ends.
        bounds: (num_texts + 1,) int64; the pieces of text i are [bounds[i], bounds[i + 1]).
    """

    piece_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def offsets(self, line: TextLine) -> NDArray[np.int32]:
        """Give [start, end) of each piece in code points of its own text, (num_pieces, 2) int32."""
        return np.stack([self.starts, self.ends], axis=1) - line.shifts(self.bounds)[:, None]


class FastWordPiece:
    """Encodes texts as its tokenizer would, without special pieces.

    Args:
        tokenizer: A BERT-style tokenizer for which ``is_bert_wordpiece`` holds; special pieces written out in a text
            must be text to it (``encode_special_tokens``).

    Attributes:
        num_slow_runs: Runs that were asked of the tokenizer since construction.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tables = _tables(tokenizer.to_str())
        self._known = _Known(self._tables.alone_ids)
        self.num_slow_runs = 0

    def encode_line(self, line: TextLine) -> LinePieces:
        """Give the pieces of texts that lie on one line."""
        kind = self._tables.kind.take(line.codes)
        in_run = kind == _RUN
        begins_unit = in_run.copy()
        begins_unit[1:] &= ~in_run[:-1]
        begins_unit |= kind == _ALONE
        # A unit is a character alone or a run; it stands where it begins.
        units = np.flatnonzero(begins_unit).astype(np.int32)
        numbers = self._tables.alone_number.take(line.codes.take(units))
        np.place(numbers, in_run.take(units), self._run_numbers(line.codes, in_run))
        known = self._known
        lengths = known.lengths.values.take(numbers)
        ends = np.cumsum(lengths, dtype=np.int32)
        unit_bounds = np.append(np.searchsorted(units, line.begins), len(units))
        unit_of_piece = np.repeat(np.arange(len(units)), lengths)
        source = (known.begins.values.take(numbers) - (ends - lengths)).take(unit_of_piece)
        source += np.arange(len(source), dtype=np.int32)
        source = source.astype(np.intp)  # once, not at each look-up
        places = units.take(unit_of_piece)
        return LinePieces(
            known.ids.values.take(source),
            known.starts.values.take(source) + places,
            known.ends.values.take(source) + places,
            np.append(0, ends)[unit_bounds].astype(np.int64),
        )

    def _run_numbers(self, codes: NDArray[np.uint32], in_run: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Give the number of each run, learning those that are new."""
        if self._known.num_run_characters > _MAX_RUN_CHARACTERS:
            self._known = _Known(self._tables.alone_ids)
        kept = in_run.copy()
        kept[1:] |= in_run[:-1]
        # Every text is followed by a line break, so that each run has a neighbour to turn into its separator.
        apart = np.compress(kept, codes * in_run + np.uint32(ord("\n")) * ~in_run)
        runs = apart.astype("<u4").tobytes().decode("utf-32-le").split("\n")[:-1]
        found = list(map(self._known.number_of_run.get, runs))
        if None in found:
            places = [place for place, number in enumerate(found) if number is None]
            new = list(dict.fromkeys(map(runs.__getitem__, places)))
            self._known.learn(new, self._tokenizer)
            self.num_slow_runs += len(new)
            for place in places:
                found[place] = self._known.number_of_run[runs[place]]
        return np.array(found, dtype=np.int32)


class _Known:
    """The pieces of every character alone and of every run seen so far.

    Each has a number, characters first; number n has the pieces [begins[n], begins[n] + lengths[n]).
    """

    def __init__(self, alone_ids: NDArray[np.int32]) -> None:
        self.number_of_run: dict[str, int] = {}
        self.num_run_characters = 0
        self.begins = _Growing(np.arange(len(alone_ids), dtype=np.int32))
        self.lengths = _Growing(np.ones(len(alone_ids), dtype=np.int32))
        self.ids = _Growing(alone_ids)
        self.starts = _Growing(np.zeros(len(alone_ids), dtype=np.int32))
        self.ends = _Growing(np.ones(len(alone_ids), dtype=np.int32))

    def learn(self, runs: list[str], tokenizer: Tokenizer) -> None:
        """Ask the tokenizer for the pieces of some new runs."""
        ids, offsets, bounds = _encode_runs(tokenizer, runs)
        first = len(self.begins.values)
        self.begins.extend(len(self.ids.values) + bounds[:-1])
        self.lengths.extend(np.diff(bounds))
        self.ids.extend(ids)
        self.starts.extend(offsets[:, 0])
        self.ends.extend(offsets[:, 1])
        self.number_of_run.update(zip(runs, range(first, first + len(runs)), strict=True))
        self.num_run_characters += sum(map(len, runs))


class _Growing:
    """An array that can be added to without being copied each time."""

    def __init__(self, values: NDArray[np.int32]) -> None:
        self._room = values
        self._length = len(values)

    @property
    def values(self) -> NDArray[np.int32]:
        """What was added so far, a view."""
        return self._room[: self._length]

    def extend(self, more: NDArray[Any]) -> None:
        """Add values at the end."""
        length = self._length + len(more)
        if length > len(self._room):
            room = np.empty((2 * length, *self._room.shape[1:]), dtype=self._room.dtype)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : length] = more
        self._length = length


#: Pieces of several texts, end to end, (n,) int32; their offsets in their own text, (n, 2) int32; the texts' bounds.
_Encoded = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]


def _encode_runs(tokenizer: Tokenizer, runs: list[str]) -> _Encoded:
    """Give the pieces of each run: asked as the lines of one text, which costs half as much as asking for each."""
    encoding = tokenizer.encode("\n".join(runs), add_special_tokens=False)
    lengths = np.fromiter(map(len, runs), dtype=np.int32, count=len(runs))
    begins = np.cumsum(lengths + 1, dtype=np.int32) - lengths - 1
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    bounds = np.append(np.searchsorted(offsets[:, 0], begins), len(offsets))
    offsets -= np.repeat(begins, np.diff(bounds))[:, None]
    return np.array(encoding.ids, dtype=np.int32), offsets, bounds


def encode_by_tokenizer(tokenizer: Tokenizer, line: TextLine) -> LinePieces:
    """Give the pieces of texts on a line as the tokenizer itself finds them."""
    ids, offsets, bounds = _encode_texts(tokenizer, line.texts)
    shifts = line.shifts(bounds)
    return LinePieces(ids, offsets[:, 0] + shifts, offsets[:, 1] + shifts, bounds)


def _encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> _Encoded:
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    bounds = bounds_of(np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64))
    ids = np.array([piece_id for encoding in encodings for piece_id in encoding.ids], dtype=np.int32)
    offsets = np.array([offset for encoding in encodings for offset in encoding.offsets], dtype=np.int32)
    return ids, offsets.reshape(-1, 2), bounds


def is_bert_wordpiece(tokenizer: Tokenizer) -> bool:
    """Say whether a tokenizer cuts as BERT's does: its normaliser, its pre-tokenizer, a WordPiece model."""
    state = json.loads(tokenizer.to_str())
    kinds = {key: (state[key] or {}).get("type") for key in ("normalizer", "pre_tokenizer", "model")}
    plain = not any(token["lstrip"] or token["rstrip"] or not token["special"] for token in state["added_tokens"])
    return plain and kinds == {
        "normalizer": "BertNormalizer",
        "pre_tokenizer": "BertPreTokenizer",
        "model": "WordPiece",
    }


@dataclass(frozen=True, slots=True)
class _Tables:
    """What a tokenizer does with single code points.

    Attributes:
        kind: (0x110000,) uint8: part of a run, a space, or alone.
        alone_number: (0x110000,) int32, numbers those that stand alone.
        alone_ids: (num_alone,) int32, their pieces.
    """

    kind: NDArray[np.uint8]
    alone_number: NDArray[np.int32]
    alone_ids: NDArray[np.int32]


@functools.lru_cache(maxsize=4)
def _tables(tokenizer_json: str) -> _Tables:
    """Ask a tokenizer about every code point that may stand alone."""
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.encode_special_tokens = True
    kind = np.full(sys.maxunicode + 1, _RUN, dtype=np.uint8)
    kind[[ord(character) for character in _SPACES]] = _SPACE
    candidates = np.array(_candidates(), dtype=np.int64)
    # Each candidate is asked about between two letters: "a好b a！b ...". It stands alone if both letters stayed whole
    # and it is one piece itself.
    piece_ids, offsets, _ = _encode_texts(tokenizer, [" ".join(f"a{chr(code)}b" for code in candidates)])
    starts = offsets[:, 0]
    single = offsets[:, 1] - starts == 1
    places = 4 * len(candidates) + 4
    num_starting = np.bincount(starts, minlength=places).reshape(-1, 4)[: len(candidates)]
    is_single = np.zeros(places, dtype=bool)
    is_single[starts[single]] = True
    found = np.zeros(places, dtype=np.int32)
    found[starts] = piece_ids
    found = found.reshape(-1, 4)[: len(candidates)]
    letters, _, _ = _encode_texts(tokenizer, ["a", "b"])
    is_alone = (num_starting[:, :3] == 1).all(axis=1) & is_single.reshape(-1, 4)[: len(candidates), :3].all(axis=1)
    is_alone &= (found[:, [0, 2]] == letters).all(axis=1)
    alone = candidates[is_alone]
    kind[alone] = _ALONE
    alone_number = np.zeros(sys.maxunicode + 1, dtype=np.int32)
    alone_number[alone] = np.arange(len(alone))
    return _Tables(kind, alone_number, found[is_alone, 1])


@functools.cache
def _candidates() -> list[int]:
    """List the code points that may stand alone: Chinese characters and punctuation."""
    han = [code for first, last in HAN_BLOCKS for code in range(first, last + 1)]
    # Unicode has no punctuation above its first two planes; one that came later would only be part of runs.
    marks = [code for code in range(0x20000) if unicodedata.category(chr(code))[0] == "P"]
    return han + marks + [ord(mark) for mark in string.punctuation if unicodedata.category(mark)[0] != "P"]
