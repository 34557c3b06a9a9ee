"""JSON of reading comprehension in SQuAD's layout in, questions with the answers in their passages out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wwmcorpus.errors import SourceError
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Answer, ReadingExample, RejectedRow
from wwmcorpus.tasks.lines import half_of_a_pair, numbered_lines
from wwmcorpus.tasks.read_tables import Rejector

_Found = Iterator[ReadingExample | RejectedRow]


def read_questions(task: Task, path: Path, labelled: bool, notes: Counter[str]) -> _Found:
    """Read questions; an answer that does not stand where the file says is looked for in the rest of the passage."""
    reject = Rejector(path)
    seen: set[str] = set()
    for place, paragraph in _paragraphs(path):
        passage = paragraph.get("context")
        questions = paragraph.get("qas")
        if not isinstance(passage, str) or not isinstance(questions, list):
            yield reject("text_missing", place, "no passage, or no questions about it")
            continue
        for number, values in enumerate(questions):
            found = _question(passage, values, f"{place}.qas[{number}]", labelled, notes, reject)
            if isinstance(found, ReadingExample) and found.id in seen:
                found = reject("duplicate_id", f"{place}.qas[{number}]", f"another question has the id {found.id!r}")
            elif isinstance(found, ReadingExample):
                seen.add(found.id)
            yield found


def _paragraphs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = []
    for number, line in numbered_lines(path):
        if line is None:
            raise _not_squad(path, f"line {number} is not UTF-8")
        lines.append(line)
    try:
        content = json.loads("\n".join(lines))
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits are no JSONDecodeError
        raise _not_squad(path, str(error)) from None
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        raise _not_squad(path, "there is no list under 'data'")
    for number, article in enumerate(articles):
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            raise _not_squad(path, f"data[{number}] has no list of paragraphs")
        for index, paragraph in enumerate(paragraphs):
            yield f"data[{number}].paragraphs[{index}]", paragraph if isinstance(paragraph, dict) else {}


def _not_squad(path: Path, why: str) -> SourceError:
    return SourceError(
        f"not a reading comprehension file in SQuAD's layout: {why}",
        value=str(path),
        fix="It must be one JSON object: data, a list of articles with paragraphs of context and qas.",
    )


def _question(
    passage: str, values: Any, place: str, labelled: bool, notes: Counter[str], reject: Rejector
) -> ReadingExample | RejectedRow:
    question = values.get("question") if isinstance(values, dict) else None
    if not isinstance(question, str):
        return reject("text_missing", place, "no question")
    name = str(place if values.get("id") is None else values["id"])
    where = f"question {name}"
    if not question.strip() or not passage.strip():
        return reject("empty_text", where, "the question or its passage is empty")
    given = values.get("answers") if labelled else None
    texts = [one for one in given if _is_answer(one)] if isinstance(given, list) else []
    if half_of_a_pair(name, passage, question, *(one["text"] for one in texts)):
        return reject("lone_surrogate", place, "half of a surrogate pair, which no tokenizer reads")
    if not labelled:
        return ReadingExample(name, passage, question, ())
    if not texts:
        return reject("label_missing", where, "no answer")
    counts: Counter[str] = Counter()
    answers = tuple(_located(passage, one["text"], one.get("answer_start"), counts) for one in texts)
    notes.update(counts)
    return ReadingExample(name, passage, question, answers)


def _is_answer(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text"), str) and bool(value["text"].strip())


def _located(passage: str, text: str, stated: Any, notes: Counter[str]) -> Answer:
    """Find an answer where it is said to stand, or at the place nearest to that; at need without spaces about it."""
    near = min(max(stated, 0), len(passage)) if isinstance(stated, int) else 0
    if text not in passage:
        text = text.strip()
    if passage.startswith(text, near):
        if near != stated:
            notes["moved_answers"] += 1
        return Answer(text, near)
    behind, before = passage.find(text, near), passage.rfind(text, 0, near + len(text) - 1)
    places = [place for place in (before, behind) if place >= 0]
    if not places:
        notes["answers_not_in_passage"] += 1
        return Answer(text, None)
    notes["moved_answers"] += 1
    return Answer(text, min(places, key=lambda place: abs(place - near)))
