"""Neural LTP, words only, on one CPU thread: beside the bare backbone, in lower precisions, beside LTP's own pipeline.

``bare backbone`` is the network alone, in fp32, on as many tokens in rows of one length: no padding, no mask, no
tokenizer, no tags, no words. The length is what an average token of the texts sees. ``LTP's own pipeline`` gets texts
in batches of 100 (``ltp_pipeline.py``, in its own interpreter), and its words are compared with ours. Lower precisions
stand beside the F1 of their words against those of fp32.
"""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from side_by_side import Lines, Work, in_turns

from wwmcorpus.records import WordSpans
from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter
from wwmcorpus.segment.scores import agreement

OURS, BARE, PEER = "neural words, fp32", "bare backbone, fp32", "LTP's own pipeline, fp32"
#: Characters of text for four minutes in all: a build hands over 65,536 at once, and of fewer, fewer fill a batch.
_BACKBONE_CHARACTERS, _PRECISION_CHARACTERS, _PEER_CHARACTERS = 20_000, {"int8": 4000, "bf16": 1500}, 3000
_WARM_UP_CHARACTERS = 500
Precision = Literal["fp32", "bf16", "fp16", "int8"]


class Peer:
    """LTP's own pipeline in another process.

    Attributes:
        versions: Of its packages.
        words: What the last pass found.
    """

    def __init__(self, python: str, folder: Path, texts: Sequence[str]) -> None:
        script = Path(__file__).with_name("ltp_pipeline.py")
        self._process = subprocess.Popen([python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        task = {"folder": str(folder), "texts": list(texts), "batch_texts": 100, "threads": 1}
        self.versions: dict[str, str] = self._ask(task)["versions"]
        self.words: list[list[str]] = []

    def run(self) -> float:
        """Go through the texts once and give its own seconds."""
        answer = self._ask({})
        self.words = answer["words"]
        return float(answer["cpu_seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError("it ended; its message stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure_backbone(lines: Lines, folder: Path, texts: Sequence[str], name: str, scale: float) -> None:
    """Add our rate beside the bare backbone's."""
    texts = head(texts, scale * _BACKBONE_CHARACTERS)
    ours = _load(folder, "fp32")
    rows = equal_rows(ours, texts)
    works = {
        BARE: Work(lambda: run_backbone(ours, rows)),
        OURS: Work(lambda: ours.segment(texts)),
    }

    def warm_up() -> None:
        run_backbone(ours, rows[:1])
        ours.segment(head(texts, _WARM_UP_CHARACTERS))

    times = in_turns(works, time.process_time, 0, warm_up=warm_up)
    lines.add(OURS, BARE, times, num_bytes(texts), text=name, threads=1, precision="fp32", **_model_facts(folder))


def measure_precisions(lines: Lines, folder: Path, texts: Sequence[str], name: str, scale: float) -> None:
    """Add lower precisions beside fp32: rate, and agreement of words."""
    exact = _load(folder, "fp32")
    for precision, num_characters in _PRECISION_CHARACTERS.items():
        some = head(texts, scale * num_characters)
        rough = _load(folder, "int8" if precision == "int8" else "bf16")
        found: dict[str, list[WordSpans]] = {}
        ours = f"neural words, {precision}"
        works = {
            OURS: _segmenting(exact, some, found, OURS),
            ours: _segmenting(rough, some, found, ours),
        }

        def warm_up(rough: LtpNeuralSegmenter = rough, few: Sequence[str] = head(some, _WARM_UP_CHARACTERS)) -> None:
            exact.segment(few)
            rough.segment(few)

        times = in_turns(works, time.process_time, 0, warm_up=warm_up)
        facts = {"text": name, "threads": 1, "precision": precision, **_model_facts(folder)}
        lines.add(ours, OURS, times, num_bytes(some), **facts, **agreement_facts(found[OURS], found[ours]))


def measure_peer(lines: Lines, folder: Path, texts: Sequence[str], name: str, scale: float, ltp_python: str) -> None:
    """Add our rate beside LTP's own pipeline, and say how many texts have its words."""
    texts = head(texts, scale * _PEER_CHARACTERS)
    ours = _load(folder, "fp32")
    found: dict[str, list[WordSpans]] = {}
    try:
        peer = Peer(ltp_python, folder, texts)
        times = in_turns({PEER: Work(peer.run), OURS: _segmenting(ours, texts, found, OURS)}, time.process_time, 0)
        peer.close()
    except OSError as error:
        lines.skip(PEER, str(error))
        return
    spelled = [[text[i:j] for i, j in spans.tolist()] for text, spans in zip(texts, found[OURS], strict=True)]
    theirs = [[part for word in words for part in word.split()] for words in peer.words]
    words = f"{sum(map(list.__eq__, spelled, theirs))} of {len(texts)} texts with its words"
    facts = {"text": name, "threads": 1, "precision": "fp32", **_model_facts(folder), "beside_versions": peer.versions}
    lines.add(OURS, PEER, times, num_bytes(texts), **facts, words=words)


def agreement_facts(exact: Sequence[WordSpans], rough: Sequence[WordSpans]) -> dict[str, Any]:
    """Give how far words agree, as a number and in words."""
    f1 = round(agreement(exact, rough), 5)
    return {"f1": f1, "words": f"F1 {f1} of {sum(map(len, exact))} words"}


def head(texts: Sequence[str], num_characters: float) -> list[str]:
    """Give the first texts that hold so many characters."""
    sizes = accumulate(map(len, texts))
    return [text for text, size in zip(texts, sizes, strict=True) if size <= num_characters]


def num_bytes(texts: Sequence[str]) -> int:
    """Give the UTF-8 of some texts."""
    return sum(len(text.encode()) for text in texts)


def equal_rows(segmenter: LtpNeuralSegmenter, texts: Sequence[str]) -> list[torch.Tensor]:
    """Give the pieces of the texts in rows of one length, batched: as many tokens as the segmenter reads."""
    ids = [pieces.ids for pieces in segmenter._pieces(texts)]
    lengths = np.array([len(of_text) + 2 for of_text in ids])
    width = round(float((lengths**2).sum() / lengths.sum()))
    num_rows = round(int(lengths.sum()) / width)
    tokens = np.resize(np.concatenate(ids), num_rows * width)
    return list(torch.from_numpy(tokens.reshape(num_rows, width)).split(max(1, segmenter._batch_pieces // width)))


@torch.inference_mode()
def run_backbone(segmenter: LtpNeuralSegmenter, batches: Sequence[torch.Tensor]) -> None:
    """Run the network alone, on one thread."""
    torch.set_num_threads(1)
    for batch in batches:
        segmenter._model.backbone(input_ids=batch)


def _load(folder: Path, precision: Precision) -> LtpNeuralSegmenter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will move its quantisation elsewhere, and says so
        return LtpNeuralSegmenter(folder, folder.name, 1, device="cpu", precision=precision)


def _segmenting(segmenter: LtpNeuralSegmenter, texts: Sequence[str], found: dict[str, Any], name: str) -> Work:
    return Work(lambda: found.__setitem__(name, segmenter.segment(texts)))


def _model_facts(folder: Path) -> dict[str, str]:
    """Say which model it is."""
    note = folder / "made.txt"
    return {"model": note.read_text("utf-8").strip() if note.is_file() else folder.name}
