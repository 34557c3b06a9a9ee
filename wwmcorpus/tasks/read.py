"""A file of a task in, its examples out, and each row that became none with reason, file and place.

Why a row is left out:

- of any file: ``invalid_utf8``, ``label_missing``, ``unknown_label``, ``no_label`` (annotators agreed on none);
- of JSON: ``lone_surrogate`` (half of a surrogate pair, spelled as an escape);
- of texts: ``blank``, ``wrong_number_of_columns``, ``empty_text``, ``label_not_a_number``, ``broken_csv``,
  ``broken_json``, ``text_missing``;
- of reading comprehension: ``text_missing``, ``empty_text``, ``answer_not_in_passage``, ``duplicate_id``;
- of labelled sentences, which one bad line costs as a whole: ``wrong_number_of_columns``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from wwmcorpus.errors import SourceError
from wwmcorpus.tasks.declaration import FileFormat, Task
from wwmcorpus.tasks.examples import Example, Examples, ReadingExample, RejectedRow
from wwmcorpus.tasks.read_questions import read_questions
from wwmcorpus.tasks.read_tables import Rejector, read_csv, read_jsonl, read_tsv
from wwmcorpus.tasks.read_tagged import read_tagged

_log = logging.getLogger(__name__)
_READERS: dict[FileFormat, Callable[[Task, Path, bool, Counter[str]], Iterator[Example | RejectedRow]]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "squad": read_questions,
    "conll": read_tagged,
}


def read_examples(task: Task, path: str | PurePath, labelled: bool = True, to_learn: bool = False) -> Examples:
    """Read a file of a task.

    Args:
        task: What is in it.
        path: A UTF-8 file, perhaps packed as .gz, .zst, .bz2 or .xz.
        labelled: Whether each row must have a label. If not, labels and answers are not looked at.
        to_learn: Whether to leave out questions whose answers stand nowhere in their passage. They have no place to
            learn, but count when predictions are scored, as in the official script of CMRC 2018.

    Returns:
        The examples in order, and the rows that became none.

    Raises:
        SourceError: the file is absent, breaks off, lacks a column that the task names, or holds no example.
    """
    examples: list[Example] = []
    rejections: list[RejectedRow] = []
    notes: Counter[str] = Counter()
    reject = Rejector(Path(path))
    for found in _READERS[task.file_format](task, Path(path), labelled, notes):
        if to_learn and isinstance(found, ReadingExample) and all(one.start is None for one in found.answers):
            found = reject(
                "answer_not_in_passage", f"question {found.id}", f"{[one.text[:40] for one in found.answers]}"
            )
        if isinstance(found, RejectedRow):
            rejections.append(found)
        else:
            examples.append(found)
    read = Examples(str(path), tuple(examples), tuple(rejections), dict(sorted(notes.items())))
    if not examples:
        why = f"; rows left out: {read.rejected}" if rejections else ""
        first = f" The first: {rejections[0].place}, {rejections[0].detail}." if rejections else ""
        fix = f"Give a file of the task {task.name!r} with at least one good row.{first}"
        raise SourceError(f"a task file holds no example{why}", value=str(path), fix=fix)
    for reason, count in read.rejected.items():
        first_row = next(row for row in rejections if row.reason == reason)
        _log.warning("%s: %d left out: %s; the first: %s (%s)", path, count, reason, first_row.place, first_row.detail)
    for note, count in read.notes.items():
        _log.info("%s: %d %s", path, count, note.replace("_", " "))
    return read
