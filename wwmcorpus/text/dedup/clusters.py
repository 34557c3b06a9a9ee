"""Pairs of duplicates in, clusters out, each known by its lowest number: a union-find that lies on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_CHUNK = 1 << 16


class Clusters:
    """Clusters of the numbers 0 to ``num_documents`` - 1; at first each is alone.

    Args:
        num_documents: How many numbers there are.
        path: Of the file to keep them in, 8 bytes a document; what the system has no room for in memory lies there.
    """

    def __init__(self, num_documents: int, path: Path) -> None:
        self._parents = np.asarray(np.memmap(path, dtype=np.int64, mode="w+", shape=max(num_documents, 1)))
        for begin in range(0, num_documents, _CHUNK):
            end = min(begin + _CHUNK, num_documents)
            self._parents[begin:end] = np.arange(begin, end)

    def roots(self, numbers: Numbers) -> Numbers:
        """Give the lowest number of the cluster of each number."""
        while True:
            parents: Numbers = np.asarray(self._parents[numbers])
            grandparents = self._parents[parents]
            if np.array_equal(parents, grandparents):
                return parents
            self._parents[numbers] = grandparents  # every round halves the way of all that are looked for together

    def unite(self, first: Numbers, second: Numbers) -> None:
        """Make one cluster of those of ``first[i]`` and ``second[i]``, for every i."""
        while True:
            first, second = self.roots(first), self.roots(second)
            apart = first != second
            if not apart.any():
                return
            first, second = first[apart], second[apart]
            # A root takes the lowest that it is paired with; what it was paired with besides comes in the next round.
            np.minimum.at(self._parents, np.maximum(first, second), np.minimum(first, second))
