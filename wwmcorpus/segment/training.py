"""Train LTP's perceptron segmenter: segmented text in, an LTP legacy folder out, scores beside it.

The folder holds ``config.json`` and ``cws_model.bin``; ``ltp.LTP(folder)`` and ``load_segmenter("ltp:FOLDER")`` open
it. The same lines and settings give the same bytes: lines are shuffled once with a seeded generator, LTP trains on one
thread and in that order, and the model is pruned and written by ``perceptron_file`` in sorted order.
LTP keeps every feature of every character as a string: training takes about 1.5 kB of memory per character.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError, SourceError, TrainingError
from wwmcorpus.segment.perceptron_file import Perceptron, read_perceptron, write_perceptron
from wwmcorpus.segment.scores import WordScores, score_words

MODEL_NAME = "cws_model.bin"
#: The misspelled key is LTP's.
FOLDER_CONFIG = {"nerual": False, "tasks": {"cws": MODEL_NAME}}

_EPOCH_LINE = re.compile(r"epoch: (\d+), .*f1: (\S+)")
_LOG = logging.getLogger(__name__)


class SegmenterTraining(Config):
    """How a perceptron segmenter is trained and how small its file becomes."""

    epochs: int = Field(default=10, ge=1, le=1000)
    """Passes over the training text. The best one by F1 on the evaluation text is kept."""

    seed: int = Field(default=0, ge=0)
    """Decides the order of the lines, and which ones a fractional weight or ``held_out`` takes."""

    margin: float | None = Field(default=None, gt=0)
    """Largest step of the passive-aggressive algorithm (PA-I); None: the averaged perceptron."""

    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training lines that chooses the best epoch where no evaluation text is given; not trained on."""

    threshold: float = Field(default=0.5, ge=0)
    """A feature is dropped where the absolute values of its four weights sum to less. 0 drops only unused ones."""

    step: float = Field(default=0.125, ge=0, le=1)
    """Weights are rounded to multiples of it; 0: not rounded. A power of two keeps the file three times smaller."""

    max_features: int | None = Field(default=None, ge=1)
    """Most features that are kept, the heaviest first; None: no limit. A feature takes about 6 bytes of the file."""


@dataclass(frozen=True, slots=True)
class TrainingText:
    """One file of segmented text and how much of it is used.

    Attributes:
        path: UTF-8, one sentence per line, words separated by spaces.
        weight: How often each sentence is used: 2.5 is twice, and a seeded half of them a third time. Above 0.
    """

    path: Path
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError(
                "a weight is not above 0",
                value=self.weight,
                where=str(self.path),
                fix="Leave the file out, or give 0.5, 1, 2...",
            )


@dataclass(frozen=True, slots=True)
class TrainedSegmenter:
    """What a training run wrote, and how good it is.

    Attributes:
        folder: The LTP legacy folder.
        sha256: Of the model file, in hex.
        model_bytes: Size of the model file.
        num_features: Features that the model kept.
        num_sentences: Lines that were trained on, repetitions included.
        best_epoch: The epoch that was kept, from 1.
        epoch_f1: F1 on the evaluation text after each epoch, 0 to 1, before pruning.
        scores: For each evaluation file, the scores of the model that was written. Unseen words are those that no
            training file holds.
    """

    folder: Path
    sha256: str
    model_bytes: int
    num_features: int
    num_sentences: int
    best_epoch: int
    epoch_f1: tuple[float, ...]
    scores: Mapping[str, WordScores]


def train_segmenter(
    train: Sequence[str | Path | TrainingText],
    output: str | Path,
    evaluation: Sequence[str | Path] = (),
    settings: SegmenterTraining | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedSegmenter:
    """Train a segmenter and write it as an LTP legacy folder.

    Args:
        train: Files of segmented text; a path alone has weight 1.
        output: The folder to make; it may exist, but must not hold a model yet.
        evaluation: Files of segmented text that choose the best epoch (together) and are scored (each). Without
            any, a seeded share of the training lines is held out for the choice.
        settings: None: the defaults.
        progress: Called after each epoch with its number from 1 and its F1, 0 to 1.

    Raises:
        ConfigError: the folder holds a model already, or no files were given.
        SourceError: a file is absent, not UTF-8, or holds no words.
        TrainingError: LTP's trainer failed.
    """
    settings = settings or SegmenterTraining()
    texts = [text if isinstance(text, TrainingText) else TrainingText(Path(text)) for text in train]
    folder = Path(output)
    if not texts:
        raise ConfigError("no training text", where="train", fix="Give one file of segmented text or more.")
    if (folder / MODEL_NAME).exists():
        raise ConfigError(
            "the folder holds a model already",
            value=str(folder),
            where="output",
            fix="Choose another folder, or remove it.",
        )
    rng = random.Random(settings.seed)
    sentences = [sentence for text in texts for sentence in _weighted(read_segmented(text.path), text.weight, rng)]
    judges = {str(path): read_segmented(path) for path in evaluation}
    rng.shuffle(sentences)
    choosing = [sentence for judge in judges.values() for sentence in judge]
    if not choosing:
        sentences, choosing = _hold_out(sentences, settings.held_out)
    with tempfile.TemporaryDirectory() as scratch:
        raw, epoch_f1 = _run_trainer(sentences, choosing, Path(scratch), settings, progress)
    model = raw.pruned(threshold=settings.threshold, step=settings.step, max_features=settings.max_features)
    written = write_legacy_folder(model, folder)
    vocabulary = {word for sentence in sentences for word in sentence}
    return TrainedSegmenter(
        folder=folder,
        sha256=sha256(written.read_bytes()).hexdigest(),
        model_bytes=written.stat().st_size,
        num_features=len(model.features),
        num_sentences=len(sentences),
        best_epoch=epoch_f1.index(max(epoch_f1)) + 1,
        epoch_f1=epoch_f1,
        scores={name: score_model(written, judge, vocabulary) for name, judge in judges.items()},
    )


def read_segmented(path: str | Path) -> list[list[str]]:
    """Give the words of each line; lines without words are left out, any whitespace separates words, a BOM is no word.

    A file with the lines ``他 叫  汤姆`` and ``去 拿`` -> ``[["他", "叫", "汤姆"], ["去", "拿"]]``

    Raises:
        SourceError: the file is absent, not UTF-8, or holds no words.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(
            f"cannot read segmented text ({error.strerror})", value=str(path), fix="Check the path."
        ) from None
    except UnicodeDecodeError as error:
        raise SourceError(
            "not UTF-8", value=str(path), where=f"byte {error.start}", fix="Convert the file to UTF-8."
        ) from None
    sentences = [words for line in text.split("\n") if (words := line.split())]
    if not sentences:
        raise SourceError("no words in the file", value=str(path), fix="Give text with words separated by spaces.")
    return sentences


def write_legacy_folder(model: Perceptron, folder: str | Path) -> Path:
    """Write ``cws_model.bin`` and, last, ``config.json``, each whole or not at all; give the path of the model."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / MODEL_NAME
    with _renamed_when_done(written) as part:
        write_perceptron(model, part)
    with _renamed_when_done(folder / "config.json") as part:
        part.write_text(json.dumps(FOLDER_CONFIG) + "\n", encoding="utf-8")
    return written


def score_model(model: str | Path, gold: Sequence[Sequence[str]], vocabulary: set[str] | None = None) -> WordScores:
    """Score a model file on gold sentences, whose words it sees without the spaces between them."""
    from ltp_extension.perceptron import CWSModel

    segmenter = CWSModel.load(str(model))
    return score_words(gold, (segmenter.predict("".join(words)) for words in gold), vocabulary)


def _weighted(sentences: list[list[str]], weight: float, rng: random.Random) -> list[list[str]]:
    whole, rest = int(weight), weight - int(weight)
    chosen = rng.sample(range(len(sentences)), round(rest * len(sentences)))
    return sentences * whole + [sentences[index] for index in sorted(chosen)]


def _hold_out(sentences: list[list[str]], share: float) -> tuple[list[list[str]], list[list[str]]]:
    """Split shuffled sentences: those to train on, those that choose the epoch. Copies of a sentence stay together."""
    distinct = list(dict.fromkeys(" ".join(words) for words in sentences))
    if len(distinct) < 2:
        raise SourceError(
            "too little training text to hold out a part of it",
            value=len(distinct),
            where="distinct sentences",
            fix="Give evaluation text.",
        )
    held = set(distinct[: max(1, min(len(distinct) - 1, round(share * len(distinct))))])
    kept = [words for words in sentences if " ".join(words) not in held]
    return kept, [line.split(" ") for line in distinct if line in held]


def _run_trainer(
    sentences: list[list[str]],
    choosing: list[list[str]],
    scratch: Path,
    settings: SegmenterTraining,
    progress: Callable[[int, float], None] | None,
) -> tuple[Perceptron, tuple[float, ...]]:
    """Train in a child process; give the unpruned model of the best epoch, and the F1 of each epoch."""
    paths = {name: scratch / name for name in ("train", "evaluation", "model")}
    for name, lines in (("train", sentences), ("evaluation", choosing)):
        paths[name].write_text("".join(" ".join(words) + "\n" for words in lines), encoding="utf-8", newline="\n")
    task = {name: str(path) for name, path in paths.items()} | {"epochs": settings.epochs, "margin": settings.margin}
    script = Path(__file__).with_name("trainer_process.py")
    # -P keeps the script's folder off the import path: its neighbours are called ltp.py and jieba.py.
    command = [sys.executable, "-P", str(script)]
    one_thread = os.environ | {"RAYON_NUM_THREADS": "1"}
    epoch_f1 = []
    with (
        (scratch / "errors").open("w+b") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=one_thread
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(task).encode())
            child.stdin.close()
            for line in child.stdout:
                if found := _EPOCH_LINE.search(line.decode()):
                    epoch, f1 = int(found[1]) + 1, float(found[2])
                    epoch_f1.append(f1)
                    _LOG.info("segmenter epoch %d of %d: F1 %.4f", epoch, settings.epochs, f1)
                    if progress is not None:
                        progress(epoch, f1)
            status = child.wait()
        except BaseException:
            child.kill()
            raise
        errors.seek(0)
        complaint = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    # Where not one word of the evaluation text is found, LTP's F1 is not a number and it saves a model without weights.
    best = max(epoch_f1, default=0.0)
    if status or not best > 0:
        what = "LTP's trainer failed" if status else "no word of the evaluation text was found"
        raise TrainingError(
            what,
            value=complaint or None,
            where=f"{len(sentences)} sentences",
            fix="Check that words are separated by spaces, in both texts.",
        )
    return read_perceptron(paths["model"]), tuple(epoch_f1)


@contextmanager
def _renamed_when_done(path: Path) -> Iterator[Path]:
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
