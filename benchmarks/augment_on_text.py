r"""Check augmentation on real task files: who gets variants, whether words are replaced whole, whether answers stand.

    python benchmarks/augment_on_text.py --vectors words.txt --rows 1000 \
        --task chnsenticorp train.tsv --task ocnli train.json --task cmrc2018 train.json [--model TEACHER]

Of each task the first so many rows, or questions, are augmented twice, by one worker and by two. Then the output is
read again, and each variant is walked through beside its original: a word of it stands there as it was, or one of the
vectors' words (with ``--model`` any text of as many characters as such a word may have) stands in its place. Counted
are examples with a word that may change and without a variant, variants that cannot be walked through, variants with
another label, answers that are not where the variant says, and outputs whose bytes differ between one worker and two.
Writes results/augment_on_text.json; exits with 1 where anything of that was counted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure import machine, write_result
from task_road import first_rows, suffix

from wwmcorpus import Segmenter, load_segmenter
from wwmcorpus.tasks.augment.job import augment
from wwmcorpus.tasks.augment.settings import AugmentConfig
from wwmcorpus.tasks.augment.words import is_replaceable, load_stop_words
from wwmcorpus.tasks.declaration import load_task
from wwmcorpus.tasks.examples import Example, ReadingExample, TextExample

PACKAGES = ("torch", "transformers", "numpy", "ltp-extension")
#: Characters that a word from a model may have.
LONGEST = 24
BROKEN = ("without_variant", "not_whole", "other_label", "moved_answers", "other_bytes")


def main() -> None:
    """Augment and check each task, print a line for each, write results/augment_on_text.json."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--task", nargs=2, action="append", required=True, metavar=("NAME", "TRAIN"))
    arguments.add_argument("--rows", default="1000")
    arguments.add_argument("--vectors", required=True, help="what wwmcorpus train-vectors wrote")
    arguments.add_argument("--model", help="folder of a masked language model that gives candidates too")
    arguments.add_argument("--variants", type=int, default=30)
    given = arguments.parse_args()
    found = []
    for name, train in given.task:
        with tempfile.TemporaryDirectory() as folder:
            found.append(checked(name, first_rows(name, Path(train), given.rows, Path(folder)), given))
        print(found[-1], flush=True)
    report = {"machine": machine(PACKAGES), "model": given.model is not None, "variants": given.variants}
    write_result("augment_on_text_model" if given.model else "augment_on_text", {**report, "tasks": found})
    sys.exit(1 if any(row[name] for row in found for name in BROKEN) else 0)


def checked(name: str, train: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Augment a file with one worker and with two, and count what is wrong with it."""
    outputs, seconds = [], {}
    for workers in (1, 2):
        output = train.with_name(f"out{workers}{suffix(train)}")
        begin = time.perf_counter()
        made = augment(
            AugmentConfig(
                task=name,
                input=str(train),
                output=str(output),
                vectors=given.vectors,
                model=given.model,
                num_variants=given.variants,
                num_workers=workers,
                device="cpu",
            )
        )
        seconds[str(workers)] = round(time.perf_counter() - begin, 2)
        outputs.append(output)
    wrong = Walk(load_segmenter("ltp"), None if given.model else vocabulary(given.vectors))
    counts = wrong.count(families(name, train, outputs[0]))
    same = outputs[0].read_bytes() == outputs[1].read_bytes()
    return {
        "task": name,
        "examples": made.num_examples,
        "variants": made.num_variants,
        "counts": made.counts,
        **counts,
        "other_bytes": int(not same),
        "seconds_by_workers": seconds,
    }


def vocabulary(path: str) -> frozenset[str]:
    """Read the words of a file of vectors."""
    with open(path, encoding="utf-8") as lines:
        return frozenset(line.partition(" ")[0].lower() for line in lines)


def families(name: str, source: Path, output: Path) -> Iterator[tuple[Example, list[Example]]]:
    """Give each original of an output with its variants, which follow it and never equal an original."""
    originals = {example[1:] for example in load_task(name).read(source)}
    current: Example | None = None
    own: list[Example] = []
    for example in load_task(name).read(output):
        if example[1:] not in originals:
            own.append(example)
            continue
        if current is not None:
            yield current, own
        current, own = example, []
    assert current is not None
    yield current, own


class Walk:
    """Walks through variants beside their originals.

    Args:
        segmenter: Finds the words of the originals.
        words: What may stand in place of a word; None: any text of at most ``LONGEST`` characters.
    """

    def __init__(self, segmenter: Segmenter, words: frozenset[str] | None) -> None:
        self._segmenter, self._words, self._stop_words = segmenter, words, load_stop_words(None)
        self._longest = LONGEST if words is None else max(map(len, words))

    def count(self, found: Iterator[tuple[Example, list[Example]]]) -> dict[str, int]:
        """Count what is wrong with the variants of examples."""
        counts = dict.fromkeys((*BROKEN[:-1], "without_word", "changed_texts"), 0)
        for original, variants in found:
            texts = texts_of(original)
            cuts = [self._cut(text, kept) for text, kept in zip(texts, kept_of(original), strict=True)]
            can_change = any(changes for cut in cuts for _, changes in cut)
            counts["without_word"] += not can_change
            counts["without_variant"] += can_change and not variants
            for variant in variants:
                for cut, before, after in zip(cuts, texts, texts_of(variant), strict=True):
                    counts["changed_texts"] += before != after
                    counts["not_whole"] += not self._fits(cut, after)
                counts["other_label"] += label_of(original) != label_of(variant)
                counts["moved_answers"] += not answers_stand(variant)
        return counts

    def _cut(self, text: str, kept: Sequence[tuple[int, int]]) -> list[tuple[str, bool]]:
        """Cut a text at the ends of its words; say of each part whether it may change."""
        (words,) = self._segmenter.segment([text])
        parts, end = [], 0
        for start, stop in [*words.tolist(), [len(text), len(text)]]:
            word = text[start:stop]
            touched = any(start < last and first < stop for first, last in kept)
            parts += [(text[end:start], False), (word, is_replaceable(word, self._stop_words) and not touched)]
            end = stop
        return [part for part in parts if part[0]]

    def _fits(self, parts: Sequence[tuple[str, bool]], text: str) -> bool:
        """Whether a text is the parts in their order, those that may change as they are or replaced."""
        places = {0}
        for part, changes in parts:
            behind = {place + len(part) for place in places if text.startswith(part, place)}
            if changes:
                behind |= {
                    place + length
                    for place, length in itertools.product(places, range(1, self._longest + 1))
                    if place + length <= len(text) and self._is_word(text[place : place + length])
                }
            places = behind
            if not places:
                return False
        return len(text) in places

    def _is_word(self, text: str) -> bool:
        return is_replaceable(text, self._stop_words) and (self._words is None or text.lower() in self._words)


def texts_of(example: Example) -> list[str]:
    """Give the texts that may change."""
    if isinstance(example, ReadingExample):
        return [example.question, example.passage]
    assert isinstance(example, TextExample)
    return [example.text_a] + ([] if example.text_b is None else [example.text_b])


def kept_of(example: Example) -> list[list[tuple[int, int]]]:
    """Give, of each text, the answers, which stay."""
    if isinstance(example, ReadingExample):
        return [[], [(one.start, one.start + len(one.text)) for one in example.answers if one.start is not None]]
    return [[] for _ in texts_of(example)]


def label_of(example: Example) -> object:
    """Give what an example teaches."""
    return [one.text for one in example.answers] if isinstance(example, ReadingExample) else example.label


def answers_stand(example: Example) -> bool:
    """Whether each answer is where it is said to be."""
    if not isinstance(example, ReadingExample):
        return True
    return all(one.start is not None and example.passage.startswith(one.text, one.start) for one in example.answers)


if __name__ == "__main__":
    main()
