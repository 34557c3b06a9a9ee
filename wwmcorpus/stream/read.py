"""Chosen rows in, the same rows read and masked out, still end to end. Numpy only: a worker needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus import Corpus
from wwmcorpus.masking import IGNORED_LABEL, MaskedRows, Masking, mask_rows
from wwmcorpus.records import Rows, bounds_of
from wwmcorpus.stream.plan import Chosen, groups_of

#: Columns of ``Rows`` with one value per row.
_PER_ROW = ("row_ids", "pair_label")


def read_rows(chosen: Chosen, corpora: Sequence[Corpus], masking: Masking, seed: int) -> tuple[Rows, MaskedRows]:
    """Read rows and mask each as its corpus's epoch has it; ``masking`` is the scheme at the batch's position.

    Rows that only fill the batch keep no label.
    """
    which, rows, masked = [], [], []
    for number, epoch, where in groups_of(chosen.corpus, chosen.epoch):
        corpus = corpora[number]
        which.append(where)
        rows.append(corpus.rows(chosen.row[where]))
        masked.append(mask_rows(rows[-1], corpus.vocabulary, masking, seed, epoch))
    if len(rows) > 1:
        whole, seen = _interleaved(np.concatenate([np.asarray(where) for where in which]), rows, masked)
    else:
        whole, seen = rows[0], masked[0]
    return _without_labels(whole, seen, chosen.is_filler) if chosen.is_filler.any() else (whole, seen)


def _interleaved(
    places: NDArray[np.int64], rows: Sequence[Rows], masked: Sequence[MaskedRows]
) -> tuple[Rows, MaskedRows]:
    """Put rows of several corpora end to end, the k-th of all at place ``places[k]``."""
    order = np.argsort(places)
    lengths = np.concatenate([part.lengths for part in rows])
    bounds = bounds_of(lengths[order])
    pieces = np.arange(bounds[-1]) + np.repeat(bounds_of(lengths)[:-1][order] - bounds[:-1], lengths[order])

    def joined(parts: Sequence[Rows] | Sequence[MaskedRows], name: str) -> NDArray[np.generic] | None:
        values = [getattr(part, name) for part in parts]
        if values[0] is None:
            return None
        return np.concatenate(values)[order if name in _PER_ROW else pieces]

    names = [field.name for field in fields(Rows) if field.name != "bounds"]
    whole = Rows(bounds=bounds, **{name: joined(rows, name) for name in names})  # type: ignore[arg-type]
    seen = MaskedRows(**{field.name: joined(masked, field.name) for field in fields(MaskedRows)})  # type: ignore[arg-type]
    return whole, seen


def _without_labels(rows: Rows, masked: MaskedRows, which: NDArray[np.bool_]) -> tuple[Rows, MaskedRows]:
    """Ask nothing of some rows."""
    pieces = np.repeat(which, rows.lengths)
    masked = replace(
        masked,
        labels=np.where(pieces, np.int32(IGNORED_LABEL), masked.labels),
        masked=masked.masked & ~pieces,
    )
    if rows.pair_label is not None:
        rows = replace(rows, pair_label=np.where(which, np.int8(IGNORED_LABEL), rows.pair_label))
    return rows, masked
