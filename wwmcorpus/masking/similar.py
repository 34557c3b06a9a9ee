"""Similar words: a table of them in, replacements out; and word vectors in, a table out. Pure numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking.choose import expand
from wwmcorpus.masking.spell import Known, find, hashes_of, iterate_lines, read_bytes, read_lines, spell, word_hashes

_BLOCK_WORDS = 1024
#: Where a configuration names the table, for messages.
_TABLE = "SimilarWordMasking.table"


@dataclass(frozen=True, slots=True)
class SimilarWords:
    """Words, and words of as many pieces that may stand in their place.

    Attributes:
        keys: (num_words,) uint64, rising, the hash of each word's pieces.
        num_similar: (num_words,) int64.
        first: (num_words,) int64, where the pieces of a word's similar words begin in ``ids``.
        ids: The pieces of all similar words, int32.
        dropped: How many similar words of the file are not used, by reason: ``other_length``, ``unknown``, ``same``.
    """

    keys: NDArray[np.uint64]
    num_similar: NDArray[np.int64]
    first: NDArray[np.int64]
    ids: NDArray[np.int32]
    dropped: dict[str, int]

    def find(self, ids: NDArray[np.int32], begins: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Say which words, end to end in ``ids``, have similar words, and what their number in the table is."""
        return find(self.keys, word_hashes(ids, begins))

    def pick(
        self, entries: NDArray[np.int64], draws: NDArray[np.uint64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Give the pieces of one similar word for each entry, end to end; ``lengths`` are those of the words."""
        drawn = (draws * self.num_similar[entries].view(np.uint64)) >> np.uint64(32)
        return self.ids[expand(self.first[entries] + drawn.view(np.int64) * lengths, lengths)]


def similar_words(path: str, vocabulary: Vocabulary, sha256: str | None = None) -> SimilarWords:
    """Read a table of lines ``word<TAB>similar word<TAB>...``, once per process, content and vocabulary.

    Args:
        path: The file. Lines of one word add up.
        vocabulary: Spells the words.
        sha256: Of the content that is asked for; None: whatever is there now.

    Raises:
        ConfigError: the file cannot be read or has other content, or none of its words has a similar one of as many
            pieces.
    """
    return _read(path, sha256 or hashlib.sha256(read_bytes(path, _TABLE)).hexdigest(), Known.of(vocabulary))


def write_similar_words(
    vectors: str | Path, output: str | Path, num_similar: int = 10, max_words: int = 50_000, least: float = 0.5
) -> int:
    """Make a table of similar words from word vectors.

    A similar word has as many characters; the nearest by cosine come first.

    Args:
        vectors: A UTF-8 file in word2vec's text format: a word and its numbers per line, a header line or none.
        output: The file to write.
        num_similar: Similar words per word, at most.
        max_words: Read so many words, the most frequent ones in most files, and nothing behind them.
        least: The smallest cosine, in [-1, 1].

    Returns:
        How many words have a similar one.

    Raises:
        ConfigError: the file cannot be read as vectors.
    """
    words, table = _read_vectors(str(vectors), max_words)
    by_length: dict[int, list[int]] = {}
    for number, word in enumerate(words):
        by_length.setdefault(len(word), []).append(number)
    found: dict[int, list[str]] = {}
    for members in by_length.values():
        near = _nearest(table[members], num_similar, least)
        found |= {members[at]: [words[members[other]] for other in others] for at, others in near}
    lines = ["\t".join([words[number], *found[number]]) + "\n" for number in sorted(found)]
    Path(output).write_bytes("".join(lines).encode("utf-8"))
    return len(lines)


@lru_cache(maxsize=4)
def _read(path: str, sha256: str, known: Known) -> SimilarWords:
    lines = [[word.strip() for word in line.split("\t")] for line in read_lines(path, _TABLE, sha256)]
    spelled = iter(spell([word for line in lines for word in line], known.vocabulary))
    entries: dict[int, list[list[int]]] = {}
    dropped = dict.fromkeys(("other_length", "same", "unknown"), 0)
    for line in lines:
        word, *others = [next(spelled) for _ in line]
        kept = []
        for other in others:
            reason = _unfit(word, other, known.vocabulary)
            if reason is None:
                kept.append(other)
            else:
                dropped[reason] += 1
        if kept:
            entries.setdefault(int(hashes_of([word])[0]), []).extend(kept)
    if not entries:
        raise ConfigError(
            "no word of the table has a similar word of as many pieces",
            value=dropped,
            where=path,
            fix="Lines are: word, tab, similar word, tab, similar word.",
        )
    keys = sorted(entries)
    sizes = [sum(map(len, entries[key])) for key in keys]
    return SimilarWords(
        np.array(keys, dtype=np.uint64),
        np.array([len(entries[key]) for key in keys], dtype=np.int64),
        np.cumsum([0, *sizes])[:-1],
        np.array([i for key in keys for other in entries[key] for i in other], dtype=np.int32),
        dropped,
    )


def _unfit(word: list[int], other: list[int], vocabulary: Vocabulary) -> str | None:
    """Say why a similar word cannot stand for a word; None if it can."""
    if vocabulary.unk_id in word or vocabulary.unk_id in other or not word:
        return "unknown"
    if len(other) != len(word):
        return "other_length"
    return "same" if other == word else None


def _read_vectors(path: str, max_words: int) -> tuple[list[str], NDArray[np.float32]]:
    words, numbers = [], []
    for line in iterate_lines(path, "vectors"):
        word, *values = line.rstrip().split(" ")
        if len(values) < 2:
            continue
        words.append(word)
        numbers.append(_vector(values, line, path))
        if len(words) == max_words:
            break
    if len({len(row) for row in numbers}) != 1:
        raise ConfigError(
            "the words have vectors of different lengths, or there are none",
            where=path,
            fix="Give a file in word2vec's text format.",
        )
    table = np.stack(numbers)
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    return words, np.divide(table, norms, out=np.zeros_like(table), where=norms > 0)


def _vector(values: list[str], line: str, path: str) -> NDArray[np.float32]:
    try:
        vector = np.array(values, dtype=np.float32)
    except ValueError:
        vector = np.full(1, np.nan, dtype=np.float32)
    if not np.isfinite(vector).all():
        raise ConfigError(
            "not a word and its numbers",
            value=line[:60],
            where=path,
            fix="Lines of word2vec's text format are a word without blanks and finite numbers, one blank between them.",
        )
    return vector


def _nearest(table: NDArray[np.float32], number: int, least: float) -> Iterator[tuple[int, list[int]]]:
    """Give each row's number with those of its nearest rows, if any is near enough."""
    for begin in range(0, len(table), _BLOCK_WORDS):
        cosines = table[begin : begin + _BLOCK_WORDS] @ table.T
        cosines[np.arange(len(cosines)), np.arange(begin, begin + len(cosines))] = -np.inf
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :number]
        near = np.take_along_axis(cosines, best, axis=1) >= least
        for row in np.flatnonzero(near.any(axis=1)).tolist():
            yield begin + row, best[row][near[row]].tolist()
