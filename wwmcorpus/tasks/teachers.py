"""Fine-tuned models in, their logits out: from the models, or from a file where some run was there before.

Rows of a task do not change from epoch to epoch, so the logits of all of them are computed once, before the first
step, in an order of their own. A run that was stopped then finds the same numbers.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.files import whole_file
from wwmcorpus.tasks.batches import fingerprint
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.features import Features
from wwmcorpus.tasks.forward import TaskOutputs, TaskRows, forward_task
from wwmcorpus.tasks.heads import load_teacher
from wwmcorpus.tasks.predict import predict_logits
from wwmcorpus.tasks.settings import TaughtTask
from wwmcorpus.training.teacher_cache import model_sha256

_log = logging.getLogger(__name__)


class Teachers(nn.Module):
    """The teachers of some tasks.

    Args:
        models: Of each task its teachers.
        weights: Of each task their weights, which sum to one.
    """

    def __init__(self, models: Sequence[Sequence[PreTrainedModel]], weights: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.models: Any = nn.ModuleList(nn.ModuleList(of_task) for of_task in models)
        self.weights = [list(of_task) for of_task in weights]

    @classmethod
    def load(cls, tasks: Sequence[Task], sources: Sequence[TaughtTask]) -> Teachers:
        """Load the teachers of some tasks. Errors as of ``heads.load_teacher``."""
        models = [[load_teacher(task, name) for name in of.teacher] for task, of in zip(tasks, sources, strict=True)]
        weights = []
        for source in sources:
            given = source.teacher_weights or (1.0,) * len(source.teacher)
            weights.append([weight / sum(given) for weight in given])
        return cls(models, weights)

    def first_of(self, task: int) -> PreTrainedModel:
        """Give the first teacher of a task."""
        model: PreTrainedModel = self.models[task][0]
        return model

    def logits_of(self, rows: TaskRows) -> Tensor:
        """Give the weighted mean of the teachers' logits."""
        return self.run(rows).logits  # type: ignore[return-value]

    def run(self, rows: TaskRows, *, logits: bool = True, hidden: bool = False, attention: bool = False) -> TaskOutputs:
        """Run the teachers of a task without a graph.

        Args:
            rows: On their device.
            logits: Whether to give the weighted mean of their logits.
            hidden: Whether to give hidden states, of the first teacher.
            attention: Whether to give its queries, keys and values.
        """
        models, weights = self.models[rows.task], self.weights[rows.task]
        with torch.no_grad():
            first = forward_task(models[0], rows, logits=logits, hidden=hidden, attention=attention)
            if not logits or len(models) == 1:
                return first
            assert first.logits is not None
            mean = weights[0] * first.logits.float()
            for model, weight in zip(list(models)[1:], weights[1:], strict=True):
                own = forward_task(model, rows).logits
                assert own is not None
                mean = mean + weight * own.float()
        return first._replace(logits=mean)


def cached_logits(
    folder: Path, teachers: Teachers, number: int, features: Features, precision: str
) -> NDArray[np.float32]:
    """Give the teachers' logits of all rows of a task, mapped into memory from a file, which is made at need.

    Args:
        folder: Of the files; made where there is none. The name of a file says all that its content depends on.
        teachers: On the device of the run.
        number: Of the task.
        features: Its rows.
        precision: Number format of the matrix products.

    Returns:
        (num_rows, C), or (num_pieces, C) where there are numbers for each piece.

    Raises:
        TrainingError: the folder or the file cannot be written or read.
    """
    seen = hashlib.sha256(f"{fingerprint(features)} {precision} {teachers.weights[number]}".encode())
    for model in teachers.models[number]:
        seen.update(model_sha256(model).encode())
    path = folder / f"{seen.hexdigest()[:32]}.npy"
    try:
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            of_rows = predict_logits(lambda rows: teachers.logits_of(rows), features, number, precision, teachers)
            with whole_file(path) as file:
                np.save(file, np.concatenate(of_rows).astype(np.float32))
            _log.info("the teacher's logits of %d rows are kept in %s", len(features), path)
        kept: NDArray[np.float32] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(
            f"the cache of the teacher cannot be used: {error}", where=str(path), fix="Name another folder."
        ) from None
    return kept


def check_vocabulary(name: str, vocabulary: Vocabulary) -> None:
    """Raise ConfigError unless the tokenizer of a teacher has the student's pieces; both sides are named."""
    theirs = Vocabulary.of(load_tokenizer(name))
    if theirs.sha256 == vocabulary.sha256:
        return
    pairs = enumerate(zip(theirs.pieces, vocabulary.pieces, strict=False))
    detail = f"{theirs.num_pieces} pieces there, {vocabulary.num_pieces} in the student"
    for index, (there, here) in pairs:
        if there != here:
            detail = f"id {index} is {there!r} there, {here!r} in the student"
            break
    raise ConfigError(
        f"teacher and student have different vocabularies: {detail}",
        value=name,
        where="teacher",
        fix="Take a teacher and a student that share one tokenizer.",
    )
