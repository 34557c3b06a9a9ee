"""A model's numbers in, what it says in the terms of the task out: labels, scores, answers, tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wwmcorpus.errors import ConfigError
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.encode import pieces_of_tokens
from wwmcorpus.tasks.examples import Examples, ReadingExample, TaggedExample, joined_tokens
from wwmcorpus.tasks.features import Features
from wwmcorpus.tasks.pieces import TextPieces

#: Classification: a label. Regression: a number. Reading: the text of an answer. Labelling: a tag for each token.
Prediction: TypeAlias = str | float | tuple[str, ...]

#: Longest answer that is looked for, in pieces.
MAX_ANSWER_PIECES = 64


def predictions_of(task: Task, logits: Sequence[ArrayLike], features: Features, examples: Examples) -> list[Prediction]:
    """Make predictions of a model's numbers.

    Args:
        task: The task.
        logits: For each row of ``features`` its numbers: (num_outputs,); of reading (pieces, 2), how well each piece
            begins and ends the answer; of labelling (pieces, num_tags). Numbers for padding may follow.
        features: What ``encode`` made of the examples.
        examples: The examples.

    Returns:
        One per example: a label; a number; the text of the best answer of all windows; or as many tags as tokens, "O"
        for those that were cut off or have no piece.

    Raises:
        ConfigError: rows, numbers and examples do not fit one another.
    """
    if len(logits) != len(features):
        raise ConfigError(
            f"numbers for {len(logits)} rows, the features have {len(features)}",
            where="logits",
            fix="Give one array per row.",
        )
    rows = [np.asarray(row, dtype=np.float64) for row in logits]
    if task.kind == "classification":
        return [task.labels[int(np.argmax(row))] for row in rows]
    if task.kind == "regression":
        return [float(row.reshape(-1)[0]) for row in rows]
    if task.kind == "reading":
        return _answers(rows, features, examples)
    return [_tags(task, row, features, examples, number) for number, row in enumerate(rows)]


def _answers(rows: list[NDArray[np.float64]], features: Features, examples: Examples) -> list[Prediction]:
    best: list[tuple[float, str]] = [(-np.inf, "")] * len(examples)
    for number, row in enumerate(rows):
        begin, end = features.bounds[number : number + 2].tolist()
        inside = np.flatnonzero(features.has_offsets[begin:end])
        if not len(inside):
            continue
        score, first, last = _best_span(row[inside, 0], row[inside, 1])
        index = int(features.examples[number])
        if score > best[index][0]:
            example = examples[index]
            assert isinstance(example, ReadingExample)
            start, stop = features.offsets[begin + inside[first], 0], features.offsets[begin + inside[last], 1]
            best[index] = (score, example.passage[start:stop])
    return [text for _, text in best]


def _best_span(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, int, int]:
    """Give the best sum of a beginning and an end that is not before it, and not too far behind it."""
    best = (-np.inf, 0, 0)
    for length in range(min(MAX_ANSWER_PIECES, len(starts))):
        sums = starts[: len(starts) - length] + ends[length:]
        first = int(np.argmax(sums))
        if sums[first] > best[0]:
            best = (float(sums[first]), first, first + length)
    return best


def _tags(task: Task, row: NDArray[np.float64], features: Features, examples: Examples, number: int) -> tuple[str, ...]:
    begin, end = features.bounds[number : number + 2].tolist()
    inside = features.has_offsets[begin:end]
    found = np.argmax(row[: end - begin][inside], axis=1).tolist()
    example = examples[int(features.examples[number])]
    assert isinstance(example, TaggedExample)
    pieces = TextPieces(features.input_ids[begin:end][inside], features.offsets[begin:end][inside])
    tags: list[str] = []
    before = None
    for place in pieces_of_tokens(joined_tokens(example.tokens)[1], pieces):
        tag = "O" if place is None else task.tags[found[place]]
        # Two tokens in one piece are parts of one entity.
        goes_on = place is not None and place == before and tag.startswith("B-")
        tags.append(f"I{tag[1:]}" if goes_on else tag)
        before = place
    return tuple(tags)
