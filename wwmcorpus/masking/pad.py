"""Flat rows in, rectangular arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.masking.apply import IGNORED_LABEL, MaskedRows
from wwmcorpus.records import Rows


def padded_width(longest: int, multiple: int = 1) -> int:
    """Give the smallest multiple of ``multiple`` that holds ``longest`` pieces."""
    return -(-longest // multiple) * multiple


def inside(lengths: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Say which cells of (num_rows, width) hold a piece: ``inside([2, 1], 3)`` -> ``[[1, 1, 0], [1, 0, 0]]``."""
    if (lengths == width).all():
        return np.ones((len(lengths), width), dtype=bool)
    return np.arange(width) < lengths[:, None]


def pad(
    values: NDArray[np.generic], cells: NDArray[np.bool_], fill: int, dtype: type[np.generic]
) -> NDArray[np.generic]:
    """Lay flat ``values`` into the True ``cells`` of a rectangle and ``fill`` into the others."""
    if len(values) == cells.size:
        return values.reshape(cells.shape).astype(dtype)
    rectangle = np.full(cells.shape, fill, dtype=dtype)
    rectangle[cells] = values
    return rectangle


def padded_batch(
    rows: Rows, masked: MaskedRows, vocabulary: Vocabulary, cells: NDArray[np.bool_]
) -> dict[str, NDArray[np.generic]]:
    """Give what a masked language model reads, int64, in the shape of ``cells``: ids, attention mask and labels.

    Where rows are sentence pairs, also ``token_type_ids`` and, of shape (num_rows,), ``pair_label``.
    """
    # One block: three arrays of this size would each time go back to the system, which costs more than to fill them.
    ids, attention, labels = np.empty((3, *cells.shape), dtype=np.int64)
    attention[...] = cells
    if len(masked.input_ids) == cells.size:
        ids[...] = masked.input_ids.reshape(cells.shape)
        labels[...] = masked.labels.reshape(cells.shape)
    else:
        ids.fill(vocabulary.pad_id)
        labels.fill(IGNORED_LABEL)
        ids[cells] = masked.input_ids
        labels[cells] = masked.labels
    batch: dict[str, NDArray[np.generic]] = {"input_ids": ids, "attention_mask": attention, "labels": labels}
    if rows.token_type_ids is not None:
        batch["token_type_ids"] = pad(rows.token_type_ids, cells, 0, np.int64)
    if rows.pair_label is not None:
        batch["pair_label"] = rows.pair_label.astype(np.int64)
    return batch
