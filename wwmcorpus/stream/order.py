"""Position in an epoch in, row id out: the order of rows as a pure function, in memory that does not grow.

A keyed Feistel network permutes the numbers below a power of four; those that fall outside the corpus are sent through
again until they fall inside (cycle walking). Nothing is stored, so any position is reached at once.

Source: Black and Rogaway, CT-RSA 2002, "Ciphers with arbitrary finite domains".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wwmcorpus.hashing import key_of, mix

#: Keep the draws for the order apart from those for masks, and those for blocks from those for rows.
_ORDER, _BLOCKS, _WINDOW = 0x0DE5, 0x0DE6, 0x0DE7
_ROUNDS = 6


def shuffled(positions: ArrayLike, num_rows: int, seed: int, epoch: int, fingerprint: str) -> NDArray[np.int64]:
    """Give the row at each position of an epoch; over all positions each row comes exactly once.

    Args:
        positions: Integers in [0, num_rows), any shape.
        num_rows: Rows of the corpus, at least 1.
        seed: Another seed gives another order.
        epoch: Another epoch gives another order.
        fingerprint: The corpus's, in hexadecimal: another corpus gives another order.

    Returns:
        Row ids in [0, num_rows), int64, of the same shape.

    Raises:
        IndexError: a position is no integer in [0, num_rows).
    """
    asked = _checked(positions, num_rows)
    return _Permutation(num_rows, _ORDER, fingerprint, seed, epoch).at(asked)


def shuffled_in_windows(
    positions: ArrayLike,
    num_rows: int,
    seed: int,
    epoch: int,
    fingerprint: str,
    block_rows: int,
    window_blocks: int,
) -> NDArray[np.int64]:
    """Give the row at each position of an epoch that reads few places of the corpus at a time.

    The corpus is cut into blocks of neighbours. Blocks are permuted; each ``window_blocks`` of them are a window, whose
    rows are permuted. The last block of the corpus may be short.

    Args:
        positions: Integers in [0, num_rows), any shape.
        num_rows: Rows of the corpus, at least 1.
        seed: Another seed gives another order.
        epoch: Another epoch gives another order.
        fingerprint: The corpus's, in hexadecimal.
        block_rows: Rows of a block, at least 1.
        window_blocks: Blocks of a window, at least 1.

    Returns:
        Row ids in [0, num_rows), int64, of the same shape; over all positions each exactly once.

    Raises:
        IndexError: a position is no integer in [0, num_rows).
    """
    asked = _checked(positions, num_rows)
    num_blocks = -(-num_rows // block_rows)
    missing = num_blocks * block_rows - num_rows
    blocks = _Permutation(num_blocks, _BLOCKS, fingerprint, seed, epoch)
    short = blocks.place_of(num_blocks - 1)
    # Places count as if every block were full; behind the short one they run ahead of positions by what it lacks.
    short_end = (short + 1) * block_rows - missing

    def position_of(place: int) -> int:
        return place - (missing if place >= short_end + missing else 0)

    window_rows = block_rows * window_blocks
    windows = np.where(asked < short_end, asked, asked + missing) // window_rows
    places = np.empty_like(asked)
    for window in np.unique(windows).tolist():
        inside = windows == window
        begin = position_of(window * window_rows)
        end = position_of(min((window + 1) * window_rows, num_blocks * block_rows))
        rows = _Permutation(end - begin, _WINDOW, fingerprint, seed, epoch, window)
        places[inside] = begin + rows.at(asked[inside] - begin)
    places[places >= short_end] += missing
    return blocks.at(places // block_rows) * block_rows + places % block_rows


def _checked(positions: ArrayLike, num_rows: int) -> NDArray[np.int64]:
    asked = np.asarray(positions)
    if not asked.size:
        return asked.astype(np.int64)
    if asked.dtype.kind not in "iu" or asked.min() < 0 or asked.max() >= num_rows:
        raise IndexError(f"positions {asked.min()} to {asked.max()} of an epoch of {num_rows} rows")
    return asked.astype(np.int64, copy=False)


class _Permutation:
    """A permutation of the numbers below ``size``, decided by a fingerprint and integers."""

    def __init__(self, size: int, purpose: int, fingerprint: str, *parts: int) -> None:
        self._size = size
        self._half_bits = max(1, (int(size - 1).bit_length() + 1) // 2)
        self._keys = mix(key_of(purpose, int(fingerprint[:16], 16), *parts), np.arange(_ROUNDS))

    def at(self, places: ArrayLike) -> NDArray[np.int64]:
        """Give what stands at each place, int64, of the same shape."""
        numbers = np.asarray(places, dtype=np.int64)
        found = _feistel(numbers.ravel().view(np.uint64), self._keys, self._half_bits)
        while (outside := np.flatnonzero(found >= self._size)).size:
            found[outside] = _feistel(found[outside], self._keys, self._half_bits)
        return found.view(np.int64).reshape(numbers.shape)

    def place_of(self, number: int) -> int:
        """Give the place at which ``number`` stands."""
        found = np.array([number], dtype=np.uint64)
        while True:
            found = _feistel_back(found, self._keys, self._half_bits)
            if found[0] < self._size:
                return int(found[0])


def _feistel(numbers: NDArray[np.uint64], keys: NDArray[np.uint64], half_bits: int) -> NDArray[np.uint64]:
    """Permute the numbers below 4**half_bits."""
    shift, low = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> shift, numbers & low
    for key in keys:
        left, right = right, left ^ (mix(key, right) & low)
    return (left << shift) | right


def _feistel_back(numbers: NDArray[np.uint64], keys: NDArray[np.uint64], half_bits: int) -> NDArray[np.uint64]:
    """Undo ``_feistel``."""
    shift, low = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> shift, numbers & low
    for key in keys[::-1]:
        left, right = right ^ (mix(key, left) & low), left
    return (left << shift) | right
