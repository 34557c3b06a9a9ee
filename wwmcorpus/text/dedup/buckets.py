"""Keys of documents in, the documents that share a key out, in memory that does not grow with their number.

Keys are split by their first bits into files of half a megabyte, each of which is sorted alone. Only a single key that
very many documents share takes more: it cannot be split.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]

#: Bytes of a file, and files that are open at once; beyond their product files grow.
_PART_BYTES, _MAX_PARTS = 1 << 19, 512
_ENTRY_BYTES = 16


def shared_keys(
    entries: Iterable[tuple[Keys, Numbers]], num_entries: int, folder: Path
) -> Iterator[tuple[Keys, Numbers]]:
    """Give the entries whose key occurs more than once, sorted by key and, under one key, in the order they came.

    Args:
        entries: Keys and the numbers of their documents, some at a time. Keys are well mixed.
        num_entries: How many there are at most.
        folder: For files that are gone again at the end.

    Returns:
        Some at a time; all entries of one key come together.
    """
    wanted = -(-num_entries * _ENTRY_BYTES // _PART_BYTES)
    num_bits = min(max(wanted - 1, 0).bit_length(), _MAX_PARTS.bit_length() - 1)
    paths = [folder / f"keys-{part:03d}.tmp" for part in range(1 << num_bits)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for keys, numbers in entries:
            parts = (keys >> np.uint64(64 - num_bits)).astype(np.int64) if num_bits else np.zeros(len(keys), np.int64)
            order = np.argsort(parts, kind="stable")
            rows = np.stack([keys, numbers.view(np.uint64)], axis=1)[order]
            bounds = np.searchsorted(parts[order], np.arange(len(paths) + 1))
            for part in np.flatnonzero(np.diff(bounds)).tolist():
                files[part].write(rows[bounds[part] : bounds[part + 1]].tobytes())
    for path in paths:
        rows = np.fromfile(path, dtype=np.uint64).reshape(-1, 2)
        path.unlink()
        yield _shared(rows)


def _shared(rows: NDArray[np.uint64]) -> tuple[Keys, Numbers]:
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    same_as_next = rows[1:, 0] == rows[:-1, 0]
    shared = np.zeros(len(rows), dtype=bool)
    shared[1:] |= same_as_next
    shared[:-1] |= same_as_next
    rows = rows[shared]
    return rows[:, 0].copy(), rows[:, 1].astype(np.int64)
