"""LTP behind the Segmenter protocol: the embedded perceptron, a folder, or a model from the hub.

A neural model is handed to ``ltp_neural``. The released ``ltp`` package imports and downloads in ways that today's
huggingface_hub refuses, so the engine below it, ``ltp_extension``, is driven directly. A legacy folder holds
config.json (``{"nerual": false, "tasks": {"cws": FILE}}``, LTP's own spelling) and the model file that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wwmcorpus.errors import SegmenterError
from wwmcorpus.records import WordSpans
from wwmcorpus.resources import embedded_ltp_folder
from wwmcorpus.segment.base import Segmenter
from wwmcorpus.segment.spans import spans_of_texts

#: What a model of either kind is made of; never anything that can be run.
_HUB_FILES = ["config.json", "*.bin", "*.safetensors", "vocab.txt", "tokenizer*.json"]


class LtpPerceptronSegmenter:
    """Cuts text with LTP's averaged perceptron.

    Args:
        folder: A legacy folder.
        name: What to call it in the signature.
        num_threads: 1 runs in the calling thread; more lets the engine use its thread pool.
    """

    def __init__(self, folder: Path, name: str, num_threads: int = 1) -> None:
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
        self.signature = f"ltp-perceptron:{name}@{hashlib.sha256(model_bytes).hexdigest()[:8]}"

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give LTP's words as spans: what it drops or glues at whitespace is put right."""
        words = self._model.batch_predict(list(texts), parallelism=self._parallel)
        return spans_of_texts(texts, words)


def load_ltp(place: str | None, num_threads: int = 1) -> Segmenter:
    """Give the LTP segmenter of a place: None for the embedded model, a folder, or a hub id such as ``LTP/small``.

    Raises:
        SegmenterError: no model is found there, or it does not load.
    """
    if place is None:
        return LtpPerceptronSegmenter(embedded_ltp_folder(), "embedded", num_threads)
    folder = Path(place)
    if not folder.is_dir():
        folder = _download(place)
    if read_ltp_config(folder).get("nerual"):
        from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter

        return LtpNeuralSegmenter(folder, Path(place).name, num_threads)
    return LtpPerceptronSegmenter(folder, Path(place).name, num_threads)


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
