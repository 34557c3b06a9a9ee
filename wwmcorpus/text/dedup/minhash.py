"""Texts in, MinHash signatures out.

The share of values that two signatures have in common estimates the Jaccard similarity of two texts: how many of all
their character n-grams they share. Hash values come from the project's own counter hash, so that signatures on disk can
be compared from version to version. They are cut to 16 bits: two that differ then agree once in 65,536 times, far below
the error of the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.hashing import key_of, mix

#: n-grams that are permuted at once: their hashes stay in the processor's cache.
_BLOCK = 1 << 15
_LARGEST = np.uint32(0xFFFFFFFF)


class MinHasher:
    """Makes the signatures of texts.

    Args:
        num_permutations: Values of a signature.
        ngram: Characters of an n-gram.
        seed: Of the hash functions.
    """

    def __init__(self, num_permutations: int, ngram: int, seed: int) -> None:
        self._ngram = ngram
        # Odd multipliers: of the characters of an n-gram, then x -> a * x + b modulo 2**32, a permutation each.
        self._key = key_of(seed, 0)
        self._weights = mix(key_of(seed, 1), np.arange(ngram)) | np.uint64(1)
        self._factors = mix(key_of(seed, 2), np.arange(num_permutations)).astype(np.uint32) | np.uint32(1)
        self._addends = mix(key_of(seed, 3), np.arange(num_permutations)).astype(np.uint32)

    def signatures(self, texts: Sequence[str]) -> NDArray[np.uint16]:
        """Give the signature of each text, (len(texts), num_permutations) uint16; whitespace does not matter."""
        padded = ["".join(text.split()).ljust(self._ngram, "\0") for text in texts]
        lengths = np.fromiter(map(len, padded), dtype=np.int64, count=len(padded))
        bounds = np.zeros(len(padded) + 1, dtype=np.int64)
        np.cumsum(lengths - self._ngram + 1, out=bounds[1:])
        return self._lowest(self._ngram_hashes(padded, lengths), bounds).T.astype(np.uint16)

    def _ngram_hashes(self, texts: list[str], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Give the hash of every n-gram that lies within one text, text after text."""
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        num_ngrams = len(codes) - self._ngram + 1
        if num_ngrams <= 0:
            return np.empty(0, dtype=np.uint32)
        sums = codes[:num_ngrams] * self._weights[0]
        for place in range(1, self._ngram):
            sums += codes[place : place + num_ngrams] * self._weights[place]
        inside = np.ones(len(codes), dtype=bool)
        ends = np.cumsum(lengths)
        for place in range(1, self._ngram):
            inside[ends - place] = False
        return (mix(self._key, sums[inside[:num_ngrams]]) >> np.uint64(32)).astype(np.uint32)

    def _lowest(self, hashes: NDArray[np.uint32], bounds: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Give the lowest value of each text under each permutation, (num_permutations, num_texts) uint32."""
        lowest = np.full((len(self._factors), len(bounds) - 1), _LARGEST, dtype=np.uint32)
        values = np.empty(_BLOCK, dtype=np.uint32)
        for begin in range(0, len(hashes), _BLOCK):
            block = hashes[begin : begin + _BLOCK]
            first = np.searchsorted(bounds, begin, side="right") - 1
            last = np.searchsorted(bounds, begin + len(block), side="left")
            starts = np.maximum(bounds[first:last] - begin, 0)
            permuted = values[: len(block)]
            for row, factor, addend in zip(lowest[:, first:last], self._factors, self._addends, strict=True):
                np.multiply(block, factor, out=permuted)
                np.add(permuted, addend, out=permuted)
                np.minimum(row, np.minimum.reduceat(permuted, starts), out=row)
        return lowest
