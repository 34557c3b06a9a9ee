"""Check the laws on real text: exact words, exact pieces and words masked whole, over every line of the texts given.

    python benchmarks/laws_on_text.py --segmenters ltp rjieba --text TEXT... [--vocab vocab.txt] [--words 10000000]

Law 1: spans cover every character that is not whitespace, once, in order, and hold none that is. Law 2 is the work of
wordpiece_parity.py. Law 3: over one epoch of a corpus built from the texts, no word is masked in part, every row with a
word has one masked, and packing drops nothing but what it counts; for every scheme of masking, over as many epochs as
``--words`` words want. Exits with 1 where a law is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, write_result

from wwmcorpus import Corpus, WholeWordMasking, load_segmenter, open_corpus
from wwmcorpus.corpus import BuildConfig, build
from wwmcorpus.masking import Masking, NgramMasking, PermutationMasking, SpanMasking, mask_rows
from wwmcorpus.records import Rejection, WordSpans
from wwmcorpus.text import normalise, read_sources


def main() -> None:
    """Check, print a line for each text and segmenter, write results/laws_on_text.json."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text", nargs="+", required=True, type=Path)
    arguments.add_argument("--segmenters", nargs="+", default=["ltp"])
    arguments.add_argument("--vocab", default="embedded")
    arguments.add_argument("--words", type=int, default=0, help="mask at least so many words with each scheme")
    given = arguments.parse_args()
    rows = [words_are_exact(name, path) for name in given.segmenters for path in given.text]
    with tempfile.TemporaryDirectory() as folder:
        rows.append(
            words_are_masked_whole(
                [str(path) for path in given.text], folder, given.segmenters[0], given.vocab, given.words
            )
        )
    print(write_result("laws_on_text", {"machine": machine(("wwmcorpus", "ltp-extension", "numpy")), "rows": rows}))
    sys.exit(1 if any(row["violations"] for row in rows) else 0)


def words_are_exact(name: str, path: Path) -> dict[str, Any]:
    """Check law 1 on every line of a text."""
    segmenter = load_segmenter(name)
    row = {"law": 1, "segmenter": segmenter.signature, "text": path.name, "lines": 0, "words": 0, "violations": 0}
    batch: list[str] = []
    for item in read_sources([path]):
        if not isinstance(item, Rejection):
            batch.append(normalise(item.text)[0])
        if len(batch) == 500:
            count(segmenter.segment(batch), batch, row)
            batch = []
    count(segmenter.segment(batch), batch, row)
    print(row)
    return row


def count(spans: list[WordSpans], texts: list[str], row: dict[str, Any]) -> None:
    """Add some lines to a row of the result."""
    row["lines"] += len(texts)
    row["words"] += sum(map(len, spans))
    row["violations"] += sum(not exact(text, words) for text, words in zip(texts, spans, strict=True))


def exact(text: str, words: WordSpans) -> bool:
    """Say whether law 1 holds: written with strings, not with the arrays of the package."""
    pieces = [text[start:end] for start, end in words.tolist()]
    ordered = bool((words[1:, 0] >= words[:-1, 1]).all()) and bool((words[:, 1] > words[:, 0]).all())
    whole = "".join(pieces) == "".join(text.split())
    return ordered and whole and not any(character.isspace() for piece in pieces for character in piece)


def words_are_masked_whole(
    inputs: list[str], folder: str, segmenter: str, vocab: str, num_words: int
) -> dict[str, Any]:
    """Build a corpus and check law 3 over all its rows, for every scheme and both budgets."""
    manifest = build(BuildConfig(inputs=tuple(inputs), output=folder, segmenter=segmenter, tokenizer=vocab))["train"]
    counts, corpus = manifest.content.counts, open_corpus(folder)
    row = {"law": 3, "segmenter": manifest.content.segmenter, "rows": len(corpus), "violations": 0, "schemes": []}
    for scheme in (WholeWordMasking, NgramMasking, SpanMasking, PermutationMasking):
        for budget in ("exact", "bernoulli"):
            found = check_masks(corpus, scheme(budget=budget), num_words)
            row["schemes"].append({"scheme": scheme.__name__, "budget": budget, **found})
            row["violations"] += found["violations"]
    kept = counts["row_pieces"] - 2 * counts["rows"] + counts.get("dropped_pieces", 0)
    row["violations"] += kept != counts["pieces"]
    row["violations"] += counts["words"] != counts["groups"] + counts["merged_words"] + counts["words_without_pieces"]
    print(row)
    return row


def check_masks(corpus: Corpus, masking: Masking, num_words: int) -> dict[str, Any]:
    """Mask every row once, and again in further epochs until ``num_words`` words were seen.

    Counts words, those masked, the share of pieces masked; and as violations words masked in part, special pieces
    masked, and rows with words but no mask.
    """
    vocabulary, epoch = corpus.vocabulary, 0
    found = {"epochs": 0, "words": 0, "masked_words": 0, "pieces": 0, "masked_pieces": 0, "violations": 0}
    while epoch == 0 or found["words"] < num_words:
        for begin in range(0, len(corpus), 2000):
            rows = corpus.rows(range(begin, min(begin + 2000, len(corpus))))
            masked = mask_rows(rows, vocabulary, masking, seed=0, epoch=epoch).masked
            group = np.cumsum(rows.word_start) - 1
            share = np.bincount(group, weights=masked) / np.bincount(group)
            frame = np.isin(rows.input_ids, vocabulary.frame_ids)
            per_row = np.add.reduceat(masked.astype(np.int64), rows.bounds[:-1])
            found["words"] += len(share) - int(frame.sum())
            found["masked_words"] += int((share > 0).sum())
            found["pieces"] += len(masked)
            found["masked_pieces"] += int(masked.sum())
            found["violations"] += int(((share > 0) & (share < 1)).sum()) + int(masked[frame].sum())
            found["violations"] += int(((per_row == 0) & (rows.lengths > 2)).sum())
        epoch += 1
    return found | {"epochs": epoch, "masked_share": round(found["masked_pieces"] / found["pieces"], 5)}


if __name__ == "__main__":
    main()
