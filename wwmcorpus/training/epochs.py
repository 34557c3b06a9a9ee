"""Batches of an epoch in, those of epoch after epoch out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from wwmcorpus.errors import TrainingError

Batch = TypeVar("Batch")


def endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Give epoch after epoch.

    Raises:
        TrainingError: two epochs in a row are empty; one may be, where a stream was resumed at the end of an epoch.
    """
    num_empty = 0
    while num_empty < 2:
        num_empty += 1
        for batch in batches:
            num_empty = 0
            yield batch
    raise TrainingError(
        "there are no batches",
        fix="Give an iterable that can be iterated again, over at least one global batch of rows.",
    )
