"""Neural LTP, words only, beside the bare backbone and beside LTP's own pipeline with the same weights.

``bare backbone`` is the network alone, in fp32, on as many tokens in rows of one length: no padding, no mask, no
tokenizer, no tags, no words. The length is what an average token of the texts sees. Its texts are as many as a build
hands to its segmenter at once: of fewer, fewer fill a batch. ``LTP's own pipeline`` gets texts in batches of 100
(``ltp_pipeline.py``, in its own interpreter), and its words are compared with ours. Lower precisions stand beside the
F1 of their words against those of fp32.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from side_by_side import Work, in_turns, times_as_fast

from wwmcorpus import load_segmenter
from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter
from wwmcorpus.segment.scores import agreement

OURS, BARE, PEER = "wwmcorpus, words, fp32", "bare backbone, fp32", "LTP's own pipeline, fp32"
PRECISIONS: tuple[Literal["fp32", "bf16", "int8"], ...] = ("fp32", "bf16", "int8")
_BATCH_PIECES = 4096


class Peer:
    """LTP's own pipeline in another process.

    Attributes:
        versions: Of its packages.
        words: What the last pass found.
    """

    def __init__(self, python: str, folder: Path, texts: Sequence[str], num_threads: int) -> None:
        script = Path(__file__).with_name("ltp_pipeline.py")
        self._process = subprocess.Popen([python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        task = {"folder": str(folder), "texts": list(texts), "batch_texts": 100, "threads": num_threads}
        self.versions: dict[str, str] = self._ask(task)["versions"]
        self.words: list[list[str]] = []
        self._clock = "seconds" if num_threads > 1 else "cpu_seconds"

    def run(self) -> float:
        """Go through the texts once and give its own seconds."""
        answer = self._ask({})
        self.words = answer["words"]
        return float(answer[self._clock])

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
            raise SystemExit("LTP's own pipeline ended; its message stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure_backbone(folder: Path, texts: Sequence[str], num_threads: int, rounds: int) -> dict[str, Any]:
    """Give our rate beside the bare backbone's, for one number of threads."""
    ours = LtpNeuralSegmenter(folder, folder.name, num_threads, device="cpu", batch_pieces=_BATCH_PIECES)
    rows = _equal_rows(ours, texts)
    works: dict[str, Work] = {
        BARE: lambda: _run_backbone(ours, rows, num_threads),
        OURS: lambda: ours.segment(texts),
    }
    times = in_turns(works, rounds, _clock(num_threads))
    return {**_rates(texts, times), "ratios": {"ours / bare backbone": times_as_fast(times, OURS, BARE)}}


def measure_peers(
    folder: Path, texts: Sequence[str], num_threads: int, rounds: int, ltp_python: str | None
) -> dict[str, Any]:
    """Give rates, ratios and agreements of precisions and of LTP's own pipeline, for one number of threads."""
    segmenters = {
        precision: LtpNeuralSegmenter(folder, folder.name, num_threads, device="cpu", precision=precision)
        for precision in PRECISIONS
    }
    works: dict[str, Work] = {
        f"wwmcorpus, words, {name}": lambda one=one: one.segment(texts) for name, one in segmenters.items()
    }
    peer = None if ltp_python is None else Peer(ltp_python, folder, texts, num_threads)
    if peer is not None:
        works[PEER] = peer.run
    times = in_turns(works, rounds, _clock(num_threads))
    found = {name: one.segment(texts) for name, one in segmenters.items()}
    perceptron = load_segmenter("ltp").segment(texts)
    figures: dict[str, Any] = _rates(texts, times)
    figures["ratios"] = {
        f"{name} / fp32": times_as_fast(times, f"wwmcorpus, words, {name}", OURS) for name in PRECISIONS[1:]
    }
    figures["agreement"] = {"F1 with the perceptron's words": round(agreement(perceptron, found["fp32"]), 5)}
    for name in PRECISIONS[1:]:
        figures["agreement"][f"F1 of {name} with fp32"] = round(agreement(found["fp32"], found[name]), 5)
    if peer is not None:
        figures["ratios"]["ours / LTP's own pipeline"] = times_as_fast(times, OURS, PEER)
        spelled = [[text[i:j] for i, j in spans.tolist()] for text, spans in zip(texts, found["fp32"], strict=True)]
        theirs = [[part for word in words for part in word.split()] for words in peer.words]
        figures["agreement"]["texts with LTP's own words"] = f"{sum(map(list.__eq__, spelled, theirs))}/{len(texts)}"
        figures["versions of LTP's own pipeline"] = peer.versions
        peer.close()
    return figures


def _clock(num_threads: int) -> Callable[[], float]:
    return time.perf_counter if num_threads > 1 else time.process_time


def _rates(texts: Sequence[str], times: Mapping[str, list[float]]) -> dict[str, Any]:
    num_bytes = sum(len(text.encode()) for text in texts)
    rates = {name: [round(num_bytes / 1e3 / run, 2) for run in runs] for name, runs in times.items()}
    return {name: {"kb_per_second": round(statistics.median(runs), 3), "runs": runs} for name, runs in rates.items()}


def _equal_rows(segmenter: LtpNeuralSegmenter, texts: Sequence[str]) -> list[torch.Tensor]:
    """Give the pieces of the texts in rows of one length, batched: as many tokens as the segmenter reads."""
    ids = [segmenter._pieces(text).ids for text in texts]
    lengths = np.array([len(of_text) + 2 for of_text in ids])
    width = round(float((lengths**2).sum() / lengths.sum()))
    num_rows = round(int(lengths.sum()) / width)
    tokens = np.resize(np.concatenate(ids), num_rows * width)
    return list(torch.from_numpy(tokens.reshape(num_rows, width)).split(max(1, _BATCH_PIECES // width)))


def _run_backbone(segmenter: LtpNeuralSegmenter, batches: Sequence[torch.Tensor], num_threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    with torch.inference_mode():
        for batch in batches:
            segmenter._model.backbone(input_ids=batch)
    torch.set_num_threads(before)
