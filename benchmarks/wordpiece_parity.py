"""Compare the fast WordPiece with the Hugging Face tokenizer, ids and offsets, on random strings and on real text.

    python benchmarks/wordpiece_parity.py --vocab vocab.txt --strings 1000000 --text TEXT...

Strings are seeded and drawn from every Unicode plane; each of five configurations (lower-casing, accents, Chinese
characters set apart or not) gets an equal share of them, and every line of every text. Exits with 1 where one differs.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

from measure import machine, write_result
from tokenizers import Tokenizer
from transformers import BertTokenizer

from wwmcorpus.align.wordpiece import FastWordPiece
from wwmcorpus.text import TextLine

CONFIGURATIONS = (
    {},
    {"do_lower_case": False},
    {"do_lower_case": True, "strip_accents": False},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False},
)
#: Where normalisation has something to do, and all planes.
RANGES = (
    *((0x00, 0x7F), (0x80, 0x2FF), (0x300, 0x36F), (0x590, 0x6FF), (0x1100, 0x11FF), (0x2000, 0x20FF)),
    *((0x3000, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xAC40), (0xF900, 0xFB10), (0xFE00, 0xFFEF)),
    *((0x1F300, 0x1F6FF), (0x2B700, 0x2CEC0), (0xE0000, 0xE01EF), (0x0, 0xD7FF), (0xE000, 0x10FFFF)),
)


def main() -> None:
    """Compare, print a line for each configuration, write results/wordpiece_parity.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--vocab", required=True)
    arguments.add_argument("--strings", type=int, default=1_000_000)
    arguments.add_argument("--text", nargs="*", type=Path, default=[])
    given = arguments.parse_args()
    rows = []
    for configuration in CONFIGURATIONS:
        slow = Tokenizer.from_str(BertTokenizer(vocab=given.vocab, **configuration).backend_tokenizer.to_str())
        slow.encode_special_tokens = True
        fast = FastWordPiece(slow)
        strings = list(random_strings(given.strings // len(CONFIGURATIONS)))
        lines = [line for path in given.text for line in path.read_text("utf-8").split("\n")]
        row = {"configuration": configuration, "strings": len(strings), "lines": len(lines)}
        row["differences"] = differences(fast, slow, strings) + differences(fast, slow, lines)
        rows.append(row)
        print(row)
    print(write_result("wordpiece_parity", {"machine": machine(("tokenizers", "transformers", "numpy")), "rows": rows}))
    sys.exit(1 if any(row["differences"] for row in rows) else 0)


def random_strings(number: int, seed: int = 1) -> Iterator[str]:
    """Give seeded strings of 0 to 14 characters, each from one to three ranges."""
    rng = random.Random(seed)
    for _ in range(number):
        ranges = rng.choices(RANGES, k=rng.randint(1, 3))
        yield "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 14)))


def differences(fast: FastWordPiece, slow: Tokenizer, texts: list[str]) -> int:
    """Count the texts whose ids or offsets differ."""
    found = 0
    texts_left = iter(texts)
    while batch := list(islice(texts_left, 1000)):
        line = TextLine.of(batch)
        flat = fast.encode_line(line)
        all_offsets = flat.offsets(line)
        expected = slow.encode_batch(batch, add_special_tokens=False)
        for encoding, (begin, end) in zip(expected, pairwise(flat.bounds.tolist()), strict=True):
            offsets = [tuple(pair) for pair in all_offsets[begin:end].tolist()]
            found += flat.piece_ids[begin:end].tolist() != encoding.ids or offsets != encoding.offsets
    return found


if __name__ == "__main__":
    main()
