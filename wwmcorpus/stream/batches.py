"""Epoch and batch number in, a rank's tensors out; between the two a flat batch, which travels between processes.

A flat batch is made with numpy alone. ``packed`` lays several of them into one block of bytes, because sending a tensor
from process to process costs about as much whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus import Corpus
from wwmcorpus.masking import MaskedRows, Masking, inside, pad, padded_batch, padded_width
from wwmcorpus.records import Rows
from wwmcorpus.stream.plan import Plan
from wwmcorpus.stream.read import read_rows
from wwmcorpus.stream.settings import StreamOptions

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """A rank's slice of a global batch before it gets its shape.

    Attributes:
        rows: As the corpora have them.
        masked: As the model sees them.
        longest: Pieces of the longest row of the whole global batch.
        columns: What else has one value per row, by its name in the batch.
    """

    rows: Rows
    masked: MaskedRows
    longest: int
    columns: Arrays


@dataclass(frozen=True)
class BatchMaker:
    """Makes any batch of one rank. It holds no position, so that any process may make any batch.

    Attributes:
        corpora: What rows come from; more than one is a mixture.
        plan: Which rows make up a global batch.
        masking: The scheme.
        seed: Decides the masks.
        global_batch_size: Rows of a batch over all ranks.
        rank: In [0, world_size).
        world_size: Divides ``global_batch_size``.
        options: Shape of the batches.
    """

    corpora: Sequence[Corpus]
    plan: Plan
    masking: Masking
    seed: int
    global_batch_size: int
    rank: int
    world_size: int
    options: StreamOptions

    def flat(self, epoch: int, index: int) -> FlatBatch:
        """Read and mask this rank's rows of one global batch."""
        chosen = self.plan.batch(epoch, index)
        longest = int(chosen.length.max())
        position = (epoch * self.plan.batches_per_epoch + index) * self.global_batch_size
        share = self.global_batch_size // self.world_size
        mine = chosen.select(slice(self.rank * share, (self.rank + 1) * share))
        rows, masked = read_rows(mine, self.corpora, self.masking.at(position), self.seed)
        columns: Arrays = {"row_ids": rows.row_ids}
        if len(self.corpora) > 1:
            columns["corpus_ids"] = mine.corpus
        elif self.options.tail == "pad":
            columns["is_filler"] = mine.is_filler
        return FlatBatch(rows, masked, longest, columns)

    def shaped(self, flat: FlatBatch) -> Batch:
        """Give a flat batch its shape, as tensors."""
        import torch

        arrays = self._rectangles(flat) if self.options.layout == "padded" else _end_to_end(flat)
        tensors = {name: torch.from_numpy(values) for name, values in (arrays | flat.columns).items()}
        if self.options.pin_memory and torch.cuda.is_available():
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return tensors

    def _rectangles(self, flat: FlatBatch) -> Arrays:
        rows = flat.rows
        cells = inside(rows.lengths, padded_width(flat.longest, self.options.pad_to_multiple_of))
        arrays = padded_batch(rows, flat.masked, self.corpora[0].vocabulary, cells)
        arrays["word_start"] = pad(rows.word_start, cells, 1, np.bool_)
        return arrays


def _end_to_end(flat: FlatBatch) -> Arrays:
    rows = flat.rows
    arrays: Arrays = {
        "input_ids": flat.masked.input_ids.astype(np.int64),
        "labels": flat.masked.labels.astype(np.int64),
        "position_ids": np.arange(len(rows.input_ids)) - np.repeat(rows.bounds[:-1], rows.lengths),
        "word_start": rows.word_start,
        "cu_seqlens": rows.bounds.astype(np.int32),
        "max_seqlen": np.array(rows.lengths.max(initial=0), dtype=np.int32),
    }
    if rows.token_type_ids is not None and rows.pair_label is not None:
        arrays["token_type_ids"] = rows.token_type_ids.astype(np.int64)
        arrays["pair_label"] = rows.pair_label.astype(np.int64)
    return arrays


def packed(batches: Sequence[FlatBatch]) -> bytes:
    """Lay flat batches into one block of bytes."""
    from safetensors.numpy import save

    arrays: Arrays = {}
    for number, flat in enumerate(batches):
        arrays[f"{number}.longest."] = np.array([flat.longest])
        for part, columns in (("rows", _columns(flat.rows)), ("masked", _columns(flat.masked))):
            arrays |= {f"{number}.{part}.{name}": values for name, values in columns.items()}
        arrays |= {f"{number}.columns.{name}": values for name, values in flat.columns.items()}
    return save(arrays)


def unpacked(block: bytes) -> list[FlatBatch]:
    """Give back what ``packed`` was given."""
    from safetensors.numpy import load

    parts: dict[int, dict[str, Arrays]] = {}
    for key, values in load(block).items():
        number, part, name = key.split(".")
        parts.setdefault(int(number), {"rows": {}, "masked": {}, "longest": {}, "columns": {}})[part][name] = values
    return [
        FlatBatch(
            Rows(**batch["rows"]),  # type: ignore[arg-type]
            MaskedRows(**batch["masked"]),  # type: ignore[arg-type]
            int(batch["longest"][""][0]),
            batch["columns"],
        )
        for _, batch in sorted(parts.items())
    ]


def _columns(record: Rows | MaskedRows) -> Arrays:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: column for name, column in values.items() if column is not None}
