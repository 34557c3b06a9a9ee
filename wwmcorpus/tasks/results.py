"""What task training made: scores and places in memory; models, declarations, scores and cards in their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel

from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.files import disk_errors, make_folder, write_json
from wwmcorpus.tasks.data import TaskData
from wwmcorpus.training.export import write_weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TASK_FILE = "task.json"
SCORES_FILE = "metrics.json"
_PIPELINES = {"reading": "question-answering", "labelling": "token-classification"}


@dataclass(frozen=True)
class TaskResult:
    """What a run made.

    Attributes:
        output: The Hugging Face folder; of several tasks the folder that holds one for each, by name.
        steps: Finished optimiser steps; fewer than planned where patience was at its end.
        seconds: Wall time of the run.
        best_step: Whose weights were kept; None where nothing was evaluated: those of the last step.
        scores: Those of the kept weights by metric, ``task/metric`` of several tasks; empty without an evaluation.
        main: The score by which weights were chosen.
        found: The run had been finished before, and was not run again.
    """

    output: Path
    steps: int
    seconds: float
    best_step: int | None = None
    scores: Mapping[str, float] | None = None
    main: float | None = None
    found: bool = False

    def summary(self) -> str:
        """Give the line that a command ends with."""
        when = " (finished before, not run again)" if self.found else ""
        line = f"{self.output}: {self.steps} steps in {self.seconds:.0f} s{when}"
        if not self.scores:
            return line
        shown = ", ".join(f"{name} {score:.4f}" for name, score in self.scores.items())
        return f"{line}\n  best at step {self.best_step}: {shown}"

    def content(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "best_step": self.best_step,
            "scores": dict(self.scores or {}),
            "main": self.main,
        }

    @classmethod
    def of(cls, output: Path, content: Mapping[str, Any]) -> TaskResult:
        """Give back a result that was found."""
        return cls(output, **dict(content), found=True)


@dataclass(frozen=True)
class TaskStages:
    """What both stages of a task distillation made."""

    intermediate: TaskResult
    prediction: TaskResult

    def summary(self) -> str:
        """Give the lines that a command ends with."""
        return f"{self.intermediate.summary()}\n{self.prediction.summary()}"


def write_task_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    data: TaskData,
    result: TaskResult,
    history: Sequence[tuple[int, float, dict[str, float]]],
    recipe: Mapping[str, Any],
) -> None:
    """Write a model as transformers reads it, and beside it ``task.json``, ``metrics.json`` and a card.

    Raises:
        CorpusError: the disk does not take it.
    """
    evaluations = [{"step": step, "main": main, "scores": scores} for step, main, scores in history]
    made = {"best_step": result.best_step, "scores": dict(result.scores or {}), "main": result.main}
    with disk_errors(folder):
        make_folder(folder)
        write_weights(folder, model)
        save_tokenizer(tokenizer, folder)
        write_json(folder / TASK_FILE, data.content())
        write_json(folder / SCORES_FILE, made | {"main_metric": data.task.main_metric, "evaluations": evaluations})
        (folder / "README.md").write_text(_card(model, data, result, recipe), encoding="utf-8")


def _card(model: PreTrainedModel, data: TaskData, result: TaskResult, recipe: Mapping[str, Any]) -> str:
    task, kind = data.task, type(model).__name__
    pipeline = _PIPELINES.get(task.kind, "text-classification")
    lines = ["---", "language: zh", "library_name: transformers", f"pipeline_tag: {pipeline}", "---", ""]
    lines += [f"# {result.output.name}", ""]
    lines += [f"Made with `wwmcorpus`. `{kind}` and `AutoTokenizer` open this folder with `from_pretrained`.", ""]
    counts, num_scored = data.train.counts, 0 if data.examples is None else len(data.examples)
    lines += ["## Data", "", f"- task: {task.name} ({task.kind}), rows of at most {data.max_length} pieces"]
    lines += [f"- rows to learn from: {counts['rows']:,}; sha256 `{data.fingerprints['train']}`"]
    lines += [f"- rows left out: {data.rejected or 'none'}", f"- examples to be scored on: {num_scored:,}", ""]
    if result.scores:
        lines += ["## Scores", "", "| metric | score |", "|---|---|"]
        lines += [*(f"| {name} | {score:.4f} |" for name, score in result.scores.items()), ""]
        lines += [f"Weights of step {result.best_step} of {result.steps}, the best by {task.main_metric}.", ""]
    lines += ["## Recipe", "", "```json", json.dumps(recipe, ensure_ascii=False, indent=2), "```", ""]
    return "\n".join(lines)
