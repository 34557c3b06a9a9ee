"""The figures of a corpus in, the tables of its report out: named and formatted, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from wwmcorpus.corpus.statistics import LONGEST_WORD
from wwmcorpus.report.figures import Report, share
from wwmcorpus.report.formats import count, duration, percent, plain, size, visible

_OF_WORDS = {
    "words_one_to_one": ("one to one", "share a piece with no other word"),
    "merged_words": ("merged", "share a piece with the word before; masked with it"),
    "mixed_words": ("mixed", "Chinese and other characters, such as 10万"),
    "words_without_pieces": ("without pieces", "the tokenizer drops all of them"),
}
_OF_PAIRS = {
    "borrowed_pieces": "of segments of other documents, there a second time",
    "unpaired_words": "left out: sentences that found no partner",
    "unpaired_pieces": "of these words",
    "truncated_words": "left out: segments longer than a row",
    "truncated_pieces": "of these words",
}
#: Counts that have a place in a table of their own; all others are shown as they are.
_SHOWN = frozenset(
    (
        *("documents_read", "documents", "duplicates", "sentences", "characters", "words", "pieces", "rows"),
        *("row_pieces", "special_pieces", "dropped_words", "dropped_pieces", "groups", "literal_specials"),
        *("unk_pieces", *_OF_WORDS, *_OF_PAIRS),
    )
)


class Row(NamedTuple):
    """One figure.

    Attributes:
        name: What it is.
        value: It, formatted.
        note: What it means, or what it is a share of.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together."""

    title: str
    rows: tuple[Row, ...]


def tiles(report: Report) -> list[Row]:
    """Give the figures that come first."""
    mean, fill, unk = report.mean_word_length, report.fill, report.unk_rate
    speed = report.bytes_per_second or report.bytes_per_worker_second
    left_out = sum(reason.num_rejected for reason in report.reasons)
    rows = [
        Row("documents", count(report.counts.get("documents", 0)), size(report.source_bytes)),
        Row("rows", count(report.num_rows), f"of at most {count(report.max_length)} pieces"),
        Row("words", count(report.counts.get("words", 0)), f"{count(report.counts.get('characters', 0))} characters"),
        Row("mean word", f"{mean:.2f}" if mean is not None else "none", "characters"),
        Row("full", percent(fill) or "none", "places that hold a piece"),
        Row("[UNK]", percent(unk) or "none", "of the pieces"),
        Row("left out", count(left_out), "documents or parts of them"),
    ]
    if speed is not None:
        rows.append(Row("speed", f"{size(speed)}/s", "of source bytes" if report.bytes_per_second else "per worker"))
    return rows


def text_table(report: Report) -> Table:
    """Give what was read and how much of it there is."""
    counts = report.counts
    read, kept = counts.get("documents_read"), counts.get("documents", 0)
    mean = report.mean_word_length
    rows = [
        Row("sources", count(len(report.inputs)), size(report.source_bytes)),
        Row("documents", count(kept), f"of {count(read)} read" if read is not None else ""),
        *_counted(counts, {"sentences": "", "characters": "", "words": ""}),
        *([Row("mean word length", f"{mean:.2f}", _mean_note(report))] if mean is not None else []),
        Row("pieces", count(counts.get("pieces", 0)), "special pieces not counted"),
    ]
    if counts.get("duplicates"):
        rows.insert(2, Row("duplicates left out", count(counts["duplicates"]), "by the list of wwmcorpus dedup"))
    return Table("Text", tuple(rows))


def rows_table(report: Report) -> Table:
    """Give what the rows hold."""
    splits, counts = report.splits, report.counts
    num_pieces = sum(split.num_pieces for split in splits)
    num_bytes = sum(split.size_bytes for split in splits)
    rows = [
        Row("rows", count(report.num_rows), f"of at most {count(report.max_length)} pieces"),
        Row("full", percent(report.fill), "share of the places that hold a piece"),
        Row(
            "pieces in rows",
            count(num_pieces),
            f"{percent(share(counts.get('special_pieces', 0), num_pieces)) or 'none'} special",
        ),
        *_counted(counts, _OF_PAIRS),
        Row("dropped words", count(counts.get("dropped_words", 0)), "longer than a row"),
        Row("dropped pieces", count(counts.get("dropped_pieces", 0)), "of these words"),
        Row("shards", count(sum(split.num_shards for split in splits)), size(num_bytes)),
    ]
    return Table("Rows", tuple(rows))


def words_table(report: Report) -> Table:
    """Give how words and pieces go together."""
    counts = report.counts
    words, pieces = counts.get("words", 0), counts.get("pieces", 0)
    rows = [
        *(
            Row(name, percent(share(counts.get(key, 0), words)), f"{count(counts.get(key, 0))} words: {meaning}")
            for key, (name, meaning) in _OF_WORDS.items()
        ),
        Row("[UNK]", percent(report.unk_rate), f"{count(counts.get('unk_pieces', 0))} pieces"),
        Row("pieces per word", f"{share(pieces, words) or 0:.2f}", f"{count(counts.get('groups', 0))} groups to mask"),
        Row("special pieces in text", count(counts.get("literal_specials", 0)), "spelled out, read as text"),
    ]
    return Table("Words and pieces", tuple(rows))


def cleaning_table(report: Report) -> Table:
    """Give what else was counted: what cleaning changed, and whatever has no place in the other tables."""
    return Table(
        "Cleaning",
        tuple(Row(plain(key), count(number)) for key, number in report.counts.items() if key not in _SHOWN),
    )


def time_table(report: Report) -> Table:
    """Give how fast it was built."""
    run = report.run
    rows = []
    if "seconds" in run:
        note = "" if report.bytes_per_second or report.bytes_per_worker_second is None else "of the last run alone"
        rows.append(Row("time", duration(run["seconds"]), note))
    if report.bytes_per_second is not None:
        rows.append(Row("throughput", f"{size(report.bytes_per_second)}/s", _bytes_note(report)))
    if report.bytes_per_worker_second is not None:
        rows.append(Row("per worker", f"{size(report.bytes_per_worker_second)}/s", "while it worked"))
    if "engine" in run:
        rows.append(Row("workers", count(report.num_workers), f"engine {run['engine']}"))
    if "built_at" in run:
        rows.append(Row("built", str(run["built_at"])))
    return Table("Speed", tuple(rows))


def settings_rows(config: Mapping[str, object], prefix: str = "") -> Iterator[Row]:
    """Give the values of a configuration, sections as ``section.key``."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from settings_rows(value, f"{prefix}{key}.")
        else:
            yield Row(f"{prefix}{key}", visible("none" if value is None else str(value)))


def _counted(counts: Mapping[str, int], meanings: Mapping[str, str]) -> Iterator[Row]:
    for key, meaning in meanings.items():
        if key in counts:
            yield Row(plain(key), count(counts[key]), meaning)


def _mean_note(report: Report) -> str:
    longest = f", {LONGEST_WORD} or more taken for {LONGEST_WORD}" if report.has_longest_words else ""
    return f"characters{longest}"


def _bytes_note(report: Report) -> str:
    compressed = any(source.name.endswith((".gz", ".zst", ".bz2", ".xz", ".parquet")) for source in report.built)
    added = ", of what was added last" if len(report.built) < len(report.inputs) else ""
    return f"of {'stored (some compressed)' if compressed else 'source'} bytes{added}"


def _of(part: int, whole: int, what: str) -> str:
    return f"{percent(share(part, whole))} {what}" if whole else ""
