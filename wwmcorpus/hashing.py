"""Counters in, well-mixed 64-bit numbers out: the only source of chance in packing, masking and the order of rows.

A counter hash has no state, so a draw depends on what it is for and on nothing else: not on the worker, the rank, the
batch or what was drawn before. The numbers are ours, with golden values in the tests; no library's generator is used,
because those change between versions.

Source: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, "Fast splittable pseudorandom number
generators").
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(keys: ArrayLike, counters: ArrayLike) -> NDArray[np.uint64]:
    """Give one number per (key, counter), uint64, with keys and counters broadcast against each other.

    ``mix(0, 0)`` -> ``0xE220A8397B1DCDAF``, the first output of SplitMix64 seeded with 0.
    """
    with np.errstate(over="ignore"):
        counted = (_unsigned(counters) + np.uint64(1)) * _GOLDEN
        return _finalised(np.asarray(_unsigned(keys) + counted))


def draws_of(keys: NDArray[np.uint64], counts: NDArray[np.int64], purpose: int = 0) -> NDArray[np.uint64]:
    """Give ``counts[i]`` numbers below 2**32 for key i, one key after the other, (sum of counts,) uint64.

    Number ``n`` of a key is the high half of ``mix(key, purpose * 2**32 + n)``: purposes do not disturb each other.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    states = np.repeat(keys + ((purpose << 32) - (ends - counts)).view(np.uint64) * _GOLDEN, counts)
    states += _multiples(1 << total.bit_length())[:total]
    numbers = _finalised(states)
    numbers >>= np.uint64(32)
    return numbers


def key_of(*parts: ArrayLike) -> NDArray[np.uint64]:
    """Fold integers, or arrays of them, into one key each: ``key_of(seed, epoch, row_ids)`` has a key per row."""
    key: NDArray[np.uint64] = np.zeros((), dtype=np.uint64)
    for part in parts:
        if isinstance(part, int) and not key.ndim:
            key = np.asarray(_mixed(int(key), part), dtype=np.uint64)
        else:
            key = mix(key, part)
    return key


def below(numbers: NDArray[np.uint64], probability: float) -> NDArray[np.bool_]:
    """Say of each number, read as a fraction of 2**64, whether it lies below ``probability``."""
    if probability >= 1:
        return np.ones(numbers.shape, dtype=bool)
    return numbers < np.uint64(int(probability * 2**64))


def within(numbers: NDArray[np.uint64], first: int, last: int) -> NDArray[np.int64]:
    """Make of each number an integer in [first, last], int64; for ranges far below 2**64, where all are as likely."""
    return (numbers % np.uint64(last - first + 1)).astype(np.int64) + first


def _mixed(key: int, counter: int) -> int:
    """Do what ``mix`` does in Python's integers: for a single number many times faster than arrays of one."""
    state = (key + (counter + 1) * int(_GOLDEN)) % 2**64
    state = (state ^ (state >> 30)) * int(_FIRST) % 2**64
    state = (state ^ (state >> 27)) * int(_SECOND) % 2**64
    return state ^ (state >> 31)


def _finalised(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of some numbers, in place."""
    numbers ^= numbers >> np.uint64(30)
    numbers *= _FIRST
    numbers ^= numbers >> np.uint64(27)
    numbers *= _SECOND
    numbers ^= numbers >> np.uint64(31)
    return numbers


@lru_cache(maxsize=4)
def _multiples(count: int) -> NDArray[np.uint64]:
    """Give 1, 2, ... ``count`` times the step of SplitMix64."""
    return np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN


def _unsigned(values: ArrayLike) -> NDArray[np.uint64]:
    if isinstance(values, int):
        return np.asarray(values % 2**64, dtype=np.uint64)
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.size:  # numpy would cut them off
        raise TypeError(f"keys and counters are integers, not {array.dtype}")
    return array.view(np.uint64) if array.dtype == np.int64 else array.astype(np.uint64)
