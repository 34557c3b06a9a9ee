"""Speed and memory of whole builds, raw text to committed shards, beside the segmenter alone and the published script.

    OMP_NUM_THREADS=1 python benchmarks/build.py --text TEXT... [--segmenters ltp rjieba] [--megabytes 12]
    python benchmarks/build.py --text TEXT... --memory 10 100 1000

What is timed: ``build`` of the texts, one segmenter thread in each worker, less ``build`` of their first lines, so that
starting workers and loading models is apart; input hashing, syncs and the commit are in. One worker does the input as
one task, as it would by default; two workers are compared with one on the same halves. Two inputs: the lines of the
texts as they are, a document each; and documents of about 1.2 KB, recombined from their sentences. The segmenter alone
gets the same sentences in memory, in batches of the same size. The published script's algorithm is our own rewrite of
what run_chinese_ref.py does (words of 100 lines, tokens of 100 lines, the set of words matched again), with the same
segmenter, on a tenth of the input; it makes positions only, and no rows. Bytes are UTF-8, in millions a second. Every
ratio is the median over rounds in which both sides were measured one after the other.

Memory: the largest resident size of the worker that builds distinct documents of about 1.2 KB with rjieba.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine, write_result

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from dedup import write_recombined
from words_and_pieces import published_refs

from wwmcorpus import load_segmenter, load_tokenizer
from wwmcorpus.corpus import BuildConfig, build
from wwmcorpus.corpus.documents import BATCH_CHARS
from wwmcorpus.text import sentence_spans

PACKAGES = ("wwmcorpus", "tokenizers", "ltp-extension", "rjieba", "jieba", "pyarrow", "numpy")


def main() -> None:
    """Measure, print a table, write results/build.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", required=True, type=Path)
    arguments.add_argument("--segmenters", nargs="+", default=["ltp", "rjieba"])
    arguments.add_argument("--megabytes", type=int, default=12)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--memory", type=int, nargs="+", help="megabytes of documents")
    arguments.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        print(worker_memory(*given.run))
    elif given.memory:
        rows = memory(given.text, given.memory)
        print(write_result("build_memory", {"machine": machine(PACKAGES), "segmenter": "rjieba", "runs": rows}))
    else:
        with tempfile.TemporaryDirectory() as folder:
            inputs = speed(given, Path(folder))
        print(write_result("build", {"machine": machine(PACKAGES), "inputs": inputs}))


def speed(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Measure every segmenter on both inputs; print a table for each."""
    num_bytes = given.megabytes * 10**6
    lines, documents = folder / "lines.txt", folder / "documents.txt"
    copy_text(given.text, lines, num_bytes)
    write_recombined(documents, given.text, num_bytes)
    inputs = []
    for text in (lines, documents):
        size = text.stat().st_size
        rows = {name: measure(name, text, size, given.repeats) for name in given.segmenters}
        inputs.append({"input": text.stem, "bytes": size, "segmenters": rows})
        for name, row in rows.items():
            print(f"{name}, {text.stem}")
            for key, value in row.items():
                print(f"  {key:<44}{value:>9.2f}")
    return inputs


def memory(paths: list[Path], sizes: list[int]) -> list[dict[str, Any]]:
    """Measure the worker at each size, each build in a process of its own."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "documents.txt"
        for size in sizes:
            num_documents = write_recombined(source, paths, size * 10**6)
            command = [sys.executable, __file__, "--text", str(source), "--run", str(source), f"{folder}/{size}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            runs.append({"mb": size, "documents": num_documents, "worker_peak_mib": float(done.stdout.split()[-1])})
            print(runs[-1])
    return runs


def worker_memory(source: str, output: str) -> float:
    """Build with one worker; give the largest resident size of the processes that this one had, in MiB."""
    build(BuildConfig(inputs=(source,), output=output, segmenter="rjieba"))
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)


def copy_text(paths: list[Path], target: Path, enough: int) -> None:
    """Write the lines of some texts to one file until there are enough bytes."""
    with target.open("wb") as file:
        for path in paths:
            for line in path.read_bytes().split(b"\n"):
                if line.strip():
                    file.write(line + b"\n")
                if file.tell() >= enough:
                    return


def measure(name: str, text: Path, num_bytes: int, repeats: int) -> dict[str, Any]:
    """Give the figures of one segmenter: medians over ``repeats`` rounds, each with all of it in turn."""
    lines = text.read_text("utf-8").split("\n")
    few = text.with_name("few.txt")
    few.write_text("\n".join(lines[:20]) + "\n", "utf-8")
    rounds = [one_round(name, text, few, lines, num_bytes) for _ in range(repeats)]
    found = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    for ours, theirs in (
        ("build, 1 worker", "segmenter alone"),
        ("halves, 2 workers", "halves, 1 worker"),
        ("build, 1 worker", "published algorithm"),
    ):
        found[f"{ours} / {theirs}"] = statistics.median(each[ours] / each[theirs] for each in rounds)
    return {name: round(value, 3) for name, value in found.items()}


def one_round(name: str, text: Path, few: Path, lines: list[str], num_bytes: int) -> dict[str, float]:
    """Give MB/s of each, measured one after the other."""
    speeds = {"segmenter alone": num_bytes / segmenter_seconds(name, lines) / 1e6}
    half = num_bytes // 2 + 1
    for label, workers, task_bytes in (
        ("build, 1 worker", 1, num_bytes),
        ("halves, 1 worker", 1, half),
        ("halves, 2 workers", 2, half),
    ):
        start_up = build_seconds(name, few, workers, few.stat().st_size // workers + 1)
        speeds[label] = num_bytes / (build_seconds(name, text, workers, task_bytes) - start_up) / 1e6
        speeds[f"start-up of {label}, seconds"] = start_up
    share = lines[: len(lines) // 10]
    speeds["published algorithm"] = sum(len(line.encode()) for line in share) / published_seconds(name, share) / 1e6
    return speeds


def segmenter_seconds(name: str, lines: list[str]) -> float:
    """Time the segmenter's own engine on the sentences of the lines, without our spans where it can be had."""
    segmenter = load_segmenter(name)
    engine = getattr(segmenter, "_model", None)
    batches: list[list[str]] = [[]]
    size = 0
    for line in lines:
        batches[-1].extend(line[start:end] for start, end in sentence_spans(line))
        size += len(line)
        if size >= BATCH_CHARS:
            batches.append([])
            size = 0
    work = engine.batch_predict if hasattr(engine, "batch_predict") else segmenter.segment
    options = {"parallelism": False} if hasattr(engine, "batch_predict") else {}
    work(batches[0], **options)
    begin = time.perf_counter()
    for batch in batches:
        work(batch, **options)
    return time.perf_counter() - begin


def build_seconds(name: str, text: Path, workers: int, task_bytes: int) -> float:
    """Time a build."""
    with tempfile.TemporaryDirectory(dir=text.parent) as output:
        begin = time.perf_counter()
        build(
            BuildConfig(
                inputs=(str(text),),
                output=f"{output}/corpus",
                segmenter=name,
                num_workers=workers,
                task_bytes=task_bytes,
            )
        )
        return time.perf_counter() - begin


def published_seconds(name: str, lines: list[str]) -> float:
    """Time the published way, 100 lines at once."""
    segmenter, tokenizer = load_segmenter(name), load_tokenizer("embedded")

    class Words:
        """The segmenter as LTP's engine is called."""

        def batch_predict(self, texts: list[str], parallelism: bool) -> list[list[str]]:
            spans = segmenter.segment(texts)
            return [[text[a:b] for a, b in found.tolist()] for text, found in zip(texts, spans, strict=True)]

    words = getattr(segmenter, "_model", None)
    words = words if hasattr(words, "batch_predict") else Words()
    begin = time.perf_counter()
    for start in range(0, len(lines), 100):
        published_refs(words, tokenizer, lines[start : start + 100], parallel=False)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
