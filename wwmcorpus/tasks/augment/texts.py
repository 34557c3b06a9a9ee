"""Examples in, the texts of them that may change out; and words put in their place, with labels and spans kept right.

What an example is about never changes: not its label, not a character of an answer, not a token of an entity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Answer, Example, ReadingExample, TaggedExample, TextExample, joined_tokens
from wwmcorpus.text import is_han


class Edit(NamedTuple):
    """A word to be replaced: [start, end) in code points of its text, and what stands there instead."""

    start: int
    end: int
    text: str


class ChangeableText(NamedTuple):
    """A text of an example.

    Attributes:
        text: The text.
        kept: [start, end) of what must stay as it is.
        tokens: Of a labelled sentence [start, end) of its tokens: a word that may change is one of them, or several of
            one character each. None: any word may.
        may_change: Whether any word of it may change.
    """

    text: str
    kept: tuple[tuple[int, int], ...] = ()
    tokens: tuple[tuple[int, int], ...] | None = None
    may_change: bool = True

    def allows(self, start: int, end: int) -> bool:
        """Say whether the word [start, end) may be replaced."""
        if not self.may_change or any(start < last and first < end for first, last in self.kept):
            return False
        if self.tokens is None:
            return True
        inside = [span for span in self.tokens if start < span[1] and span[0] < end]
        fits = bool(inside) and (inside[0][0], inside[-1][1]) == (start, end)
        return fits and (len(inside) == 1 or len(inside) == end - start)


def field_names(task: Task) -> tuple[str, ...]:
    """Give what the texts of a task's examples are called, in the order of ``texts_of``."""
    if task.kind == "reading":
        return ("question", "passage")
    if task.kind == "labelling":
        return ("tokens",)
    return ("text_a",) if task.text_b is None else ("text_a", "text_b")


def checked_fields(task: Task, fields: Sequence[str]) -> tuple[str, ...]:
    """Give the fields to change: those named, or all.

    Raises:
        ConfigError: the task has no such field.
    """
    known = field_names(task)
    for name in fields:
        if name not in known:
            raise ConfigError(f"a {task.kind} task has no such text", value=name, where="fields", fix=choices(known))
    return tuple(fields) or known


def texts_of(example: Example, fields: Sequence[str]) -> list[ChangeableText]:
    """Give the texts of an example, also those that are not among the fields to change."""
    if isinstance(example, TextExample):
        texts = [ChangeableText(example.text_a, may_change="text_a" in fields)]
        if example.text_b is not None:
            texts.append(ChangeableText(example.text_b, may_change="text_b" in fields))
        return texts
    if isinstance(example, ReadingExample):
        spans = [(one.start, one.start + len(one.text)) for one in example.answers if one.start is not None]
        passage = ChangeableText(example.passage, tuple(dict.fromkeys(spans)), may_change="passage" in fields)
        return [ChangeableText(example.question, may_change="question" in fields), passage]
    text, spans = joined_tokens(example.tokens)
    tags = example.tags or ("O",) * len(spans)
    kept = tuple(span for span, tag in zip(spans, tags, strict=True) if tag != "O")
    return [ChangeableText(text, kept, tuple(spans), "tokens" in fields)]


def with_edits(example: Example, edits: Mapping[int, Sequence[Edit]], name: str) -> Example:
    """Give an example with words replaced.

    Args:
        example: The example.
        edits: By number of the text, as in ``texts_of``; rising, disjoint, and allowed there.
        name: The id of what comes out.
    """
    texts = [text.text for text in texts_of(example, ())]
    new = [_edited(text, edits.get(number, ())) for number, text in enumerate(texts)]
    if isinstance(example, TextExample):
        return example._replace(id=name, text_a=new[0], text_b=new[1] if len(new) > 1 else None)
    if isinstance(example, ReadingExample):
        answers = tuple(_moved(answer, edits.get(1, ())) for answer in example.answers)
        return ReadingExample(name, new[1], new[0], answers)
    return _retagged(example, edits.get(0, ()), name)


def _edited(text: str, edits: Sequence[Edit]) -> str:
    parts, end = [], 0
    for edit in edits:
        parts += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*parts, text[end:]])


def _moved(answer: Answer, edits: Sequence[Edit]) -> Answer:
    """Give an answer where it stands after some edits, none of which touches it."""
    if answer.start is None:
        return answer
    shift = sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= answer.start)
    return answer._replace(start=answer.start + shift)


def _retagged(example: TaggedExample, edits: Sequence[Edit], name: str) -> TaggedExample:
    """Give the tokens with words replaced: by characters where tokens are characters, else by one token; tagged "O"."""
    _, spans = joined_tokens(example.tokens)
    has_words = any(len(token) > 1 and is_han(ord(token[0])) for token in example.tokens)
    by_start = {edit.start: edit for edit in edits}
    tokens: list[str] = []
    tags: list[str] = []
    end = 0
    for number, (start, stop) in enumerate(spans):
        if start in by_start:
            edit = by_start[start]
            new = [edit.text] if has_words or stop - start > 1 else list(edit.text)
            tokens += new
            tags += ["O"] * len(new)
            end = edit.end
        elif start >= end:
            tokens.append(example.tokens[number])
            tags += [] if example.tags is None else [example.tags[number]]
    return TaggedExample(name, tuple(tokens), None if example.tags is None else tuple(tags))
