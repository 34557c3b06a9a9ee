"""Position in an epoch in, row id out: the order of rows as a pure function, in memory that does not grow.

A keyed Feistel network permutes the numbers below a power of four; those that fall outside the corpus are sent through
again until they fall inside (cycle walking). Nothing is stored, so any position is reached at once.

Source: Black and Rogaway, CT-RSA 2002, "Ciphers with arbitrary finite domains".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wwmcorpus.hashing import key_of, mix

#: Keeps the draws for the order apart from those for masks.
_ORDER = 0x0DE5
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
    """
    half_bits = max(1, (int(num_rows - 1).bit_length() + 1) // 2)
    keys = mix(key_of(_ORDER, int(fingerprint[:16], 16), seed, epoch), np.arange(_ROUNDS))
    numbers = np.asarray(positions, dtype=np.int64).astype(np.uint64)
    shape, numbers = numbers.shape, numbers.ravel()
    rows = _feistel(numbers, keys, half_bits)
    while (outside := np.flatnonzero(rows >= num_rows)).size:
        rows[outside] = _feistel(rows[outside], keys, half_bits)
    return rows.astype(np.int64).reshape(shape)


def _feistel(numbers: NDArray[np.uint64], keys: NDArray[np.uint64], half_bits: int) -> NDArray[np.uint64]:
    """Permute the numbers below 4**half_bits."""
    shift, low = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> shift, numbers & low
    for key in keys:
        left, right = right, left ^ (mix(key, right) & low)
    return (left << shift) | right
