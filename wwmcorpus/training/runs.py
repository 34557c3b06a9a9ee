"""A configuration in, a Hugging Face folder and figures out: one function per job."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from transformers import BertForMaskedLM

from wwmcorpus.corpus import open_corpus
from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.files import disk_errors, file_sha256
from wwmcorpus.masking import ReplacingMasking, WholeWordMasking, WordPredictingMasking
from wwmcorpus.stream import Stream
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.curves import draw_curves
from wwmcorpus.training.evaluate import evaluate, unigram_baseline
from wwmcorpus.training.export import model_card, staged_folder, write_model
from wwmcorpus.training.heads import load_masked_lm
from wwmcorpus.training.held_out import EVALUATION_SEED, Batches, HeldOut
from wwmcorpus.training.initialise import initialise
from wwmcorpus.training.objective import Objective, check_vocabulary
from wwmcorpus.training.pair_head import check_pairs, load_with_pair_head
from wwmcorpus.training.reporting import METRICS_FILE, Reporter
from wwmcorpus.training.results import (
    RunResult,
    TwoStageResult,
    check_free_or_run,
    find_run,
    run_identity,
    weights_sha256,
    write_run,
)
from wwmcorpus.training.settings import DistillConfig, PretrainConfig, TwoStageConfig
from wwmcorpus.training.students import build_student, freeze, set_output_bias, student_config, student_file
from wwmcorpus.training.teacher_cache import TeacherCache, model_sha256
from wwmcorpus.training.teacher_gate import check_knowledge, check_tokenizer
from wwmcorpus.training.trainer import Trainer, make_accelerator

if TYPE_CHECKING:
    from rich.console import Console

CURVES_FILE = "curves.png"
CHECKPOINT_FOLDER = "checkpoints"
#: Rows that a teacher is tried on where there is no validation corpus.
_NUM_PROBE_ROWS = 64

_log = logging.getLogger(__name__)


def run_pretrain(config: PretrainConfig, console: Console | None = None) -> RunResult:
    """Train a model by masked language modelling, from random weights or continued from a checkpoint.

    A run that its folder holds finished, with the same settings and inputs, is given back and not run again. One that
    was stopped goes on from its newest whole checkpoint, in the folder named ``*.partial``.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        ConfigError: student, corpus and settings do not fit together, or the output holds something else.
        CorpusError: a corpus cannot be opened or has fewer rows than a global batch, or the output cannot be written.
        TrainingError: the loss is no longer a number, or a checkpoint cannot be written.
        InterruptedJobError: SIGINT or SIGTERM came; a checkpoint was written.
    """
    return _run(config, console)


def run_distill(config: DistillConfig, console: Console | None = None) -> RunResult:
    """Distil a student from a teacher: pretraining with a teacher. Arguments and errors as for ``run_pretrain``.

    Raises:
        TrainingError: also where the teacher knows no more than piece frequencies and is not accepted as it is.
    """
    return _run(config, console)


def run_two_stage(config: TwoStageConfig, console: Console | None = None) -> TwoStageResult:
    """Distil an assistant from the teacher, then the student from the assistant, and on request from the teacher.

    A stage that was finished before is found and not run again. Errors as for ``run_distill``. With matplotlib the
    curves of all stages go into ``output/curves.png``.
    """
    stages = config.stages()
    for stage in stages.values():
        check_free_or_run(Path(stage.output))
    made = {name: run_distill(stage, console) for name, stage in stages.items()}
    if PartialState().is_main_process:
        _draw({name: run.output / METRICS_FILE for name, run in made.items()}, Path(config.output) / CURVES_FILE)
    return TwoStageResult(**made)


def _run(config: PretrainConfig, console: Console | None) -> RunResult:
    started, training, output = time.perf_counter(), config.training, Path(config.output)
    check_free_or_run(output)
    corpus = open_corpus(config.corpus)
    validation = None if config.validation is None else open_corpus(config.validation)
    identity = _identity(config, corpus, validation)
    finished = find_run(output, identity)
    if finished is not None:
        return finished
    held_out = _held_out(config, corpus, validation)
    teacher = _teacher(config, corpus)
    objective, first_weights = _objective(config, corpus, teacher)
    accelerator = make_accelerator(training, find_unused_parameters=not objective.needs_logits)
    rank, num_ranks, is_main = accelerator.process_index, accelerator.num_processes, accelerator.is_main_process
    options = config.stream.model_copy(update={"pin_memory": accelerator.device.type == "cuda"})
    stream = Stream(corpus, training.global_batch_size, training.seed, rank, num_ranks, config.masking, options)
    with (
        staged_folder(output, is_main) as folder,
        Reporter(
            output.name, training.steps, folder / METRICS_FILE, console, is_main, board=training.tensorboard
        ) as reporter,
        _cache(config, corpus, teacher) as cache,
    ):
        if teacher is not None:
            teacher.to(accelerator.device)
        evaluation = HeldOut(objective, held_out, training, reporter, teacher)
        trainer = Trainer(
            objective,
            stream,
            training,
            config.optimiser,
            teacher=teacher,
            accelerator=accelerator,
            reporter=reporter,
            evaluate=evaluation,
            checkpoints=Checkpoints(folder / CHECKPOINT_FOLDER, training.keep_checkpoints, identity),
            cache=cache,
        )
        resumed = trainer.resume()
        evaluation.compare_with(corpus, resumed)
        if isinstance(config, DistillConfig) and teacher is not None:
            _gate(config, corpus, teacher, evaluation)
        trainer.run()
        result = RunResult(
            output,
            training.steps,
            time.perf_counter() - started,
            baseline=evaluation.baseline,
            before=evaluation.first,
            after=evaluation.last,
            teacher=evaluation.teacher_figures,
        )
        if is_main:
            recipe = config.values() | {"first_weights": first_weights}
            card = model_card(output.name, corpus.signature, corpus.fingerprint, recipe, result.figures)
            with disk_errors(output):
                write_model(folder, objective.student, corpus.tokenizer_folder)
                (folder / "README.md").write_text(card, encoding="utf-8")
                _draw({output.name: folder / METRICS_FILE}, folder / CURVES_FILE)
                write_run(folder, identity, result.content())
    accelerator.wait_for_everyone()
    return result


def _identity(config: PretrainConfig, corpus: Corpus, validation: Corpus | None) -> dict[str, Any]:
    """Give what decides the run: its settings, and hashes of the corpora, models, shapes and words that it reads."""
    hashes = {"corpus": corpus.fingerprint, "validation": None if validation is None else validation.fingerprint}
    if isinstance(config, DistillConfig):
        hashes["teacher"] = weights_sha256(config.teacher)
    shape = None if config.student is None else student_file(config.student)
    if shape is not None and shape.is_file():
        hashes["student"] = file_sha256(shape)
    own = {
        "masking": config.masking.identity(),
        "stream": config.stream.decisive,
        "training": config.training.decisive,
    }
    if config.init is not None and config.init.weights != "teacher":  # who is known by a hash already
        hashes["init.weights"] = weights_sha256(config.init.weights)
        if hashes["init.weights"] is not None:
            own["init"] = config.init.model_dump(mode="json", exclude={"weights"})
    return run_identity(config.values() | own, hashes)


def _teacher(config: PretrainConfig, corpus: Corpus) -> BertForMaskedLM | None:
    """Load the teacher of a distillation and compare its pieces with the corpus's; None for pretraining."""
    if not isinstance(config, DistillConfig):
        return None
    teacher = load_masked_lm(config.teacher)
    check_vocabulary("teacher", teacher.config.vocab_size, corpus.vocabulary.num_pieces)
    check_tokenizer("teacher", config.teacher, corpus.vocabulary)
    return teacher


def _cache(
    config: PretrainConfig, corpus: Corpus, teacher: BertForMaskedLM | None
) -> AbstractContextManager[TeacherCache | None]:
    """Open the cache of the teacher's logits, closed after the run; None where there is none."""
    training = config.training
    if training.teacher_cache is None or teacher is None:
        return nullcontext()
    identity = {
        "teacher": model_sha256(teacher),
        "corpus": corpus.fingerprint,
        "masking": config.masking.identity(),
        "seed": training.seed,
        "precision": training.precision,
    }
    top_k = min(training.teacher_cache_top_k, corpus.vocabulary.num_pieces)
    return closing(TeacherCache(Path(training.teacher_cache), identity, top_k))


def _gate(config: DistillConfig, corpus: Corpus, teacher: BertForMaskedLM, evaluation: HeldOut) -> None:
    """Try the teacher on held-out rows, or without any on a few of the corpus."""
    figures, baseline = evaluation.teacher_figures, evaluation.baseline
    if figures is None or baseline is None:
        size = min(_NUM_PROBE_ROWS, len(corpus))
        rows = [Stream(corpus, size, EVALUATION_SEED, masking=_hiding(config.masking)).batch(0, 0)]
        figures = evaluate(teacher, rows, config.training.precision)
        baseline = unigram_baseline(corpus.piece_counts(), rows, corpus.vocabulary.frame_ids.tolist())
    check_knowledge(config.teacher, figures, baseline, config.accept_teacher)


def _objective(config: PretrainConfig, corpus: Corpus, teacher: BertForMaskedLM | None) -> tuple[Objective, str]:
    """Give the objective, and one line that says where the student's first weights come from."""
    vocabulary, seed, told = corpus.vocabulary, config.training.seed, "random"
    source = None if config.init is None else _source(config, corpus, teacher)
    if config.student is None and source is not None:
        shape = type(source.config)(**source.config.to_dict())
    else:
        assert config.student is not None
        shape = student_config(config.student, vocabulary.num_pieces, vocabulary.pad_id)
    if config.pair_weight:
        check_pairs(corpus.has_pairs, config.corpus)
    student, has_head = build_student(shape, seed, config.pair_weight > 0), False
    if config.init is not None and source is not None:
        copied = initialise(student, source, config.init)
        told, has_head = copied.summary(config.init.weights), copied.has_head
        _log.info("first weights: %s", told)
    if config.output_bias == "log_frequency" and not has_head:
        set_output_bias(student, corpus.piece_counts(), vocabulary.frame_ids.tolist())
    if config.freeze:
        _log.info("frozen: %s; %d numbers learn", ", ".join(config.freeze), freeze(student, config.freeze))
    losses = config.losses if isinstance(config, DistillConfig) else None
    return Objective(student, losses, teacher, seed, config.pair_weight), told


def _source(config: PretrainConfig, corpus: Corpus, teacher: BertForMaskedLM | None) -> BertForMaskedLM:
    """Give the model whose weights the student begins with."""
    assert config.init is not None
    if config.init.weights == "teacher":
        if teacher is None:
            raise ConfigError(
                "there is no teacher to begin with", where="init.weights", fix="Give a folder or hub id, or distil."
            )
        return teacher
    source = load_masked_lm(config.init.weights, "source of the first weights")
    check_vocabulary("source of the first weights", source.config.vocab_size, corpus.vocabulary.num_pieces)
    check_tokenizer("source of the first weights", config.init.weights, corpus.vocabulary)
    return load_with_pair_head(config.init.weights, source) if config.pair_weight else source


def _held_out(config: PretrainConfig, corpus: Corpus, validation: Corpus | None) -> Batches:
    """Give the fixed batches of every evaluation, the same on every rank; none without a validation corpus."""
    if validation is None:
        return []
    if validation.vocabulary.sha256 != corpus.vocabulary.sha256:
        raise ConfigError(
            f"training and validation corpus have different vocabularies, {corpus.vocabulary.sha256[:8]} and "
            f"{validation.vocabulary.sha256[:8]}",
            where="validation",
            fix="Build both with one tokenizer.",
        )
    num_rows = min(len(validation), config.training.evaluation_rows)
    if not num_rows:
        raise ConfigError(
            "the validation corpus is empty",
            value=config.validation,
            where="validation",
            fix="Give another, or leave it out.",
        )
    # An epoch leaves out an incomplete last batch: of the sizes that suit a CPU, take the one that leaves out least.
    size = min(range(min(num_rows, 16), min(num_rows, 32) + 1), key=lambda rows: (num_rows % rows, -rows))
    stream = Stream(validation, size, EVALUATION_SEED, masking=_hiding(config.masking))
    return [
        stream.batch(draw, index)
        for draw in range(config.training.evaluation_draws)
        for index in range(num_rows // size)
    ]


def _hiding(masking: WordPredictingMasking) -> WordPredictingMasking:
    """Give the masking of held-out rows: as the run begins; where that hides no piece, plain whole words."""
    fixed = masking.at(0)
    shows_all = isinstance(fixed, ReplacingMasking) and fixed.mask_share == fixed.random_share == 0
    return WholeWordMasking(probability=fixed.probability) if shows_all else fixed


def _draw(metrics: dict[str, Path], output: Path) -> None:
    try:
        with disk_errors(output):
            draw_curves(metrics, output)
    except MissingExtraError as error:
        _log.info("no picture of the curves: %s", error)
