"""Texts in, batches of them out: as many as a segmenter should see at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Enough for a neural model to find neighbours of like length, little enough to stay small in memory.
BATCH_CHARACTERS = 1 << 16


def batches_of_texts(texts: Iterable[str], batch_characters: int = BATCH_CHARACTERS) -> Iterator[list[str]]:
    """Give the texts in order, in batches that hold ``batch_characters`` or just above, blank texts counted as one.

    A batch is given as soon as it is full: of an endless source no more than one batch is held.
    """
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += max(len(text), 1)
        if size >= batch_characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
