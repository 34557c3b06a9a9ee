"""Rows of tsv, csv and jsonl files in, texts with labels out."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wwmcorpus.errors import SourceError
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import RejectedRow, TextExample
from wwmcorpus.tasks.lines import half_of_a_pair, numbered_lines

Found = Iterator[TextExample | RejectedRow]
#: The number of a line, and its columns; or why it has none.
_Row = tuple[int, list[str] | RejectedRow]


class Rejector:
    """Makes rejections of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, reason: str, line: int | str, detail: str) -> RejectedRow:
        """Give the rejection of what stands at a line, or at a place that is named."""
        return RejectedRow(reason, str(self._path), f"line {line}" if isinstance(line, int) else line, detail)


def read_tsv(task: Task, path: Path, labelled: bool, notes: Counter[str]) -> Found:
    """Read tab-separated columns; a quote is a character like others."""
    return _columns_to_examples(task, path, labelled, _tsv_rows(path))


def read_csv(task: Task, path: Path, labelled: bool, notes: Counter[str]) -> Found:
    """Read comma-separated columns, quoted where they hold commas, quotes or line ends."""
    return _columns_to_examples(task, path, labelled, _csv_rows(path))


def read_jsonl(task: Task, path: Path, labelled: bool, notes: Counter[str]) -> Found:
    """Read an object a line, as CLUE has them."""
    reject = Rejector(path)
    for number, line in numbered_lines(path):
        if line is None:
            yield reject("invalid_utf8", number, "bytes that are not UTF-8")
        elif not line.strip():
            yield reject("blank", number, "an empty line")
        else:
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:  # numbers of thousands of digits are no JSONDecodeError
                yield reject("broken_json", number, str(error))
                continue
            if isinstance(values, dict):
                yield _example(task, values, number, labelled, reject)
            else:
                yield reject("broken_json", number, f"a {type(values).__name__}, not an object")


def _tsv_rows(path: Path) -> Iterator[_Row]:
    reject = Rejector(path)
    for number, line in numbered_lines(path):
        if line is None:
            yield number, reject("invalid_utf8", number, "bytes that are not UTF-8")
        elif not line.strip():
            yield number, reject("blank", number, "an empty line")
        else:
            yield number, line.split("\t")


def _csv_rows(path: Path) -> Iterator[_Row]:
    reject = Rejector(path)
    bad: list[int] = []

    def lines() -> Iterator[str]:
        for number, line in numbered_lines(path):
            if line is None:
                bad.append(number)
            yield f"{line or ''}\n"

    reader = csv.reader(lines(), strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            # A quote that is not closed takes every line up to the next one with it.
            for number in range(begin, reader.line_num + 1):
                yield number, reject("broken_csv", number, f"{error}, in the record from line {begin} on")
            bad.clear()
            continue
        if row is None:
            return
        if bad:
            yield begin, reject("invalid_utf8", bad[0], "bytes that are not UTF-8")
            bad.clear()
        else:
            yield begin, row if any(row) else reject("blank", begin, "an empty line")


def _columns_to_examples(task: Task, path: Path, labelled: bool, rows: Iterator[_Row]) -> Found:
    reject = Rejector(path)
    names = list(task.columns)
    for number, row in rows:
        if isinstance(row, RejectedRow):
            if not names and row.reason != "blank":
                raise SourceError(
                    f"the first line of a task file, which names its columns, cannot be read: {row.detail}",
                    where=f"{path}, {row.place}",
                    fix="Save the file as UTF-8, its columns as the task's file_format says.",
                )
            yield row
        elif not names:
            names = _header(task, path, labelled, row)
        elif len(row) == len(names):
            yield _example(task, dict(zip(names, row, strict=True)), number, labelled, reject)
        elif not labelled and row and len(row) == len(names) - 1 and names[-1] == task.label:
            yield _example(task, dict(zip(names, row, strict=False)), number, labelled, reject)
        else:
            detail = f"{len(row)} columns, {len(names)} are due: {', '.join(names)}"
            yield reject("wrong_number_of_columns", number, detail)


def _header(task: Task, path: Path, labelled: bool, names: Sequence[str]) -> list[str]:
    """Check the first line against the columns that a task names."""
    needed = [*task.text_columns, *([task.label] if labelled else [])]
    missing = [name for name in needed if name not in names]
    if missing:
        raise SourceError(
            f"the first line of a task file names the columns {', '.join(names)[:200]}; "
            f"the task {task.name!r} needs {', '.join(needed)}",
            where=str(path),
            fix="Correct text_a, text_b and label of the task, or give `columns` if the file has no line of names.",
        )
    twice = [name for name in needed if names.count(name) > 1]
    if twice:
        raise SourceError(
            "the first line of a task file names a column twice",
            value=twice,
            where=str(path),
            fix="Rename one of them.",
        )
    return list(names)


def _example(
    task: Task, values: Mapping[str, object], number: int, labelled: bool, reject: Rejector
) -> TextExample | RejectedRow:
    texts = []
    for name in task.text_columns:
        text = values.get(name)
        if not isinstance(text, str):
            return reject("text_missing", number, f"{name!r} is {type(text).__name__}, not text")
        if not text.strip():
            return reject("empty_text", number, f"{name!r} is empty")
        texts.append(text)
    label = _label(task, values.get(task.label), number, reject) if labelled else None
    if isinstance(label, RejectedRow):
        return label
    name = str(number if values.get("id") is None else values["id"])
    if half_of_a_pair(name, *texts):
        return reject("lone_surrogate", number, "half of a surrogate pair, which no tokenizer reads")
    return TextExample(name, texts[0], texts[1] if len(texts) > 1 else None, label)


def _label(task: Task, value: object, number: int, reject: Rejector) -> str | float | RejectedRow:
    if not isinstance(value, (str, int, float)) or not str(value).strip():
        return reject("label_missing", number, f"{task.label!r} is {value!r}")
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if text in task.no_label:
        return reject("no_label", number, f"the label is {text!r}: annotators agreed on none")
    if task.kind == "classification":
        if text in task.labels:
            return text
        return reject("unknown_label", number, f"{text[:40]!r} is none of {', '.join(task.labels)}"[:200])
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    return score if math.isfinite(score) else reject("label_not_a_number", number, f"{text[:40]!r}")
