"""The records of tasks: examples, and the rows that became none, with file and place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


class TextExample(NamedTuple):
    """A text or a pair of them.

    Attributes:
        id: What its file calls it, or the number of its line.
        text_a: The text.
        text_b: The second text of a pair; None where there is none.
        label: One of the task's labels, of regression a number; None where the file was read without labels.
    """

    id: str
    text_a: str
    text_b: str | None
    label: str | float | None


class Answer(NamedTuple):
    """An answer.

    Attributes:
        text: As annotators wrote it.
        start: Where it begins in the passage, in code points; None where the passage does not hold it: such an answer
            counts when a prediction is scored, and nothing is learned from it.
    """

    text: str
    start: int | None


class ReadingExample(NamedTuple):
    """A question about a passage.

    Attributes:
        id: Of the question.
        passage: What holds the answer.
        question: The question.
        answers: All that count as right; none where the file was read without labels.
    """

    id: str
    passage: str
    question: str
    answers: tuple[Answer, ...]


class TaggedExample(NamedTuple):
    """A sentence with a tag for each token.

    Attributes:
        id: The number of its first line.
        tokens: Characters, or words.
        tags: Such as ``("B-PER", "I-PER", "O")``; None where the file was read without labels.
    """

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None


Example: TypeAlias = TextExample | ReadingExample | TaggedExample


class RejectedRow(NamedTuple):
    """A row that became no example.

    Attributes:
        reason: A short constant, what rejections are counted by.
        path: Its file.
        place: Its line, or its question.
        detail: One line for people.
    """

    reason: str
    path: str
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Examples:
    """What a file of a task holds.

    Attributes:
        path: The file.
        items: The examples, in order.
        rejections: The rows that became none, in order.
        notes: What was mended or is worth knowing, by name: ``moved_answers`` (found elsewhere in the passage than
            the file says), ``answers_not_in_passage`` (they count when a prediction is scored).
    """

    path: str
    items: tuple[Example, ...]
    rejections: tuple[RejectedRow, ...] = ()
    notes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Example:
        return self.items[index]

    @property
    def rejected(self) -> dict[str, int]:
        """How many rows were rejected, by reason."""
        return dict(sorted(Counter(row.reason for row in self.rejections).items()))


def joined_tokens(tokens: tuple[str, ...]) -> tuple[str, list[tuple[int, int]]]:
    """Give the text of a sentence and where each token lies in it, [start, end) in code points.

    A space stands between two tokens that would else become one word: letters or digits on both sides, where either
    token is longer than a character. Tokens of single characters come from text that had no spaces there.

    ``("他", "用", "C", "+")`` -> ``"他用C+"``; ``("use", "it")`` -> ``"use it"``
    """
    text, last = "", ""
    spans: list[tuple[int, int]] = []
    for token in tokens:
        if text and len(token) + len(last) > 2 and _is_latin(text[-1]) and _is_latin(token[:1]):
            text += " "
        spans.append((len(text), len(text) + len(token)))
        text += token
        last = token
    return text, spans


def _is_latin(character: str) -> bool:
    """Say whether a character belongs to a run that is cut at spaces only."""
    return character.isalnum() and ord(character) < 0x2E80
