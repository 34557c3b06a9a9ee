"""One function per job: a configuration in, a manifest or a checkpoint out.

The command line and the recipes in pipelines/ are thin shells over these functions. What a job needs is imported when
it runs, so that asking for help stays quick.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from wwmcorpus.align.build_vocabulary import BuiltVocabulary, VocabularyConfig
    from wwmcorpus.align.ref_files import RefReport
    from wwmcorpus.align.refs import Mode
    from wwmcorpus.corpus import BuildConfig, Manifest, Progress
    from wwmcorpus.corpus.export_parquet import ParquetExport
    from wwmcorpus.corpus.export_text import TextExport
    from wwmcorpus.corpus.merge import MergeConfig
    from wwmcorpus.corpus.verify import Verified
    from wwmcorpus.models.export import Exported
    from wwmcorpus.models.info import ModelComparison
    from wwmcorpus.report import Report
    from wwmcorpus.segment import SegmenterOptions
    from wwmcorpus.segment.compare import Comparison
    from wwmcorpus.segment.training import TrainedSegmenter
    from wwmcorpus.tasks import DistillTaskConfig, FinetuneConfig
    from wwmcorpus.tasks.augment import AugmentConfig
    from wwmcorpus.tasks.augment.job import Augmented
    from wwmcorpus.tasks.augment.job import Progress as CountProgress
    from wwmcorpus.tasks.evaluate.settings import EvaluateConfig
    from wwmcorpus.tasks.evaluate.summary import Evaluation
    from wwmcorpus.tasks.results import TaskResult, TaskStages
    from wwmcorpus.tasks.train_vectors import TrainedVectors, VectorTraining
    from wwmcorpus.text.dedup import DedupConfig, KeepList
    from wwmcorpus.training import DistillConfig, PretrainConfig, TwoStageConfig
    from wwmcorpus.training.results import RunResult, TwoStageResult


def build(config: BuildConfig, progress: Progress | None = None) -> dict[str, Manifest]:
    """Build a corpus from text and give the manifest of each split.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.corpus.build`` raises.
    """
    from wwmcorpus.corpus import build as run

    return run(config, progress)


def build_corpus(**options: Any) -> Manifest:
    """Build a corpus from text: ``build_corpus(inputs=["texts"], output="corpus", segmenter="ltp", max_length=512)``.

    Args:
        options: The fields of ``BuildConfig``; ``inputs`` and ``output`` are needed.

    Returns:
        The manifest; with ``validation_fraction``, that of the train split.

    Raises:
        ConfigError: an option is unknown or out of range.
        SourceError: an input cannot be found.
        CorpusError: the output folder is taken, or no document gave a row.
    """
    from wwmcorpus.corpus import BuildConfig

    return build(BuildConfig(**options))["train"]


def dedup(config: DedupConfig, progress: Progress | None = None) -> KeepList:
    """Find duplicate documents and write which of them a build leaves out, for ``dedup`` in its configuration.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.text.dedup.dedup`` raises.
    """
    from functools import partial

    from wwmcorpus.corpus.engines import map_over_workers
    from wwmcorpus.corpus.supervisor import Limits
    from wwmcorpus.text.dedup import dedup as run

    limits = Limits(config.num_workers, stuck_seconds=3600.0)
    return run(config, partial(map_over_workers, limits) if config.num_workers > 0 else None, progress)


def verify(folder: str, full: bool = False, progress: Progress | None = None) -> list[Verified]:
    """Check that a corpus, or each split of one, is whole; ``full`` reads every byte.

    Raises:
        CorpusError: the first fault.
    """
    from wwmcorpus.corpus.verify import corpus_bytes
    from wwmcorpus.corpus.verify import verify as run

    if progress is None:
        return run(folder, full)
    progress.start(corpus_bytes(folder))
    return run(folder, full, progress.advance)


def describe(folder: str) -> Report:
    """Give the figures of a corpus, or of all splits of one together.

    Raises:
        CorpusError: there is no corpus, or it is damaged.
    """
    from wwmcorpus.report import describe as run

    return run(folder)


def merge(config: MergeConfig, progress: Progress | None = None) -> dict[str, Manifest]:
    """Make one corpus of several, and give the manifest of each split.

    Raises:
        CorpusError: a corpus is absent or damaged, two do not fit together, or the output folder is taken.
    """
    from wwmcorpus.corpus.merge import merge as run
    from wwmcorpus.corpus.merge import merge_bytes

    if progress is None:
        return run(config)
    progress.start(merge_bytes(config.corpora))
    return run(config, progress.advance)


def export_parquet(
    folder: str, output: str, max_shard_bytes: int = 500_000_000, progress: Progress | None = None
) -> ParquetExport:
    """Write a corpus as Parquet files with a card, as the hub has them.

    Raises:
        CorpusError: the corpus is absent or damaged, or the output exists.
    """
    from wwmcorpus.corpus.export_parquet import export_parquet as run
    from wwmcorpus.corpus.verify import corpus_bytes

    if progress is None:
        return run(folder, output, max_shard_bytes)
    progress.start(2 * corpus_bytes(folder))
    return run(folder, output, max_shard_bytes, progress.advance)


def export_text_ref(
    folder: str, output: str, inputs: list[str] | None = None, progress: Progress | None = None
) -> TextExport:
    """Write the text and the ``chinese_ref`` of the rows of a corpus, for scripts made for transformers 4.

    Raises:
        CorpusError: the corpus is absent or damaged, an input is not what it was, or the output exists.
    """
    from wwmcorpus.corpus.export_text import export_text_ref as run
    from wwmcorpus.corpus.verify import corpus_bytes

    if progress is None:
        return run(folder, output, inputs)
    progress.start(2 * corpus_bytes(folder))
    return run(folder, output, inputs, progress.advance)


def build_vocabulary(config: VocabularyConfig) -> BuiltVocabulary:
    """Build a WordPiece vocabulary from national character sets and text.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.align.build_vocabulary`` raises.
    """
    from wwmcorpus.align.build_vocabulary import build_vocabulary as run

    return run(config)


def train_segmenter(**options: Any) -> TrainedSegmenter:
    """Train LTP's perceptron on segmented text; takes what ``wwmcorpus.segment.training.train_segmenter`` takes."""
    from wwmcorpus.segment.training import train_segmenter as run

    return run(**options)


def segment_lines(
    paths: list[str],
    segmenter: str = "ltp",
    separator: str = " ",
    num_threads: int = 1,
    options: SegmenterOptions | None = None,
) -> Iterator[str]:
    """Give each line of some text files with ``separator`` between its words; blank and unreadable lines stay, empty.

    Lines come in order while the files are read; no more than a batch of them is held.

    Raises:
        SourceError: a file cannot be found.
        SegmenterError: a model or the user's words cannot be loaded.
        ConfigError: the segmenter is unknown, or cannot follow an option.
    """
    from wwmcorpus.records import Rejection
    from wwmcorpus.segment import load_segmenter
    from wwmcorpus.segment.batches import batches_of_texts
    from wwmcorpus.text import find_sources, read_sources

    words = load_segmenter(segmenter, num_threads, options)
    items = read_sources(find_sources(paths))
    for batch in batches_of_texts("" if isinstance(item, Rejection) else item.text for item in items):
        for text, spans in zip(batch, words.segment(batch), strict=True):
            yield separator.join(text[start:end] for start, end in spans.tolist())


def compare_segmenters(
    names: list[str],
    on: str,
    gold: str | None = None,
    seen: str | None = None,
    num_threads: int = 1,
    options: SegmenterOptions | None = None,
) -> Comparison:
    """Run segmenters over one text; give speed, word lengths, agreement, and scores against gold words.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.segment.compare.compare_segmenters`` raises.
    """
    from wwmcorpus.segment.compare import compare_segmenters as run

    return run(names, on, gold, seen, num_threads, options)


def write_refs(
    inputs: list[str],
    output: str,
    segmenter: str = "ltp",
    tokenizer: str = "embedded",
    max_length: int = 512,
    mode: Mode = "exact",
    keep_blank: bool = False,
    num_threads: int = 1,
    options: SegmenterOptions | None = None,
) -> RefReport:
    """Write the ``chinese_ref`` of each line of some text files, in the format of the published script.

    Raises:
        SourceError: a file cannot be found.
        SegmenterError: a model or the user's words cannot be loaded.
        ConfigError: segmenter, tokenizer or mode is unknown, or the segmenter cannot follow an option.
    """
    from pathlib import Path

    from wwmcorpus.align import RefMaker, load_tokenizer
    from wwmcorpus.align.ref_files import write_refs as run
    from wwmcorpus.errors import ConfigError, choices
    from wwmcorpus.segment import load_segmenter
    from wwmcorpus.text import find_sources

    if mode not in ("exact", "compat"):
        raise ConfigError("unknown mode", value=mode, where="--mode", fix=choices(["exact", "compat"]))
    found = load_segmenter(segmenter, num_threads, options)
    maker = RefMaker(found, load_tokenizer(tokenizer), max_length)
    return run(find_sources(inputs), Path(output), maker, mode, keep_blank)


def pretrain(config: PretrainConfig, console: Console | None = None) -> RunResult:
    """Pretrain a model by masked language modelling on a corpus and write it as a Hugging Face folder.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        WwmcorpusError: the configuration does not fit the corpus, or training failed.
    """
    from wwmcorpus.training.runs import run_pretrain

    return run_pretrain(config, console)


def distill(config: DistillConfig, console: Console | None = None) -> RunResult:
    """Distil a student from a teacher on a corpus and write it as a Hugging Face folder.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        WwmcorpusError: teacher, student and corpus do not fit one another, or training failed.
    """
    from wwmcorpus.training.runs import run_distill

    return run_distill(config, console)


def two_stage(config: TwoStageConfig, console: Console | None = None) -> TwoStageResult:
    """Distil an assistant from a teacher, then a student from the assistant; give all results.

    A stage that was finished before is found and not run again; ``one_stage`` adds the control without an assistant.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        WwmcorpusError: teacher, models and corpus do not fit one another, or training failed.
    """
    from wwmcorpus.training.runs import run_two_stage

    return run_two_stage(config, console)


def finetune(config: FinetuneConfig, console: Console | None = None) -> TaskResult:
    """Fine-tune a model on a task and write it, with the weights that score best, as a Hugging Face folder.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        WwmcorpusError: model and task do not fit each other, or training failed.
    """
    from wwmcorpus.tasks.runs import run_finetune

    return run_finetune(config, console)


def distill_task(config: DistillTaskConfig, console: Console | None = None) -> TaskResult | TaskStages:
    """Distil a student on tasks from fine-tuned teachers, below the head, at the head, or one after the other.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        WwmcorpusError: teachers, student and tasks do not fit one another, or training failed.
    """
    from wwmcorpus.tasks.runs import run_distill_task

    return run_distill_task(config, console)


def augment(config: AugmentConfig, progress: CountProgress | None = None) -> Augmented:
    """Write the examples of a task's file and variants of them, in which words are replaced.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.tasks.augment.job.augment`` raises.
    """
    from wwmcorpus.tasks.augment.job import augment as run

    return run(config, progress)


def train_vectors(config: VectorTraining) -> TrainedVectors:
    """Learn word vectors from a corpus and write them in word2vec's text format.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.tasks.train_vectors.train_vectors`` raises.
    """
    from wwmcorpus.tasks.train_vectors import train_vectors as run

    return run(config)


def model_info(
    models: Sequence[str],
    teacher: str | None = None,
    depth: int = 2,
    latency: bool = False,
    batch_sizes: Sequence[int] = (1, 32),
    length: int = 128,
    num_threads: int | None = None,
) -> ModelComparison:
    """Count the weights of models by module, and on request time their backbones.

    ``num_threads`` is set for the whole process; all else is as in ``wwmcorpus.models.info.model_info``.

    Raises:
        ConfigError: a model cannot be loaded.
    """
    from wwmcorpus.models.info import model_info as run
    from wwmcorpus.models.latency import set_threads

    set_threads(num_threads)
    return run(models, teacher, depth, latency, batch_sizes, length)


def export(
    model: str, output: str, onnx: bool = False, int8_tolerance: float = 0.05, num_threads: int | None = None
) -> Exported:
    """Write a model as a folder for others, with ONNX files on request.

    ``num_threads`` is set for the whole process; all else is as in ``wwmcorpus.models.export.export_model``.

    Raises:
        WwmcorpusError: whatever ``export_model`` raises.
    """
    from wwmcorpus.models.export import export_model
    from wwmcorpus.models.latency import set_threads

    set_threads(num_threads)
    return export_model(model, output, onnx, int8_tolerance)


def evaluate(config: EvaluateConfig, progress: CountProgress | None = None) -> Evaluation:
    """Fine-tune models on tasks and write tables of their scores, sizes and speed.

    Raises:
        WwmcorpusError: whatever ``wwmcorpus.tasks.evaluate.job.evaluate`` raises.
    """
    from wwmcorpus.tasks.evaluate.job import evaluate as run

    return run(config, progress)
