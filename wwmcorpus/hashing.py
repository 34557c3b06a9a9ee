"""Counters in, well-mixed 64-bit numbers out: the only source of chance in packing, masking and the order of rows.

A counter hash has no state, so a draw depends on what it is for and on nothing else: not on the worker, the rank, the
batch or what was drawn before. The numbers are ours, with golden values in the tests; no library's generator is used,
because those change between versions.

Source: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, "Fast splittable pseudorandom number
generators").
"""

from __future__ import annotations

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
        mixed = _unsigned(keys) + counted
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def key_of(*parts: ArrayLike) -> NDArray[np.uint64]:
    """Fold integers, or arrays of them, into one key each: ``key_of(seed, epoch, row_ids)`` has a key per row."""
    key: NDArray[np.uint64] = np.zeros((), dtype=np.uint64)
    for part in parts:
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


def _unsigned(values: ArrayLike) -> NDArray[np.uint64]:
    if isinstance(values, int):
        return np.asarray(values % 2**64, dtype=np.uint64)
    array = np.asarray(values)
    return array.view(np.uint64) if array.dtype == np.int64 else array.astype(np.uint64)
