"""A cell's folder in, its result out: ``python -m wwmcorpus.tasks.evaluate.worker FOLDER`` is one process of many."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from wwmcorpus.align import load_tokenizer
from wwmcorpus.errors import TrainingError, WwmcorpusError
from wwmcorpus.files import write_json
from wwmcorpus.tasks.declaration import load_task
from wwmcorpus.tasks.encode import encode
from wwmcorpus.tasks.evaluate.cells import MODEL_FOLDER, REQUEST_FILE, RESULT_FILE, CellResult
from wwmcorpus.tasks.heads import default_learning_rate, load_task_model, row_length
from wwmcorpus.tasks.predict import score_model
from wwmcorpus.tasks.runs import run_finetune
from wwmcorpus.tasks.settings import FinetuneConfig
from wwmcorpus.training.reporting import METRICS_FILE
from wwmcorpus.training.trainer import make_accelerator


def run_cell(folder: Path) -> CellResult:
    """Fine-tune and score as ``request.json`` in a folder says, and write ``result.json`` beside it.

    What was stopped goes on from its checkpoint.

    Raises:
        WwmcorpusError: whatever fine-tuning raises.
    """
    started = time.perf_counter()
    request = json.loads((folder / REQUEST_FILE).read_text("utf-8"))
    asked = request["finetune"] | {"output": str(folder / MODEL_FOLDER)}
    config = FinetuneConfig.model_validate_json(json.dumps(asked))
    made = run_finetune(config)
    if made.main is None:
        raise TrainingError("there is no score", where=str(folder), fix="Give the task validation examples.")
    task = load_task(config.task)
    model: Any = load_task_model(task, str(made.output))
    test_scores = None if request["test"] is None else _score(config, model, request["test"])
    rate = config.training.learning_rate or default_learning_rate(task, model.config)
    seconds = time.perf_counter() - started
    result = CellResult(made.main, dict(made.scores or {}), test_scores, round(seconds, 3), made.steps, rate)
    shutil.copyfile(folder / MODEL_FOLDER / METRICS_FILE, folder / METRICS_FILE)
    write_json(folder / RESULT_FILE, result.content())
    return result


def _score(config: FinetuneConfig, model: Any, path: str) -> dict[str, float]:
    """Score a model on the examples of a file, on the device on which it learned."""
    task, folder = load_task(config.task), config.output
    model.to(make_accelerator(config.training.loop(num_rows=1)).device)
    examples = task.read(path)
    length = row_length(task, config.max_length, folder)
    features = encode(task, examples, load_tokenizer(folder), length, config.stride)
    return score_model(model, task, features, examples, config.training.precision)


def main(folder: Path, num_threads: int) -> int:
    """Run a cell, say what is wrong if something is, and give the exit status."""
    import torch

    torch.set_num_threads(num_threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        run_cell(folder)
    except WwmcorpusError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
