"""Models with heads in, one module out whose models share all that lies below their heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedModel


class TaskStudent(nn.Module):
    """One model for each task; several share embeddings and layers, and have a head, and perhaps a pooler, each.

    Args:
        models: From ``heads.load_task_model``, of one architecture. What the others share with the first becomes its.
    """

    def __init__(self, models: Sequence[PreTrainedModel]) -> None:
        super().__init__()
        first: Any = models[0].base_model
        for model in models[1:]:
            for name, shared in first.named_children():
                if name != "pooler":
                    setattr(model.base_model, name, shared)
        self.models: Any = nn.ModuleList(models)

    def gradient_checkpointing_enable(self, options: dict[str, Any]) -> None:
        """Compute each layer twice instead of keeping what the backward pass needs."""
        for model in self.models:
            model.gradient_checkpointing_enable(options)
