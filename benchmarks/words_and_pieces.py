"""Speed of segmenters and alignment beside their peers, in one run: on one thread, and on all of them.

    python benchmarks/words_and_pieces.py --text TEXT... [--vocab vocab.txt] [--threads N] [--ltp-python PATH]

What is timed: in-memory lines to results in memory, start-up apart, in turns after one pass to warm up; bytes are
UTF-8. One thread is timed by the CPU's clock, several by the wall's. Ratios are medians over the rounds.

``encode_batch`` is the Hugging Face tokenizer with ids and offsets read, as an aligner must read them. The published
script's algorithm is our own rewrite of what run_chinese_ref.py does, with the same LTP perceptron in place of its
neural LTP: words of 100 lines, tokens of 100 lines, the set of words matched again, longest first. The aligner,
jieba and rjieba have one thread. What the neural figures mean stands in ``neural_words.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy's; torch is told its own number

from measure import machine, rate, write_result
from neural_model import make_model
from neural_words import measure_backbone, measure_peers
from side_by_side import Work, in_turns, times_as_fast
from transformers import PreTrainedTokenizerFast

from wwmcorpus import Aligner, load_segmenter, load_tokenizer
from wwmcorpus.align import RefMaker
from wwmcorpus.text import is_han, sentence_spans

PACKAGES = ("wwmcorpus", "tokenizers", "transformers", "torch", "ltp-extension", "jieba", "rjieba", "numpy")
RESULT = Path(__file__).parent / "results" / "words_and_pieces.json"
BARE, SPANS = "LTP perceptron alone", "segmenter ltp (spans)"
ENCODE = "encode_batch, ids and offsets"
FLAT, ALIGN = "aligner, as builds call it (align_flat)", "aligner, text by text (align)"
SCRIPT, REFS = "published script's algorithm", "wwmcorpus ref (both modes)"
RATIOS = {
    "aligner, as builds call it / encode_batch": (FLAT, ENCODE),
    "aligner, text by text / encode_batch": (ALIGN, ENCODE),
    "segmenter ltp / LTP alone": (SPANS, BARE),
    "ref / published": (REFS, SCRIPT),
}
#: Of the first text, as many characters as a build segments at once; and fewer for what is many times slower.
_BATCH_CHARACTERS, _FEW_CHARACTERS = 1 << 16, 8000
_LINE_CHARACTERS = 500


def main() -> None:
    """Measure, print tables, write results/words_and_pieces.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", required=True, type=Path)
    arguments.add_argument("--vocab", default="embedded")
    arguments.add_argument("--max-bytes", type=int, default=3_000_000, help="of each text")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=os.cpu_count(), help="of the second column; 1: one column")
    arguments.add_argument("--neural", type=Path, help="folder of a neural LTP model; made where it is absent")
    arguments.add_argument("--neural-rounds", type=int, default=3, help="0: leave the neural models out")
    arguments.add_argument("--train-steps", type=int, default=300, help="of a neural model that is made")
    arguments.add_argument("--ltp-python", help="interpreter in which ltp 4.2.14 runs its neural models")
    given = arguments.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(given.threads)  # before the Rust libraries make their pools
    threads = sorted({1, given.threads})
    result: dict[str, Any] = {"machine": machine(PACKAGES), "threads": threads, "texts": {}}
    for path in given.text:
        lines = read_lines(path, given.max_bytes)
        figures = {n: measure_text(lines, load_tokenizer(given.vocab), n, given.rounds) for n in threads}
        result["texts"][path.name] = figures
        print_table(path.name, figures)
    if given.neural_rounds:
        result["neural"] = measure_model(read_lines(given.text[0], given.max_bytes), threads, given)
    elif RESULT.exists():  # it takes long: what an earlier run found stays, and says on what
        earlier = json.loads(RESULT.read_text("utf-8"))
        result |= {"neural": earlier["neural"], "neural_machine": earlier.get("neural_machine", earlier["machine"])}
    print(write_result("words_and_pieces", result))


def read_lines(path: Path, max_bytes: int) -> list[str]:
    """Give the lines of a text that are not blank."""
    lines = path.read_bytes()[:max_bytes].decode("utf-8", "ignore").split("\n")
    return [line for line in lines if line.strip()]


def split(lines: Sequence[str]) -> list[str]:
    """Give the sentences of some lines, as a build hands them to the segmenter."""
    return [line[start:end] for line in lines for start, end in sentence_spans(line)]


def measure_text(lines: list[str], tokenizer: PreTrainedTokenizerFast, num_threads: int, rounds: int) -> dict[str, Any]:
    """Give the figures of one text and one number of threads."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if num_threads > 1 else "false"
    parallel = num_threads > 1
    num_bytes = sum(len(line.encode()) for line in lines)
    sentences = split(lines)
    batches, hundreds = (
        [texts[i : i + size] for i in range(0, len(texts), size)] for texts, size in ((sentences, 1000), (lines, 100))
    )
    ltp = load_segmenter("ltp", num_threads)
    spans = [ltp.segment(batch) for batch in batches]
    aligner, maker, bare = Aligner(tokenizer), RefMaker(ltp, tokenizer), ltp._model  # type: ignore[attr-defined]
    works: dict[str, Work] = {
        BARE: lambda: [bare.batch_predict(batch, parallelism=parallel) for batch in batches],
        SPANS: lambda: [ltp.segment(batch) for batch in batches],
        ENCODE: lambda: [encode(tokenizer, batch) for batch in batches],
        FLAT: lambda: [aligner.align_flat(*pair) for pair in zip(batches, spans, strict=True)],
        ALIGN: lambda: [aligner.align(*pair) for pair in zip(batches, spans, strict=True)],
        SCRIPT: lambda: [published_refs(bare, tokenizer, some, parallel) for some in hundreds],
        REFS: lambda: [maker.refs(some) for some in hundreds],
    }
    clock = time.perf_counter if parallel else time.process_time
    times = in_turns(works, rounds, clock)
    if not parallel:
        alone = {f"segmenter {name} (spans)": load_segmenter(name) for name in ("jieba", "rjieba")}
        others: dict[str, Work] = {name: lambda s=one: s.segment(sentences) for name, one in alone.items()}
        times |= in_turns(others, 1, clock)
    figures: dict[str, Any] = {name: rate(num_bytes, runs) for name, runs in times.items()}
    figures["ratios"] = {name: times_as_fast(times, *pair) for name, pair in RATIOS.items()}
    return figures


def measure_model(lines: list[str], threads: list[int], given: argparse.Namespace) -> dict[str, Any]:
    """Give the figures of a neural model on sentences and on lines of the first text."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.neural or Path(scratch) / "small"
        model = "as given"
        if not (folder / "config.json").is_file():
            ids = load_tokenizer(given.vocab).get_vocab()
            make_model(folder, sorted(ids, key=ids.__getitem__), split(lines[len(lines) // 2 :]), given.train_steps)
            model = f"the size of LTP/small, random, then {given.train_steps} steps on the perceptron's words"
        short = [line for line in lines[: len(lines) // 2] if len(line) <= _LINE_CHARACTERS]
        figures: dict[str, Any] = {"model": model}
        texts = head(split(short), _BATCH_CHARACTERS)
        figures["one batch"] = {n: measure_backbone(folder, texts, n, given.neural_rounds) for n in threads}
        print_table(f"neural LTP, {len(texts)} sentences", figures["one batch"])
        for name, all_texts in (("sentences", split(short)), ("lines", short)):
            texts = head(all_texts, _FEW_CHARACTERS)
            figures[name] = {n: measure_peers(folder, texts, n, given.neural_rounds, given.ltp_python) for n in threads}
            print_table(f"neural LTP, {len(texts)} {name}", figures[name])
    return figures


def head(texts: Sequence[str], num_characters: int) -> list[str]:
    """Give the first texts that hold so many characters."""
    sizes = accumulate(map(len, texts))
    return [text for text, size in zip(texts, sizes, strict=True) if size <= num_characters]


def encode(tokenizer: PreTrainedTokenizerFast, batch: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Give ids and offsets as the Hugging Face tokenizer finds them."""
    encodings = tokenizer.backend_tokenizer.encode_batch(batch, add_special_tokens=False)
    return [(encoding.ids, encoding.offsets) for encoding in encodings]


def published_refs(model: Any, tokenizer: PreTrainedTokenizerFast, lines: list[str], parallel: bool) -> list[list[int]]:
    """Give refs the published way, naively: a set of words for each line, matched again against its tokens."""
    refs = []
    rows = tokenizer(lines, add_special_tokens=True, truncation=True, max_length=512)["input_ids"]
    for words, ids in zip(model.batch_predict(lines, parallelism=parallel), rows, strict=True):
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


def print_table(name: str, figures: dict[int, dict[str, Any]]) -> None:
    """Print the figures of one text: a row for each name, a column for each number of threads."""
    print(f"\n{name:<44}" + "".join(f"{f'{n} thread' + 's' * (n > 1):>12}" for n in figures))
    groups: list[tuple[str, list[dict[str, Any]]]] = [
        (unit, [{row: value[key] for row, value in column.items() if key in value} for column in figures.values()])
        for unit, key in (("MB/s", "mb_per_second"), ("kB/s", "kb_per_second"))
    ]
    groups += [
        (unit, [column.get(key, {}) for column in figures.values()])
        for unit, key in (("x", "ratios"), ("", "agreement"))
    ]
    for unit, columns in groups:
        for row in dict.fromkeys(row for column in columns for row in column):
            print(f"  {row:<42}" + "".join(f"{column.get(row, '-'):>12}" for column in columns) + f" {unit}")


if __name__ == "__main__":
    main()
