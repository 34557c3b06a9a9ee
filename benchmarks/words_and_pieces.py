"""Speed of segmenters, of alignment and of neural LTP, each beside its peer: one command, one run, some minutes.

    python benchmarks/words_and_pieces.py --text TEXT... [--ltp-python PATH] [--threads 1 2] [--minutes 4]

What is timed: in-memory texts to results in memory, start-up apart. One thread is timed by the CPU's clock, several by
the wall's. The texts are cut to sentences as a build cuts them, in batches as large as a build's; a line's figure is
from the second half of the text.

- ``LTP alone``, ``rjieba alone``, ``jieba alone``: the engine as it is called, words in strings. Ours gives spans.
- ``encode_batch``: the Hugging Face tokenizer with ids and offsets read, as an aligner must read them.
- The aligner, ``as builds call it``: texts laid on a line, pieces and words by their places on it. ``text by text``: a
  record with offsets for each text. ``new text``: the aligner has seen the first half of the text and nothing else, as
  in a build; ``seen text``: it has seen the second half too.
- ``published``: our own rewrite of what run_chinese_ref.py does, with the same LTP perceptron in place of its neural
  LTP: words of 100 lines, tokens of 100 lines, the set of words matched again, longest first. Ours gives both the
  exact refs and the compatible ones at once; the line says how many of the latter are the published ones, once
  LTP's words are split where LTP glues whitespace to them.

The aligner, jieba and rjieba have one thread. What the neural figures mean stands in ``neural_words.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy's; torch is told its own number

from measure import machine, write_result
from published import published_refs
from side_by_side import Lines, Work, clock_of, in_turns

from wwmcorpus import Aligner, load_segmenter, load_tokenizer
from wwmcorpus.align import RefMaker
from wwmcorpus.errors import MissingExtraError
from wwmcorpus.segment import segment_line
from wwmcorpus.text import TextLine, sentence_spans

__all__ = ["published_refs"]

PACKAGES = ("wwmcorpus", "tokenizers", "transformers", "torch", "ltp-extension", "ltp-core", "jieba", "numpy")
#: Shares of the time for the texts; the neural part takes about what is left. Groups of works for each text.
_TEXT_SHARE, _NUM_GROUPS = 0.4, 4
_BATCH_CHARACTERS = 1 << 16


def main() -> None:
    """Measure, print a table, write results/words_and_pieces.json."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--text", nargs="+", required=True, type=Path, help="UTF-8, one line per text")
    arguments.add_argument("--vocab", default="embedded", help="vocab.txt, folder, or hub id")
    arguments.add_argument("--minutes", type=float, default=4, help="about how long, on a machine that does 10 kB/s")
    arguments.add_argument("--threads", nargs="+", type=int, default=[1])
    arguments.add_argument("--max-bytes", type=int, default=800_000, help="of each text")
    arguments.add_argument("--neural", type=Path, help="folder of a neural LTP model; one is made where it is absent")
    arguments.add_argument("--ltp-python", help="interpreter in which ltp 4.2.14 runs its neural models")
    given = arguments.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(max(given.threads))  # before the Rust libraries make their pools
    begin, load = time.perf_counter(), os.getloadavg()[0]
    described = machine(PACKAGES)
    lines = Lines(f"{described['cpu']}, {described['cores']} cores")
    lines.head()
    texts = {path.stem: read_lines(path, given.max_bytes) for path in given.text}
    seconds = 60 * given.minutes * _TEXT_SHARE / (len(texts) * len(given.threads) * _NUM_GROUPS)
    for num_threads in given.threads:
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if num_threads > 1 else "false"
        for name, text in texts.items():
            measure_text(lines, name, text, given.vocab, num_threads, seconds)
    measure_neural(lines, *next(iter(texts.items())), given)
    result = {
        "command": " ".join(["python", "benchmarks/words_and_pieces.py", *_without_folders(sys.argv[1:])]),
        "machine": described | {"load_average": round(load, 2)},
        "seconds": round(time.perf_counter() - begin),
        "lines": lines.lines,
    }
    print(f"{write_result('words_and_pieces', result)} after {result['seconds']} seconds")


def read_lines(path: Path, max_bytes: int) -> list[str]:
    """Give the lines of a text that are not blank."""
    lines = path.read_bytes()[:max_bytes].decode("utf-8", "ignore").split("\n")
    return [line for line in lines if line.strip()]


def split(lines: Sequence[str]) -> list[str]:
    """Give the sentences of some lines, as a build hands them to the segmenter."""
    return [line[start:end] for line in lines for start, end in sentence_spans(line)]


def batches_of(texts: Sequence[str]) -> list[list[str]]:
    """Give texts in batches as large as a build's."""
    batches: list[list[str]] = [[]]
    size = 0
    for text in texts:
        if size >= _BATCH_CHARACTERS:
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += len(text)
    return batches


def measure_text(lines: Lines, name: str, text: list[str], vocab: str, num_threads: int, seconds: float) -> None:
    """Add the lines of one text: segmenters, aligner, refs."""
    first, second = text[: len(text) // 2], text[len(text) // 2 :]
    facts = {"text": name, "threads": num_threads, "precision": "-"}
    batches = batches_of(split(second))
    measure_ltp(lines, batches, facts, seconds)
    measure_aligner(lines, batches_of(split(first)), batches, vocab, facts, seconds)
    measure_refs(lines, [second[i : i + 100] for i in range(0, len(second), 100)], vocab, facts, seconds)
    if num_threads == 1:
        for jieba in ("rjieba", "jieba"):
            measure_jieba(lines, jieba, batches[0], facts, seconds / 2)


def measure_ltp(lines: Lines, batches: list[list[str]], facts: dict[str, Any], seconds: float) -> None:
    """Add what our spans cost over LTP's perceptron alone."""
    parallel = facts["threads"] > 1
    ltp = load_segmenter("ltp", facts["threads"])
    engine = ltp._model  # type: ignore[attr-defined]
    alone, ours, by_text = "LTP alone", "segmenter ltp, as builds call it", "segmenter ltp, text by text"
    works = {
        alone: Work(lambda: [engine.batch_predict(batch, parallelism=parallel) for batch in batches]),
        ours: Work(lambda: [segment_line(ltp, TextLine.of(batch)) for batch in batches]),
        by_text: Work(lambda: [ltp.segment(batch) for batch in batches]),
    }
    times = in_turns(works, clock_of(facts["threads"]), seconds)
    for name in (ours, by_text):
        lines.add(name, alone, times, num_bytes(batches), **facts)


def measure_aligner(
    lines: Lines, seen: list[list[str]], batches: list[list[str]], vocab: str, facts: dict[str, Any], seconds: float
) -> None:
    """Add both ways to align, on text that the aligner has seen and on new text."""
    tokenizer, ltp = load_tokenizer(vocab), load_segmenter("ltp", facts["threads"])
    on_line = [segment_line(ltp, TextLine.of(batch)) for batch in batches]
    by_text = [ltp.segment(batch) for batch in batches]
    first_half = [(batch, ltp.segment(batch)) for batch in seen]
    aligner = Aligner(tokenizer)

    def begin_anew() -> None:
        nonlocal aligner
        aligner = Aligner(tokenizer)
        for pair in first_half:
            aligner.align_flat(*pair)

    def as_builds() -> None:
        for batch, spans in zip(batches, on_line, strict=True):
            aligner.align_line(TextLine.of(batch), spans)

    def each_text() -> None:
        for pair in zip(batches, by_text, strict=True):
            aligner.align(*pair)

    encode = "encode_batch"
    works = {
        encode: Work(lambda: [encode_batch(tokenizer, batch) for batch in batches]),
        "aligner, as builds call it, new text": Work(as_builds, begin_anew),
        "aligner, as builds call it, seen text": Work(as_builds),
        "aligner, text by text, new text": Work(each_text, begin_anew),
        "aligner, text by text, seen text": Work(each_text),
    }
    times = in_turns(works, clock_of(facts["threads"]), seconds)
    for name in list(works)[1:]:
        lines.add(name, encode, times, num_bytes(batches), **facts)


def measure_refs(lines: Lines, hundreds: list[list[str]], vocab: str, facts: dict[str, Any], seconds: float) -> None:
    """Add ``ref`` beside the published script's algorithm, lines in hundreds."""
    tokenizer, ltp = load_tokenizer(vocab), load_segmenter("ltp", facts["threads"])
    engine, maker, parallel = ltp._model, RefMaker(ltp, tokenizer), facts["threads"] > 1  # type: ignore[attr-defined]

    def publish(model: Any = engine) -> list[list[int]]:
        return [ref for some in hundreds for ref in published_refs(model, tokenizer, some, parallel)]

    def ours() -> list[list[int]]:
        return [refs.compat for some in hundreds for refs in maker.refs(some)]

    name, peer = "ref, exact and compatible", "published"
    times = in_turns({peer: Work(publish), name: Work(ours)}, clock_of(facts["threads"]), seconds)
    found = ours()
    num_same = sum(map(list.__eq__, publish(WithoutSpaces(engine)), found))
    words = f"compatible refs of {num_same} in {len(found)} lines as published"
    lines.add(name, peer, times, num_bytes(hundreds), **facts, words=words)


class WithoutSpaces:
    """LTP's perceptron, its words split where it glues whitespace to them: what every segmenter of ours does."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def batch_predict(self, lines: list[str], parallelism: bool) -> list[list[str]]:
        """Give the words of each line, as the engine does."""
        found = self._engine.batch_predict(lines, parallelism=parallelism)
        return [[part for word in words for part in word.split()] for words in found]


def measure_jieba(lines: Lines, name: str, batch: list[str], facts: dict[str, Any], seconds: float) -> None:
    """Add what our spans cost over jieba, or its Rust edition, alone."""
    try:
        segmenter: Any = load_segmenter(name)
    except MissingExtraError as error:
        lines.skip(name, str(error).partition("\n")[0])
        return
    if name == "jieba":
        alone = Work(lambda: [segmenter._tokenizer.lcut(text) for text in batch])
    else:
        alone = Work(lambda: [segmenter._jieba.cut(text, True) for text in batch])
    works = {f"{name} alone": alone, f"segmenter {name}": Work(lambda: segment_line(segmenter, TextLine.of(batch)))}
    times = in_turns(works, time.process_time, seconds)
    lines.add(f"segmenter {name}", f"{name} alone", times, num_bytes([batch]), **facts)


def measure_neural(lines: Lines, name: str, text: list[str], given: argparse.Namespace) -> None:
    """Add the lines of neural LTP, on one text and one thread."""
    from neural_model import MODEL_STEPS, make_model
    from neural_words import measure_backbone, measure_peer, measure_precisions

    scale = given.minutes / 4
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.neural or Path(scratch) / "small"
        if not (folder / "config.json").is_file():
            ids = load_tokenizer(given.vocab).get_vocab()
            make_model(folder, sorted(ids, key=ids.__getitem__), split(text[len(text) // 2 :]), MODEL_STEPS)
        short = [line for line in text[: len(text) // 2] if len(line) <= 500]
        sentences = split(short)
        measure_backbone(lines, folder, sentences, f"{name}, sentences", scale)
        measure_precisions(lines, folder, sentences, f"{name}, sentences", scale)
        if given.ltp_python is None:
            lines.skip("LTP's own neural pipeline", "no --ltp-python; ltp_pipeline.py says how to make one")
            return
        for kind, texts in (("sentences", sentences), ("lines", short)):
            measure_peer(lines, folder, texts, f"{name}, {kind}", scale, given.ltp_python)


def encode_batch(tokenizer: Any, batch: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Give ids and offsets as the Hugging Face tokenizer finds them."""
    encodings = tokenizer.backend_tokenizer.encode_batch(batch, add_special_tokens=False)
    return [(encoding.ids, encoding.offsets) for encoding in encodings]


def num_bytes(batches: Sequence[Sequence[str]]) -> int:
    """Give the UTF-8 of some texts."""
    return sum(len(text.encode()) for batch in batches for text in batch)


def _without_folders(words: Sequence[str]) -> list[str]:
    return [word.rpartition("/")[2] for word in words]


if __name__ == "__main__":
    main()
