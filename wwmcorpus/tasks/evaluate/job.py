"""An evaluation's configuration in, its table out: on disk as JSON, Markdown and a page, and in memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wwmcorpus.align import load_tokenizer
from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.files import disk_errors, folder_lock, make_folder, remove_folder, whole_file, write_json
from wwmcorpus.models.latency import Latency, measure_latency, set_threads
from wwmcorpus.models.load import load_model
from wwmcorpus.models.parameters import Sizes, sizes
from wwmcorpus.tasks.data import train_files
from wwmcorpus.tasks.declaration import load_task
from wwmcorpus.tasks.evaluate.cells import MODEL_FOLDER, Cell, CellResult, find_result, plan_cells
from wwmcorpus.tasks.evaluate.page import page
from wwmcorpus.tasks.evaluate.pool import run_cells
from wwmcorpus.tasks.evaluate.render import markdown
from wwmcorpus.tasks.evaluate.settings import EvaluateConfig
from wwmcorpus.tasks.evaluate.summary import Evaluation, entries_of
from wwmcorpus.training.results import weights_sha256
from wwmcorpus.training.students import STUDENTS

JSON_FILE, MARKDOWN_FILE, PAGE_FILE = "evaluation.json", "evaluation.md", "evaluation.html"
LATENCY_FILE = "latency.json"

_log = logging.getLogger(__name__)


class Progress(Protocol):
    """Watches a job."""

    def start(self, total: int) -> None:
        """Learn how many fine-tunings there are."""
        ...

    def advance(self, count: int) -> None:
        """Learn that so many more are done."""
        ...


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What is known before anything runs: cells, metrics of each task, sizes of each model."""

    cells: list[Cell]
    metrics: dict[str, tuple[str, ...]]
    sizes: dict[str, Sizes]


def evaluate(config: EvaluateConfig, progress: Progress | None = None) -> Evaluation:
    """Fine-tune every model on every task, score it, and write ``evaluation.json``, ``.md`` and ``.html``.

    What an earlier call did in the same folder is found and not done again; models, tasks, epochs and seeds may be
    added. A fine-tuning that fails stops no other, and is named in the table.

    Args:
        config: The evaluation.
        progress: Watches it.

    Raises:
        ConfigError: a model, its tokenizer or a task is not there, a model is a student's name, or the folder holds
            runs of other settings or inputs.
        SourceError: a file of a task holds no example.
        TrainingError: no fine-tuning gave a result.
        CorpusError: another process works in the folder, or the disk does not take what is written.
        InterruptedJobError: a signal came; the same call goes on from there.
    """
    inputs = _look_ahead(config)
    output = Path(config.output)
    with disk_errors(output):
        make_folder(output)
    with disk_errors(output), folder_lock(output, "evaluation"):
        results, failures = _run(config, inputs.cells, progress)
        if not results:
            first = next(iter(failures.values()))
            raise TrainingError(
                f"all {len(failures)} runs failed; the first: {first}",
                where=str(output),
                fix="Mend what was wrong, and run the same command again.",
            )
        made = Evaluation(
            name=output.resolve().name,
            teacher=config.teacher,
            metrics=inputs.metrics,
            entries=entries_of([model.title for model in config.models], inputs.metrics, inputs.cells, results),
            sizes=inputs.sizes,
            latencies=_latencies(config, output / LATENCY_FILE) if config.latency else {},
            failures=failures,
            config=config.values(),
        )
        write_json(output / JSON_FILE, made.content())
        for name, text in ((MARKDOWN_FILE, markdown(made)), (PAGE_FILE, page(made))):
            with whole_file(output / name, "w") as file:
                file.write(text)
    return made


def _look_ahead(config: EvaluateConfig) -> _Inputs:
    """Open every model and read every file, so that what is wrong with them is said once, before anything runs."""
    for model in config.models:
        if model.model in STUDENTS:
            raise ConfigError(
                "a student's name stands for a shape with random weights",
                value=model.model,
                where="models",
                fix=f"Give the folder of a trained model, or ./{model.model} for a folder of this name.",
            )
    cells = plan_cells(config)
    metrics = {}
    for source in config.tasks:
        task = load_task(source.task)
        metrics[task.name] = task.metric_names
        for name in train_files(task, source):
            task.read(name, to_learn=True)
        for path in (source.validation or task.validation, (source.test or task.test) if config.test else None):
            if path is not None:
                task.read(path)
    counted = {}
    for model in config.models:
        counted[model.title] = sizes(load_model(model.model))
        load_tokenizer(model.model)
    return _Inputs(cells, metrics, counted)


def _run(
    config: EvaluateConfig, cells: Sequence[Cell], progress: Progress | None
) -> tuple[dict[Cell, CellResult], dict[str, str]]:
    """Give the results of all cells, and what went wrong, by the cell's description."""
    found = {cell: find_result(cell) for cell in cells}
    results = {cell: result for cell, result in found.items() if result is not None}
    failures: dict[str, str] = {}
    if results:
        _log.info("%d of %d runs were finished before", len(results), len(cells))
    if progress is not None:
        progress.start(len(cells))
        progress.advance(len(results))
    left = [cell for cell in cells if cell not in results]
    for cell, outcome in run_cells(left, config.num_workers, config.num_threads):
        if isinstance(outcome, CellResult):
            results[cell] = outcome
            _log.info("%s: %.4f in %.0f s", cell, outcome.main, outcome.seconds)
        else:
            failures[str(cell)] = outcome
            _log.warning("%s failed: %s", cell, outcome)
        if config.keep == "best":
            _keep_best(cell, cells, results)
        if progress is not None:
            progress.advance(1)
    if config.keep == "best":
        for cell in found:  # of an earlier call, which kept all, or was killed
            _keep_best(cell, cells, results)
    return results, failures


def _keep_best(cell: Cell, cells: Sequence[Cell], results: Mapping[Cell, CellResult]) -> None:
    """Of the models on the task of a cell that are done, remove all but the best; of equal ones the first stays."""
    done = [other for other in cells if (other.model, other.task) == (cell.model, cell.task) and other in results]
    best = max(done, key=lambda other: results[other].main, default=None)
    for other in done:
        if other is not best:
            remove_folder(other.folder / MODEL_FOLDER)


def _latencies(config: EvaluateConfig, path: Path) -> dict[str, tuple[Latency, ...]]:
    """Measure the models, when nothing else runs any more; figures of the same models and settings are found."""
    asked: dict[str, Any] = {
        "models": {model.title: [model.model, weights_sha256(model.model)] for model in config.models},
        "batch_sizes": list(config.latency_batch_sizes),
        "length": config.latency_length,
        "threads": config.num_threads,
    }
    stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if stored.get("asked") != asked:
        set_threads(config.num_threads)
        models = {model.title: load_model(model.model) for model in config.models}
        batch_sizes, length = config.latency_batch_sizes, config.latency_length
        found = measure_latency(models, batch_sizes, length, seconds=config.latency_seconds)
        stored = {"asked": asked, "times": {name: [each.content() for each in times] for name, times in found.items()}}
        write_json(path, stored)
    return {name: tuple(Latency(**each) for each in times) for name, times in stored["times"].items()}
