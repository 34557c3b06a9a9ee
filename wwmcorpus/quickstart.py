"""The whole road on the sample documents: text in, a distilled student and its figures out, with no network.

It is a demonstration, not a recipe: the corpus is tiny and training lasts moments, but every part is the real one.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wwmcorpus import jobs
from wwmcorpus.align import Aligner, Vocabulary, load_tokenizer
from wwmcorpus.corpus import BuildConfig
from wwmcorpus.errors import CorpusError, MissingExtraError
from wwmcorpus.masking import WholeWordMasking
from wwmcorpus.records import Rows
from wwmcorpus.resources import sample_corpus_folder
from wwmcorpus.segment import load_segmenter
from wwmcorpus.show import masked_line, pieces_line, words_line
from wwmcorpus.text import SourceOptions
from wwmcorpus.training import (
    DistillLosses,
    Optimiser,
    PretrainConfig,
    Stage,
    StudentShape,
    Training,
    TwoStageConfig,
)
from wwmcorpus.training.curves import draw_curves
from wwmcorpus.training.evaluate import Figures
from wwmcorpus.training.reporting import METRICS_FILE
from wwmcorpus.training.results import RunResult
from wwmcorpus.training.runs import run_pretrain, run_two_stage

SENTENCE = "他花了10万块，在南京市长江大桥旁边租下一间卖T恤的小店。"
_MARK = ".wwmcorpus-quickstart"


def run_quickstart(output: Path, console: Console, overwrite: bool = False) -> None:
    """Build a corpus, show one sentence, train teacher, assistant and student, report and draw.

    Args:
        output: Folder to make.
        console: Where to tell of it.
        overwrite: Replace the folder of an earlier quickstart; a folder of anything else is never touched.

    Raises:
        CorpusError: the folder exists.
    """
    started = time.perf_counter()
    _make_room(output, overwrite)
    _section(console, 1, "Corpus: text -> words -> pieces -> rows -> Arrow shards")
    _build(output, console)
    _section(console, 2, "One sentence on its way")
    _show_sentence(console)
    _section(console, 3, "Training: a small teacher, its assistant, and minirbt-h256")
    results = _train(output, console)
    _section(console, 4, "Held-out text, masked whole words")
    console.print(_table(results))
    _draw(output, results, console)
    _say_where(output, console)
    console.print(f"\nDone in {time.perf_counter() - started:.0f} s.")


def teacher_config(output: Path) -> PretrainConfig:
    """Give the run that pretrains the small teacher."""
    train, validation = _splits(output)
    return PretrainConfig(
        corpus=train,
        validation=validation,
        output=str(output / "teacher"),
        student=StudentShape(layers=4, hidden=128, heads=4, intermediate=512),
        training=_training(steps=200),
        optimiser=Optimiser(learning_rate=3e-3),
    )


def two_stage_config(output: Path) -> TwoStageConfig:
    """Give the run that distils an assistant from the teacher and minirbt-h256 from the assistant."""
    train, validation = _splits(output)
    losses = DistillLosses(temperature=2.0, hard_weight=1.0)
    assistant = Stage(
        model=StudentShape(layers=2, hidden=128, heads=4, intermediate=512),
        training=_training(steps=120),
        optimiser=Optimiser(learning_rate=3e-3),
        losses=losses,
    )
    student = Stage(
        model="minirbt-h256", training=_training(steps=60), optimiser=Optimiser(learning_rate=2e-3), losses=losses
    )
    return TwoStageConfig(
        corpus=train,
        validation=validation,
        output=str(output),
        teacher=str(output / "teacher"),
        assistant=assistant,
        student=student,
    )


def _splits(output: Path) -> tuple[str, str]:
    return str(output / "corpus" / "train"), str(output / "corpus" / "validation")


def _training(steps: int) -> Training:
    """Give settings for a corpus this small: little text seen often enough needs no dropout in so few steps."""
    return Training(
        steps=steps, global_batch_size=16, dropout=0.0, evaluation_draws=4, evaluate_every=steps // 4, log_every=5
    )


def _make_room(output: Path, overwrite: bool) -> None:
    if output.exists() and any(output.iterdir()):
        if not overwrite or not (output / _MARK).exists():
            fix = "Choose another folder with --output" + (
                ", or add --overwrite." if (output / _MARK).exists() else "."
            )
            raise CorpusError("the output folder is not empty", value=str(output), fix=fix)
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / _MARK).touch()


def _build(output: Path, console: Console) -> None:
    manifests = jobs.build(
        BuildConfig(
            inputs=(str(sample_corpus_folder()),),
            output=str(output / "corpus"),
            max_length=128,
            validation_fraction=0.1,
            source=SourceOptions(document_break="blank_line"),
        )
    )
    counts = manifests["train"].content.counts
    console.print(", ".join(f"{counts[name]:,} {name}" for name in ("documents", "characters", "words", "pieces")))
    for split, manifest in manifests.items():
        console.print(f"{split:<11}{manifest.num_rows:>5} rows   fingerprint {manifest.fingerprint[:16]}")
    console.print(f"signature  {manifests['train'].signature}")


def _show_sentence(console: Console) -> None:
    tokenizer = load_tokenizer("embedded")
    vocabulary = Vocabulary.of(tokenizer)
    spans = load_segmenter("ltp").segment([SENTENCE])
    pieces = Aligner(tokenizer).align([SENTENCE], spans)[0]
    row = Rows(pieces.piece_ids, pieces.word_start, np.array([0, len(pieces.piece_ids)]), np.array([0]))
    console.print(f"text    {SENTENCE}", markup=False)
    console.print(f"words   {words_line(row, 0, vocabulary)}", markup=False)
    console.print(f"pieces  {pieces_line(row, 0, vocabulary)}", markup=False)
    console.print(f"masked  {masked_line(row, 0, vocabulary, WholeWordMasking())}", markup=False)
    console.print("A space separates pieces of one word, a bar words; [MASK]=x asks the model for x.")


def _train(output: Path, console: Console) -> dict[str, RunResult]:
    teacher = run_pretrain(teacher_config(output), console)
    stages = run_two_stage(two_stage_config(output), console)
    return {"teacher": teacher, "assistant": stages.assistant, "student": stages.student}


def _table(results: dict[str, RunResult]) -> Table:
    table = Table("", "steps", "seconds", "loss (nats)", "words right", box=SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    baseline = results["teacher"].baseline
    if baseline is not None:
        table.add_row("unigram baseline", "", "", f"{baseline.loss:.3f}", _percent(baseline))
    for name, result in results.items():
        if result.before is not None and result.after is not None:
            loss = f"{result.before.loss:.3f} -> {result.after.loss:.3f}"
            words = f"{_percent(result.before)} -> {_percent(result.after)}"
            table.add_row(name, str(result.steps), f"{result.seconds:.0f}", loss, words)
    return table


def _percent(figures: Figures) -> str:
    return "" if figures.word_accuracy is None else f"{figures.word_accuracy:.1%}"


def _draw(output: Path, results: dict[str, RunResult], console: Console) -> None:
    metrics = {name: result.output / METRICS_FILE for name, result in results.items()}
    try:
        draw_curves(metrics, output / "curves.png")
    except MissingExtraError as error:
        console.print(f"No picture of the curves: {error}")


def _say_where(output: Path, console: Console) -> None:
    notes = {
        "corpus": "datasets.load_from_disk opens it",
        "teacher": "the pretrained teacher",
        "assistant": "distilled from the teacher",
        "student": "minirbt-h256, distilled from the assistant: BertForMaskedLM.from_pretrained opens it",
        "curves.png": "training and held-out curves",
    }
    console.print()
    for name, note in notes.items():
        if (output / name).exists():
            console.print(f"{output / name!s:<28} {note}")


def _section(console: Console, number: int, title: str) -> None:
    console.print(f"\n{number}. {title}", style="bold")
