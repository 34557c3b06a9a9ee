"""The stream beside its peers: rows a second with masking, resume, memory, and how well each order shuffles.

``python benchmarks/stream.py [--corpus DIR] [--mosaic-python PATH] [--litdata-python PATH]``

Without ``--corpus`` it builds one from random words with Zipf's frequencies, so that it runs anywhere. All lines of the
table read the same rows at the same random places, in batches of 64. Lines are measured in turns; each round is one run
of every line. ``datasets`` is left out where it is not installed. The peers in other interpreters mask nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, write_result

import wwmcorpus as wc
from wwmcorpus.masking import scheme as schemes
from wwmcorpus.stream import Stream, StreamOptions, shuffled, shuffled_in_windows

BATCH = 64
#: Runs that give batches, and how many: what is measured.
Lines = dict[str, Callable[[int], object]]


def random_corpus(folder: Path, num_rows: int) -> Path:
    """Build a corpus of about ``num_rows`` rows of up to 512 pieces from random words of one to four characters."""
    tokenizer = wc.load_tokenizer("embedded")
    characters = np.array([piece for piece in tokenizer.get_vocab() if len(piece) == 1 and "一" <= piece <= "龥"])
    chance = np.random.default_rng(0)
    text = folder / "text.txt"
    with text.open("w", encoding="utf-8") as file:
        for _ in range(-(-num_rows // 20)):
            ranks = np.minimum(chance.zipf(1.2, 20 * 510) - 1, len(characters) - 1)
            blanks = np.where(chance.random(len(ranks)) < 0.6, " ", "")
            file.write("".join(np.char.add(blanks, characters[ranks]).tolist()) + "\n")
    wc.build_corpus(inputs=[str(text)], output=str(folder / "corpus"), segmenter="given", max_length=512)
    return folder / "corpus"


def stream_lines(corpus: wc.Corpus) -> Lines:
    """The whole stream: order, gather, masking, padding, tensors."""
    maskings = {
        "whole words, per-word probability": wc.WholeWordMasking(budget="bernoulli"),
        "whole words, exact budget": wc.WholeWordMasking(budget="exact"),
    }
    for name in ("ngram", "span", "token"):
        if name in schemes.SCHEMES:
            maskings |= {f"{name}, {budget}": schemes.SCHEMES[name](budget=budget) for budget in ("bernoulli", "exact")}
    plain = {"prefetch_batches": 0}
    per_word = maskings["whole words, per-word probability"]
    streams = {
        f"stream, {name}": Stream(corpus, BATCH, masking=masking, options=StreamOptions(**plain))
        for name, masking in maskings.items()
    }
    for name, options in {
        "packed rows": plain | {"layout": "packed"},
        "window order": plain | {"order": "window"},
        "length buckets": plain | {"bucket_batches": 16},
        "prefetch thread": {},
        "1 worker": {"num_workers": 1},
    }.items():
        options = StreamOptions(**options, endless=True)
        streams[f"stream, per-word probability, {name}"] = Stream(corpus, BATCH, masking=per_word, options=options)
    return {name: runner(stream) for name, stream in streams.items()}


def runner(stream: Stream) -> Callable[[int], object]:
    """Give what takes the next batches of a stream; a worker's start is no part of what is measured."""

    def endless() -> Any:
        while True:
            yield from stream

    batches = endless()
    return lambda count: [next(batches) for _ in range(count)].clear()


def gather_lines(corpus: wc.Corpus, places: np.ndarray) -> Lines:
    """Reading alone, of the same rows, by us, by ``datasets`` and by memcpy."""
    lines: Lines = {
        "rows gathered end to end, no masking": lambda count: [corpus.rows(at) for at in places[:count]].clear()
    }
    stored = np.random.default_rng(1).integers(0, 2**16, (4096, BATCH * 512), dtype=np.uint16)
    stored_target = np.empty_like(stored[0])
    given = np.zeros((512, BATCH * 512 * 25), dtype=np.uint8)
    given_target = np.empty_like(given[0])
    lines["memcpy of the ids as stored, uint16"] = lambda count: [
        np.copyto(stored_target, stored[number * 7 % 4096]) for number in range(count)
    ].clear()
    lines["memcpy of a batch as given, 3 x int64 + bool"] = lambda count: [
        np.copyto(given_target, given[number * 7 % 512]) for number in range(count)
    ].clear()
    if importlib.util.find_spec("datasets") is None:
        print("datasets is not installed: its lines are left out")
        return lines
    import datasets

    data = datasets.load_from_disk(str(corpus.path)).select_columns(["input_ids"])
    for kind in ("numpy", "torch"):
        view = data.with_format(kind)
        lines[f"datasets, {kind}, 64 random rows, no masking"] = lambda count, view=view: [
            view[at] for at in places[:count]
        ].clear()
    return lines


def loop_line(corpus: wc.Corpus, places: np.ndarray) -> Lines:
    """Masking whole words in Python loops over lists, as collators for transformers 4 did: our own writing."""
    import random

    import torch

    vocabulary = corpus.vocabulary
    rows = [corpus.rows(at) for at in places[:4]]
    lists = [
        [
            (rows_.input_ids[a:b].tolist(), rows_.word_start[a:b].tolist())
            for a, b in zip(rows_.bounds, rows_.bounds[1:], strict=False)
        ]
        for rows_ in rows
    ]

    def batch(examples: list[tuple[list[int], list[bool]]]) -> dict[str, Any]:
        width = max(len(ids) for ids, _ in examples)
        inputs = torch.full((len(examples), width), vocabulary.pad_id)
        labels = torch.full((len(examples), width), -100)
        for number, (ids, starts) in enumerate(examples):
            words: list[list[int]] = []
            for position in range(1, len(ids) - 1):
                if starts[position] or not words:
                    words.append([position])
                else:
                    words[-1].append(position)
            random.shuffle(words)
            budget, taken = max(1, round(len(ids) * 0.15)), 0
            seen, asked = list(ids), [-100] * len(ids)
            for word in words:
                if taken + len(word) > budget:
                    continue
                taken += len(word)
                for position in word:
                    asked[position] = ids[position]
                    draw = random.random()
                    seen[position] = (
                        vocabulary.mask_id
                        if draw < 0.8
                        else random.randrange(vocabulary.num_pieces)
                        if draw < 0.9
                        else ids[position]
                    )
            inputs[number, : len(ids)] = torch.tensor(seen)
            labels[number, : len(ids)] = torch.tensor(asked)
        return {"input_ids": inputs, "labels": labels}

    return {
        "Python loop over words, rows as lists, no reading": lambda count: [
            batch(lists[number % 4]) for number in range(count)
        ].clear()
    }


def measured(lines: Lines, repeats: int) -> dict[str, Any]:
    """Run every line in turns, about half a second each, and give rows per second, by the wall and by the CPU."""
    counts = {}
    for name, run in lines.items():
        run(2)
        begin = time.perf_counter()
        run(4)
        counts[name] = int(np.clip(0.4 * 4 / (time.perf_counter() - begin), 4, 400))
    walls: dict[str, list[float]] = {name: [] for name in lines}
    cpus: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(repeats):
        for name, run in lines.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(counts[name])
            walls[name].append(counts[name] * BATCH / (time.perf_counter() - wall))
            cpus[name].append(counts[name] * BATCH / max(time.process_time() - cpu, 1e-9))
    return {
        name: {
            "rows_per_second": round(statistics.median(walls[name])),
            "rows_per_cpu_second": None if "worker" in name else round(statistics.median(cpus[name])),
            "runs": [round(value) for value in walls[name]],
        }
        for name in lines
    }


def peers(corpus: wc.Corpus, interpreters: dict[str, str | None], num_rows: int) -> dict[str, Any]:
    """Run ``stream_peers.py`` in the interpreters that have the peers, on the same rows."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = corpus.rows(np.flatnonzero(corpus.lengths == corpus.lengths.max())[:num_rows])
        np.save(f"{folder}/rows.npy", rows.input_ids.reshape(len(rows.row_ids), -1).astype(np.uint16))
        for name, interpreter in interpreters.items():
            if interpreter is None:
                print(f"no interpreter given for {name}: its lines are left out")
                continue
            script = Path(__file__).with_name("stream_peers.py")
            done = subprocess.run([interpreter, str(script), name, folder], capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name} failed and is left out: {done.stderr.strip().splitlines()[-1:]}")
                continue
            found |= json.loads(done.stdout.splitlines()[-1])
    return found


def resume_ms(corpus: wc.Corpus, repeats: int = 20) -> dict[str, float]:
    """Time from a saved state to the first batch behind it, at random places; the corpus is open already."""
    chance = np.random.default_rng(3)
    state = Stream(corpus, BATCH).state_dict()
    restored, first = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        stream = Stream(corpus, BATCH)
        place = {"epoch": int(chance.integers(10**6)), "batch_index": int(chance.integers(stream.batches_per_epoch))}
        stream.load_state_dict(state | place)
        restored.append(time.perf_counter() - begin)
        batches = iter(stream)
        next(batches)
        first.append(time.perf_counter() - begin)
        batches.close()
    return {
        name: round(statistics.median(times) * 1e3, 2) for name, times in (("state", restored), ("first batch", first))
    }


def peak_memory_mb(corpus: wc.Corpus) -> list[float]:
    """Peak resident memory before a first epoch, after it and after a second; mapped files count as they are read."""
    peaks = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
    stream = Stream(corpus, BATCH)
    for _ in range(2):
        for _ in stream:
            pass
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return [round(peak, 1) for peak in peaks]


def shuffle_quality(num_rows: int = 1_000_000, block_rows: int = 1024, num_batches: int = 200) -> dict[str, Any]:
    """Of each order: how much of a batch comes from one place.

    ``sharing_block`` is the share of a batch's rows that have another row of their block of 1,024 in the batch;
    ``neighbours`` is the share whose next row of the corpus is in the batch too.
    """
    fingerprint = "5eed" * 16
    batches = np.random.default_rng(2).choice(num_rows // BATCH, num_batches, replace=False)
    positions = batches[:, None] * BATCH + np.arange(BATCH)
    orders = {"as stored": positions, "drawn at random": np.random.default_rng(4).permutation(num_rows)[positions]}
    orders["global"] = shuffled(positions, num_rows, 0, 0, fingerprint)
    for blocks in (1, 4, 16, 64, 256):
        orders[f"window of {blocks} blocks"] = shuffled_in_windows(
            positions, num_rows, 0, 0, fingerprint, block_rows, blocks
        )
    orders["buffer of 10,000, as others shuffle"] = _buffered(num_rows, 10_000)[positions]
    return {
        name: {"sharing_block": round(_sharing(rows // block_rows), 4), "neighbours": round(_neighbours(rows), 5)}
        for name, rows in orders.items()
    }


def _buffered(num_rows: int, size: int) -> np.ndarray:
    """Give the order of a buffer that gives a random one of its rows and takes the next row in its place."""
    chance = np.random.default_rng(6)
    buffer, order = np.arange(size), np.empty(num_rows, dtype=np.int64)
    for number, slot in enumerate(chance.integers(0, size, num_rows - size).tolist()):
        order[number] = buffer[slot]
        buffer[slot] = number + size
    order[num_rows - size :] = chance.permutation(buffer)
    return order


def _sharing(blocks: np.ndarray) -> float:
    ordered = np.sort(blocks, axis=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    edge = np.zeros((len(blocks), 1), dtype=bool)
    return float((np.hstack([edge, same]) | np.hstack([same, edge])).mean())


def _neighbours(rows: np.ndarray) -> float:
    return float((np.diff(np.sort(rows, axis=1), axis=1) == 1).mean())


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="a corpus of rows of 512 pieces; default: one of random words")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the random corpus")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mosaic-python", help="an interpreter that has mosaicml-streaming")
    parser.add_argument("--litdata-python", help="an interpreter that has litdata")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        corpus = wc.open_corpus(arguments.corpus or random_corpus(Path(folder), arguments.rows))
        places = np.random.default_rng(0).integers(0, len(corpus), (400, BATCH))
        peaks = peak_memory_mb(corpus)
        lines = stream_lines(corpus) | gather_lines(corpus, places) | loop_line(corpus, places)
        rates = measured(lines, arguments.repeats)
        rates |= peers(
            corpus, {"mosaicml-streaming": arguments.mosaic_python, "litdata": arguments.litdata_python}, arguments.rows
        )
        result = {
            "machine": machine(("numpy", "torch", "pyarrow")),
            "rows": f"{len(corpus)} of {corpus.lengths.mean():.0f} pieces, batches of {BATCH}, one thread",
            "rates": rates,
            "resume_ms": resume_ms(corpus),
            "peak_memory_mb": peaks,
            "shuffle_quality": shuffle_quality(),
        }
    print(f"{'':<60} {'rows/s':>12} {'rows/CPU s':>12}")
    for name, line in rates.items():
        print(f"{name:<60} {line['rows_per_second']:>12,} {line['rows_per_cpu_second'] or 0:>12,}")
    for name in ("resume_ms", "peak_memory_mb", "shuffle_quality"):
        print(name, json.dumps(result[name], ensure_ascii=False, indent=1))
    print(write_result("stream", result))


if __name__ == "__main__":
    main()
