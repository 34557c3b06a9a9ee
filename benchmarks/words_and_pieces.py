"""Speed of segmenters and alignment beside their peers, in one run on one thread.

    OMP_NUM_THREADS=1 python benchmarks/words_and_pieces.py --text TEXT... [--vocab vocab.txt]

What is timed: in-memory lines to results in memory, start-up apart, second and later passes, so caches are warm; bytes
are UTF-8. ``encode_batch`` is the Hugging Face tokenizer with ids and offsets read, as an aligner must read them. The
published script's algorithm is our own rewrite of what run_chinese_ref.py does, with the same LTP perceptron in place
of its neural LTP: words of 100 lines, tokens of 100 lines, the set of words matched again, longest first.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from measure import machine, rate, seconds, write_result

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from transformers import PreTrainedTokenizerFast

from wwmcorpus import Aligner, load_segmenter, load_tokenizer
from wwmcorpus.align import RefMaker
from wwmcorpus.text import is_han, sentence_spans

PACKAGES = ("wwmcorpus", "tokenizers", "transformers", "ltp-extension", "jieba", "numpy")


def main() -> None:
    """Measure, print a table, write results/words_and_pieces.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", required=True, type=Path)
    arguments.add_argument("--vocab", default="embedded")
    arguments.add_argument("--max-bytes", type=int, default=3_000_000, help="of each text")
    given = arguments.parse_args()
    tokenizer = load_tokenizer(given.vocab)
    result: dict[str, Any] = {"machine": machine(PACKAGES), "threads": 1, "texts": {}}
    for path in given.text:
        lines = path.read_bytes()[: given.max_bytes].decode("utf-8", "ignore").split("\n")
        figures = measure_text([line for line in lines if line.strip()], tokenizer)
        result["texts"][path.name] = figures
        print_table(path.name, figures)
    print(write_result("words_and_pieces", result))


def measure_text(lines: list[str], tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Give the figures of one text."""
    num_bytes = sum(len(line.encode()) for line in lines)
    sentences = [line[start:end] for line in lines for start, end in sentence_spans(line)]
    batches = [sentences[i : i + 1000] for i in range(0, len(sentences), 1000)]
    ltp = load_segmenter("ltp")
    spans = [ltp.segment(batch) for batch in batches]
    aligner, maker = Aligner(tokenizer), RefMaker(ltp, tokenizer)
    bare, hundreds = ltp._model, [lines[i : i + 100] for i in range(0, len(lines), 100)]
    works = {
        "LTP perceptron alone": lambda: [bare.batch_predict(batch, parallelism=False) for batch in batches],
        "segmenter ltp (spans)": lambda: [ltp.segment(batch) for batch in batches],
        "encode_batch, ids and offsets": lambda: [encode(tokenizer, batch) for batch in batches],
        "aligner (pieces and words)": lambda: [aligner.align(*pair) for pair in zip(batches, spans, strict=True)],
        "published script's algorithm": lambda: [published_refs(bare, tokenizer, some) for some in hundreds],
        "wwmcorpus ref (both modes)": lambda: [maker.refs(some) for some in hundreds],
    }
    figures: dict[str, Any] = {name: rate(num_bytes, seconds(work)) for name, work in works.items()}
    for name in ("jieba", "rjieba"):
        segmenter = load_segmenter(name)
        figures[f"segmenter {name} (spans)"] = rate(num_bytes, seconds(lambda s=segmenter: s.segment(sentences), 1, 0))
    speeds = {name: figure["mb_per_second"] for name, figure in figures.items()}
    figures["ratios"] = {
        "aligner / encode_batch": ratio(speeds, "aligner (pieces and words)", "encode_batch, ids and offsets"),
        "segmenter ltp / LTP alone": ratio(speeds, "segmenter ltp (spans)", "LTP perceptron alone"),
        "ref / published": ratio(speeds, "wwmcorpus ref (both modes)", "published script's algorithm"),
    }
    return figures


def encode(tokenizer: PreTrainedTokenizerFast, batch: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Give ids and offsets as the Hugging Face tokenizer finds them."""
    encodings = tokenizer.backend_tokenizer.encode_batch(batch, add_special_tokens=False)
    return [(encoding.ids, encoding.offsets) for encoding in encodings]


def published_refs(model: Any, tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> list[list[int]]:
    """Give refs the published way, naively: a set of words for each line, matched again against its tokens."""
    refs = []
    rows = tokenizer(lines, add_special_tokens=True, truncation=True, max_length=512)["input_ids"]
    for words, ids in zip(model.batch_predict(lines, parallelism=False), rows, strict=True):
        chinese = {word for word in words if len(word) > 1 and all(is_han(ord(c)) for c in word)}
        tokens = [tokenizer.convert_ids_to_tokens(i) for i in ids]
        longest = max(map(len, chinese), default=0)
        ref, at = [], 0
        while at < len(tokens):
            length = 1
            if is_han(ord(tokens[at][0])):
                reach = min(len(tokens) - at, longest)
                length = next((n for n in range(reach, 1, -1) if "".join(tokens[at : at + n]) in chinese), 1)
            ref.extend(range(at + 1, at + length))
            at += length
        refs.append(ref)
    return refs


def ratio(speeds: dict[str, float], ours: str, theirs: str) -> float:
    """Give how many times as fast ours is."""
    return round(speeds[ours] / speeds[theirs], 2)


def print_table(name: str, figures: dict[str, Any]) -> None:
    """Print the figures of one text."""
    print(f"\n{name}")
    for row, figure in figures.items():
        if row != "ratios":
            print(f"  {row:<34}{figure['mb_per_second']:>9.2f} MB/s")
    for row, value in figures["ratios"].items():
        print(f"  {row:<34}{value:>9.2f} x")


if __name__ == "__main__":
    main()
