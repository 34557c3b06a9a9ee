"""An evaluation's configuration in, its cells out: what to run, in which folder, and what came of it.

A cell is one fine-tuning. Its folder holds ``request.json``, from the end on ``result.json``, ``log.txt`` of its
process, and ``model`` where it is kept. A result counts only beside the very request.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wwmcorpus.errors import ConfigError, differences
from wwmcorpus.files import file_sha256, make_folder, write_json
from wwmcorpus.tasks.data import train_files
from wwmcorpus.tasks.declaration import Task, load_task
from wwmcorpus.tasks.evaluate.settings import EvaluateConfig, EvaluatedModel, EvaluatedTask
from wwmcorpus.training.results import weights_sha256
from wwmcorpus.training.runs import CHECKPOINT_FOLDER

REQUEST_FILE, RESULT_FILE, LOG_FILE, MODEL_FOLDER = "request.json", "result.json", "log.txt", "model"
#: Steps between two evaluations where only the end counts.
_NEVER = 2**31


@dataclass(frozen=True, slots=True)
class Cell:
    """One fine-tuning of one model on one task.

    Attributes:
        model: The model's title.
        task: The task's name.
        epochs: Passes over the rows.
        seed: Of head, order and dropout.
        folder: Where it lies.
        request: What decides it, as plain values: the fine-tuning's configuration but for its output, the test file,
            hashes of inputs.
    """

    model: str
    task: str
    epochs: float
    seed: int
    folder: Path
    request: dict[str, Any] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.model} on {self.task}, {self.epochs:g} epochs, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class CellResult:
    """What came of a cell.

    Attributes:
        main: Score by the task's main metric on the validation examples.
        scores: All scores on them, by metric.
        test_scores: The same on the test examples; None without any.
        seconds: Wall time of training and scoring.
        steps: Optimiser steps.
        learning_rate: Its peak.
    """

    main: float
    scores: dict[str, float]
    test_scores: dict[str, float] | None
    seconds: float
    steps: int
    learning_rate: float

    def content(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def plan_cells(config: EvaluateConfig) -> list[Cell]:
    """Give the cells of an evaluation, those of few epochs first, so that a table is soon there.

    Raises:
        ConfigError: two tasks have one name, a task has no file to learn from or to be scored on, or there is no such
            task.
    """
    tasks = [load_task(each.task) for each in config.tasks]
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ConfigError("two tasks have one name", value=names, where="tasks", fix="Give each a name of its own.")
    of_tasks = [_of_task(source, task, config.test) for source, task in zip(config.tasks, tasks, strict=True)]
    hashes = {model.model: weights_sha256(model.model) for model in config.models}
    cells = []
    for epochs, seed, (name, of_task), model in itertools.product(
        sorted(config.epochs), config.seeds, list(zip(names, of_tasks, strict=True)), config.models
    ):
        folder = Path(config.output) / "runs" / model.title / name / f"epochs-{epochs:g}" / f"seed-{seed}"
        finetune = of_task["finetune"] | {"model": model.model, "training": _training(config, model, epochs, seed)}
        inputs = of_task["inputs"] | {"model": hashes[model.model]}
        request = of_task | {"finetune": finetune, "inputs": inputs}
        cells.append(Cell(model.title, name, epochs, seed, folder, request))
    return cells


def find_result(cell: Cell) -> CellResult | None:
    """Give the result of a cell that was run before; None where there is none.

    A run that failed before its first checkpoint, or never began, leaves nothing that stands in the way of another.

    Raises:
        ConfigError: its folder holds what was trained on another request; the differences are named.
    """
    stored = _read(cell.folder / REQUEST_FILE)
    if stored is None or not _is_begun(cell.folder):
        return None
    unlike = list(differences(stored, cell.request))
    if unlike:
        raise ConfigError(
            f"the output holds a run with other settings: {'; '.join(unlike)}",
            value=str(cell.folder),
            where="output",
            fix="Name another folder, or delete this one.",
        )
    result = _read(cell.folder / RESULT_FILE)
    return None if result is None else CellResult(**result)


def write_request(cell: Cell) -> None:
    """Make the folder of a cell, with its request."""
    make_folder(cell.folder)
    write_json(cell.folder / REQUEST_FILE, cell.request)


def _is_begun(folder: Path) -> bool:
    """Whether the folder of a cell holds a result, a model, or a checkpoint that a run would go on from."""
    checkpoints = folder.glob(f"{MODEL_FOLDER}.partial/{CHECKPOINT_FOLDER}/step-*")
    return (folder / RESULT_FILE).is_file() or (folder / MODEL_FOLDER).exists() or any(checkpoints)


def _of_task(source: EvaluatedTask, task: Task, is_tested: bool) -> dict[str, Any]:
    """Give the part of a request that models, epochs and seeds share. Files are read at each call: they may change."""
    validation = source.validation or task.validation
    if validation is None:
        raise ConfigError(
            "a task has no examples to be scored on", value=task.name, where="tasks", fix="Give it a validation file."
        )
    test = (source.test or task.test) if is_tested else None
    files = {path: _file_hash(path) for path in (*train_files(task, source), validation, test) if path is not None}
    finetune = {key: value for key, value in source.values().items() if key != "test"}
    declaration = {key: value for key, value in task.values().items() if key not in ("train", "validation", "test")}
    return {"finetune": finetune, "test": test, "inputs": {"files": files, "task": declaration}}


def _training(config: EvaluateConfig, model: EvaluatedModel, epochs: float, seed: int) -> dict[str, Any]:
    every = config.training.evaluate_every if config.weights == "best" else _NEVER
    chosen = {"epochs": float(epochs), "seed": seed, "evaluate_every": every}
    if model.learning_rate is not None:
        chosen["learning_rate"] = model.learning_rate
    return config.training.model_copy(update=chosen).values()


def _file_hash(path: str) -> str | None:
    return file_sha256(Path(path)) if Path(path).is_file() else None


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON file; None where there is none."""
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
