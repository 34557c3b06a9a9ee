"""Signatures in, clusters of duplicates out.

Documents of the same text come first. Near duplicates are looked for among the first documents of each text, band by
band: documents that agree in a whole band share a bucket, and in a bucket each is compared with the next
``NEIGHBOURS``. What is found does not depend on the order of the work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.hashing import key_of
from wwmcorpus.text.dedup.buckets import Keys, Numbers, shared_keys
from wwmcorpus.text.dedup.clusters import Clusters
from wwmcorpus.text.dedup.settings import DedupConfig
from wwmcorpus.text.dedup.sign import band_names
from wwmcorpus.text.dedup.signatures import Signatures

#: With how many of the next documents of its bucket a document is compared: some at a time, as those that are in one
#: cluster by then need not be looked at again.
_DISTANCES = (range(1, 2), range(2, 5), range(5, 13), range(13, 33))
NEIGHBOURS = 32
#: Entries of buckets, and pairs of documents, that are dealt with at once.
_MAX_ENTRIES, _MAX_PAIRS = 1 << 16, 1 << 13

#: Says of each pair of documents whether they are duplicates.
_Compare = Callable[[Numbers, Numbers], NDArray[np.bool_]]


class DuplicateFinder:
    """Finds the clusters of one deduplication.

    Args:
        config: Of the deduplication.
        signatures: Of the documents of earlier deduplications, then of ours.
        num_ours: How many are ours; older ones are compared with ours, but not with each other.
        folder: For files that are needed meanwhile.

    Attributes:
        signatures: As given.
        counts: ``exact_duplicates`` among our documents, ``compared_pairs``, and ``crowded_buckets``: those in which
            documents were too far apart to be compared and are in different clusters.
        clusters: What was found.
    """

    def __init__(self, config: DedupConfig, signatures: Signatures, num_ours: int, folder: Path) -> None:
        self._config, self.signatures, self._folder = config, signatures, folder
        self._num_old = signatures.num_documents - num_ours
        self.counts: Counter[str] = Counter()
        self.clusters = Clusters(signatures.num_documents, folder / "clusters.tmp")

    def find_exact(self) -> None:
        """Unite documents of the same text; old ones among each other too."""
        self._unite_in(self._text_entries(), self._same_text, oldest=0)
        for begin, end in _ranges(self._num_old, self.signatures.num_documents):
            numbers = np.arange(begin, end)
            self.counts["exact_duplicates"] += int((self.clusters.roots(numbers) != numbers).sum())

    def find_near(self, known: Iterator[tuple[Numbers, Numbers]]) -> None:
        """Unite near duplicates. To be called after ``find_exact``.

        Args:
            known: Pairs of old documents that are known to be duplicates: (n,) dropped, (n,) kept.
        """
        num_documents = self.signatures.num_documents
        path = self._folder / "first.tmp"
        is_first = np.asarray(np.memmap(path, dtype=bool, mode="w+", shape=max(num_documents, 1)))
        for begin, end in _ranges(0, num_documents):
            numbers = np.arange(begin, end)
            is_first[begin:end] = self.clusters.roots(numbers) == numbers
        for dropped, kept in known:
            self.clusters.unite(dropped, kept)
        for band, name in enumerate(band_names(self._config)):
            self._unite_in(self._band_entries(band, name, is_first), self._similar, oldest=self._num_old)

    def _text_entries(self) -> Iterator[tuple[Keys, Numbers]]:
        for begin, columns in self.signatures.scan(["text_hash"]):
            hashes = np.ascontiguousarray(columns["text_hash"]).view("<u8")
            yield hashes[:, 0].astype(np.uint64), np.arange(begin, begin + len(hashes))

    def _band_entries(self, band: int, name: str, is_first: NDArray[np.bool_]) -> Iterator[tuple[Keys, Numbers]]:
        for begin, columns in self.signatures.scan([name]):
            rows = np.flatnonzero(is_first[begin : begin + len(columns[name])])
            values = np.ascontiguousarray(columns[name][rows])
            padded = np.pad(values, ((0, 0), (0, -values.shape[1] % 8))).view("<u8").astype(np.uint64)
            yield key_of(band, *padded.T), rows + begin

    def _same_text(self, first: Numbers, second: Numbers) -> NDArray[np.bool_]:
        hashes = self.signatures.take(np.concatenate([first, second]), ["text_hash"])["text_hash"]
        return np.asarray((hashes[: len(first)] == hashes[len(first) :]).all(axis=1))

    def _similar(self, first: Numbers, second: Numbers) -> NDArray[np.bool_]:
        columns = self.signatures.take(np.concatenate([first, second]), band_names(self._config))
        num_equal = np.zeros(len(first), dtype=np.int64)
        for values in columns.values():
            values = np.ascontiguousarray(values).view("<u2")
            num_equal += (values[: len(first)] == values[len(first) :]).sum(axis=1)
        return num_equal >= self._config.min_equal_values

    def _unite_in(self, entries: Iterator[tuple[Keys, Numbers]], compare: _Compare, oldest: int) -> None:
        """Unite the duplicates in every bucket; one of a pair is at least ``oldest``."""
        waiting: list[tuple[Keys, Numbers]] = []
        for found in shared_keys(entries, self.signatures.num_documents, self._folder):
            waiting.append(found)
            if sum(len(keys) for keys, _ in waiting) >= _MAX_ENTRIES:
                self._unite_neighbours(waiting, compare, oldest)
                waiting = []
        self._unite_neighbours(waiting, compare, oldest)

    def _unite_neighbours(self, found: list[tuple[Keys, Numbers]], compare: _Compare, oldest: int) -> None:
        if not found:
            return
        keys = np.concatenate([keys for keys, _ in found])
        numbers = np.concatenate([numbers for _, numbers in found])
        # Memory for pairs is bounded: of one very large bucket, one distance is looked at after the other.
        is_large = len(numbers) > 2 * _MAX_ENTRIES
        for distances in [(one,) for some in _DISTANCES for one in some] if is_large else _DISTANCES:
            found_apart = [self._apart(keys, numbers, distance, oldest) for distance in distances]
            first, second, _ = (np.concatenate(parts) for parts in zip(*found_apart, strict=True))
            for begin, end in _ranges(0, len(first), _MAX_PAIRS):
                some, others = first[begin:end], second[begin:end]
                same = compare(some, others)
                self.counts["compared_pairs"] += len(same)
                self.clusters.unite(some[same], others[same])
        _, _, crowded = self._apart(keys, numbers, NEIGHBOURS + 1, oldest)
        self.counts["crowded_buckets"] += len(np.unique(crowded))

    def _apart(self, keys: Keys, numbers: Numbers, distance: int, oldest: int) -> tuple[Numbers, Numbers, Keys]:
        """Give the pairs at a distance in one bucket that are not in one cluster yet, and the keys of the buckets."""
        shared = (keys[distance:] == keys[:-distance]) & (numbers[distance:] >= oldest)
        first, second = numbers[:-distance][shared], numbers[distance:][shared]
        apart = self.clusters.roots(first) != self.clusters.roots(second)
        return first[apart], second[apart], keys[distance:][shared][apart]


def _ranges(begin: int, end: int, step: int = 1 << 16) -> Iterator[tuple[int, int]]:
    for start in range(begin, end, step):
        yield start, min(start + step, end)
