"""What changes while a student learns, and how it goes into a checkpoint and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from wwmcorpus.errors import TrainingError
from wwmcorpus.training.optimisers import load_optimizer, optimizer_tensors, optimizer_values


@dataclass
class TrainingState:
    """Everything that changes while a student learns, beside the position of the stream.

    Attributes:
        module: The objective, wrapped for several processes where there are several.
        optimizer: With its moments.
        scaler: Of the loss, for fp16; does nothing in other formats.
        step: Finished optimiser steps.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0


@runtime_checkable
class Position(Protocol):
    """Batches whose place can be saved, such as a ``Stream``."""

    def state_dict(self) -> dict[str, Any]:
        """Give the place as plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a place."""


def weights_of(objective: nn.Module) -> dict[str, Tensor]:
    """Give student and projections by name, each tensor once even where two layers share it."""
    kept = objective.state_dict().keys()
    buffers = {name: buffer for name, buffer in objective.named_buffers() if name in kept}
    return dict(objective.named_parameters()) | buffers


def load_weights(objective: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Put back what ``weights_of`` gave.

    Raises:
        TrainingError: names or shapes are others.
    """
    own = weights_of(objective)
    other = sorted(own.keys() ^ tensors.keys()) + sorted(
        name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape
    )
    if other:
        raise TrainingError("the checkpoint has other weights", value=other[:5], where=where, fix="Use its own config.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def state_tensors(state: TrainingState, objective: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Give the files of a checkpoint and the tensors in them."""
    return {"model": weights_of(objective), "optimizer": optimizer_tensors(objective, state.optimizer)}


def state_values(state: TrainingState) -> dict[str, Any]:
    """Give what else there is, as plain values."""
    return {"scaler": state.scaler.state_dict(), "optimizer": optimizer_values(state.optimizer)}


def restore_optimizer(
    state: TrainingState, objective: nn.Module, tensors: dict[str, Tensor], values: dict[str, Any]
) -> None:
    """Put back moments and scaler."""
    load_optimizer(objective, state.optimizer, tensors, values["optimizer"])
    if values["scaler"]:
        state.scaler.load_state_dict(values["scaler"])
