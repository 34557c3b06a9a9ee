"""The candidates of each word of an example in, variants of it out: which words change in each, and to what.

A draw depends on the seed, the example's number, the variant's and the word's, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wwmcorpus.hashing import below, key_of, mix, within

#: What a number is drawn for: whether a word changes, and to which candidate.
_CHANGES, _CANDIDATE = 0, 1 << 32


def draw_variants(
    candidates: Sequence[Sequence[str]], seed: int, example: int, num_variants: int, probability: float
) -> list[list[str | None]]:
    """Draw variants of one example, as TinyBERT does.

    In each of ``num_variants`` draws every word is replaced with ``probability``, by any of its candidates with equal
    chance. A draw that changes nothing, or gives what another gave, is dropped. Where all change nothing, one word is
    replaced, so that an example that can have a variant has one.

    Args:
        candidates: Of each word; none for a word that has none.
        seed: Of the job.
        example: Number of the example in its file.
        num_variants: Draws.
        probability: With which a word changes.

    Returns:
        Distinct variants: for each word what it becomes, or None where it stays.
    """
    counts = np.array([len(own) for own in candidates], dtype=np.int64)
    open_words = np.flatnonzero(counts)
    if not len(open_words):
        return []
    keys = key_of(seed, example, np.arange(num_variants))[:, None]
    words = np.arange(len(counts))
    changes = below(mix(keys, _CHANGES + words), probability) & (counts > 0)
    chosen = mix(keys, _CANDIDATE + words) % np.maximum(counts, 1).astype(np.uint64)
    if not changes.any():
        changes[0, open_words[int(within(key_of(seed, example, num_variants), 0, len(open_words) - 1))]] = True
    variants = (
        tuple(own[pick] if is_changed else None for own, is_changed, pick in zip(candidates, row, picks, strict=True))
        for row, picks in zip(changes.tolist(), chosen.tolist(), strict=True)
        if any(row)
    )
    return [list(variant) for variant in dict.fromkeys(variants)]
