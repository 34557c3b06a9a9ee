"""The command line: arguments in, one job run, what it wrote and where out.

Every command is a thin shell over a function of ``jobs``. Errors are one message on standard error: exit status 2 for
bad usage or configuration, 1 for a failed job; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from wwmcorpus import __version__
from wwmcorpus.config import C, load_config
from wwmcorpus.errors import ConfigError, WwmcorpusError, choices

if TYPE_CHECKING:
    from wwmcorpus.corpus import Manifest
    from wwmcorpus.segment import SegmenterOptions
    from wwmcorpus.tasks.results import TaskResult, TaskStages
    from wwmcorpus.training.results import RunResult, TwoStageResult

app = typer.Typer(
    name="wwmcorpus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_out = Console(highlight=False, soft_wrap=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file with the job's configuration.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override one value: a.b=value. Repeatable.")]
PrintOption = Annotated[bool, typer.Option("--print-config", help="Print the resolved configuration as JSON and stop.")]
OutputOption = Annotated[str | None, typer.Option("--output", help="Folder to write.")]
TaskOption = Annotated[str | None, typer.Option("--task", help="Name of a task, or its TOML file.")]
WordsOption = Annotated[str | None, typer.Option("--words", help="Your own words: one `word [frequency]` per line.")]
ThreadsOption = Annotated[int, typer.Option("--threads", help="Threads of the segmenter, where it has several.", min=1)]
AcceptOption = Annotated[
    bool, typer.Option("--accept-teacher", help="Go on with a teacher whose head looks untrained.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="Of a neural model: auto, cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="Of a neural model: fp32, bf16, fp16 or int8.")]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> None:
    """Chinese whole-word-masking pretraining, from raw text to a small, strong BERT."""
    _debug.append(debug)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("wwmcorpus").setLevel(logging.WARNING if quiet else logging.INFO)


_debug: list[bool] = []


@app.command()
def version() -> None:
    """Print the version."""
    _out.print(__version__)


@app.command()
def quickstart(
    output: Annotated[str, typer.Option("--output", help="Folder to write.")] = "quickstart",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output of an earlier quickstart.")
    ] = False,
) -> None:
    """Go the whole road on the sample documents: no network, under three minutes on two cores."""
    from wwmcorpus.quickstart import run_quickstart

    run_quickstart(Path(output), _out, overwrite=overwrite)


@app.command()
def build(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, glob patterns, URLs, or hf:NAME for a hub data set.", show_default=False),
    ] = None,
    output: OutputOption = None,
    segmenter: Annotated[str | None, typer.Option(help="ltp, ltp:PLACE, jieba, rjieba or given.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="embedded, a folder, a vocab.txt, or a hub id.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Pieces per row.")] = None,
    pack: Annotated[str | None, typer.Option(help="document, line or stream.")] = None,
    dedup: Annotated[str | None, typer.Option(help="Folder that wwmcorpus dedup wrote for these inputs.")] = None,
    limit: Annotated[int | None, typer.Option(help="Read the first so many documents only.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; 0: everything in this one.")] = None,
    engine: Annotated[str | None, typer.Option(help="local, or ray for a cluster.")] = None,
    max_rejects: Annotated[int | None, typer.Option(help="Fail once more documents than this are rejected.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add the inputs to the corpus in the output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the output folder.")] = False,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Build a corpus: text to words, pieces, rows and Arrow shards. Run it again to go on after a stop."""
    from wwmcorpus import jobs
    from wwmcorpus.corpus import BuildConfig
    from wwmcorpus.progress import ByteBar

    settings = _settings(
        BuildConfig,
        config,
        sets,
        print_config,
        inputs=inputs or None,
        output=output,
        segmenter=segmenter,
        tokenizer=tokenizer,
        max_length=max_length,
        pack=pack,
        dedup=dedup,
        limit=limit,
        num_workers=workers,
        engine=engine,
        max_rejects=max_rejects,
        append=append or None,
        overwrite=overwrite or None,
    )
    with ByteBar(Console(stderr=True), "build") as bar:
        manifests = jobs.build(settings, bar)
    _report_corpora(settings.output, manifests)


@app.command()
def dedup(
    inputs: Annotated[
        list[str] | None, typer.Argument(help="The inputs of the build, in the same order.", show_default=False)
    ] = None,
    output: OutputOption = None,
    kind: Annotated[str | None, typer.Option(help="near, or exact.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Likeness from which a document is a near duplicate.")] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="Folder of an earlier dedup; its documents go first. Repeatable.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; 0: everything in this one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the output folder.")] = False,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Find duplicate documents; give the folder to wwmcorpus build --dedup, which leaves them out."""
    from wwmcorpus import jobs
    from wwmcorpus.progress import ByteBar
    from wwmcorpus.text.dedup import DedupConfig

    settings = _settings(
        DedupConfig,
        config,
        sets,
        print_config,
        inputs=inputs or None,
        output=output,
        kind=kind,
        threshold=threshold,
        against=against or None,
        num_workers=workers,
        overwrite=overwrite or None,
    )
    with ByteBar(Console(stderr=True), "dedup") as bar:
        found = jobs.dedup(settings, bar)
    counts = found.content.counts
    _out.print(f"{settings.output}: {found.num_duplicates:,} of {found.num_documents:,} documents are duplicates")
    _out.print(f"  {counts['exact_duplicates']:,} exact, {counts['near_duplicates']:,} near; list {found.sha256[:16]}")


@app.command()
def verify(
    folder: Annotated[str, typer.Argument(help="A corpus folder, with splits or without.")],
    full: Annotated[bool, typer.Option("--full", help="Read every byte and compare hashes and counts.")] = False,
) -> None:
    """Check that a corpus is whole: exit status 1 and the first fault where it is not."""
    from wwmcorpus import jobs
    from wwmcorpus.progress import ByteBar

    with ByteBar(Console(stderr=True), "verify") as bar:
        found = jobs.verify(folder, full, bar)
    for part in found:
        checked = "every byte read" if full else "sizes, ends, columns and counts"
        _out.print(f"{part.folder}: {part.num_rows} rows in {part.num_shards} shards are whole ({checked})")


@app.command()
def merge(
    corpora: Annotated[list[str], typer.Argument(help="Corpus folders, in the order of their rows.")],
    output: Annotated[str, typer.Option("--output", help="Folder to write.")],
    mixed_segmenters: Annotated[
        bool, typer.Option("--mixed-segmenters", help="Mix words of different segmenters.")
    ] = False,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Merge corpora that were made from the same input.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the output folder.")] = False,
) -> None:
    """Make one corpus of several of the same tokenizer, length, pairs and splits."""
    from wwmcorpus import jobs
    from wwmcorpus.corpus.merge import MergeConfig
    from wwmcorpus.progress import ByteBar

    settings = MergeConfig(
        corpora=tuple(corpora),
        output=output,
        mixed_segmenters=mixed_segmenters,
        allow_duplicates=allow_duplicates,
        overwrite=overwrite,
    )
    with ByteBar(Console(stderr=True), "merge") as bar:
        manifests = jobs.merge(settings, bar)
    _report_corpora(output, manifests)


@app.command("export-corpus")
def export_corpus(
    folder: Annotated[str, typer.Argument(help="A corpus folder, with splits or without.")],
    output: Annotated[str, typer.Option("--output", help="Folder to write; absent or empty.")],
    file_format: Annotated[
        str, typer.Option("--format", help="parquet for the hub, or text-ref for scripts made for transformers 4.")
    ] = "parquet",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="text-ref: where the corpus's inputs lie now. Repeatable.")
    ] = None,
    max_shard_bytes: Annotated[int | None, typer.Option(help="parquet: bytes of a file. By default 500 MB.")] = None,
) -> None:
    """Write a corpus as Parquet files with a card, or as text with chinese_ref lines."""
    from wwmcorpus import jobs
    from wwmcorpus.progress import ByteBar

    unfit = {"parquet": (inputs, "--input"), "text-ref": (max_shard_bytes, "--max-shard-bytes")}
    if file_format not in unfit:
        raise ConfigError("unknown format", value=file_format, where="--format", fix=choices(unfit))
    value, option = unfit[file_format]
    if value is not None:
        raise ConfigError(f"{file_format} takes no {option}", value=value, fix="Leave it out.")
    with ByteBar(Console(stderr=True), "export") as bar:
        if file_format == "parquet":
            lines = jobs.export_parquet(folder, output, max_shard_bytes or 500_000_000, bar).lines()
        else:
            lines = jobs.export_text_ref(folder, output, inputs, bar).lines()
    for line in lines:
        _out.print(f"{output}: {line}", markup=False)


@app.command()
def describe(
    folder: Annotated[str, typer.Argument(help="A corpus folder, with splits or without.")],
    html: Annotated[Path | None, typer.Option("--html", help="Write one page with charts to this file.")] = None,
) -> None:
    """Print the figures of a corpus: rows, words, pieces, where the time went, what was left out and why."""
    from wwmcorpus import jobs
    from wwmcorpus.report import print_report, write_page

    report = jobs.describe(folder)
    if html is None:
        print_report(report, _out)
    else:
        write_page(report, html)
        _out.print(f"{html}: the report of {folder}", markup=False)


@app.command()
def show(
    folder: Annotated[str, typer.Argument(help="A corpus folder; with splits, that of one.")],
    rows: Annotated[int | None, typer.Option(help="How many rows; 3, or the one of --row.", min=1)] = None,
    row: Annotated[int | None, typer.Option(help="Begin with this row, from 0.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="Of the masked draw.", min=0)] = 0,
    mask: Annotated[bool, typer.Option("--mask/--no-mask", help="Show a masked draw, and what it masks.")] = True,
    scheme: Annotated[str | None, typer.Option(help="whole_word, token, ngram, span, similar or permutation.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with a [masking] table.")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Of the masking: budget=exact. Repeatable.")] = None,
) -> None:
    """Print rows of a corpus: where they come from, their words, their pieces, one masked draw and its figures."""
    from wwmcorpus.corpus import open_corpus
    from wwmcorpus.masking.report import mask_report
    from wwmcorpus.masking.scheme import load_masking
    from wwmcorpus.show import print_rows

    number = rows or (3 if row is None else 1)
    masking = load_masking(config, scheme, sets or ()) if mask else None
    corpus = open_corpus(folder)
    print_rows(corpus, _out, row or 0, number, masking, seed)
    if masking is not None and len(corpus):
        for line in ("", *mask_report(corpus, masking, seed).lines()):
            _out.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def segment(
    inputs: Annotated[list[Path], typer.Argument(help="Text files, one text per line.")],
    segmenter: Annotated[str, typer.Option(help="ltp, ltp:PLACE, jieba, rjieba or given.")] = "ltp",
    separator: Annotated[str, typer.Option(help="What stands between words.")] = " ",
    words: WordsOption = None,
    threads: ThreadsOption = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
) -> None:
    """Print the words of each line, one line per line."""
    from wwmcorpus import jobs

    options = _segmenter_options(words=words, device=device, precision=precision)
    for line in jobs.segment_lines([str(path) for path in inputs], segmenter, separator, threads, options):
        sys.stdout.write(line + "\n")


@app.command("compare-segmenters")
def compare_segmenters(
    names: Annotated[list[str], typer.Argument(help="Segmenters, as for build.")],
    on: Annotated[str, typer.Option("--on", help="Text file, one text per line.")],
    gold: Annotated[str | None, typer.Option("--gold", help="Segmented text to score on.")] = None,
    seen: Annotated[str | None, typer.Option("--seen", help="Segmented text; gold words not in it are unseen.")] = None,
    words: WordsOption = None,
    threads: ThreadsOption = 1,
) -> None:
    """Compare segmenters: speed, word lengths, agreement, scores against gold words."""
    from wwmcorpus import jobs

    options = _segmenter_options(words=words)
    _out.print(jobs.compare_segmenters(names, on, gold, seen, threads, options).tables(), markup=False)


@app.command()
def ref(
    inputs: Annotated[list[str], typer.Argument(help="Text files, one row per line.")],
    output: Annotated[str, typer.Option("--output", help="File to write.")],
    segmenter: Annotated[str, typer.Option(help="As for build.")] = "ltp",
    tokenizer: Annotated[str, typer.Option(help="As for build.")] = "embedded",
    max_length: Annotated[int, typer.Option(help="Pieces per row, [CLS] and [SEP] counted.", min=3)] = 512,
    mode: Annotated[str, typer.Option(help="exact, or compat: as the published script matches words.")] = "exact",
    keep_blank: Annotated[bool, typer.Option("--keep-blank", help="Keep a row for a blank line.")] = False,
    words: WordsOption = None,
    threads: ThreadsOption = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
) -> None:
    """Write chinese_ref lines in the format of run_chinese_ref.py."""
    from wwmcorpus import jobs

    made = jobs.write_refs(
        inputs,
        output,
        segmenter,
        tokenizer,
        max_length,
        mode,  # type: ignore[arg-type]
        keep_blank,
        threads,
        _segmenter_options(words=words, device=device, precision=precision),
    )
    _out.print(f"{output}: {made.num_rows:,} rows, {mode}; exact and compat differ in {made.num_differing:,}")
    if made.num_unreadable:
        _out.print(f"unreadable lines, written as []: {made.num_unreadable:,}")
    for name, count in made.counts.items():
        _out.print(f"  {name:<22}{count:>14,}")


@app.command("build-vocab")
def build_vocab(
    inputs: Annotated[
        list[str] | None, typer.Argument(help="Text that the Latin pieces are learned from.", show_default=False)
    ] = None,
    output: OutputOption = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Build a Chinese WordPiece vocabulary: GB 2312, common Big5, learned Latin pieces."""
    from wwmcorpus import jobs
    from wwmcorpus.align.build_vocabulary import VocabularyConfig

    settings = _settings(VocabularyConfig, config, sets, print_config, inputs=inputs or None, output=output)
    built = jobs.build_vocabulary(settings)
    kinds = ", ".join(f"{count} {kind}" for kind, count in built.num_by_kind.items())
    _out.print(f"{built.folder}: {built.num_pieces} pieces ({kinds})")


@app.command("train-segmenter")
def train_segmenter(
    train: Annotated[list[Path], typer.Argument(help="Segmented text: one sentence per line, words between spaces.")],
    output: Annotated[str, typer.Option("--output", help="LTP legacy folder to write.")],
    evaluation: Annotated[list[Path] | None, typer.Option(help="Segmented text to score on. Repeatable.")] = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Train LTP's perceptron segmenter; load it with ltp:FOLDER, or with ltp.LTP(FOLDER)."""
    from wwmcorpus import jobs
    from wwmcorpus.segment.training import SegmenterTraining

    settings = _settings(SegmenterTraining, config, sets, print_config)
    made = jobs.train_segmenter(train=train, output=output, evaluation=evaluation or [], settings=settings)
    _out.print(f"{made.folder}: {made.num_features:,} features, {made.model_bytes:,} bytes, epoch {made.best_epoch}")
    for name, scores in made.scores.items():
        unseen = "" if scores.recall_of_unseen is None else f", recall of unseen words {scores.recall_of_unseen:.1%}"
        _out.print(f"{name}: P {scores.precision:.1%} R {scores.recall:.1%} F1 {scores.f1:.1%}{unseen}")


@app.command()
def pretrain(config: ConfigOption = None, sets: SetOption = None, print_config: PrintOption = False) -> None:
    """Pretrain a model by masked language modelling on a corpus, from scratch or continued."""
    from wwmcorpus import jobs
    from wwmcorpus.training import PretrainConfig

    _report(jobs.pretrain(_settings(PretrainConfig, config, sets, print_config), Console(stderr=True)))


@app.command()
def distill(
    config: ConfigOption = None,
    sets: SetOption = None,
    preset: Annotated[str | None, typer.Option(help="Published settings to begin with, such as minirbt_h256.")] = None,
    accept_teacher: AcceptOption = False,
    print_config: PrintOption = False,
) -> None:
    """Distil a student from a teacher on a corpus."""
    from wwmcorpus import jobs
    from wwmcorpus.training import DistillConfig

    flags = {"preset": preset, "accept_teacher": accept_teacher or None}
    settings = _settings(DistillConfig, config, sets, print_config, **flags)
    _report(jobs.distill(settings, Console(stderr=True)))


@app.command("two-stage")
def two_stage(
    config: ConfigOption = None,
    sets: SetOption = None,
    one_stage: Annotated[
        bool, typer.Option("--one-stage", help="Also distil the student straight from the teacher, to compare.")
    ] = False,
    accept_teacher: AcceptOption = False,
    print_config: PrintOption = False,
) -> None:
    """Distil an assistant from a teacher, then a student from the assistant. A finished stage is not run again."""
    from wwmcorpus import jobs
    from wwmcorpus.training import TwoStageConfig

    flags = {"accept_teacher": accept_teacher or None, "one_stage": one_stage or None}
    _report(jobs.two_stage(_settings(TwoStageConfig, config, sets, print_config, **flags), Console(stderr=True)))


@app.command()
def augment(
    task: Annotated[str | None, typer.Argument(help="A known task, or its TOML file.", show_default=False)] = None,
    path: Annotated[str | None, typer.Argument(help="File with labels to augment.", show_default=False)] = None,
    output: Annotated[str | None, typer.Option("--output", help="File to write.")] = None,
    model: Annotated[str | None, typer.Option(help="Masked language model that gives candidates.")] = None,
    vectors: Annotated[str | None, typer.Option(help="Word vectors, as text, that give candidates.")] = None,
    segmenter: Annotated[str | None, typer.Option(help="As for build.")] = None,
    variants: Annotated[int | None, typer.Option(help="Variants that are drawn of each example.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; 0: everything in this one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Make variants of labelled examples: whole words replaced, labels, answers and tags kept right."""
    from wwmcorpus import jobs
    from wwmcorpus.progress import CountBar
    from wwmcorpus.tasks.augment import AugmentConfig

    settings = _settings(
        AugmentConfig,
        config,
        sets,
        print_config,
        task=task,
        input=path,
        output=output,
        model=model,
        vectors=vectors,
        segmenter=segmenter,
        num_variants=variants,
        num_workers=workers,
        overwrite=overwrite or None,
    )
    with CountBar(Console(stderr=True), "augment") as bar:
        made = jobs.augment(settings, bar)
    for line in made.lines():
        _out.print(f"{made.path}: {line}", markup=False)


@app.command("train-vectors")
def train_vectors(
    corpus: Annotated[str | None, typer.Argument(help="A corpus folder, of one split.", show_default=False)] = None,
    output: Annotated[str | None, typer.Option("--output", help="File to write.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Learn word vectors from a corpus, for wwmcorpus augment."""
    from wwmcorpus import jobs
    from wwmcorpus.tasks.train_vectors import VectorTraining

    flags = {"corpus": corpus, "output": output, "overwrite": overwrite or None}
    made = jobs.train_vectors(_settings(VectorTraining, config, sets, print_config, **flags))
    for line in made.lines():
        _out.print(f"{made.path}: {line}", markup=False)


@app.command("model-info")
def model_info(
    models: Annotated[list[str], typer.Argument(help="Folders, hub ids, or students' names such as minirbt-h256.")],
    teacher: Annotated[str | None, typer.Option(help="A model that the others are compared with.")] = None,
    depth: Annotated[int, typer.Option(help="Depth of the counts by module; 0: none.", min=0)] = 2,
    latency: Annotated[bool, typer.Option("--latency", help="Also time the backbones, turn by turn.")] = False,
    batch_sizes: Annotated[
        list[int] | None, typer.Option("--batch-size", help="Rows that are timed. Repeatable.", min=1)
    ] = None,
    length: Annotated[int, typer.Option(help="Pieces of a row that is timed.", min=2)] = 128,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores by default.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the sizes of models, with and without embeddings, by module, beside a teacher; on request their speed."""
    from wwmcorpus import jobs
    from wwmcorpus.models.tables import print_table

    found = jobs.model_info(models, teacher, depth, latency, batch_sizes or (1, 32), length, threads)
    if as_json:
        _out.print_json(data=found.content())
        return
    print_table(_out, found.header(), found.rows())
    _out.print(found.note(), markup=False)
    for model in found.models if depth else ():
        for line in ("", model.name, *model.tree()):
            _out.print(line, markup=False)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="The folder of a finished run, or any Hugging Face folder.")],
    output: Annotated[str, typer.Option("--output", help="Folder to write; absent or empty.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Also write ONNX files, fp32 and int8.")] = False,
    int8_tolerance: Annotated[
        float, typer.Option(help="How far off int8 may be, as a share of the spread of the outputs.", min=0)
    ] = 0.05,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores by default.", min=1)] = None,
) -> None:
    """Write a model for others: safetensors, tokenizer, card; opened again and compared. On request ONNX."""
    from wwmcorpus import jobs

    for line in jobs.export(model, output, onnx, int8_tolerance, threads).lines():
        _out.print(line, markup=False)


@app.command()
def finetune(
    task: TaskOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Folder or hub id of the model.")] = None,
    output: OutputOption = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Fine-tune a model on a task. Run it again to go on after a stop."""
    from wwmcorpus import jobs
    from wwmcorpus.tasks import FinetuneConfig

    settings = _settings(FinetuneConfig, config, sets, print_config, task=task, model=model, output=output)
    _report(jobs.finetune(settings, Console(stderr=True)))


@app.command("distill-task")
def distill_task(
    task: TaskOption = None,
    teacher: Annotated[list[str] | None, typer.Option("--teacher", help="Fine-tuned model. Repeatable.")] = None,
    student: Annotated[str | None, typer.Option("--student", help="Folder or hub id of a general student.")] = None,
    output: OutputOption = None,
    stage: Annotated[str | None, typer.Option("--stage", help="intermediate, prediction or both.")] = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Distil a student on a task from fine-tuned teachers. Run it again to go on after a stop."""
    from wwmcorpus import jobs
    from wwmcorpus.tasks import DistillTaskConfig

    flags = {"task": task, "student": student, "output": output, "stage": stage, "teacher": teacher or None}
    settings = _settings(DistillTaskConfig, config, sets, print_config, **flags)
    _report(jobs.distill_task(settings, Console(stderr=True)))


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None, typer.Argument(help="Folders or hub ids, or NAME=FOLDER.", show_default=False)
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="Name or TOML file of a task. Repeatable.")] = None,
    teacher: Annotated[str | None, typer.Option("--teacher", help="Name of the model to compare with.")] = None,
    output: OutputOption = None,
    epochs: Annotated[list[float] | None, typer.Option("--epochs", help="Epochs to try. Repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", help="Seeds; 0, 1, 2. Repeatable.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; 0: everything in this one.")] = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    print_config: PrintOption = False,
) -> None:
    """Fine-tune models on tasks, with several epochs and seeds; compare scores, sizes, speed. Run again to go on."""
    from wwmcorpus import jobs
    from wwmcorpus.progress import CountBar
    from wwmcorpus.tasks.evaluate import EvaluateConfig

    settings = _settings(
        EvaluateConfig,
        config,
        sets,
        print_config,
        models=models or None,
        tasks=task or None,
        teacher=teacher,
        output=output,
        epochs=epochs or None,
        seeds=seed or None,
        num_workers=workers,
    )
    with CountBar(Console(stderr=True), "evaluate") as bar:
        made = jobs.evaluate(settings, bar)
    from wwmcorpus.tasks.evaluate.render import print_evaluation

    print_evaluation(made, _out)
    _out.print(f"{settings.output}: evaluation.json, evaluation.md, evaluation.html", markup=False)
    if made.failures:
        raise typer.Exit(1)


def _settings(section: type[C], path: Path | None, sets: list[str] | None, print_only: bool, /, **flags: Any) -> C:
    settings = load_config(section, path, sets or [], **flags)
    if print_only:
        _out.print_json(settings.model_dump_json())
        raise typer.Exit
    return settings


def _segmenter_options(**named: Any) -> SegmenterOptions:
    from wwmcorpus.segment import SegmenterOptions

    return SegmenterOptions(**named)


def _report_corpora(output: str, manifests: dict[str, Manifest]) -> None:
    for split, manifest in manifests.items():
        folder = Path(output) / split if len(manifests) > 1 else Path(output)
        _out.print(f"{folder}: {manifest.num_rows} rows, fingerprint {manifest.fingerprint[:16]}")
    _out.print(next(iter(manifests.values())).signature)


def _report(result: RunResult | TwoStageResult | TaskResult | TaskStages) -> None:
    _out.print(result.summary())


def main() -> None:
    """Run the command line."""
    try:
        app()
    except WwmcorpusError as error:
        if any(_debug):
            raise
        kind = "usage" if isinstance(error, ConfigError) else "error"
        sys.stderr.write(f"{kind}: {error}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
