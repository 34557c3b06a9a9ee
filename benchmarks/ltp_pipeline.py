"""LTP's own neural pipeline, run by an interpreter that still can: questions on standard input, answers on output.

ltp 4.2.14 runs its neural models with transformers 4 and huggingface_hub 0.x only:

    python -m venv peer
    peer/bin/pip install ltp==4.2.14 transformers==4.46.3 huggingface_hub==0.29.3 requests

The first question is ``{"folder": PATH, "texts": [...], "batch_texts": 100, "threads": 1}``, a line of JSON; its answer
``{"versions": {...}}``. Each further line asks for one pass over the texts:
``{"seconds": 1.5, "cpu_seconds": 1.4, "words": [[...], ...]}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print goes to standard error
    task = json.loads(sys.stdin.readline())
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if task["threads"] > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = str(task["threads"])
    from importlib.metadata import version

    import torch
    from ltp import LTP

    torch.set_num_threads(task["threads"])
    ltp: Any = LTP(task["folder"])
    packages = ("ltp", "transformers", "tokenizers", "torch", "huggingface_hub")
    _answer(answers, {"versions": {package: version(package) for package in packages}})
    for _ in sys.stdin:
        begin, cpu_begin = time.perf_counter(), time.process_time()
        words = [of_text for batch in _batches(task) for of_text in ltp.pipeline(batch, tasks=["cws"]).cws]
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
        _answer(answers, {"seconds": seconds, "cpu_seconds": cpu_seconds, "words": words})


def _batches(task: dict[str, Any]) -> list[list[str]]:
    texts, size = task["texts"], task["batch_texts"]
    return [texts[i : i + size] for i in range(0, len(texts), size)]


def _answer(stream: Any, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
