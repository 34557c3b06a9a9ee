"""Neural LTP's words on a GPU: equal to those of the CPU, how far lower precisions agree, and how fast they come.

    python benchmarks/neural_words_gpu.py --text TEXT [--neural FOLDER] [--compiled]

Needs torch with CUDA and no network. Where no model is given, one of the size of LTP/small is made first.

- Words: sentences, and documents of many windows, in fp32 on the CPU and in every precision on the GPU. The exit status
  is 1 where the words of fp32 differ.
- Speed: the text in batches as large as a build's, by the wall's clock. ``bare backbone`` is the network alone in the
  same precision, on as many tokens in rows of one length that lie on the GPU already. ``without the network`` is what
  the CPU does: pieces, batches, words. A build hides it by giving several workers one GPU.
- Batches: how the rate changes with the number of pieces in a batch.

``--device cpu`` tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import machine, write_result
from neural_model import make_model
from neural_words import Precision, agreement_facts, equal_rows, head, num_bytes
from side_by_side import Lines, Work, in_turns
from words_and_pieces import batches_of, read_lines, split

from wwmcorpus import load_tokenizer
from wwmcorpus.segment.ltp_neural import LtpNeuralSegmenter

PACKAGES = ("wwmcorpus", "torch", "transformers", "tokenizers", "ltp-core", "ltp-extension", "numpy")
_PRECISIONS: dict[str, tuple[Precision, ...]] = {"cuda": ("fp32", "bf16", "fp16"), "cpu": ("fp32",)}
_BATCH_PIECES = (4096, 8192, 16384, 65536, 131072)
_DOCUMENT_LINES, _NUM_DOCUMENTS = 10, 5
_MODEL_STEPS = 300
Load = Callable[..., LtpNeuralSegmenter]


def main() -> int:
    """Measure, print tables, write results/neural_words_DEVICE.json; give the exit status."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--text", required=True, type=Path, help="UTF-8, one line per text")
    arguments.add_argument("--neural", type=Path, help="folder of a neural LTP model")
    arguments.add_argument("--max-bytes", type=int, default=800_000, help="of the text")
    arguments.add_argument("--seconds", type=float, default=4, help="of rounds for each comparison")
    arguments.add_argument("--reference-characters", type=int, default=40_000, help="that the CPU reads too")
    arguments.add_argument("--model-steps", type=int, default=_MODEL_STEPS, help="of a model that is made")
    arguments.add_argument("--device", choices=_PRECISIONS, default="cuda")
    arguments.add_argument("--compiled", action="store_true", help="also with torch.compile, which takes a minute")
    given = arguments.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("left out: neural words on a GPU: torch finds none")
        return 0
    begin = time.perf_counter()
    described = machine(PACKAGES) | {"device": _device_name(given.device), "cuda": torch.version.cuda}
    lines = Lines(f"{described['device']}, beside {described['cpu']}, {described['cores']} cores")
    text = read_lines(given.text, given.max_bytes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.neural or Path(scratch) / "small"
        if not (folder / "config.json").is_file():
            ids = load_tokenizer("embedded").get_vocab()
            pieces = sorted(ids, key=ids.__getitem__)
            make_model(folder, pieces, split(text[len(text) // 2 :]), given.model_steps, given.device)

        def load(num_threads: int = 1, **options: Any) -> LtpNeuralSegmenter:
            return LtpNeuralSegmenter(folder, "small", num_threads, **{"device": given.device, **options})

        words = compare_words(load, text, given.device, given.reference_characters)
        lines.head()
        measure_speed(lines, load, split(text), given)
        measure_batches(lines, load, split(text), given)
    seconds = round(time.perf_counter() - begin)
    result = {"machine": described, "seconds": seconds, "words": words, "lines": lines.lines}
    print(f"{write_result(f'neural_words_{given.device}', result)} after {seconds} seconds")
    return int(words["fp32"]["equal_texts"] != words["num_texts"])


def compare_words(load: Load, text: Sequence[str], device: str, num_characters: int) -> dict[str, Any]:
    """Compare words in every precision on the device with those of fp32 on the CPU."""
    documents = ["\n".join(text[i : i + _DOCUMENT_LINES]) for i in range(0, len(text), _DOCUMENT_LINES)]
    texts = [*head(split(text), num_characters), *documents[:_NUM_DOCUMENTS]]
    exact = load(os.cpu_count(), device="cpu").segment(texts)
    figures: dict[str, Any] = {"num_texts": len(texts), "bytes": num_bytes(texts)}
    print(f"words of {len(texts)} texts, {num_bytes(texts):,} bytes, beside fp32 on the CPU")
    for precision in _PRECISIONS[device]:
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        segmenter = load(precision=precision)
        found = segmenter.segment(texts)
        equal = sum(map(np.array_equal, exact, found))
        figures[precision] = {"equal_texts": equal, **agreement_facts(exact, found), "counts": dict(segmenter.counts)}
        if device == "cuda":
            figures[precision]["peak_device_bytes"] = torch.cuda.max_memory_allocated()
        print(f"  {precision}: {equal} texts equal, {figures[precision]['words']}", flush=True)
    return figures


def measure_speed(lines: Lines, load: Load, sentences: Sequence[str], given: argparse.Namespace) -> None:
    """Add each precision beside the bare backbone, and the work without the network."""
    batches = batches_of(sentences)
    variants: list[dict[str, Any]] = [{"precision": precision} for precision in _PRECISIONS[given.device]]
    if given.compiled and given.device == "cuda":
        variants.append({"precision": "bf16", "compiled": True})
    for options in variants:
        name = f"neural words, {options['precision']}{', compiled' * options.get('compiled', False)}"
        for num_threads in sorted({1, os.cpu_count() or 1}):
            segmenter = load(num_threads, **options)
            rows = [row.to(given.device) for batch in batches for row in equal_rows(segmenter, batch)]
            works = {
                "bare backbone": Work(lambda s=segmenter, r=rows: run_backbone(s, r)),
                name: Work(lambda s=segmenter: [s.segment(batch) for batch in batches]),
            }
            if num_threads == 1 and "compiled" not in options and options["precision"] == "fp32":
                idle = without_network(load(num_threads, **options))
                works["without the network"] = Work(lambda s=idle: [s.segment(batch) for batch in batches])
            times = in_turns(works, time.perf_counter, given.seconds)
            facts = {"text": f"{given.text.stem}, sentences", "threads": num_threads, "precision": options["precision"]}
            for peer in [other for other in works if other != name]:
                lines.add(name, peer, times, sum(map(num_bytes, batches)), **facts)


def measure_batches(lines: Lines, load: Load, sentences: Sequence[str], given: argparse.Namespace) -> None:
    """Add the rates of batches of many sizes beside the rate of the default."""
    batches, precision = batches_of(sentences), _PRECISIONS[given.device][-1]
    segmenters = {f"{size} pieces a batch": load(precision=precision, batch_pieces=size) for size in _BATCH_PIECES}
    default = "default batches"
    segmenters[default] = load(precision=precision)
    works = {name: Work(lambda s=one: [s.segment(batch) for batch in batches]) for name, one in segmenters.items()}
    times = in_turns(works, time.perf_counter, given.seconds)
    for name in list(works)[:-1]:
        facts = {"text": f"{given.text.stem}, sentences", "threads": 1, "precision": precision}
        lines.add(name, default, times, sum(map(num_bytes, batches)), **facts)


@torch.inference_mode()
def run_backbone(segmenter: LtpNeuralSegmenter, rows: Sequence[torch.Tensor]) -> None:
    """Run the network alone, in the segmenter's precision, and wait for the device."""
    device, mixed = segmenter._device, segmenter._mixed
    torch.set_num_threads(segmenter._num_threads)
    with torch.autocast(device.type, mixed, enabled=mixed is not None):
        for row in rows:
            segmenter._model.backbone(input_ids=row)
    if device.type == "cuda":
        torch.cuda.synchronize()


def without_network(segmenter: LtpNeuralSegmenter) -> LtpNeuralSegmenter:
    """Let every second piece begin a word, whatever the network would say."""

    def forward(ids: Sequence[np.ndarray]) -> np.ndarray:
        return np.tile(np.arange(max(map(len, ids))) % 2, (len(ids), 1))

    segmenter._forward = forward  # type: ignore[method-assign]
    return segmenter


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    sys.exit(main())
