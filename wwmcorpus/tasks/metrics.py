"""Predictions and examples in, the metrics of the task out: fractions, never percents.

scikit-learn, SciPy and seqeval compute what they define (extra ``tasks``); only the scores of CMRC 2018 are ours.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Examples, ReadingExample, TaggedExample, TextExample
from wwmcorpus.tasks.predictions import Prediction
from wwmcorpus.tasks.reading_scores import exact_match, overlap_f1

_Score = Callable[[Task, list[Any], list[Any]], float]


def score_predictions(task: Task, predictions: Sequence[Prediction], examples: Examples) -> dict[str, float]:
    """Score predictions with the metrics of a task.

    Args:
        task: The task.
        predictions: One per example, in order, as ``task.predictions`` gives them. For an unanswered question "".
        examples: Read with their labels.

    Returns:
        ``task.metric_names`` -> score. Correlations lie in [-1, 1], the others but Matthews' in [0, 1]. What is not
        defined, such as a correlation where all predictions are the same, is 0.

    Raises:
        ConfigError: predictions and examples differ in number, or examples have no labels.
        MissingExtraError: a package of the extra ``tasks`` is not installed.
    """
    if len(predictions) != len(examples):
        raise ConfigError(
            f"{len(predictions)} predictions for {len(examples)} examples",
            where=examples.path,
            fix="Give one prediction per example, in order.",
        )
    truth = [_truth(example, examples.path) for example in examples]
    scores = _SCORES[task.kind]
    return {name: float(scores[name](task, truth, list(predictions))) for name in task.metric_names}


def _truth(example: object, path: str) -> Any:
    if isinstance(example, ReadingExample):
        truth: Any = [answer.text for answer in example.answers] or None
    else:
        assert isinstance(example, TextExample | TaggedExample)
        truth = example.label if isinstance(example, TextExample) else example.tags
    if truth is None:
        raise ConfigError("an example has no label to score against", where=path, fix="Read the file with its labels.")
    return truth


def _of(module: str, function: str) -> Callable[..., Any]:
    """Find a function of a package of the extra."""
    try:
        found: Callable[..., Any] = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        package = {"sklearn": "scikit-learn"}.get(name, name)
        raise MissingExtraError.of(package, "tasks", "metrics") from None
    return found


def _accuracy(task: Task, truth: list[str], found: list[str]) -> float:
    return sum(one == other for one, other in zip(truth, found, strict=True)) / len(truth)


def _f1_macro(task: Task, truth: list[str], found: list[str]) -> float:
    score = _of("sklearn.metrics", "f1_score")
    return float(score(truth, found, labels=list(task.labels), average="macro", zero_division=0))


def _f1_second(task: Task, truth: list[str], found: list[str]) -> float:
    score = _of("sklearn.metrics", "f1_score")
    return float(score(truth, found, pos_label=task.labels[1], zero_division=0))


def _matthews(task: Task, truth: list[str], found: list[str]) -> float:
    return float(_of("sklearn.metrics", "matthews_corrcoef")(truth, found))


def _correlation(name: str) -> _Score:
    def score(task: Task, truth: list[float], found: list[float]) -> float:
        function = _of("scipy.stats", name)
        if len(truth) < 2:
            return 0.0
        with warnings.catch_warnings():  # a constant side has no correlation: that is 0 here
            warnings.simplefilter("ignore")
            value = float(function(truth, found).statistic)
        return 0.0 if math.isnan(value) else value

    return score


def _mean(score: Callable[[list[str], str], float]) -> _Score:
    def mean(task: Task, truth: list[list[str]], found: list[str]) -> float:
        return math.fsum(score(answers, one) for answers, one in zip(truth, found, strict=True)) / len(truth)

    return mean


def _of_entities(name: str) -> _Score:
    def score(task: Task, truth: list[tuple[str, ...]], found: list[tuple[str, ...]]) -> float:
        for number, (one, other) in enumerate(zip(truth, found, strict=True)):
            if len(one) != len(other):
                fix = "Predict a tag for every token."
                raise ConfigError(f"{len(other)} tags for {len(one)} tokens", where=f"example {number}", fix=fix)
        function = _of("seqeval.metrics", name)
        with warnings.catch_warnings():  # a type that is never predicted counts as 0
            warnings.simplefilter("ignore")
            return float(function([list(tags) for tags in truth], [list(tags) for tags in found]))

    return score


_f1_reading, _exact = _mean(overlap_f1), _mean(exact_match)
#: Metrics by kind of task and name.
_SCORES: dict[str, dict[str, _Score]] = {
    "classification": {
        "accuracy": _accuracy,
        "f1_macro": _f1_macro,
        "f1": _f1_second,
        "matthews": _matthews,
    },
    "regression": {"spearman": _correlation("spearmanr"), "pearson": _correlation("pearsonr")},
    "reading": {
        "f1": _f1_reading,
        "exact_match": _exact,
        "average": lambda task, truth, found: (_f1_reading(task, truth, found) + _exact(task, truth, found)) / 2,
    },
    "labelling": {
        "f1": _of_entities("f1_score"),
        "precision": _of_entities("precision_score"),
        "recall": _of_entities("recall_score"),
        "accuracy": _of_entities("accuracy_score"),
    },
}
