"""Segmenters side by side: names and a text in, speed, words, agreement and, with gold words, scores out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import SourceError
from wwmcorpus.records import Rejection, WordSpans
from wwmcorpus.segment import Segmenter, SegmenterOptions, load_segmenter
from wwmcorpus.segment.batches import batches_of_texts
from wwmcorpus.segment.scores import WordScores, agreement, score_words
from wwmcorpus.segment.training import read_segmented
from wwmcorpus.text import find_sources, read_sources

#: Bins of the histogram of word lengths, in characters; the last holds all longer words too.
LENGTHS = (1, 2, 3, 4, 5)
_BATCH_CHARACTERS = 1 << 20


@dataclass(frozen=True, slots=True)
class SegmenterFigures:
    """What one segmenter did.

    Attributes:
        name: As it was asked for.
        signature: What to quote.
        mb_per_second: 10^6 bytes of UTF-8 per second, in the second of two passes.
        num_words: Words of the text.
        num_by_length: Of 1, 2, 3, 4 characters, and of 5 or more.
        mean_length: Characters per word; 0 without words.
        scores: Against the gold words; None without them.
    """

    name: str
    signature: str
    mb_per_second: float
    num_words: int
    num_by_length: tuple[int, ...]
    mean_length: float
    scores: WordScores | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Segmenters side by side.

    Attributes:
        num_texts: Lines that were segmented.
        num_bytes: Their UTF-8.
        num_rejected: Lines that were left out: blank or unreadable.
        figures: One per segmenter, in the order asked for.
        agreement: (index, index, F1 of the words of one against those of the other) of every pair.
        has_unseen: Whether words outside the given training text were counted.
    """

    num_texts: int
    num_bytes: int
    num_rejected: int
    figures: tuple[SegmenterFigures, ...]
    agreement: tuple[tuple[int, int, float], ...]
    has_unseen: bool

    def tables(self) -> str:
        """Give everything as plain aligned tables."""
        head = (
            f"{self.num_texts:,} lines, {self.num_bytes:,} bytes; left out, blank or unreadable: {self.num_rejected:,}"
        )
        parts = [head, _table(self._speed_rows()), _table(self._length_rows())]
        if any(figures.scores for figures in self.figures):
            parts.append(_table(self._score_rows()))
        if self.agreement:
            parts.append(_table(self._agreement_rows()))
        return "\n\n".join(parts)

    def _speed_rows(self) -> Iterator[list[str]]:
        yield ["segmenter", "MB/s", "words", "signature"]
        for one in self.figures:
            yield [one.name, f"{one.mb_per_second:.2f}", f"{one.num_words:,}", one.signature]

    def _length_rows(self) -> Iterator[list[str]]:
        yield ["characters", "mean", *map(str, LENGTHS[:-1]), f"{LENGTHS[-1]}+"]
        for one in self.figures:
            shares = [f"{count / max(one.num_words, 1):.1%}" for count in one.num_by_length]
            yield [one.name, f"{one.mean_length:.2f}", *shares]

    def _score_rows(self) -> Iterator[list[str]]:
        yield ["against gold", "precision", "recall", "F1", *(["recall of unseen"] if self.has_unseen else [])]
        for one in self.figures:
            if one.scores is not None:
                rates: list[float | None] = [one.scores.precision, one.scores.recall, one.scores.f1]
                rates += [one.scores.recall_of_unseen] if self.has_unseen else []
                yield [one.name, *("-" if rate is None else f"{rate:.2%}" for rate in rates)]

    def _agreement_rows(self) -> Iterator[list[str]]:
        names = [one.name for one in self.figures]
        shares = {(i, j): f"{f1:.2%}" for i, j, f1 in self.agreement}
        yield ["agreement F1", *names[:-1]]
        for i, name in enumerate(names[1:], 1):
            yield [name, *(shares[j, i] if j < i else "" for j in range(len(names) - 1))]


def compare_segmenters(
    names: Sequence[str],
    on: str | Path,
    gold: str | Path | None = None,
    seen: str | Path | None = None,
    num_threads: int = 1,
    options: SegmenterOptions | None = None,
) -> Comparison:
    """Run segmenters over one text.

    Args:
        names: What ``load_segmenter`` accepts.
        on: Text file, one text per line; or .jsonl.
        gold: Segmented text, words between spaces; the segmenters see its lines without the spaces.
        seen: Segmented text; the gold words that are not in it count as unseen.
        num_threads: How many threads each may use.
        options: For all of them; None: the defaults.

    Raises:
        ConfigError: a segmenter is unknown, or cannot follow the options.
        SegmenterError: a model or dictionary cannot be loaded.
        SourceError: a file cannot be read, or ``on`` holds no text.
    """
    texts, num_rejected = _read_texts(on)
    num_bytes = sum(len(text.encode()) for text in texts)
    gold_words = None if gold is None else read_segmented(gold)
    vocabulary = None if seen is None else {word for words in read_segmented(seen) for word in words}
    figures, spans = [], []
    for name in names:
        segmenter = load_segmenter(name, num_threads, options)
        _segment(segmenter, texts)
        begin = time.perf_counter()
        found = _segment(segmenter, texts)
        seconds = time.perf_counter() - begin
        scores = None if gold_words is None else _score(segmenter, gold_words, vocabulary)
        figures.append(_figures(name, segmenter.signature, num_bytes / 1e6 / max(seconds, 1e-9), found, scores))
        spans.append(found)
    pairs = ((i, j, agreement(spans[i], spans[j])) for i, j in combinations(range(len(spans)), 2))
    has_unseen = gold_words is not None and vocabulary is not None
    return Comparison(len(texts), num_bytes, num_rejected, tuple(figures), tuple(pairs), has_unseen)


def _read_texts(path: str | Path) -> tuple[list[str], int]:
    """Give the texts of a file and how many of its lines were left out."""
    items = list(read_sources(find_sources([str(path)])))
    texts = [item.text for item in items if not isinstance(item, Rejection)]
    if not texts:
        raise SourceError("no text to segment", value=str(path), fix="Give a file with one text per line.")
    return texts, len(items) - len(texts)


def _segment(segmenter: Segmenter, texts: Sequence[str]) -> list[WordSpans]:
    return [spans for batch in batches_of_texts(texts, _BATCH_CHARACTERS) for spans in segmenter.segment(batch)]


def _score(segmenter: Segmenter, gold: list[list[str]], vocabulary: set[str] | None) -> WordScores:
    return score_words(gold, _segment(segmenter, ["".join(words) for words in gold]), vocabulary)


def _figures(
    name: str, signature: str, mb_per_second: float, spans: list[WordSpans], scores: WordScores | None
) -> SegmenterFigures:
    both: NDArray[np.int32] = np.concatenate(spans)
    lengths = both[:, 1] - both[:, 0]
    counts = np.bincount(np.minimum(lengths, LENGTHS[-1]), minlength=LENGTHS[-1] + 1)[1:]
    mean = float(lengths.mean()) if len(lengths) else 0.0
    return SegmenterFigures(name, signature, mb_per_second, len(lengths), tuple(counts.tolist()), mean, scores)


def _table(rows: Iterable[Sequence[str]]) -> str:
    """Align columns: names and signatures to the left, figures to the right."""
    lines = [list(row) for row in rows]
    left = [not any(row[i][:1].isdigit() or row[i] == "-" for row in lines[1:]) for i in range(len(lines[0]))]
    left[0] = True
    widths = [max(len(row[i]) for row in lines) for i in range(len(left))]
    aligned = (
        [
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left, strict=True)
        ]
        for row in lines
    )
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)
