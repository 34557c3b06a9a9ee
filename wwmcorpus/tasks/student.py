"""Models with heads in, one module out whose models share all that lies below their heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


class TaskStudent(nn.Module):
    """One model for each task; several share embeddings and layers, and have a head, and perhaps a pooler, each.

    Args:
        models: From ``heads.load_task_model``, of one architecture. What the others share with the first becomes its.
    """

    def __init__(self, models: Sequence[PreTrainedModel]) -> None:
        super().__init__()
        if len(models) > 1:
            _share(models)
        self.models: Any = nn.ModuleList(models)

    def gradient_checkpointing_enable(self, options: dict[str, Any]) -> None:
        """Compute each layer twice instead of keeping what the backward pass needs."""
        for model in self.models:
            model.gradient_checkpointing_enable(options)


def _share(models: Sequence[PreTrainedModel]) -> None:
    """Put the layers of the first model into the others, hooked once.

    When a model is first asked for hidden states, transformers hooks its layers and notes so in the model. Layers that
    several models share would be hooked by each of them, and every state would stand several times in what they give.
    """
    first: Any = models[0].base_model
    with torch.no_grad():
        first(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=first.device), output_hidden_states=True)
    for model in models[1:]:
        for name, shared in first.named_children():
            if name != "pooler":
                setattr(model.base_model, name, shared)
        backbone: Any = model.base_model
        backbone._output_capturing_hooks_installed = True
