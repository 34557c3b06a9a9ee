# ruff: noqa: N806 - names end in shape suffixes; the legend is in losses.py
"""Rows in, one long row without padding out, and an attention in which rows do not see each other.

A GPU then computes nothing for padding. Attention is ``torch.nn.attention.varlen``, registered with transformers under
a name of our own, together with a mask function that gives no mask where there are rows end to end. Padded batches go
through torch's fused attention as before, so a model can be evaluated on either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.training.attention import padding_mask
from wwmcorpus.training.cuts import row_lengths
from wwmcorpus.training.heads import MicroBatch, RowEnds
from wwmcorpus.training.learning import Learning
from wwmcorpus.training.settings import Training

#: Name of the attention and of the mask function.
UNPADDED = "wwmcorpus_varlen"
#: Flash attention takes heads whose width is a multiple of this.
_HEAD_MULTIPLE = 8
#: Models whose position numbers begin at 0 in each row.
_KINDS = ("bert", "electra")


def kernel() -> Callable[..., Any] | None:
    """Give torch's attention over rows end to end; None in a torch without it."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def can_join_rows(objective: Learning, teacher: Any | None, training: Training, device: torch.device) -> bool:
    """Say whether the losses and the attention of a run work on rows laid end to end."""
    on_gpu = device.type == "cuda" and training.precision != "fp32" and kernel() is not None
    if not (objective.may_join_rows and training.unpad and on_gpu):
        return False
    return losses_allow(objective) and all(
        model is None or model.config.model_type in _KINDS for model in (objective.student, teacher)
    )


def losses_allow(objective: Learning) -> bool:
    """Say whether every term looks at single positions, and no attention has dropout, which the kernel cannot do."""
    dropouts = (
        module.p
        for name, module in objective.student.named_modules()
        if name.endswith("attention.self.dropout") and isinstance(module, nn.Dropout)
    )
    at_positions = all(term.unit in ("masked", "real") for term in objective.terms)
    return at_positions and not objective.needs_attention and not any(dropouts)


def use_unpadded_attention(model: Any) -> None:
    """Let a Hugging Face model attend over rows end to end where a micro-batch has them."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(UNPADDED, _attend)
    AttentionMaskInterface.register(UNPADDED, padding_mask)
    model.set_attn_implementation(UNPADDED)


def joined_rows(
    batch: Mapping[str, Tensor], max_rows: int | None = None, max_pieces: int | None = None
) -> list[MicroBatch]:
    """Lay the rows of a batch end to end, in their order, in micro-batches of at most so many rows and pieces.

    Args:
        batch: CPU tensors ``input_ids``, ``attention_mask``, ``labels`` (B, L), padded on the right; of sentence pairs
            also ``token_type_ids``.
        max_rows: Of a micro-batch.
        max_pieces: Of a micro-batch; a single row may have more.
    """
    lengths = row_lengths(batch["attention_mask"])
    cuts, begin, names = [], 0, [name for name in ("input_ids", "labels", "token_type_ids") if name in batch]
    for end in _ends(lengths.tolist(), max_rows or len(lengths), max_pieces):
        cuts.append(_joined({name: batch[name][begin:end] for name in names}, lengths[begin:end]))
        begin = end
    return cuts


def _ends(lengths: list[int], max_rows: int, max_pieces: int | None) -> list[int]:
    ends, num_rows, num_pieces = [], 0, 0
    for index, length in enumerate(lengths):
        if num_rows and (num_rows == max_rows or (max_pieces is not None and num_pieces + length > max_pieces)):
            ends.append(index)
            num_rows = num_pieces = 0
        num_rows, num_pieces = num_rows + 1, num_pieces + length
    return [*ends, len(lengths)]


def _joined(rows: Mapping[str, Tensor], lengths: Tensor) -> MicroBatch:
    columns = torch.arange(rows["input_ids"].shape[1]).expand(len(lengths), -1)
    inside = columns < lengths.unsqueeze(1)
    labels = rows["labels"][inside]
    positions_M = torch.nonzero(labels != IGNORED_LABEL).squeeze(-1)
    ends = functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32)
    ids_BL = rows["input_ids"][inside].unsqueeze(0)
    return MicroBatch(
        ids_BL,
        torch.ones_like(ids_BL),
        positions_M,
        labels[positions_M],
        RowEnds(columns[inside].unsqueeze(0), ends, int(lengths.max())),
        rows["token_type_ids"][inside].unsqueeze(0) if "token_type_ids" in rows else None,
    )


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    row_ends: RowEnds | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    if row_ends is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        padded: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return padded
    attend = kernel()
    assert attend is not None
    width = query.shape[-1]
    extra = -width % _HEAD_MULTIPLE
    # The kernel scales by the width that it sees, and zeros change no product.
    query = query * ((width + extra) / width) ** 0.5 if extra else query
    parts = (functional.pad(part, (0, extra)) if extra else part for part in (query, key, value))
    flat = (part[0].transpose(0, 1) for part in parts)
    ends, longest = row_ends.ends, row_ends.longest
    output_LHd: Tensor = attend(*flat, ends, ends, longest, longest)
    return output_LHd[..., :width].unsqueeze(0), None
