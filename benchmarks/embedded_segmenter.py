"""Rebuild the embedded LTP model from its sources, and print how it compares with jieba.

    python benchmarks/embedded_segmenter.py --pair gsdsimp-test.conllu gsd-test.conllu --traditional pud-test.conllu
        --choose gsdsimp-dev.txt --test gsdsimp_dev=gsdsimp-dev.txt --test cfl=cfl.txt --text wiki=wiki.txt.gz
        --output model

Reads segmented text (.txt, words separated by spaces) or UD treebanks (.conllu), and jieba's own dictionary; needs
OpenCC (``pip install opencc``) for the other script. Writes the LTP legacy folder and ``figures.json`` into
``--output``. Takes about two minutes and 2 GB of memory.
What is timed: words of raw lines as lists of strings, one thread, second of two passes; bytes are UTF-8.
wwmcorpus/resources/ltp/RECIPE.md says which files made the model that ships.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import platform
import random
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wwmcorpus.segment.scores import agreement, score_words
from wwmcorpus.segment.spans import spans_from_words
from wwmcorpus.segment.training import SegmenterTraining, TrainingText, read_segmented, train_segmenter

Sentences = list[list[str]]

#: Numerals, determiners, negations and adverbs. jieba's dictionary lists 一个, 这个, 不是 and 就是 as words; a word
#: that begins with one of these is left out where the gold training text splits it more often than it keeps it.
FUNCTION_CHARACTERS = frozenset("一二两三四五六七八九十几这那每某各不没第半多就很最都也还再")
#: Numerals and determiners. A word of two characters that begins with one of these is left out where the gold text
#: never has it as a word: a few thousand sentences do not show which of 这里, 这次 and 一天 are words.
DETERMINERS = frozenset("一二两三四五六七八九十几这那每某各")
WORDS_PER_LINE = 12
MARKS = "，，，，、。：；？！"
MARK_PROBABILITY = 0.12
MIN_FREQUENCY = 3


def main() -> None:
    """Train, measure, write, print."""
    options = read_options()
    to_simplified, to_traditional = converter("tw2s"), converter("s2tw")
    tests = {name: read_gold(path) for name, path in options.test}
    choosing = read_gold(options.choose)
    forbidden = {letters(words, to_simplified) for gold in (choosing, *tests.values()) for words in gold}
    gold = read_training_gold(options, to_simplified)
    kept = [words for words in gold if letters(words, to_simplified) not in forbidden]
    words = without_splits(read_dictionary(options.dictionary), kept)
    lines = random_lines(words, options.lines, options.seed)
    mapped = [to_traditional(line) for line in lines[: options.mapped_lines]]
    settings = SegmenterTraining(epochs=options.epochs, seed=options.seed, max_features=options.max_features)
    with tempfile.TemporaryDirectory() as scratch:
        parts = {"gold": kept, "lines": lines, "mapped": mapped}
        texts = [
            TrainingText(write_segmented(Path(scratch) / name, part), options.gold_weight if name == "gold" else 1)
            for name, part in parts.items()
            if part
        ]
        judge = write_segmented(Path(scratch) / "choose", choosing)
        trained = train_segmenter(texts, options.output, [judge], settings)
    vocabulary = {word for sentence in kept for word in sentence} | {word for word, _ in words}
    cutters = segmenters(trained.folder / "cws_model.bin")
    figures = {
        "model": {
            "sha256": trained.sha256,
            "model_bytes": trained.model_bytes,
            "num_features": trained.num_features,
            "num_sentences": trained.num_sentences,
            "best_epoch": trained.best_epoch,
            "epoch_f1": [round(f1, 4) for f1 in trained.epoch_f1],
            "gold_lines": len(kept),
            "gold_lines_left_out": len(gold) - len(kept),
            "gold_weight": options.gold_weight,
            "lines": options.lines,
            "mapped_lines": options.mapped_lines,
            "settings": settings.values(),
        },
        "sources": {
            role: sha256(path)
            for role, path in (
                *((f"gold {path.name}", path) for path in (*itertools.chain(*options.pair), *options.traditional)),
                ("dictionary", options.dictionary),
                ("choose", options.choose),
                *((f"test {name}", path) for name, path in options.test),
            )
        },
        "scores": {name: score_table(gold, cutters, vocabulary) for name, gold in tests.items()},
        "agreement_with_jieba": {name: agree(head(path, options.head_lines), cutters) for name, path in options.text},
        "megabytes_per_second": {name: speed(head(path, options.head_lines), cutters) for name, path in options.text},
        "machine": machine(),
    }
    target = trained.folder / "figures.json"
    target.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    print(table(figures))
    print(f"wrote {trained.folder} ({trained.model_bytes:,} bytes, {trained.num_features:,} features)")


def read_options() -> argparse.Namespace:
    """Give the command line's values; every path is an argument."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pair",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("SIMPLIFIED", "TRADITIONAL"),
        help="gold training text in both scripts",
    )
    parser.add_argument(
        "--traditional", type=Path, action="append", default=[], help="gold training text to be converted as well"
    )
    parser.add_argument("--gold-weight", type=float, default=1.0, help="how often each gold line is used")
    parser.add_argument("--choose", type=Path, required=True, help="gold text that chooses the epoch")
    parser.add_argument("--dictionary", type=Path, default=None, help="jieba's dict.txt; default: the installed one")
    parser.add_argument(
        "--test", type=named_path, action="append", default=[], metavar="NAME=PATH", help="gold text to score"
    )
    parser.add_argument(
        "--text", type=named_path, action="append", default=[], metavar="NAME=PATH", help="raw text (.gz too)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument("--lines", type=int, default=20_000, help="lines of random dictionary words")
    parser.add_argument(
        "--mapped-lines", type=int, default=0, help="how many of them are also used in traditional characters"
    )
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--max-features", type=int, default=None)
    parser.add_argument("--head-lines", type=int, default=2_000, help="lines of each raw text that are not blank")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.dictionary is None:
        import jieba

        options.dictionary = Path(jieba.__file__).with_name("dict.txt")
    return options


def named_path(value: str) -> tuple[str, Path]:
    """Turn ``"cfl=a/b.txt"`` into ``("cfl", Path("a/b.txt"))``."""
    name, equals, path = value.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{value!r} is not NAME=PATH")
    return name, Path(path)


def read_gold(path: Path) -> Sentences:
    """Give the words of each sentence of a .conllu treebank, or of segmented text."""
    if path.suffix != ".conllu":
        return read_segmented(path)
    sentences: Sentences = [[]]
    for line in path.read_text("utf-8").split("\n"):
        columns = line.split("\t")
        if not line:
            sentences.append([])
        elif columns[0].isdigit():
            sentences[-1].append("".join(columns[1].split()))
    return [sentence for sentence in sentences if sentence]


def read_dictionary(path: Path) -> list[tuple[str, int]]:
    """Give jieba's words with their frequencies, those of ``MIN_FREQUENCY`` or more."""
    entries = [line.split(" ") for line in path.read_text("utf-8").split("\n") if line]
    return [(entry[0], int(entry[1])) for entry in entries if int(entry[1]) >= MIN_FREQUENCY]


def without_splits(dictionary: list[tuple[str, int]], gold: Sentences) -> list[tuple[str, int]]:
    """Leave out the words that the gold text rather splits than keeps, and unknown ones of a determiner and another.

    Only words that begin with one of ``FUNCTION_CHARACTERS`` are left out; those that begin with one of
    ``DETERMINERS`` and have two characters must be in the gold text.
    """
    known = {word for word, _ in dictionary if word[0] in FUNCTION_CHARACTERS}
    kept = Counter(word for sentence in gold for word in sentence)
    split: Counter[str] = Counter()
    for sentence in gold:
        for start, end in itertools.product(range(len(sentence)), (2, 3, 4)):
            joined = "".join(sentence[start : start + end])
            if start + end <= len(sentence) and joined in known:
                split[joined] += 1
    return [
        (word, frequency)
        for word, frequency in dictionary
        if split[word] <= kept[word] and (len(word) != 2 or word[0] not in DETERMINERS or kept[word])
    ]


def random_lines(dictionary: list[tuple[str, int]], num_lines: int, seed: int) -> Sentences:
    """Give lines of words drawn independently by frequency, with punctuation between some of them."""
    rng = random.Random(seed)
    words = [word for word, _ in dictionary]
    cumulative = list(itertools.accumulate(frequency for _, frequency in dictionary))
    lines = []
    for _ in range(num_lines):
        line = []
        for word in rng.choices(words, cum_weights=cumulative, k=WORDS_PER_LINE):
            line.append(word)
            if rng.random() < MARK_PROBABILITY:
                line.append(rng.choice(MARKS))
        lines.append([*line, "。"])
    return lines


def converter(configuration: str) -> Callable[[list[str]], list[str]]:
    """Give a function that converts the words of a sentence to the other script, each as it stands in the sentence."""
    import opencc

    convert = opencc.OpenCC(configuration).convert

    def converted(words: list[str]) -> list[str]:
        text = convert("".join(words))
        ends = list(itertools.accumulate(len(word) for word in words))
        if len(text) != ends[-1]:
            raise ValueError(f"conversion changes the length of {text!r}")
        return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    return converted


def read_training_gold(options: argparse.Namespace, to_simplified: Callable[[list[str]], list[str]]) -> Sentences:
    """Give the gold training text in simplified characters, then the same in traditional ones."""
    simplified: Sentences = []
    traditional: Sentences = []
    for left, right in options.pair:
        simplified += read_gold(left)
        traditional += read_gold(right)
    for path in options.traditional:
        sentences = read_gold(path)
        simplified += [to_simplified(sentence) for sentence in sentences]
        traditional += sentences
    return simplified + traditional


def letters(words: list[str], to_simplified: Callable[[list[str]], list[str]]) -> str:
    """Give a sentence without marks, spaces, case and script, so that copies of a test sentence are found."""
    return "".join(character for character in "".join(to_simplified(words)).lower() if character.isalnum())


def write_segmented(path: Path, sentences: Sentences) -> Path:
    """Write one sentence per line and give the path back."""
    path.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8", newline="\n")
    return path


def segmenters(model: Path) -> dict[str, Callable[[list[str]], list[list[str]]]]:
    """Give LTP with the model, and jieba as it comes, each as a function from texts to words, on one thread."""
    import jieba
    from ltp_extension.perceptron import CWSModel

    jieba.setLogLevel(60)
    jieba.initialize()
    ltp = CWSModel.load(str(model))
    return {
        "embedded": lambda texts: ltp.batch_predict(texts, parallelism=False),
        "jieba": lambda texts: [jieba.lcut(text) for text in texts],
    }


def score_table(gold: Sentences, cutters: dict[str, Any], vocabulary: set[str]) -> dict[str, dict[str, float]]:
    """Score each segmenter on gold sentences; unseen words are in neither the gold training text nor the dictionary."""
    rows = {}
    for name, cut in cutters.items():
        scores = score_words(gold, cut(["".join(words) for words in gold]), vocabulary)
        rows[name] = {
            "precision": round(scores.precision, 4),
            "recall": round(scores.recall, 4),
            "f1": round(scores.f1, 4),
            "recall_of_unseen": round(scores.recall_of_unseen or 0.0, 4),
            "num_unseen": scores.num_unseen,
        }
    return rows


def agree(texts: list[str], cutters: dict[str, Any]) -> float:
    """Give the F1 of the one segmenter's words against the other's, whitespace between words taken for granted."""
    first, second = (
        [spans_from_words(t, w) for t, w in zip(texts, cut(texts), strict=True)] for cut in cutters.values()
    )
    return round(agreement(first, second), 4)


def speed(texts: list[str], cutters: dict[str, Any]) -> dict[str, float]:
    """Give megabytes of UTF-8 per second for each segmenter."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    rates = {}
    for name, cut in cutters.items():
        cut(texts)
        start = time.perf_counter()
        cut(texts)
        rates[name] = round(megabytes / (time.perf_counter() - start), 3)
    return rates


def head(path: Path, num_lines: int) -> list[str]:
    """Give the first lines that are not blank."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return list(itertools.islice((line.rstrip("\n") for line in file if line.strip()), num_lines))


def sha256(path: Path) -> str:
    """Give the hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def machine() -> dict[str, str]:
    """Give processor and versions."""
    packages = {name: version(name) for name in ("ltp-extension", "ltp", "jieba", "opencc", "numpy")}
    processors = Path("/proc/cpuinfo")
    names = processors.read_text().split("\n") if processors.exists() else []
    processor = next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "")
    return {
        "processor": processor or platform.machine(),
        "threads": "1",
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **packages,
    }


def table(figures: dict[str, Any]) -> str:
    """Give the scores and rates as a Markdown table."""
    lines = ["| test | segmenter | precision | recall | F1 | recall of unseen |", "|---|---|---|---|---|---|"]
    for name, rows in figures["scores"].items():
        for segmenter, row in rows.items():
            cells = (f"{100 * row[key]:.2f}" for key in ("precision", "recall", "f1", "recall_of_unseen"))
            lines.append(f"| {name} | {segmenter} | {' | '.join(cells)} of {row['num_unseen']} |")
    for segmenter in ("embedded", "jieba"):
        lines.append(
            f"| mean | {segmenter} | | | {100 * mean(r[segmenter]['f1'] for r in figures['scores'].values()):.2f} | |"
        )
    lines += ["", "| text | agreement with jieba | embedded MB/s | jieba MB/s |", "|---|---|---|---|"]
    for name, agreed in figures["agreement_with_jieba"].items():
        rates = figures["megabytes_per_second"][name]
        lines.append(f"| {name} | {100 * agreed:.2f} | {rates['embedded']:.2f} | {rates['jieba']:.2f} |")
    return "\n".join(lines)


def mean(values: Iterable[float]) -> float:
    """Give the mean, 0 of nothing."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


if __name__ == "__main__":
    main()
