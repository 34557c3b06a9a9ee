"""Text files in, a ``chinese_ref`` file out: one JSON list per row of text, as ``run_chinese_ref.py`` wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from wwmcorpus.align.refs import Mode, RefMaker
from wwmcorpus.records import Rejection
from wwmcorpus.text import Source, read_sources

_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class RefReport:
    """What was written.

    Attributes:
        num_rows: Lists in the file.
        num_differing: Rows for which the exact positions and those of the published script differ.
        num_unreadable: Lines that could not be read; they have an empty list, so that rows still match.
        counts: The aligner's.
    """

    num_rows: int
    num_differing: int
    num_unreadable: int
    counts: dict[str, int]


def write_refs(
    sources: Iterable[Source | Path], output: Path, maker: RefMaker, mode: Mode, keep_blank: bool
) -> RefReport:
    r"""Write the refs of every line of some text files; the file is there whole or not at all.

    Args:
        sources: As ``find_sources`` gives them; rows are the lines of text files, split on ``"\\n"`` only.
        output: The file to write.
        maker: Makes the refs.
        mode: Which of the two kinds is written.
        keep_blank: Whether a blank line has a row of its own (an empty list); the published script drops it.
    """
    attempt = output.with_name(output.name + ".part")
    num_rows = num_differing = num_unreadable = 0
    try:
        with attempt.open("w", encoding="utf-8", newline="\n") as file:
            rows = _lines(sources, keep_blank)
            while lines := list(islice(rows, _BATCH_ROWS)):
                num_unreadable += sum(line is None for line in lines)
                for refs in maker.refs([line or "" for line in lines]):
                    file.write(json.dumps(refs.exact if mode == "exact" else refs.compat) + "\n")
                    num_rows += 1
                    num_differing += refs.exact != refs.compat
        attempt.replace(output)
    finally:
        attempt.unlink(missing_ok=True)
    return RefReport(num_rows, num_differing, num_unreadable, dict(maker.aligner.counts))


def _lines(sources: Iterable[Source | Path], keep_blank: bool) -> Iterator[str | None]:
    """Give each line without the whitespace around it, as the published script does; None where it is unreadable."""
    for item in read_sources(sources):
        if not isinstance(item, Rejection):
            yield item.text.strip()
        elif item.reason != "blank":
            yield None
        elif keep_blank:
            yield ""
