"""A configuration in, a Hugging Face folder and figures out: one function per job."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor
from transformers import BertForMaskedLM

from wwmcorpus.corpus import open_corpus
from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.errors import ConfigError
from wwmcorpus.stream import Stream
from wwmcorpus.training.evaluate import Figures, evaluate, unigram_baseline
from wwmcorpus.training.export import check_output, model_card, staged_folder, write_model
from wwmcorpus.training.heads import load_masked_lm
from wwmcorpus.training.objective import Objective, check_vocabulary
from wwmcorpus.training.reporting import METRICS_FILE, Reporter
from wwmcorpus.training.settings import DistillConfig, PretrainConfig, Training, TwoStageConfig
from wwmcorpus.training.students import build_student, set_output_bias, student_config
from wwmcorpus.training.trainer import Trainer, make_accelerator

if TYPE_CHECKING:
    from rich.console import Console

#: Held-out rows are masked with this seed in every run, so that runs can be compared.
EVALUATION_SEED = 0


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        output: The Hugging Face folder, with ``metrics.jsonl`` and a card.
        steps: Optimiser steps.
        seconds: Wall time of the run, loading and evaluation included.
        baseline: Held-out figures of the unigram model; None without a validation corpus, like those below.
        before: Held-out figures of the student with its first weights.
        after: Held-out figures of the trained student.
        teacher: Held-out figures of the teacher; None in pretraining.
    """

    output: Path
    steps: int
    seconds: float
    baseline: Figures | None = None
    before: Figures | None = None
    after: Figures | None = None
    teacher: Figures | None = None

    @property
    def figures(self) -> dict[str, Figures]:
        """The figures that there are, by the names of the card's rows."""
        rows = {
            "unigram baseline": self.baseline,
            "teacher": self.teacher,
            "student before": self.before,
            "student after": self.after,
        }
        return {name: figures for name, figures in rows.items() if figures is not None}

    def summary(self) -> str:
        """Give the lines that a command ends with: where the model lies, and its figures on held-out text."""
        lines = [f"{self.output}: {self.steps} steps in {self.seconds:.0f} s"]
        for name, figures in self.figures.items():
            words = "" if figures.word_accuracy is None else f", {figures.word_accuracy:.1%} of masked words right"
            lines.append(f"  {name:<18} loss {figures.loss:.3f}{words}")
        return "\n".join(lines)


@dataclass(frozen=True)
class TwoStageResult:
    """What a two-stage run made."""

    assistant: RunResult
    student: RunResult


def run_pretrain(config: PretrainConfig, console: Console | None = None) -> RunResult:
    """Train a model from random weights by masked language modelling.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        ConfigError: student, corpus and settings do not fit together, or the output exists.
        CorpusError: a corpus cannot be opened or has fewer rows than a global batch.
        TrainingError: the loss is no longer a number.
    """
    return _run(config, None, console)


def run_distill(config: DistillConfig, console: Console | None = None) -> RunResult:
    """Distil a student from a teacher. Arguments and errors as for ``run_pretrain``."""
    check_output(Path(config.output))
    return _run(config, load_masked_lm(config.teacher), console)


def run_two_stage(config: TwoStageConfig, console: Console | None = None) -> TwoStageResult:
    """Distil an assistant from the teacher, then the student from the assistant. Errors as for ``run_pretrain``."""
    first, second = config.stages()
    check_output(Path(second.output))
    return TwoStageResult(assistant=run_distill(first, console), student=run_distill(second, console))


def _run(config: PretrainConfig, teacher: BertForMaskedLM | None, console: Console | None) -> RunResult:
    started, training, output = time.perf_counter(), config.training, Path(config.output)
    check_output(output)
    corpus = open_corpus(config.corpus)
    held_out = _held_out(config, corpus)
    objective = _objective(config, corpus, teacher)
    accelerator = make_accelerator(training, find_unused_parameters=not objective.needs_logits)
    rank, num_ranks = accelerator.process_index, accelerator.num_processes
    stream = Stream(corpus, training.global_batch_size, training.seed, rank, num_ranks, config.masking)
    staging = staged_folder(output) if accelerator.is_main_process else nullcontext(output)
    with (
        staging as folder,
        Reporter(output.name, training.steps, folder / METRICS_FILE, console, accelerator.is_main_process) as reporter,
    ):
        evaluation = _Evaluation(objective.student, held_out, training, reporter)
        trainer = Trainer(
            objective,
            stream,
            training,
            config.optimiser,
            teacher=teacher,
            accelerator=accelerator,
            reporter=reporter,
            evaluate=evaluation,
        )
        baseline, teacher_figures = evaluation.references(corpus, teacher)
        trainer.run()
        seconds = time.perf_counter() - started
        result = RunResult(
            output, training.steps, seconds, baseline, evaluation.first, evaluation.last, teacher_figures
        )
        if accelerator.is_main_process:
            write_model(folder, objective.student, corpus.tokenizer_folder)
            card = model_card(output.name, corpus.signature, corpus.fingerprint, config.values(), result.figures)
            (folder / "README.md").write_text(card, encoding="utf-8")
    accelerator.wait_for_everyone()
    return result


class _Evaluation:
    """The evaluations of one run: the trainer calls it with the number of finished steps."""

    def __init__(
        self, student: BertForMaskedLM, batches: list[dict[str, Tensor]], training: Training, reporter: Reporter
    ) -> None:
        self.student, self.batches, self.training, self.reporter = student, batches, training, reporter
        self.first: Figures | None = None
        self.last: Figures | None = None

    def __call__(self, step: int) -> None:
        if self.batches:
            self.last = evaluate(self.student, self.batches, self.training.precision)
            self.first = self.first or self.last
            self.reporter.record("evaluation", step, **self.last.content())

    def references(self, corpus: Corpus, teacher: BertForMaskedLM | None) -> tuple[Figures | None, Figures | None]:
        """Evaluate what the student is to be compared with: the unigram baseline and the teacher."""
        if not self.batches:
            return None, None
        baseline = unigram_baseline(corpus.piece_counts(), self.batches, corpus.vocabulary.frame_ids.tolist())
        self.reporter.record("baseline", 0, **baseline.content())
        if teacher is None:
            return baseline, None
        figures = evaluate(teacher, self.batches, self.training.precision)
        self.reporter.record("teacher", 0, **figures.content())
        return baseline, figures


def _objective(config: PretrainConfig, corpus: Corpus, teacher: BertForMaskedLM | None) -> Objective:
    vocabulary, seed = corpus.vocabulary, config.training.seed
    if teacher is not None:
        check_vocabulary("teacher", teacher.config.vocab_size, vocabulary.num_pieces)
    student = build_student(student_config(config.student, vocabulary.num_pieces, vocabulary.pad_id), seed)
    if config.output_bias == "log_frequency":
        set_output_bias(student, corpus.piece_counts(), vocabulary.frame_ids.tolist())
    return Objective(student, config.losses if isinstance(config, DistillConfig) else None, teacher, seed)


def _held_out(config: PretrainConfig, corpus: Corpus) -> list[dict[str, Tensor]]:
    """Give the fixed batches of every evaluation, the same on every rank; none without a validation corpus."""
    if config.validation is None:
        return []
    validation, training = open_corpus(config.validation), config.training
    if validation.vocabulary.sha256 != corpus.vocabulary.sha256:
        raise ConfigError(
            "training and validation corpus have different vocabularies",
            where="validation",
            fix="Build both with one tokenizer.",
        )
    num_rows = min(len(validation), training.evaluation_rows)
    if not num_rows:
        raise ConfigError(
            "the validation corpus is empty",
            value=config.validation,
            where="validation",
            fix="Give another, or leave it out.",
        )
    # An epoch leaves out an incomplete last batch: of the sizes that suit a CPU, take the one that leaves out least.
    size = min(range(min(num_rows, 16), min(num_rows, 32) + 1), key=lambda rows: (num_rows % rows, -rows))
    stream = Stream(validation, size, EVALUATION_SEED, masking=config.masking)
    return [stream.batch(draw, index) for draw in range(training.evaluation_draws) for index in range(num_rows // size)]
