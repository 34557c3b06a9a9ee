"""Word vectors in text format in, the nearest words of some words out.

The text is read once, into a memory-mapped file of vectors of length one; a few large matrix products give the nearest
words of all that are asked for.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import SourceError
from wwmcorpus.tasks.augment.words import is_replaceable
from wwmcorpus.tasks.lines import numbered_lines
from wwmcorpus.text import is_han

_log = logging.getLogger(__name__)
#: Words that are asked about together, and vectors that they are compared with at a time.
_QUERY_ROWS, _BLOCK_ROWS = 256, 1 << 15


class WordVectors:
    """Vectors of words, and who is near whom.

    Args:
        words: The words, in the order of the file.
        vectors: (num_words, dimensions) float32, each of length one; a memory map will do.
        rejected: Lines that gave no vector, by reason.
    """

    def __init__(self, words: Sequence[str], vectors: NDArray[np.float32], rejected: dict[str, int]) -> None:
        self.words, self.vectors, self.rejected = tuple(words), vectors, rejected
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def open(cls, path: str | Path, folder: Path, max_vectors: int) -> WordVectors:
        """Read a file of word2vec's or GloVe's text format: a word and its numbers a line, between spaces.

        The first line may say how many words and dimensions there are. Lines that hold no vector, or a word for the
        second time, are left out and counted.

        Args:
            path: The file, perhaps packed as .gz, .zst, .bz2 or .xz.
            folder: Where the memory-mapped file goes.
            max_vectors: The first so many vectors are read.

        Raises:
            SourceError: there is no such file, or no vector in it.
        """
        target = folder / "vectors.f32"
        words: dict[str, None] = {}
        rejected: Counter[str] = Counter()
        dimensions = 0
        with target.open("wb") as file:
            for word, vector in _parsed(Path(path), rejected):
                if word in words:
                    rejected["word_twice"] += 1
                    continue
                words[word] = None
                dimensions = len(vector)
                file.write(vector.tobytes())
                if len(words) == max_vectors:
                    break
        if not words:
            left_out = f"; lines left out: {dict(sorted(rejected.items()))}" if rejected else ""
            raise SourceError(
                f"no word vector in a file{left_out}",
                value=str(path),
                fix="Give word2vec's or GloVe's text format: a word and its numbers a line, between spaces; as many "
                "numbers in every line as the first one says or has.",
            )
        for reason, count in sorted(rejected.items()):
            _log.warning("%s: %d lines left out: %s", path, count, reason)
        vectors = np.memmap(target, dtype=np.float32, mode="r", shape=(len(words), dimensions))
        return cls(tuple(words), vectors, dict(sorted(rejected.items())))

    def __contains__(self, word: str) -> bool:
        return word in self._number

    def nearest(self, words: Sequence[str], count: int) -> dict[str, list[str]]:
        """Give the ``count`` nearest other words by cosine, nearest first, of each word that has a vector."""
        known = [word for word in dict.fromkeys(words) if word in self._number]
        found: dict[str, list[str]] = {}
        for begin in range(0, len(known), _QUERY_ROWS):
            asked = known[begin : begin + _QUERY_ROWS]
            numbers = np.array([self._number[word] for word in asked])
            # One more than asked for: the nearest to a word is the word.
            for word, number, row in zip(asked, numbers, self._nearest(numbers, count + 1), strict=True):
                found[word] = [self.words[other] for other in row.tolist() if other != number][:count]
        return found

    def _nearest(self, numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Give the numbers of the nearest vectors, (len(numbers), count), nearest first; of equals the earlier."""
        queries = np.ascontiguousarray(self.vectors[numbers])
        best = np.empty((len(numbers), 0), dtype=np.int64)
        scores = np.empty((len(numbers), 0), dtype=np.float32)
        for begin in range(0, len(self.words), _BLOCK_ROWS):
            block = self.vectors[begin : begin + _BLOCK_ROWS]
            here = queries @ block.T
            own = np.broadcast_to(np.arange(begin, begin + len(block)), here.shape)
            scores, best = np.concatenate([scores, here], axis=1), np.concatenate([best, own], axis=1)
            if scores.shape[1] > count:
                kept = np.argpartition(-scores, count - 1, axis=1)[:, :count]
                scores, best = np.take_along_axis(scores, kept, 1), np.take_along_axis(best, kept, 1)
        order = np.lexsort((best, -scores), axis=1)
        return np.take_along_axis(best, order, 1)


def near_words(
    vectors: WordVectors, words: Sequence[str], stop_words: frozenset[str], count: int
) -> dict[str, list[str]]:
    """Give up to ``count`` words that may stand for each word, nearest first; a word without a vector has none.

    Where a word has none as it is spelled, the vector of it in small letters counts.
    """
    known = {word: word if word in vectors else word.lower() for word in words}
    # More than are needed, because stop words, numbers, marks and the word in other letters are no candidates.
    near = vectors.nearest(list(known.values()), 2 * count)
    found = {}
    for word, spelled in known.items():
        others = [other for other in near.get(spelled, []) if is_replaceable(other, stop_words)]
        found[word] = [other for other in others if other.lower() != word.lower() and _ends_alike(word, other)][:count]
    return found


def _ends_alike(word: str, other: str) -> bool:
    """Whether both begin, and both end, with a Chinese character or with none.

    Letters in the place of 微信 would make one word with those of WeChat, if it stood beside it.
    """
    return all(is_han(ord(word[end])) == is_han(ord(other[end])) for end in (0, -1))


def _parsed(path: Path, rejected: Counter[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give each word with its vector of length one."""
    dimensions = 0
    for number, line in numbered_lines(path):
        if line is None:
            rejected["invalid_utf8"] += 1
            continue
        parts = line.rstrip().split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            dimensions = int(parts[1])
            continue
        dimensions = dimensions or len(parts) - 1
        vector = _vector(parts[1:]) if len(parts) == dimensions + 1 and dimensions and parts[0] else None
        if vector is None:
            rejected["broken_vector"] += 1
        else:
            yield parts[0], vector


def _vector(parts: list[str]) -> NDArray[np.float32] | None:
    try:
        # What is too large for the type has no finite length, which is seen below.
        with np.errstate(over="ignore"):
            values = np.array(parts, dtype=np.float32)
            length = math.sqrt(float(values @ values))
    except ValueError:
        return None
    return values / np.float32(length) if 0 < length < math.inf else None
