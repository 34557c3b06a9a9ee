"""LTP behind the Segmenter protocol: the embedded perceptron, a folder, or a model from the hub.

A neural model is handed to ``ltp_neural``. The released ``ltp`` package imports and downloads in ways that today's
huggingface_hub refuses, so the engine below it, ``ltp_extension``, is driven directly. A legacy folder holds
config.json (``{"nerual": false, "tasks": {"cws": FILE}}``, LTP's own spelling) and the model file that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wwmcorpus.errors import SegmenterError
from wwmcorpus.records import WordSpans
from wwmcorpus.resources import embedded_ltp_folder
from wwmcorpus.segment.base import Segmenter
from wwmcorpus.segment.ltp_words import LtpWords
from wwmcorpus.segment.options import SegmenterOptions
from wwmcorpus.segment.spans import cuts_of_words, replace_lone_surrogates, spans_between, spans_of_texts
from wwmcorpus.text.line import SPACE, TextLine

#: What a model of either kind is made of; never anything that can be run.
_HUB_FILES = ["config.json", "*.bin", "*.safetensors", "vocab.txt", "tokenizer*.json"]


class LtpPerceptronSegmenter:
    """Cuts text with LTP's averaged perceptron. Halves of surrogate pairs are read as U+FFFD.

    Args:
        folder: A legacy folder.
        name: What to call it in the signature.
        num_threads: 1 runs in the calling thread; more lets the engine use its thread pool, which has a thread per
            core, or as many as RAYON_NUM_THREADS says when it is first used.
        words: The user's own words.

    Attributes:
        signature: Such as ``"ltp-perceptron:embedded@1a2b3c4d"``, with ``"+words:5e6f7a8b"`` where the user has some.
        counts: What happened since the segmenter was made: ``lone_surrogates``.

    Raises:
        SegmenterError: the folder holds no such model.
    """

    def __init__(self, folder: Path, name: str, num_threads: int = 1, words: LtpWords | None = None) -> None:
        from ltp_extension.perceptron import CWSModel

        model_file = _model_file(folder)
        model_bytes = model_file.read_bytes()
        try:
            _check_whole(model_bytes)
            self._model = CWSModel.load(str(model_file))
        except Exception as error:  # the Rust binding raises bare exceptions, with a backtrace after the first line
            problem = str(error).partition("\n")[0]
            raise SegmenterError(
                f"the LTP model does not load: {problem}",
                value=str(model_file),
                fix="Train it again, or take another folder.",
            ) from None
        self._parallel = num_threads > 1
        self._words = words or LtpWords()
        self.counts: Counter[str] = Counter(lone_surrogates=0)
        digest = hashlib.sha256(model_bytes).hexdigest()[:8]
        self.signature = f"ltp-perceptron:{name}@{digest}{self._words.signature}"

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give LTP's words as spans: what it drops or glues at whitespace is put right."""
        texts = list(texts)
        try:
            return spans_of_texts(texts, self._predict(texts))
        except UnicodeEncodeError:  # the engine reads UTF-8, which knows no halves of surrogate pairs
            texts = [self._readable(text) for text in texts]
            return spans_of_texts(texts, self._predict(texts))

    def segment_line(self, line: TextLine) -> WordSpans:
        """Give the words of many texts by their places on a line.

        Raises:
            AlignmentError: the words are not the text's.
        """
        words = self._predict(list(line.texts))
        inside = line.kinds != SPACE
        cuts = cuts_of_words(line.codes, inside, line.ends, words)
        return line.place(spans_of_texts(line.texts, words)) if cuts is None else spans_between(inside, cuts)

    def _predict(self, texts: list[str]) -> list[list[str]]:
        words: list[list[str]] = self._model.batch_predict(texts, parallelism=self._parallel)
        return [self._words.cut(found) for found in words] if self._words else words

    def _readable(self, text: str) -> str:
        readable, num_halves = replace_lone_surrogates(text)
        self.counts["lone_surrogates"] += num_halves
        return readable


def load_ltp(place: str | None, num_threads: int = 1, options: SegmenterOptions | None = None) -> Segmenter:
    """Give the LTP segmenter of a place: None for the embedded model, a folder, or a hub id such as ``LTP/small``.

    Raises:
        SegmenterError: no model is found there, or it does not load; or the file of the user's words cannot be read.
        ConfigError: the model cannot follow an option.
    """
    options = options or SegmenterOptions()
    if place is None:
        return _load_perceptron(embedded_ltp_folder(), "embedded", num_threads, options)
    folder = Path(place)
    if not folder.is_dir():
        folder = _download(place)
    if not read_ltp_config(folder).get("nerual"):
        return _load_perceptron(folder, Path(place).name, num_threads, options)
    from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter

    return LtpNeuralSegmenter(
        folder,
        Path(place).name,
        num_threads,
        words=LtpWords.of_file(options.words),
        device=options.device,
        precision=options.precision,
        compiled=options.compiled,
    )


def _load_perceptron(folder: Path, name: str, num_threads: int, options: SegmenterOptions) -> LtpPerceptronSegmenter:
    options.require(f"ltp-perceptron:{name}", follows=("words",))
    return LtpPerceptronSegmenter(folder, name, num_threads, LtpWords.of_file(options.words))


def read_ltp_config(folder: Path) -> dict[str, Any]:
    """Give what config.json of an LTP folder says.

    Raises:
        SegmenterError: there is none, or it is no JSON object.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("config.json is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise SegmenterError(
            f"not an LTP folder: {error}", value=str(folder), fix="It must hold config.json and a cws model."
        ) from None
    return config


def _model_file(folder: Path) -> Path:
    config_file = folder / "config.json"
    tasks = read_ltp_config(folder).get("tasks", {})
    if not isinstance(tasks, dict):
        raise SegmenterError(
            "not an LTP folder: tasks is no object", value=tasks, where=str(config_file), fix="Set tasks.cws."
        )
    name = tasks.get("cws")
    if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
        raise SegmenterError(
            "config.json names no cws model in its folder",
            value=name,
            where=str(config_file),
            fix="Set tasks.cws to the model's file name.",
        )
    return folder / name


def _check_whole(model: bytes) -> None:
    """Raise ValueError for a model that is cut short: LTP's engine would end the process over it.

    An Avro file closes with the sixteen bytes that close its header, where a zero ends the list of its metadata.
    """
    if b"\0" + model[-16:] not in model[:-16]:
        raise ValueError("it is cut short, or no model")


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:  # hub errors have many classes; each means that the model is not there for us
        raise SegmenterError(
            f"no LTP folder and no model on the hub ({type(error).__name__})",
            value=name,
            fix="Give a folder, a hub id such as LTP/small or LTP/legacy, or plain 'ltp'.",
        ) from error
