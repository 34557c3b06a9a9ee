"""The collator beside transformers' own, a version 4 loop and a plain copy of the bytes, in one run.

    python benchmarks/collator.py [--rows 64] [--length 512] [--seconds 60]

What is timed: a batch of rows in, the masked batch of int64 tensors out, on one thread; by the CPU's clock, in turns
after one pass to warm up. Rates are medians over the rounds; ratios are medians of the rounds' own.

Rows are synthetic: pieces at random, words of 1 to 4 pieces, 1.66 on average, as in Chinese text. They come as numpy
arrays, as Python lists, as one Arrow table (what a data set in Arrow's format gives for a batch), with and without
row_ids (without, a hash of the pieces stands for them), and with ``chinese_ref``. transformers' collators read what
its tokenizers give: lists, the whole-word one with ``offset_mapping``; on Chinese it masks whole lines. The version 4
loop is our own rewrite of what transformers 4 computed, on lists. ``memcpy`` copies three int64 arrays of the batch's
shape: the least that making a batch can take. The line of a package that is not installed says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from measure import machine, write_result
from numpy.typing import NDArray
from side_by_side import Work, in_turns

from wwmcorpus import Vocabulary, WholeWordMaskCollator, load_tokenizer
from wwmcorpus.masking import (
    NgramMasking,
    PermutationMasking,
    SpanMasking,
    TokenMasking,
    WholeWordMasking,
)

PACKAGES = ("wwmcorpus", "numpy", "torch", "transformers")
SCHEMES = {
    "whole words, each by itself": WholeWordMasking(budget="bernoulli"),
    "whole words, exact budget": WholeWordMasking(),
    "n-grams, exact budget": NgramMasking(),
    "spans, exact budget": SpanMasking(),
    "pieces, exact budget": TokenMasking(),
    "permutation, exact budget": PermutationMasking(),
}
#: Shares of words of 1, 2, 3 and 4 pieces.
WORD_LENGTHS = (0.49, 0.39, 0.09, 0.03)
MEMCPY, V4 = "memcpy of the batch", "version 4 loop, lists"
TOKENS, WHOLE = "transformers, tokens, lists", "transformers, whole_word_mask, lists"
Row = Mapping[str, Any]
Run = Callable[[], object]


def main() -> None:
    """Measure, print a table, write results/collator.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=64)
    arguments.add_argument("--length", type=int, default=512)
    arguments.add_argument("--seconds", type=float, default=60, help="after which no further round begins")
    arguments.add_argument("--repeats", type=int, default=20, help="batches of ours per round; the slow peers run one")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Random token replacement")
    tokenizer = load_tokenizer("embedded")
    vocabulary = Vocabulary.of(tokenizer)
    rows = make_rows(given.rows, given.length, vocabulary)
    works = {name: repeated(run, given.repeats) for name, run in our_runs(rows, vocabulary).items()}
    works |= {name: Work(run) for name, run in their_runs(rows, tokenizer).items()}
    works[MEMCPY] = repeated(memcpy(given.rows, given.length), given.repeats)
    batches = {name: 1 if name in (V4, TOKENS, WHOLE) else given.repeats for name in works}
    times = in_turns(works, time.process_time, given.seconds)
    each = {name: [run / batches[name] for run in runs] for name, runs in times.items()}
    rates = {name: round(given.rows / statistics.median(runs)) for name, runs in each.items()}
    ours = f"{next(iter(SCHEMES))}, numpy"
    ratios = {f"{ours} / {name}": times_as_fast(each[ours], each[name]) for name in (WHOLE, TOKENS, V4, MEMCPY)}
    for name, rate in rates.items():
        print(f"{name:<58}{rate:>12,} rows/s")
    for name, ratio in ratios.items():
        print(f"{name:<78}{ratio:>12,.2f} x")
    skipped = [name for name in ("datasets", "pyarrow") if importlib.util.find_spec(name) is None]
    shape = {"rows": given.rows, "length": given.length, "threads": 1, "clock": "cpu"}
    result = {"machine": machine(PACKAGES), "shape": shape, "rows_per_second": rates, "ratios": ratios}
    print(write_result("collator", result | {"not_installed": skipped}))


def make_rows(num_rows: int, length: int, vocabulary: Vocabulary) -> list[dict[str, NDArray[Any]]]:
    """Give rows of one length as a corpus has them: uint16 ids and booleans."""
    chance = np.random.default_rng(0)
    rows = []
    for _ in range(num_rows):
        ids = chance.choice(vocabulary.replacement_ids, length).astype(np.uint16)
        starts = np.zeros(length, dtype=bool)
        begins = np.cumsum(chance.choice(len(WORD_LENGTHS), length, p=WORD_LENGTHS) + 1)
        starts[begins[begins < length]] = True
        ids[[0, -1]] = vocabulary.cls_id, vocabulary.sep_id
        starts[[0, 1, -1]] = True
        rows.append({"input_ids": ids, "word_start": starts})
    return rows


def our_runs(rows: Sequence[Row], vocabulary: Vocabulary) -> dict[str, Run]:
    """Give the collator on every kind of rows, for the first two schemes; and every scheme on numpy rows."""
    kinds: dict[str, Any] = {
        "numpy": rows,
        "numpy with row_ids": [{**row, "row_ids": number} for number, row in enumerate(rows)],
        "lists": [{name: values.tolist() for name, values in row.items()} for row in rows],
        "chinese_ref lists": with_refs(rows),
    }
    if table := arrow(rows):
        kinds["Arrow table"] = table[0]
        if len(table) > 1:
            kinds["slice of datasets, Arrow"] = table[1]
    runs: dict[str, Run] = {}
    for number, (scheme, masking) in enumerate(SCHEMES.items()):
        collator = WholeWordMaskCollator(vocabulary, masking=masking)
        for kind, batch in kinds.items() if number < 2 else [("numpy", rows)]:
            runs[f"{scheme}, {kind}"] = lambda c=collator, b=batch: c(b)  # type: ignore[misc]
    return runs


def with_refs(rows: Sequence[Row]) -> list[dict[str, list[int]]]:
    """Give lists of ids and of references, as older corpora have them; no piece here begins with ``##``."""
    return [
        {"input_ids": row["input_ids"].tolist(), "chinese_ref": np.flatnonzero(~row["word_start"]).tolist()}
        for row in rows
    ]


def arrow(rows: Sequence[Row]) -> list[Any]:
    """Give the rows as an Arrow table, and as what ``datasets`` gives for a slice, where these are installed."""
    if importlib.util.find_spec("pyarrow") is None:
        print("pyarrow is not installed: no line for Arrow tables")
        return []
    import pyarrow as pa

    types = {"input_ids": pa.list_(pa.uint16()), "word_start": pa.list_(pa.bool_())}
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})
    if importlib.util.find_spec("datasets") is None:
        print("datasets is not installed: no line for its slices")
        return [table]
    from datasets import Dataset

    return [table, Dataset(table).with_format("arrow")[: len(rows)]]


def their_runs(rows: Sequence[Row], tokenizer: Any) -> dict[str, Run]:
    """Give transformers' collators and the version 4 loop, on what they read."""
    lists = [{"input_ids": row["input_ids"].tolist()} for row in rows]
    offsets = [{**row, "offset_mapping": offsets_of(full)} for row, full in zip(lists, rows, strict=True)]
    tokens = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    whole = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, whole_word_mask=True)
    refs = with_refs(rows)
    return {
        TOKENS: lambda: tokens([dict(row) for row in lists]),
        WHOLE: lambda: whole([dict(row) for row in offsets]),
        V4: lambda: version_4(refs, tokenizer),
    }


def offsets_of(row: Row) -> list[tuple[int, int]]:
    """Give offsets with a blank before each word, so that transformers sees the same words; specials are (0, 0)."""
    begins = np.arange(len(row["word_start"])) + np.cumsum(row["word_start"])
    offsets = [(int(begin), int(begin) + 1) for begin in begins]
    return [(0, 0), *offsets[1:-1], (0, 0)]


def version_4(rows: Sequence[Mapping[str, list[int]]], tokenizer: Any) -> dict[str, torch.Tensor]:
    """Mask rows as transformers 4 computed it, piece by piece: names of pieces, a list of references, 80/10/10."""
    masks = []
    for row in rows:
        pieces = tokenizer.convert_ids_to_tokens(row["input_ids"])
        for place in range(len(pieces)):
            if place in row["chinese_ref"]:
                pieces[place] = "##" + pieces[place]
        words: list[list[int]] = []
        for place, piece in enumerate(pieces):
            if piece in ("[CLS]", "[SEP]"):
                continue
            if words and piece.startswith("##"):
                words[-1].append(place)
            else:
                words.append([place])
        random.shuffle(words)
        budget = max(1, round(len(pieces) * 0.15))
        taken: set[int] = set()
        for word in words:
            if len(taken) + len(word) <= budget:
                taken.update(word)
        masks.append([place in taken for place in range(len(pieces))])
    ids = torch.tensor([row["input_ids"] for row in rows])
    masked = torch.tensor(masks)
    labels = ids.masked_fill(~masked, -100)
    to_mask = torch.bernoulli(torch.full(ids.shape, 0.8)).bool() & masked
    to_random = torch.bernoulli(torch.full(ids.shape, 0.5)).bool() & masked & ~to_mask
    ids[to_mask] = tokenizer.mask_token_id
    ids[to_random] = torch.randint(len(tokenizer), ids.shape)[to_random]
    return {"input_ids": ids, "labels": labels}


def memcpy(num_rows: int, length: int) -> Run:
    """Give a copy of as many bytes as a batch has, into memory that is there."""
    source = np.ones((3, num_rows, length), dtype=np.int64)
    target = np.zeros_like(source)
    return lambda: np.copyto(target, source)


def times_as_fast(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Give how many times as fast ours is: the median over the rounds."""
    return round(statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), 3)


def repeated(run: Run, repeats: int) -> Work:
    """Give a work that runs several times over: the clock is coarse."""
    return Work(lambda: [run() for _ in range(repeats)])


if __name__ == "__main__":
    main()
