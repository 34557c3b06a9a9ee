"""Lines of tokens and tags in, sentences with BIO tags out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import RejectedRow, TaggedExample
from wwmcorpus.tasks.lines import numbered_lines
from wwmcorpus.tasks.read_tables import Rejector

#: Prefixes of other schemes, as BIO has them: S is an entity of one token, M stands in the middle and E at the end.
_AS_BIO = {"B": "B", "I": "I", "S": "B", "M": "I", "E": "I"}
#: Where one file holds several documents, CoNLL's own begin with this.
_DOCUMENT = "-DOCSTART-"


def read_tagged(task: Task, path: Path, labelled: bool, notes: Counter[str]) -> Iterator[TaggedExample | RejectedRow]:
    """Read sentences; of a line the first column is the token and the last its tag.

    Columns stand between tabs, or else between spaces. One bad line costs its sentence.
    """
    for lines in _sentences(path):
        yield _sentence(task, lines, labelled, Rejector(path))


def _sentences(path: Path) -> Iterator[list[tuple[int, str | None]]]:
    lines: list[tuple[int, str | None]] = []
    for number, line in numbered_lines(path):
        if line is not None and (line.startswith(_DOCUMENT) or not line.strip()):
            if lines:
                yield lines
            lines = []
        else:
            lines.append((number, line))
    if lines:
        yield lines


def _sentence(
    task: Task, lines: list[tuple[int, str | None]], labelled: bool, reject: Rejector
) -> TaggedExample | RejectedRow:
    tokens, tags = [], []
    for number, line in lines:
        if line is None:
            return reject("invalid_utf8", number, "bytes that are not UTF-8")
        # Not at any whitespace: an ideographic space is a token of Chinese text.
        columns = line.split("\t") if "\t" in line else [part for part in line.split(" ") if part]
        if not columns[0]:
            return reject("wrong_number_of_columns", number, "no token")
        tokens.append(columns[0])
        if not labelled:
            continue
        if len(columns) < 2 or not columns[-1].strip():
            return reject("label_missing", number, f"the token {columns[0][:40]!r} has no tag")
        tag = _bio(columns[-1].strip())
        if tag not in task.tags:
            detail = f"{columns[-1][:40]!r} is none of {', '.join(task.tags)}"
            return reject("unknown_label", number, detail[:200])
        tags.append(tag)
    return TaggedExample(str(lines[0][0]), tuple(tokens), tuple(tags) if labelled else None)


def _bio(tag: str) -> str:
    prefix, dash, label = tag.partition("-")
    return f"{_AS_BIO.get(prefix, prefix)}-{label}" if dash else tag
