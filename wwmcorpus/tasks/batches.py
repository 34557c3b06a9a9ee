"""The rows of some tasks in, batches in an order that depends on (seed, epoch, position) alone out.

A step takes all its rows from one task. Which task is a function of (seed, step); which rows follows the permutation
of each epoch without end, so no row is left out and no batch is short. The state is a few integers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.hashing import key_of
from wwmcorpus.stream.order import shuffled
from wwmcorpus.tasks.features import Features

#: Keeps the draws of tasks apart from all others.
_TASKS = 0x7A5C


class TaskBatches:
    """Endless batches, each of one task.

    Args:
        features: Of each task its rows.
        batch_size: Rows of a step, over all ranks.
        seed: Decides the order.
        tau: A task of n rows is taken as often as n ** tau.
        logits: Of each task the teacher's logits, or None: see ``teachers.cached_logits``.
        rank: This process among those that share a step.
        num_ranks: Their number.

    Raises:
        ConfigError: there are more ranks than rows in a batch.
    """

    def __init__(
        self,
        features: Sequence[Features],
        batch_size: int,
        seed: int = 0,
        tau: float = 1.0,
        logits: Sequence[NDArray[np.float32]] | None = None,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if batch_size < num_ranks:
            raise ConfigError(
                f"{num_ranks} processes cannot share {batch_size} rows",
                value=batch_size,
                where="batch_size",
                fix=f"Give {num_ranks} or more, or start fewer processes.",
            )
        self._features, self._logits, self._batch_size, self._seed = list(features), logits, batch_size, seed
        self._rank, self._num_ranks = rank, num_ranks
        self._fingerprints = [fingerprint(each) for each in features]
        shares = np.array([len(each) for each in features], dtype=np.float64) ** tau
        self._ends = np.cumsum(shares / shares.sum()).tolist()
        self._step, self._taken = 0, [0] * len(self._features)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            task = self.task_at(self._step)
            first = self._taken[task] * self._batch_size
            self._step += 1
            self._taken[task] += 1
            yield self._batch(task, first)

    @property
    def taken(self) -> tuple[int, ...]:
        """How many steps each task has had."""
        return tuple(self._taken)

    def task_at(self, step: int) -> int:
        """Give the number of the task of a step."""
        drawn = int(key_of(_TASKS, self._seed, step)) / 2**64
        return next((task for task, end in enumerate(self._ends) if drawn < end), len(self._ends) - 1)

    def rows_at(self, task: int, first: int) -> NDArray[np.int64]:
        """Give the rows of a task at the positions from ``first`` on, over all its epochs, as many as a step takes."""
        num_rows = len(self._features[task])
        positions = np.arange(first, first + self._batch_size)
        rows = np.empty_like(positions)
        for epoch in range(first // num_rows, (first + self._batch_size - 1) // num_rows + 1):
            inside = positions // num_rows == epoch
            places = positions[inside] % num_rows
            rows[inside] = shuffled(places, num_rows, self._seed, epoch, self._fingerprints[task])
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Give the place as plain values."""
        return {"step": self._step, "taken": list(self._taken), "fingerprints": self._fingerprints}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a place.

        Raises:
            TrainingError: it is one among other rows.
        """
        if state["fingerprints"] != self._fingerprints:
            raise TrainingError(
                f"the checkpoint has rows {state['fingerprints']}, this run {self._fingerprints}",
                fix="Resume with the files that the run began with.",
            )
        self._step, self._taken = int(state["step"]), [int(number) for number in state["taken"]]

    def _batch(self, task: int, first: int) -> dict[str, Tensor]:
        features = self._features[task]
        rows = self.rows_at(task, first)[self._rank :: self._num_ranks]
        batch = row_tensors(features, rows) | {
            "task": torch.full((len(rows),), task),
            "row_ids": torch.from_numpy(rows),
        }
        if self._logits is not None:
            batch["teacher_logits"] = _kept_logits(features, self._logits[task], rows, batch["input_ids"].shape[1])
        return batch


def row_tensors(features: Features, rows: NDArray[np.int64]) -> dict[str, Tensor]:
    """Give some rows as CPU tensors, padded: ``input_ids``, ``attention_mask``, ``token_type_ids`` (B, L) int64.

    ``labels`` are (B,), of labelling (B, L), -100 = not learned, of reading (B, 2): the first and last piece of the
    answer. Rows without labels give none.
    """
    batch = {name: torch.from_numpy(values) for name, values in features.batch(rows).items()}
    if "start_positions" in batch:
        batch["labels"] = torch.stack([batch.pop("start_positions"), batch.pop("end_positions")], dim=1)
    return batch


def fingerprint(features: Features) -> str:
    """Give the sha256 of rows and what they should give."""
    digest = hashlib.sha256()
    parts = (features.input_ids, features.token_type_ids, features.bounds)
    for part in (*parts, features.labels, features.tags, features.answers):
        digest.update(b"|" if part is None else np.ascontiguousarray(part).tobytes() + b"|")
    return digest.hexdigest()


def _kept_logits(features: Features, logits: NDArray[np.float32], rows: NDArray[np.int64], width: int) -> Tensor:
    """Give (B, 1, C), or (B, L, C) where there are logits for each piece."""
    if len(logits) == len(features):
        return torch.from_numpy(logits[rows]).unsqueeze(1)
    grid = np.zeros((len(rows), width, logits.shape[1]), dtype=np.float32)
    for index, row in enumerate(rows):
        begin, end = features.bounds[row : row + 2].tolist()
        grid[index, : end - begin] = logits[begin:end]
    return torch.from_numpy(grid)
