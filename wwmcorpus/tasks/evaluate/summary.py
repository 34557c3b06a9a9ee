"""The results of cells in, one score for each model on each task out: the best mean over seeds, and its spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wwmcorpus.models.info import speed_ups
from wwmcorpus.models.latency import Latency
from wwmcorpus.models.parameters import Sizes
from wwmcorpus.tasks.evaluate.cells import Cell, CellResult


@dataclass(frozen=True, slots=True)
class Spread:
    """A score over seeds.

    Attributes:
        mean: Of the seeds.
        deviation: Sample standard deviation; None of one seed.
        values: By seed.
    """

    mean: float
    deviation: float | None
    values: dict[int, float]

    @classmethod
    def of(cls, values: Mapping[int, float]) -> Spread:
        """Make one of the scores by seed, one or more."""
        numbers = list(values.values())
        deviation = statistics.stdev(numbers) if len(numbers) > 1 else None
        return cls(statistics.fmean(numbers), deviation, dict(sorted(values.items())))


@dataclass(frozen=True, slots=True)
class Trial:
    """A model on a task for one number of epochs.

    Attributes:
        epochs: Passes over the rows.
        scores: On the validation examples, by metric, the main one first.
        test_scores: On the test examples; empty without any.
        learning_rate: Peak of the fine-tuning.
    """

    epochs: float
    scores: dict[str, Spread]
    test_scores: dict[str, Spread]
    learning_rate: float

    @property
    def main(self) -> Spread:
        """The main score."""
        return next(iter(self.scores.values()))


@dataclass(frozen=True, slots=True)
class Entry:
    """A model on a task.

    Attributes:
        trials: By number of epochs, rising; those that have a result.
        num_missing: Cells without a result.
    """

    trials: tuple[Trial, ...]
    num_missing: int

    @property
    def best(self) -> Trial | None:
        """The trial with the best mean, of equal ones that of fewest epochs; None where every cell failed."""
        return max(self.trials, key=lambda trial: (trial.main.mean, -trial.epochs)) if self.trials else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Models on tasks.

    Attributes:
        name: What to call it.
        teacher: The model that the others are compared with, or None.
        metrics: Of each task its metrics, the main one first.
        entries: By model and task.
        sizes: By model.
        latencies: By model; empty where nothing was measured.
        failures: What went wrong, by cell.
        config: The settings, as plain values.
    """

    name: str
    teacher: str | None
    metrics: dict[str, tuple[str, ...]]
    entries: dict[str, dict[str, Entry]]
    sizes: dict[str, Sizes]
    latencies: dict[str, tuple[Latency, ...]]
    failures: dict[str, str]
    config: dict[str, Any]

    @property
    def models(self) -> list[str]:
        """The models, in order."""
        return list(self.entries)

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order."""
        return list(self.metrics)

    def relative(self, model: str, task: str) -> float | None:
        """Give a main score as a share of the teacher's; None without a teacher, a score, or a positive score of it."""
        own, other = self._best(model, task), self._best(self.teacher, task)
        if own is None or other is None or other.main.mean <= 0:
            return None
        return own.main.mean / other.main.mean

    def mean_relative(self, model: str) -> float | None:
        """Give the mean of ``relative`` over the tasks; None where one has none."""
        shares = [self.relative(model, task) for task in self.tasks]
        found = [share for share in shares if share is not None]
        return statistics.fmean(found) if len(found) == len(shares) else None

    def mean_score(self, model: str) -> float | None:
        """Give the mean of the main scores over the tasks; None where one has none."""
        found = [trial.main.mean for task in self.tasks if (trial := self._best(model, task)) is not None]
        return statistics.fmean(found) if len(found) == len(self.tasks) else None

    def speed_ups(self, model: str) -> list[float]:
        """Give how many times faster than the teacher a model is, by batch size; nothing without teacher or times."""
        if self.teacher is None or not self.latencies:
            return []
        return speed_ups(self.latencies[self.teacher], self.latencies[model])

    def content(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return {
            "teacher": self.teacher,
            "metrics": {task: list(names) for task, names in self.metrics.items()},
            "models": {model: self._content_of(model) for model in self.models},
            "failures": self.failures,
            "config": self.config,
        }

    def _content_of(self, model: str) -> dict[str, Any]:
        sizes = asdict(self.sizes[model]) | {"num_without_embeddings": self.sizes[model].num_without_embeddings}
        tasks = {}
        for task, entry in self.entries[model].items():
            best = entry.best
            tasks[task] = {
                "best_epochs": None if best is None else best.epochs,
                "relative_to_teacher": self.relative(model, task),
                "trials": [asdict(trial) for trial in entry.trials],
                "missing_runs": entry.num_missing,
            }
        return {
            "sizes": sizes,
            "latencies": [each.content() for each in self.latencies.get(model, ())],
            "speed_ups": self.speed_ups(model),
            "mean_relative_to_teacher": self.mean_relative(model),
            "tasks": tasks,
        }

    def _best(self, model: str | None, task: str) -> Trial | None:
        return None if model is None else self.entries[model][task].best


def entries_of(
    models: Iterable[str],
    metrics: Mapping[str, Sequence[str]],
    cells: Sequence[Cell],
    results: Mapping[Cell, CellResult],
) -> dict[str, dict[str, Entry]]:
    """Put results together by model and task."""
    return {model: {task: _entry(model, task, metrics[task], cells, results) for task in metrics} for model in models}


def _entry(
    model: str, task: str, metrics: Sequence[str], cells: Sequence[Cell], results: Mapping[Cell, CellResult]
) -> Entry:
    own = [cell for cell in cells if (cell.model, cell.task) == (model, task)]
    by_epochs: dict[float, dict[int, CellResult]] = {}
    for cell in own:
        if cell in results:
            by_epochs.setdefault(cell.epochs, {})[cell.seed] = results[cell]
    trials = tuple(_trial(epochs, metrics, by_epochs[epochs]) for epochs in sorted(by_epochs))
    return Entry(trials, sum(cell not in results for cell in own))


def _trial(epochs: float, metrics: Sequence[str], results: Mapping[int, CellResult]) -> Trial:
    first = next(iter(results.values()))
    scores = {name: Spread.of({seed: each.scores[name] for seed, each in results.items()}) for name in metrics}
    test = {
        name: Spread.of({seed: each.test_scores[name] for seed, each in results.items() if each.test_scores})
        for name in metrics
        if first.test_scores
    }
    return Trial(epochs, scores, test, first.learning_rate)
