"""Words and pieces of a build's texts in, the figures that a report is drawn from out.

Counted while the text is at hand, in bounded memory, and as a function of the text alone: long tails are cut where the
text says, never where a clock or a worker does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wwmcorpus.align import AlignedLine
from wwmcorpus.config import Config
from wwmcorpus.text.line import TextLine

#: Words of this many characters or more are counted together in the histogram of word lengths.
LONGEST_WORD = 12
#: Bins of the histogram of row lengths: twentieths of max_length.
NUM_LENGTH_BINS = 20
#: Words and characters that a corpus keeps, and that each of its tasks keeps for it.
NUM_KEPT, NUM_KEPT_PER_TASK = 1_000, 2_000
#: A word of up to three characters is one number of 63 bits, code points from 1; longer ones are strings.
_CODE_BITS, _PACKED_CHARACTERS = 21, 3
_MAX_WAITING, _MAX_DISTINCT = 1 << 19, 1 << 18
#: Strings take more room than numbers.
_MAX_DISTINCT_LONG = 1 << 16


class Statistics(Config):
    """What a report is drawn from.

    Attributes:
        word_lengths: Words of 1, 2, ... characters; the last entry counts all of ``LONGEST_WORD`` or more.
        row_lengths: Rows by length in pieces, in ``NUM_LENGTH_BINS`` equal parts of ``max_length``.
        words: The most frequent words with their counts. A count is low by what fell outside the most frequent
            ``NUM_KEPT_PER_TASK`` words of a task.
        unknown_characters: The same for characters that the vocabulary does not hold.
    """

    word_lengths: tuple[int, ...] = Field(default=(0,) * LONGEST_WORD, strict=False)
    row_lengths: tuple[int, ...] = Field(default=(0,) * NUM_LENGTH_BINS, strict=False)
    words: dict[str, int] = Field(default_factory=dict)
    unknown_characters: dict[str, int] = Field(default_factory=dict)


def merge_statistics(parts: Iterable[Statistics]) -> Statistics:
    """Add up the statistics of the parts of a corpus."""
    words: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    word_lengths, row_lengths = np.zeros(LONGEST_WORD, dtype=np.int64), np.zeros(NUM_LENGTH_BINS, dtype=np.int64)
    for part in parts:
        words.update(part.words)
        unknown.update(part.unknown_characters)
        word_lengths += part.word_lengths
        row_lengths += part.row_lengths
    return Statistics(
        word_lengths=tuple(word_lengths.tolist()),
        row_lengths=tuple(row_lengths.tolist()),
        words=most_frequent(words, NUM_KEPT),
        unknown_characters=most_frequent(unknown, NUM_KEPT),
    )


def most_frequent(counts: Counter[str], number: int) -> dict[str, int]:
    """Give the most frequent entries, the first by code points among equals, most frequent first."""
    entries: Iterable[tuple[str, int]] = counts.items()
    if len(counts) > number > 0:
        # Sorting all of them by two keys costs more than finding how frequent the last one is.
        values = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
        least = int(np.partition(values, len(values) - number)[len(values) - number])
        entries = [entry for entry in entries if entry[1] >= least]
    return dict(sorted(entries, key=lambda entry: (-entry[1], entry[0]))[:number])


class StatisticsCounter:
    """Counts over the texts of one task.

    Args:
        unk_id: The piece for unknown characters.
        max_length: Pieces per row.
    """

    def __init__(self, unk_id: int, max_length: int) -> None:
        self._unk_id, self._max_length = unk_id, max_length
        self._word_lengths = np.zeros(LONGEST_WORD, dtype=np.int64)
        self._row_lengths = np.zeros(NUM_LENGTH_BINS, dtype=np.int64)
        self._short_words, self._unknown = _NumberCounter(), _NumberCounter()
        self._long_words = _StringCounter()

    def add_texts(self, aligned: AlignedLine) -> None:
        """Count the words of some texts and the characters without a piece of their own."""
        line, words, pieces = aligned.line, aligned.words, aligned.pieces
        self._add_words(line, words.starts, words.ends - words.starts)
        unknown = np.flatnonzero(pieces.piece_ids == self._unk_id)
        if len(unknown):
            self._add_unknown(line.codes, pieces.starts[unknown], pieces.ends[unknown])

    def add_rows(self, lengths: NDArray[np.int64]) -> None:
        """Count rows by their length in pieces."""
        bins = np.minimum((lengths - 1) * NUM_LENGTH_BINS // self._max_length, NUM_LENGTH_BINS - 1)
        self._row_lengths += np.bincount(bins, minlength=NUM_LENGTH_BINS)

    def statistics(self) -> Statistics:
        """Give what was counted so far."""
        words = self._long_words.most_frequent(NUM_KEPT_PER_TASK) + Counter(
            {_unpacked(number): count for number, count in self._short_words.most_frequent(NUM_KEPT_PER_TASK)}
        )
        unknown = Counter(
            {_unpacked(number): count for number, count in self._unknown.most_frequent(NUM_KEPT_PER_TASK)}
        )
        return Statistics(
            word_lengths=tuple(self._word_lengths.tolist()),
            row_lengths=tuple(self._row_lengths.tolist()),
            words=most_frequent(words, NUM_KEPT_PER_TASK),
            unknown_characters=most_frequent(unknown, NUM_KEPT_PER_TASK),
        )

    def _add_words(self, line: TextLine, begins: NDArray[np.int32], lengths: NDArray[np.int32]) -> None:
        self._word_lengths += np.bincount(np.minimum(lengths, LONGEST_WORD), minlength=LONGEST_WORD + 1)[1:]
        is_long = lengths > _PACKED_CHARACTERS
        long_begins = begins[is_long].tolist()
        long_ends = (begins[is_long] + lengths[is_long]).tolist()
        self._long_words.add([line.text[begin:end] for begin, end in zip(long_begins, long_ends, strict=True)])
        begins, lengths = begins[~is_long], lengths[~is_long]
        numbers = line.codes.take(begins).astype(np.uint64) + np.uint64(1)
        for place in range(1, _PACKED_CHARACTERS):
            longer = np.flatnonzero(lengths > place)
            code = line.codes.take(begins.take(longer) + place).astype(np.uint64) + np.uint64(1)
            numbers[longer] |= code << np.uint64(_CODE_BITS * place)
        self._short_words.add(numbers)

    def _add_unknown(self, codes: NDArray[np.uint32], begins: NDArray[np.int32], ends: NDArray[np.int32]) -> None:
        lengths = ends - begins
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self._unknown.add(codes[np.repeat(begins, lengths) + within].astype(np.uint64) + np.uint64(1))


def _unpacked(number: int) -> str:
    codes = (number >> (_CODE_BITS * place) & ((1 << _CODE_BITS) - 1) for place in range(_PACKED_CHARACTERS))
    return "".join(chr(code - 1) for code in codes if code)


class _StringCounter:
    """Counts strings in bounded memory: the rarest go where there are too many."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, words: list[str]) -> None:
        """Count some words."""
        self._counts.update(words)
        if len(self._counts) > _MAX_DISTINCT_LONG:
            self._counts = Counter(most_frequent(self._counts, _MAX_DISTINCT_LONG // 2))

    def most_frequent(self, number: int) -> Counter[str]:
        """Give the most frequent with their counts, the first by code points among equals."""
        return Counter(most_frequent(self._counts, number))


class _NumberCounter:
    """Counts numbers from 1 in bounded memory: many wait, then are sorted at once; the rarest go where too many."""

    def __init__(self) -> None:
        self._waiting: list[NDArray[np.uint64]] = []
        self._num_waiting = 0
        self._numbers, self._counts = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)

    def add(self, numbers: NDArray[np.uint64]) -> None:
        """Count some numbers."""
        self._waiting.append(numbers)
        self._num_waiting += len(numbers)
        if self._num_waiting >= _MAX_WAITING:
            self._settle()

    def most_frequent(self, number: int) -> list[tuple[int, int]]:
        """Give the most frequent with their counts, the lowest first among equals."""
        self._settle()
        if len(self._counts) > number > 0:
            least = np.partition(self._counts, len(self._counts) - number)[len(self._counts) - number]
            kept = np.flatnonzero(self._counts >= least)
        else:
            kept = np.arange(len(self._counts))
        order = kept[np.lexsort((self._numbers[kept], -self._counts[kept]))][:number]
        return list(zip(self._numbers[order].tolist(), self._counts[order].tolist(), strict=True))

    def _settle(self) -> None:
        numbers, counts = np.unique(np.concatenate([*self._waiting, self._numbers[:0]]), return_counts=True)
        place = np.searchsorted(self._numbers, numbers)
        known = np.append(self._numbers, np.uint64(0)).take(place) == numbers
        self._counts[place[known]] += counts[known]
        self._numbers = np.insert(self._numbers, place[~known], numbers[~known])
        self._counts = np.insert(self._counts, place[~known], counts[~known])
        self._waiting, self._num_waiting = [], 0
        if len(self._numbers) > _MAX_DISTINCT:
            kept = np.sort(np.lexsort((self._numbers, -self._counts))[: _MAX_DISTINCT // 2])
            self._numbers, self._counts = self._numbers[kept], self._counts[kept]
