"""A model and rows in, its numbers for each row out; and its scores on the examples of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from wwmcorpus.tasks.batches import row_tensors
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Examples
from wwmcorpus.tasks.features import Features
from wwmcorpus.tasks.forward import TaskRows, forward_task
from wwmcorpus.training.evaluate import as_trained, evaluating

#: Cells of a forward pass, padding included.
_CPU_PIECES, _GPU_PIECES = 2048, 65_536


def predict_logits(
    run: Callable[[TaskRows], Tensor],
    features: Features,
    task: int = 0,
    precision: str = "fp32",
    module: nn.Module | None = None,
) -> list[NDArray[np.float32]]:
    """Run a model over rows, longest first, and give its numbers in the order of the rows.

    Args:
        run: Rows on the device of ``module`` in, (B, 1, C) or (B, L, C) out.
        features: The rows.
        task: The number that ``run`` is told.
        precision: Number format of the matrix products.
        module: What is run; put into evaluation mode and back.

    Returns:
        For each row (1, C) or (pieces of the row, C) float32.
    """
    device = next(module.parameters()).device if module is not None else torch.device("cpu")
    max_pieces = _CPU_PIECES if device.type == "cpu" else _GPU_PIECES
    lengths = features.lengths
    order = np.argsort(-lengths, kind="stable")
    found: list[NDArray[np.float32]] = [np.empty((0, 0), dtype=np.float32)] * len(features)
    begin = 0
    with evaluating(module or nn.Identity()), torch.no_grad():
        while begin < len(order):
            chosen = order[begin : begin + max(1, max_pieces // int(lengths[order[begin]]))]
            begin += len(chosen)
            rows = TaskRows.of(row_tensors(features, chosen), task).moved(lambda tensor: tensor.to(device))
            with as_trained(device, precision):
                logits = run(rows).float().cpu().numpy()
            for row, numbers in zip(chosen.tolist(), logits, strict=True):
                found[row] = numbers[: lengths[row]]
    return found


def score_model(
    model: PreTrainedModel, task: Task, features: Features, examples: Examples, precision: str = "fp32"
) -> dict[str, float]:
    """Score a model on the examples of a task.

    Args:
        model: With a head for the task, on any device; its training mode is left as it was.
        task: The task.
        features: What ``encode`` made of the examples.
        examples: Read with their labels.
        precision: Number format of the matrix products.

    Returns:
        ``task.metric_names`` -> score.
    """

    def run(rows: TaskRows) -> Tensor:
        logits = forward_task(model, rows).logits
        assert logits is not None
        return logits

    return score_logits(task, predict_logits(run, features, precision=precision, module=model), features, examples)


def score_logits(
    task: Task, logits: Sequence[NDArray[np.float32]], features: Features, examples: Examples
) -> dict[str, float]:
    """Score numbers for the rows of a task's examples, as ``predict_logits`` gives them."""
    is_of_rows = task.kind in ("classification", "regression")
    found = task.predictions([row[0] if is_of_rows else row for row in logits], features, examples)
    return task.metrics(found, examples)
