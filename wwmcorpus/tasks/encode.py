"""Examples and a tokenizer in, rows of pieces with what they should give out.

A row is ``[CLS] text [SEP]``, or ``[CLS] first [SEP] second [SEP]``, as BERT was trained on them. Of a pair that is too
long the longer text gives way first, at its end. A passage that is too long is read through several windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.records import bounds_of
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.examples import Example, Examples, ReadingExample, TaggedExample, TextExample, joined_tokens
from wwmcorpus.tasks.features import Features
from wwmcorpus.tasks.pieces import TextEncoder, TextPieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: Pieces of a question that are kept, as BERT's own script keeps them.
MAX_QUESTION_PIECES = 64
#: Least pieces that a window of a passage holds.
_MIN_WINDOW_PIECES = 8


class _Row(NamedTuple):
    """A row without its special pieces; ``label`` and ``tags`` are None where there are none."""

    example: int
    first: TextPieces
    second: TextPieces | None
    offsets_of_second: bool
    label: float | None = None
    answer: tuple[int, int] | None = None
    tags: NDArray[np.int64] | None = None


def encode(
    task: Task, examples: Examples, tokenizer: PreTrainedTokenizerFast, max_length: int = 128, stride: int = 128
) -> Features:
    """Encode examples for a model.

    Args:
        task: The task they are of.
        examples: As ``task.read`` gives them.
        tokenizer: The model's; BERT's kind of special pieces.
        max_length: Most pieces of a row, special pieces counted.
        stride: Of reading comprehension: from the beginning of one window of a passage to that of the next, in pieces,
            never more than a window.

    Raises:
        ConfigError: the tokenizer lacks special pieces, or ``max_length`` or ``stride`` is too small.
    """
    least = MAX_QUESTION_PIECES + 3 + _MIN_WINDOW_PIECES if task.kind == "reading" else 5
    if max_length < least:
        raise ConfigError(
            f"rows are too short for {task.kind}", value=max_length, where="max_length", fix=f"Give {least} or more."
        )
    if stride < 1:
        raise ConfigError("windows do not move", value=stride, where="stride", fix="Give 1 or more.")
    vocabulary, encoder = Vocabulary.of(tokenizer), TextEncoder(tokenizer)
    counts: Counter[str] = Counter(rows=0, truncated_rows=0, truncated_pieces=0)
    if task.kind == "reading":
        rows = _reading_rows(examples, encoder, max_length, stride, counts)
    elif task.kind == "labelling":
        rows = _tagged_rows(task, examples, encoder, max_length, counts)
    else:
        rows = _text_rows(task, examples, encoder, max_length, counts)
    return _features(task, list(rows), vocabulary, counts)


def truncated_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Say how much of two texts is kept: pieces are taken from the end of whichever is longer until both fit.

    ``(10, 4, 8)`` -> ``(4, 4)``; ``(10, 2, 8)`` -> ``(6, 2)``
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def _of_kind(example: Example, kind: type) -> None:
    if not isinstance(example, kind):
        raise ConfigError(
            f"an example is a {type(example).__name__}, the task has {kind.__name__}s",
            where="examples",
            fix="Read the examples with the task that they are encoded for.",
        )


def _text_rows(
    task: Task, examples: Examples, encoder: TextEncoder, max_length: int, counts: Counter[str]
) -> Iterator[_Row]:
    for example in examples:
        _of_kind(example, TextExample)
    items = [example for example in examples if isinstance(example, TextExample)]
    firsts = encoder.encode([example.text_a for example in items])
    is_pair = task.text_b is not None
    seconds = encoder.encode([example.text_b or "" for example in items]) if is_pair else [None] * len(items)
    room = max_length - (3 if is_pair else 2)
    for index, (example, first, second) in enumerate(zip(items, firsts, seconds, strict=True)):
        sizes = truncated_lengths(len(first.ids), 0 if second is None else len(second.ids), room)
        _count_lost(len(first.ids) + (0 if second is None else len(second.ids)) - sum(sizes), counts)
        kept = None if second is None else second.part(0, sizes[1])
        yield _Row(index, first.part(0, sizes[0]), kept, False, label=_number(task, example.label))


def _number(task: Task, label: str | float | None) -> float | None:
    return task.labels.index(label) if isinstance(label, str) else label


def _count_lost(num_pieces: int, counts: Counter[str]) -> None:
    counts.update(truncated_rows=int(num_pieces > 0), truncated_pieces=num_pieces)


def _tagged_rows(
    task: Task, examples: Examples, encoder: TextEncoder, max_length: int, counts: Counter[str]
) -> Iterator[_Row]:
    counts.update(truncated_tokens=0, tokens_without_pieces=0, tokens_inside_pieces=0, entities_inside_pieces=0)
    for example in examples:
        _of_kind(example, TaggedExample)
    items = [example for example in examples if isinstance(example, TaggedExample)]
    joined = [joined_tokens(example.tokens) for example in items]
    pieces = encoder.encode([text for text, _ in joined])
    for index, (example, (_, spans), whole) in enumerate(zip(items, joined, pieces, strict=True)):
        kept = whole.part(0, max_length - 2)
        _count_lost(len(whole.ids) - len(kept.ids), counts)
        owner = pieces_of_tokens(spans, whole)
        in_row = [place is not None and place < len(kept.ids) for place in owner]
        counts["tokens_without_pieces"] += owner.count(None)
        counts["truncated_tokens"] += len(owner) - owner.count(None) - sum(in_row)
        yield _Row(index, kept, None, False, tags=_tag_ids(task, example, owner, len(kept.ids), counts))


def pieces_of_tokens(spans: Sequence[tuple[int, int]], pieces: TextPieces) -> list[int | None]:
    """Give for each token the first piece that holds a character of it; None where there is none.

    Args:
        spans: [start, end) of the tokens in code points, rising.
        pieces: Of the same text.
    """
    starts, ends = pieces.offsets[:, 0], pieces.offsets[:, 1]
    first = np.searchsorted(ends, [start for start, _ in spans], side="right").tolist()
    return [
        place if place < len(starts) and starts[place] < end else None
        for place, (_, end) in zip(first, spans, strict=True)
    ]


def _tag_ids(
    task: Task, example: TaggedExample, owner: list[int | None], num_pieces: int, counts: Counter[str]
) -> NDArray[np.int64] | None:
    """Give each piece the tag of the first token that begins with it; no other piece is learned from."""
    ids = np.full(num_pieces, IGNORED_LABEL, dtype=np.int64)
    for token, place in enumerate(owner):
        if place is None or place >= num_pieces:
            continue
        if ids[place] == IGNORED_LABEL:
            ids[place] = 0 if example.tags is None else task.tags.index(example.tags[token])
            continue
        counts["tokens_inside_pieces"] += 1
        if example.tags is not None and example.tags[token].startswith("B-"):
            counts["entities_inside_pieces"] += 1
    return None if example.tags is None else ids


def _reading_rows(
    examples: Examples, encoder: TextEncoder, max_length: int, stride: int, counts: Counter[str]
) -> Iterator[_Row]:
    counts.update(windows=0, rows_without_answer=0, answers_in_no_row=0)
    for example in examples:
        _of_kind(example, ReadingExample)
    items = [example for example in examples if isinstance(example, ReadingExample)]
    texts = list(dict.fromkeys(example.passage for example in items))
    passages = dict(zip(texts, encoder.encode(texts), strict=True))
    questions = encoder.encode([example.question for example in items])
    for index, (example, whole) in enumerate(zip(items, questions, strict=True)):
        question, passage = whole.part(0, MAX_QUESTION_PIECES), passages[example.passage]
        _count_lost(len(whole.ids) - len(question.ids), counts)
        room = max_length - 3 - len(question.ids)
        answer = _answer_pieces(example, passage)
        found = False
        windows = list(_windows(len(passage.ids), room, min(stride, room)))
        for begin, end in windows:
            place = None
            if example.answers:
                holds = answer is not None and begin <= answer[0] and answer[1] < end
                place = _in_row(answer, begin, len(question.ids)) if holds else (0, 0)
                counts["rows_without_answer"] += not holds
                found |= holds
            yield _Row(index, question, passage.part(begin, end), True, answer=place)
        counts["windows"] += len(windows) - 1
        counts["answers_in_no_row"] += bool(example.answers) and not found


def _in_row(answer: tuple[int, int] | None, begin: int, num_question_pieces: int) -> tuple[int, int]:
    assert answer is not None
    shift = num_question_pieces + 2 - begin
    return answer[0] + shift, answer[1] + shift


def _windows(num_pieces: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Give [begin, end) of windows up to the first that reaches the end."""
    begin = 0
    while begin + room < num_pieces:
        yield begin, begin + room
        begin += stride
    yield begin, num_pieces


def _answer_pieces(example: ReadingExample, passage: TextPieces) -> tuple[int, int] | None:
    """Give the first and the last piece of the first answer that stands in the passage."""
    for answer in example.answers:
        if answer.start is None:
            continue
        first = int(np.searchsorted(passage.offsets[:, 1], answer.start, side="right"))
        last = int(np.searchsorted(passage.offsets[:, 0], answer.start + len(answer.text), side="left")) - 1
        return (first, last) if first <= last else None
    return None


def _features(task: Task, rows: list[_Row], vocabulary: Vocabulary, counts: Counter[str]) -> Features:
    counts["rows"] = len(rows)
    cls, sep = (np.array([piece], dtype=np.int32) for piece in (vocabulary.cls_id, vocabulary.sep_id))
    ids, types, offsets, has_offsets, lengths = [], [], [], [], []
    for row in rows:
        second = [] if row.second is None else [row.second.ids, sep]
        ids += [cls, row.first.ids, sep, *second]
        num_first = len(row.first.ids) + 2
        length = num_first + sum(map(len, second))
        lengths.append(length)
        types.append(np.repeat(np.array([0, 1], dtype=np.int8), [num_first, length - num_first]))
        begin, owner = (num_first, row.second) if row.offsets_of_second and row.second else (1, row.first)
        place, is_there = np.zeros((length, 2), dtype=np.int32), np.zeros(length, dtype=bool)
        place[begin : begin + len(owner.ids)] = owner.offsets
        is_there[begin : begin + len(owner.ids)] = True
        offsets.append(place)
        has_offsets.append(is_there)
    is_labelled = all(row.label is not None for row in rows)
    numbers = np.array([row.label for row in rows], dtype=np.float32) if is_labelled else None
    return Features(
        input_ids=np.concatenate(ids),
        token_type_ids=np.concatenate(types),
        bounds=bounds_of(np.array(lengths, dtype=np.int64)),
        examples=np.array([row.example for row in rows], dtype=np.int64),
        labels=numbers.astype(np.int64) if numbers is not None and task.kind == "classification" else numbers,
        tags=_flat_tags(rows),
        answers=_flat_answers(rows),
        has_offsets=np.concatenate(has_offsets),
        offsets=np.concatenate(offsets),
        pad_id=vocabulary.pad_id,
        counts=dict(counts),
    )


def _flat_answers(rows: list[_Row]) -> NDArray[np.int64] | None:
    answers = [row.answer for row in rows if row.answer is not None]
    return np.array(answers, dtype=np.int64).reshape(-1, 2) if len(answers) == len(rows) else None


def _flat_tags(rows: list[_Row]) -> NDArray[np.int64] | None:
    tags = [row.tags for row in rows if row.tags is not None]
    if len(tags) < len(rows):
        return None
    frame = np.array([IGNORED_LABEL], dtype=np.int64)
    return np.concatenate([part for own in tags for part in (frame, own, frame)])
