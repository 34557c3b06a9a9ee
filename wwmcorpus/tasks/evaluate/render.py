"""An evaluation in, its tables as text out: for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from wwmcorpus.models.info import millions, spread, times_as_fast
from wwmcorpus.models.tables import markdown_table, print_table
from wwmcorpus.report.formats import size
from wwmcorpus.tasks.evaluate.summary import Evaluation, Spread, Trial

_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text.

    Attributes:
        title: What it shows.
        header: Names of the columns.
        rows: As many cells each.
        note: What a reader must know of it.
        is_text: Whether its cells are to be read, not compared.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str = ""
    is_text: bool = False


def tables(evaluation: Evaluation) -> Iterator[TextTable]:
    """Give the tables of an evaluation, the most telling first; those that say nothing are left out."""
    yield scores_table(evaluation)
    if evaluation.teacher is not None:
        yield _relative_table(evaluation)
    if any(trial.test_scores for trial in _trials(evaluation)):
        yield _test_table(evaluation)
    yield _models_table(evaluation)
    yield _trials_table(evaluation)
    if evaluation.failures:
        rows = [[cell, why] for cell, why in evaluation.failures.items()]
        yield TextTable("Runs that failed", ["run", "why"], rows, "They are missing in every mean above.", is_text=True)


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print the tables."""
    for index, table in enumerate(tables(evaluation)):
        if index:
            console.print()
        console.print(Text(table.title, style="bold"))
        print_table(console, table.header, table.rows, table.is_text)
        if table.note:
            console.print(Text(table.note, style="dim"))


def markdown(evaluation: Evaluation) -> str:
    """Give the tables as Markdown."""
    lines = [f"# Evaluation: {evaluation.name}"]
    for table in tables(evaluation):
        lines += ["", f"## {table.title}", "", *markdown_table(table.header, table.rows, table.is_text)]
        lines += ["", table.note] if table.note else []
    return "\n".join([*lines, ""])


def scores_table(evaluation: Evaluation) -> TextTable:
    """Give the best mean of each model on each task."""
    rows = []
    for model in evaluation.models:
        mean = evaluation.mean_score(model)
        cells = [_best_cell(evaluation, model, task) for task in evaluation.tasks]
        rows.append([model, *cells, _NOTHING if mean is None else points(mean)])
    config = evaluation.config
    num_seeds, epochs = len(config["seeds"]), [f"{each:g}" for each in sorted(config["epochs"])]
    note = "; ".join(
        [
            f"Mean over {num_seeds} seeds ± sample standard deviation" if num_seeds > 1 else "One seed",
            "points of 100 on the validation examples",
            "epochs in brackets" if len(epochs) == 1 else f"of {', '.join(epochs)} epochs those with the best mean",
            "weights at the end of each run" if config["weights"] == "last" else "the best weights of each run",
        ]
    )
    is_chosen = len(epochs) > 1 or config["weights"] == "best"
    note += ". What is best was chosen on the same examples." if is_chosen else "."
    return TextTable(
        "Scores", ["model", *(task_title(evaluation, task) for task in evaluation.tasks), "mean"], rows, note
    )


def points(value: float) -> str:
    """Give a score in points of 100: ``71.23``."""
    return f"{100 * value:.2f}"


def with_spread(spread_of: Spread) -> str:
    """Give a mean with its deviation, in points of 100: ``71.23 ±0.45``."""
    deviation = "" if spread_of.deviation is None else f" ±{points(spread_of.deviation)}"
    return f"{points(spread_of.mean)}{deviation}"


def task_title(evaluation: Evaluation, task: str) -> str:
    """Give a task with its main metric: ``ocnli (accuracy)``."""
    return f"{task} ({evaluation.metrics[task][0]})"


def _best_cell(evaluation: Evaluation, model: str, task: str) -> str:
    entry = evaluation.entries[model][task]
    best = entry.best
    if best is None:
        return _NOTHING
    num_planned = len(evaluation.config["seeds"])
    few = "" if len(best.main.values) == num_planned else f", {len(best.main.values)} of {num_planned} seeds"
    return f"{with_spread(best.main)} ({best.epochs:g}{few})"


def _relative_table(evaluation: Evaluation) -> TextTable:
    rows = []
    for model in evaluation.models:
        shares = [evaluation.relative(model, task) for task in evaluation.tasks]
        shown = [_NOTHING if share is None else f"{share:.1%}" for share in (*shares, evaluation.mean_relative(model))]
        rows.append([model, *shown])
    return TextTable(f"Relative to {evaluation.teacher}", ["model", *evaluation.tasks, "mean"], rows)


def _test_table(evaluation: Evaluation) -> TextTable:
    rows = []
    for model in evaluation.models:
        trials = [evaluation.entries[model][task].best for task in evaluation.tasks]
        found = [next(iter(trial.test_scores.values()), None) if trial else None for trial in trials]
        rows.append([model, *(_NOTHING if each is None else with_spread(each) for each in found)])
    header = ["model", *(task_title(evaluation, task) for task in evaluation.tasks)]
    note = "Of the same runs: nothing was chosen on these examples."
    return TextTable("Scores on test examples", header, rows, note)


def _models_table(evaluation: Evaluation) -> TextTable:
    teacher, timed = evaluation.teacher, next(iter(evaluation.latencies.values()), ())
    header = ["model", "parameters", "without embeddings", "size"]
    header += [f"batch {each.batch_size}" for each in timed]
    header += [f"speed-up, batch {each.batch_size}" for each in timed if teacher is not None]
    rows = []
    for model in evaluation.models:
        own, row = evaluation.sizes[model], [model]
        for key in ("num_backbone", "num_without_embeddings"):
            number = getattr(own, key)
            share = "" if teacher is None else f" ({number / getattr(evaluation.sizes[teacher], key):.1%})"
            row.append(f"{millions(number)}{share}")
        row += [size(own.size_bytes), *map(spread, evaluation.latencies.get(model, ()))]
        rows.append([*row, *map(times_as_fast, evaluation.speed_ups(model))])
    note = "Parameters of the backbone with its pooler, without heads; size of the whole model before fine-tuning."
    if timed:
        note += (
            f" Times of the backbone: {timed[0].length} pieces, fp32, {timed[0].num_threads} threads, "
            f"{timed[0].device}, median (quartiles) of {min(each.num_turns for each in timed)} turns or more."
        )
    return TextTable("Size and speed", header, rows, note)


def _trials_table(evaluation: Evaluation) -> TextTable:
    rows = [
        [
            f"{model}, {task}",
            f"{trial.epochs:g}",
            f"{trial.learning_rate:g}",
            str(len(trial.main.values)),
            "; ".join(f"{name} {with_spread(each)}" for name, each in trial.scores.items()),
        ]
        for model in evaluation.models
        for task, entry in evaluation.entries[model].items()
        for trial in entry.trials
    ]
    return TextTable("All runs", ["model, task", "epochs", "learning rate", "seeds", "scores"], rows)


def _trials(evaluation: Evaluation) -> Iterator[Trial]:
    for entries in evaluation.entries.values():
        for entry in entries.values():
            yield from entry.trials
