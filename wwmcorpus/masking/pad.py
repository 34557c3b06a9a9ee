"""Flat rows in, rectangular arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: What the cross-entropy of torch and Hugging Face passes over.
IGNORED_LABEL = -100


def padded_width(longest: int, multiple: int = 1) -> int:
    """Give the smallest multiple of ``multiple`` that holds ``longest`` pieces."""
    return -(-longest // multiple) * multiple


def inside(lengths: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Say which cells of (num_rows, width) hold a piece: ``inside([2, 1], 3)`` -> ``[[1, 1, 0], [1, 0, 0]]``."""
    return np.arange(width) < lengths[:, None]


def pad(
    values: NDArray[np.generic], cells: NDArray[np.bool_], fill: int, dtype: type[np.generic]
) -> NDArray[np.generic]:
    """Lay flat ``values`` into the True ``cells`` of a rectangle and ``fill`` into the others."""
    rectangle = np.full(cells.shape, fill, dtype=dtype)
    rectangle[cells] = values
    return rectangle
