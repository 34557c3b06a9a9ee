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

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from wwmcorpus.text import HAN_BLOCKS

_RUN, _SPACE, _ALONE = 0, 1, 2
# Whitespace to every version of Unicode and to BERT, which removes control characters that are whitespace elsewhere.
_SPACES = "\t\n\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_MAX_CACHED_RUNS = 1 << 18


@dataclass(frozen=True, slots=True)
class FlatPieces:
    """The pieces of several texts, end to end.

    Attributes:
        piece_ids: (num_pieces,) int32.
        offsets: (num_pieces, 2) int32, [start, end) of each piece in code points of its own text.
        bounds: (num_texts + 1,) int64; the pieces of text i are [bounds[i], bounds[i + 1]).
    """

    piece_ids: NDArray[np.int32]
    offsets: NDArray[np.int32]
    bounds: NDArray[np.int64]


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
        self._kind, self._id = _tables(tokenizer.to_str())
        self.num_slow_runs = 0
        self._cache = _RunCache()

    def encode(self, texts: Sequence[str]) -> FlatPieces:
        """Give the pieces of each text.

        Raises:
            UnicodeEncodeError: a text holds a lone surrogate.
        """
        joined = "\n".join(texts)
        codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
        kind = self._kind[codes]
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        text_begins = np.cumsum(lengths + 1) - lengths - 1
        in_run = kind == _RUN
        run_begins = in_run.copy()
        run_begins[1:] &= ~in_run[:-1]
        # A unit is a character alone or a run; it stands where it begins.
        units = np.flatnonzero(run_begins | (kind == _ALONE))
        is_run = in_run[units]
        runs = self._look_up(joined, in_run, units[is_run])
        counts = np.ones(len(units), dtype=np.int64)
        counts[is_run] = self._cache.lengths.values[runs]
        ends = np.cumsum(counts)
        unit_bounds = np.append(np.searchsorted(units, text_begins), len(units))
        places = units - np.repeat(text_begins, np.diff(unit_bounds))
        pieces = self._lay_out(codes, units, is_run, runs, ends - counts, places)
        return FlatPieces(*pieces, np.append(0, ends)[unit_bounds])

    def _lay_out(
        self,
        codes: NDArray[np.uint32],
        units: NDArray[np.int64],
        is_run: NDArray[np.bool_],
        runs: NDArray[np.int64],
        begins: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Fill ids and offsets: one piece for a character alone, the cached ones for a run."""
        lengths = self._cache.lengths.values[runs]
        num_pieces = len(units) - len(runs) + int(lengths.sum())
        ids = np.empty(num_pieces, dtype=np.int32)
        offsets = np.empty((num_pieces, 2), dtype=np.int32)
        chosen = np.flatnonzero(~is_run)
        alone, alone_places = begins[chosen], places[chosen]
        ids[alone] = self._id[codes[units[chosen]]]
        offsets[alone, 0] = alone_places
        offsets[alone, 1] = alone_places + 1
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(self._cache.begins.values[runs], lengths) + within
        target = np.repeat(begins[is_run], lengths) + within
        shift = np.repeat(places[is_run], lengths)
        ids[target] = self._cache.ids.values[source]
        offsets[target, 0] = self._cache.starts.values[source] + shift
        offsets[target, 1] = self._cache.ends.values[source] + shift
        return ids, offsets

    def _look_up(self, joined: str, in_run: NDArray[np.bool_], begins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the cache's number of each run, learning those that are new."""
        last = in_run.copy()
        last[:-1] &= ~in_run[1:]
        ends = np.flatnonzero(last) + 1
        runs = [joined[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        if len(self._cache.numbers) > _MAX_CACHED_RUNS:
            self._cache = _RunCache()
        new = [run for run in dict.fromkeys(runs) if run not in self._cache.numbers]
        if new:
            self._cache.learn(new, self._tokenizer)
            self.num_slow_runs += len(new)
        return np.fromiter(map(self._cache.numbers.__getitem__, runs), dtype=np.int64, count=len(runs))


class _RunCache:
    """The pieces of every run seen so far; run number n has the pieces [begins[n], begins[n] + lengths[n])."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.begins, self.lengths = _Growing(), _Growing()
        self.ids, self.starts, self.ends = _Growing(), _Growing(), _Growing()

    def learn(self, runs: list[str], tokenizer: Tokenizer) -> None:
        """Ask the tokenizer for the pieces of some new runs."""
        encodings = tokenizer.encode_batch(runs, add_special_tokens=False)
        lengths = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
        offsets = np.array([offset for encoding in encodings for offset in encoding.offsets], dtype=np.int64)
        self.numbers.update(zip(runs, range(len(self.numbers), len(self.numbers) + len(runs)), strict=True))
        self.begins.extend(len(self.ids.values) + np.cumsum(lengths) - lengths)
        self.lengths.extend(lengths)
        self.ids.extend(np.array([piece_id for encoding in encodings for piece_id in encoding.ids], dtype=np.int64))
        self.starts.extend(offsets.reshape(-1, 2)[:, 0])
        self.ends.extend(offsets.reshape(-1, 2)[:, 1])


class _Growing:
    """An int64 array that can be added to without being copied each time."""

    def __init__(self) -> None:
        self._room = np.empty(1024, dtype=np.int64)
        self._length = 0

    @property
    def values(self) -> NDArray[np.int64]:
        """What was added so far, a view."""
        return self._room[: self._length]

    def extend(self, more: NDArray[np.int64]) -> None:
        """Add values at the end."""
        length = self._length + len(more)
        if length > len(self._room):
            self._room = np.concatenate([self.values, np.empty(2 * length - self._length, dtype=np.int64)])
        self._room[self._length : length] = more
        self._length = length


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


@functools.lru_cache(maxsize=4)
def _tables(tokenizer_json: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Give the kind of each code point, uint8, and the piece of those that stand alone, int32; both (0x110000,)."""
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.encode_special_tokens = True
    kind = np.full(sys.maxunicode + 1, _RUN, dtype=np.uint8)
    ids = np.zeros(sys.maxunicode + 1, dtype=np.int32)
    kind[[ord(character) for character in _SPACES]] = _SPACE
    candidates = np.array(_candidates(), dtype=np.int64)
    # Each candidate is asked about between two letters: "a好b a！b ...". It stands alone if both letters stayed whole
    # and it is one piece itself.
    encoding = tokenizer.encode(" ".join(f"a{chr(code)}b" for code in candidates), add_special_tokens=False)
    piece_ids, offsets = np.array(encoding.ids), np.array(encoding.offsets).reshape(-1, 2)
    single = offsets[:, 1] - offsets[:, 0] == 1
    seen = np.bincount(offsets[:, 0], minlength=4 * len(candidates) + 4).reshape(-1, 4)[: len(candidates)]
    found = np.full(4 * len(candidates) + 4, -1)
    found[offsets[single, 0]] = piece_ids[single]
    found = found.reshape(-1, 4)[: len(candidates)]
    letters = [tokenizer.token_to_id(letter) for letter in "ab"]
    alone = (
        (seen[:, :3] == 1).all(axis=1) & (found[:, 0] == letters[0]) & (found[:, 2] == letters[1]) & (found[:, 1] >= 0)
    )
    kind[candidates[alone]] = _ALONE
    ids[candidates[alone]] = found[alone, 1]
    return kind, ids


@functools.cache
def _candidates() -> list[int]:
    """List the code points that may stand alone: Chinese characters and punctuation."""
    han = [code for first, last in HAN_BLOCKS for code in range(first, last + 1)]
    # Unicode has no punctuation above its first two planes; one that came later would only be part of runs.
    marks = [code for code in range(0x20000) if unicodedata.category(chr(code))[0] == "P"]
    return han + marks + [ord(mark) for mark in string.punctuation if unicodedata.category(mark)[0] != "P"]
