"""A student that learns in, its scores on held-out examples out; and when it has had enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from wwmcorpus.tasks.data import TaskData
from wwmcorpus.tasks.predict import score_model
from wwmcorpus.tasks.student import TaskStudent
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.reporting import Reporter, read_metrics


class TaskEvaluation:
    """The evaluations of one run; the trainer calls it with the number of finished steps.

    Args:
        student: What learns.
        data: Of each task what it is scored on.
        reporter: Gets the scores.
        precision: Number format of the matrix products.
        patience: Evaluations without a better score that are enough; None: never.

    Attributes:
        history: (step, main score, all scores) of each evaluation. The main score is that of the task's main metric; of
            several tasks, their mean.
    """

    def __init__(
        self,
        student: TaskStudent,
        data: Sequence[TaskData],
        reporter: Reporter,
        precision: str = "fp32",
        patience: int | None = None,
    ) -> None:
        self._student, self._data, self._reporter = student, data, reporter
        self._precision, self._patience = precision, patience
        self._ranks = Ranks()
        self.history: list[tuple[int, float, dict[str, float]]] = []

    def __call__(self, step: int) -> float | None:
        """Score the student; give the main score with its sign turned, for checkpoints take less for better.

        Nothing is scored before the first step, with a head that has learned nothing, or without examples.
        """
        if step == 0:
            return None
        scores: dict[str, float] = {}
        main = []
        for index, of in enumerate(self._data):
            if of.examples is None or of.validation is None:
                continue
            model = self._student.models[index]
            found = score_model(model, of.task, of.validation, of.examples, self._precision)
            prefix = f"{of.task.name}/" if len(self._data) > 1 else ""
            scores |= {prefix + name: value for name, value in found.items()}
            main.append(found[of.task.main_metric])
        if not main:
            return None
        score = self._of_first_rank(sum(main) / len(main))
        self._reporter.record("evaluation", step, scores=scores, main=score)
        self.history.append((step, score, scores))
        return -score

    def restore(self, metrics: Path) -> None:
        """Take up the evaluations of a run that is resumed."""
        records = read_metrics(metrics, "evaluation")
        self.history = [(record["step"], record["main"], record["scores"]) for record in records]

    def best(self) -> tuple[int, float, dict[str, float]] | None:
        """Give the first evaluation with the highest main score; None where there was none."""
        return max(self.history, key=lambda entry: (entry[1], -entry[0])) if self.history else None

    def is_enough(self) -> bool:
        """Whether patience is at its end."""
        best = self.best()
        if self._patience is None or best is None:
            return False
        return sum(step > best[0] for step, _, _ in self.history) >= self._patience

    def _of_first_rank(self, score: float) -> float:
        """Give the first rank's figure: all must stop at the same step."""
        share = score if self._ranks.index == 0 else 0.0
        return float(self._ranks.sum(torch.tensor([share], dtype=torch.float64))[0])
