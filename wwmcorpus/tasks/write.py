"""Examples in, a file in the format of their task out, which the task reads back to the same examples."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO

from wwmcorpus.files import whole_file
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Example, ReadingExample, TaggedExample, TextExample


def write_examples(task: Task, path: Path, examples: Iterable[Example]) -> None:
    """Write examples, whole or not at all.

    Columns and fields that the task does not name are not written. An id is written where the format has one.
    """
    with whole_file(path, "w") as file:
        if task.file_format == "squad":
            _write_questions(file, (one for one in examples if isinstance(one, ReadingExample)))
        elif task.file_format == "conll":
            _write_tagged(file, (one for one in examples if isinstance(one, TaggedExample)))
        elif task.file_format == "jsonl":
            for example in _texts(examples):
                json.dump({"id": example.id} | _values(task, example), file, ensure_ascii=False)
                file.write("\n")
        else:
            _write_columns(task, file, _texts(examples))


def _texts(examples: Iterable[Example]) -> Iterator[TextExample]:
    return (one for one in examples if isinstance(one, TextExample))


def _values(task: Task, example: TextExample) -> dict[str, str | float]:
    values: dict[str, str | float] = dict(zip(task.text_columns, (example.text_a, example.text_b or ""), strict=False))
    return values if example.label is None else values | {task.label: example.label}


def _write_columns(task: Task, file: IO[str], examples: Iterator[TextExample]) -> None:
    names = list(task.columns)
    for number, example in enumerate(examples):
        values = _values(task, example)
        if not names:
            names = list(values)
        if number == 0 and not task.columns:
            _write_row(task, file, names)
        _write_row(task, file, [str(values.get(name, "")) for name in names])


def _write_row(task: Task, file: IO[str], row: list[str]) -> None:
    if task.file_format == "csv":
        # A carriage return ends a line for those who read it, but is not quoted where it ends none that are written.
        has_returns = any("\r" in cell for cell in row)
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if has_returns else csv.QUOTE_MINIMAL).writerow(row)
    else:
        file.write("\t".join(row) + "\n")


def _write_questions(file: IO[str], examples: Iterator[ReadingExample]) -> None:
    """Write an article and a paragraph for each passage."""
    articles = []
    for passage, group in groupby(examples, key=lambda example: example.passage):
        questions = [
            {
                "id": example.id,
                "question": example.question,
                "answers": [{"text": one.text, "answer_start": one.start} for one in example.answers],
            }
            for example in group
        ]
        paragraph = {"id": questions[0]["id"], "context": passage, "qas": questions}
        articles.append({"id": questions[0]["id"], "paragraphs": [paragraph]})
    json.dump({"version": "v1.0", "data": articles}, file, ensure_ascii=False, indent=1)
    file.write("\n")


def _write_tagged(file: IO[str], examples: Iterator[TaggedExample]) -> None:
    for number, example in enumerate(examples):
        file.write("\n" * (number > 0))
        tags = example.tags or ("",) * len(example.tokens)
        file.writelines(f"{token}\t{tag}\n" for token, tag in zip(example.tokens, tags, strict=True))
