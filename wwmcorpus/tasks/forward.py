# ruff: noqa: N806, N815 - names end in shape suffixes; the legend is in training/losses.py
"""Rows and a model with a head in, the head's numbers out, and hidden states and attention where they are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from wwmcorpus.errors import TrainingError
from wwmcorpus.training.attention import Attention, capture_attention


class TaskRows(NamedTuple):
    """Rows of one task for one forward pass.

    Attributes:
        task: Its number.
        input_ids_BL: int64.
        attention_mask_BL: int64, 1 where there is a piece.
        segments_BL: int64, 0 and 1 in the two texts of a pair.
        labels: (B,), of labelling (B, L), of reading (B, 2); None where there are none.
        teacher_logits: (B, 1, C) or (B, L, C) float32 from a cache; None without one.
    """

    task: int
    input_ids_BL: Tensor
    attention_mask_BL: Tensor
    segments_BL: Tensor
    labels: Tensor | None = None
    teacher_logits: Tensor | None = None

    @classmethod
    def of(cls, batch: Mapping[str, Tensor], task: int = 0) -> TaskRows:
        """Give the rows of a batch."""
        ids_BL, mask_BL, segments_BL = (batch[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
        return cls(task, ids_BL, mask_BL, segments_BL, batch.get("labels"), batch.get("teacher_logits"))

    def moved(self, move: Callable[[Tensor], Tensor]) -> TaskRows:
        """Give the same with ``move`` done to each tensor."""
        ids_BL, mask_BL, segments_BL = (move(tensor) for tensor in self[1:4])
        labels, logits = (None if tensor is None else move(tensor) for tensor in self[4:])
        return TaskRows(self.task, ids_BL, mask_BL, segments_BL, labels, logits)


class TaskOutputs(NamedTuple):
    """What a forward pass gave.

    Attributes:
        logits: (B, 1, C), or (B, L, C) where there are numbers for each piece; None where not asked for.
        hidden_BLD: Embedding output, then each layer's; empty where not asked for.
        attention: By layer, from 1 up, what it attended with; empty where not asked for.
    """

    logits: Tensor | None
    hidden_BLD: tuple[Tensor, ...] = ()
    attention: Mapping[int, Attention] = {}


def forward_task(
    model: PreTrainedModel, rows: TaskRows, *, logits: bool = True, hidden: bool = False, attention: bool = False
) -> TaskOutputs:
    """Run a model with a head on some rows.

    Args:
        model: From ``heads.load_task_model``.
        rows: On its device.
        logits: Whether to run the head.
        hidden: Whether to give hidden states.
        attention: Whether to give queries, keys and values; the model's attention function is changed for good.

    Raises:
        TrainingError: the hidden states are not one more than the layers, so that nobody knows which is which.
    """
    config: Any = model.config
    options: dict[str, Any] = {"attention_mask": rows.attention_mask_BL, "output_hidden_states": hidden}
    if getattr(config, "type_vocab_size", 0) > 1:
        options["token_type_ids"] = rows.segments_BL
    if attention:
        capture_attention(model)
        options["captured"] = {}
    outputs = (model if logits else model.base_model)(input_ids=rows.input_ids_BL, **options)
    states = tuple(outputs.hidden_states) if hidden else ()
    if hidden and len(states) != config.num_hidden_layers + 1:
        raise TrainingError(
            f"a model of {config.num_hidden_layers} layers gives {len(states)} hidden states",
            value=config.model_type,
            fix="Leave hidden states out of the losses, or install another version of transformers.",
        )
    return TaskOutputs(_logits(outputs) if logits else None, states, options.get("captured", {}))


def _logits(outputs: Any) -> Tensor:
    if "start_logits" in outputs:
        return torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)
    logits: Tensor = outputs.logits
    return logits if logits.ndim == 3 else logits.unsqueeze(1)
