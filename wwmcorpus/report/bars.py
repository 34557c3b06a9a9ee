"""The figures of a corpus in, the charts of its report out: labelled bars, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from wwmcorpus.corpus.statistics import LONGEST_WORD, NUM_LENGTH_BINS
from wwmcorpus.report.figures import Report, share
from wwmcorpus.report.formats import count, duration, plain, shortened, size, visible

#: Words and characters that a chart shows.
NUM_SHOWN = 20
_LONGEST_LABEL = 24


class Bar(NamedTuple):
    """One bar of a chart.

    Attributes:
        label: What it is of.
        value: How much, formatted.
        share: Of the whole, in [0, 1]; None where the whole is nothing.
        length: Of the longest bar, in [0, 1].
        note: More about it.
    """

    label: str
    value: str
    share: float | None
    length: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars that belong together.

    Attributes:
        title: What they show.
        label: What the labels are.
        unit: What the values are.
        bars: In order.
    """

    title: str
    label: str
    unit: str
    bars: tuple[Bar, ...]

    @classmethod
    def of(
        cls, title: str, label: str, unit: str, counted: Iterable[tuple[str, int, str]], whole: int | None = None
    ) -> Chart:
        """Make a chart of (label, count, note); shares are of ``whole``, or else of the sum."""
        found = list(counted)
        total = sum(number for _, number, _ in found) if whole is None else whole
        longest = max((number for _, number, _ in found), default=0)
        bars = (
            Bar(name, count(number), share(number, total), share(number, longest) or 0.0, note)
            for name, number, note in found
        )
        return cls(title, label, unit, tuple(bars))


def word_length_chart(report: Report) -> Chart:
    """Give the histogram of word lengths."""
    labels = [*map(str, range(1, LONGEST_WORD)), f"{LONGEST_WORD}+"]
    bars = ((label, number, "") for label, number in zip(labels, report.word_lengths, strict=True))
    return Chart.of("Length of words", "characters", "words", bars)


def row_length_chart(report: Report) -> Chart:
    """Give the histogram of row lengths, without the bins that no length falls into (rows of few pieces)."""
    edges = [-(-index * report.max_length // NUM_LENGTH_BINS) for index in range(NUM_LENGTH_BINS + 1)]
    bars = (
        (f"{begin + 1}-{end}" if end - begin > 1 else str(end), number, "")
        for begin, end, number in zip(edges[:-1], edges[1:], report.row_lengths, strict=True)
        if begin < end
    )
    return Chart.of("Length of rows", "pieces", "rows", bars)


def words_chart(report: Report) -> Chart:
    """Give the most frequent words."""
    bars = ((shortened(word, _LONGEST_LABEL), number, "") for word, number in report.words.items())
    return Chart.of(
        "Most frequent words", "word", "times", islice(bars, NUM_SHOWN), whole=report.counts.get("words", 0)
    )


def longer_words_chart(report: Report) -> Chart:
    """Give the most frequent words of two characters or more: the segmenter's own doing."""
    bars = ((shortened(word, _LONGEST_LABEL), number, "") for word, number in report.words.items() if len(word) > 1)
    return Chart.of(
        "Longer than one character",
        "word",
        "times",
        islice(bars, NUM_SHOWN),
        whole=report.counts.get("words", 0),
    )


def unknown_chart(report: Report) -> Chart:
    """Give the most frequent characters of pieces that became [UNK]."""
    found = report.unknown_characters
    bars = ((visible(character), number, f"U+{ord(character):04X}") for character, number in found.items())
    return Chart.of("Behind [UNK]", "character", "times", islice(bars, NUM_SHOWN), whole=sum(found.values()))


def reasons_chart(report: Report) -> Chart:
    """Give why something was left out, and how often."""
    return Chart.of(
        "Left out, by reason",
        "reason",
        "times",
        ((plain(reason.name), reason.num_rejected, "") for reason in report.reasons),
    )


def stages_chart(report: Report) -> Chart:
    """Give where the time went, and how fast each stage alone would be."""
    num_bytes = (report.bytes_per_worker_second or 0.0) * report.worker_seconds
    longest = max((stage.seconds for stage in report.stages), default=0.0)
    bars = (
        Bar(
            label=plain(stage.name),
            value=duration(stage.seconds),
            share=stage.share,
            length=share(stage.seconds, longest) or 0.0,
            note=f"{size(num_bytes / stage.seconds)}/s" if num_bytes and stage.seconds else "",
        )
        for stage in report.stages
    )
    return Chart("Where the time went", "stage", "time", tuple(bars))
