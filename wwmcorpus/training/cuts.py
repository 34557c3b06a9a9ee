"""A batch in, smaller batches of rows of like length out, each no wider than its longest row.

Every loss is a sum that is divided by a count of the whole step, so how rows are put together does not change it; how
much padding a model reads does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor


def row_lengths(attention_mask: Tensor) -> Tensor:
    """Give the position after the last piece of each row, (B, L) -> (B,) int64; at least 1."""
    places = torch.arange(1, attention_mask.shape[1] + 1)
    return (attention_mask.long() * places).amax(dim=1).clamp(min=1)


def without_fillers(batch: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], bool]:
    """Leave out the rows that only fill a batch (``is_filler``, as streams with ``tail="pad"`` mark them).

    A batch of nothing else keeps its first row, because every rank must make a step; the second value is then False:
    nothing of it may count.
    """
    if "is_filler" not in batch:
        return batch, True
    rows = torch.nonzero(~batch["is_filler"]).squeeze(-1)
    kept = rows if len(rows) else torch.zeros(1, dtype=torch.int64)
    return {name: tensor[kept] for name, tensor in batch.items()}, bool(len(rows))


def cut_rows(
    batch: Mapping[str, Tensor],
    max_rows: int | None = None,
    max_pieces: int | None = None,
    multiple: int = 1,
    keep_width: bool = False,
) -> list[dict[str, Tensor]]:
    """Cut a batch into smaller ones.

    Rows come longest first, and rows of one length in their order. ``cut_rows`` of lengths 2, 9, 3 with
    ``max_pieces=10`` gives (1, 9) and (2, 3).

    Args:
        batch: CPU tensors of (B, L) and (B,), ``attention_mask`` among them.
        max_rows: Most rows of a cut.
        max_pieces: Most cells of a cut, padding included; a single row may have more.
        multiple: Widths are multiples of this, as far as the batch is so wide.
        keep_width: Leave rows in their order and as wide as they are: some loss counts the padding.
    """
    num_rows, width = batch["attention_mask"].shape
    if keep_width:
        order, widths = torch.arange(num_rows), [width] * num_rows
    else:
        lengths = row_lengths(batch["attention_mask"])
        order = torch.argsort(lengths, descending=True, stable=True)
        widths = [min(width, -(-length // multiple) * multiple) for length in lengths[order].tolist()]
    cuts = []
    for begin, end in _groups(widths, max_rows or num_rows, max_pieces):
        rows = order[begin:end]
        is_whole = end - begin == num_rows and widths[begin] == width
        cuts.append(dict(batch) if is_whole else _taken(batch, rows, width, widths[begin]))
    return cuts


def _groups(widths: Sequence[int], max_rows: int, max_pieces: int | None) -> Iterator[tuple[int, int]]:
    begin = 0
    while begin < len(widths):
        fitting = max_rows if max_pieces is None else min(max_rows, max(1, max_pieces // widths[begin]))
        end = min(len(widths), begin + fitting)
        yield begin, end
        begin = end


def _taken(batch: Mapping[str, Tensor], rows: Tensor, old_width: int, width: int) -> dict[str, Tensor]:
    return {
        name: tensor[rows, :width] if tensor.ndim > 1 and tensor.shape[1] == old_width else tensor[rows]
        for name, tensor in batch.items()
    }
