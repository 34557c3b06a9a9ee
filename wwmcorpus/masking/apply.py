"""Rows and a scheme in, masked rows and labels out. Pure numpy.

Three steps: cut the rows into units, choose among them, put something in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.hashing import draws_of, key_of
from wwmcorpus.masking import units as cut
from wwmcorpus.masking.base import Masking, ReplacingMasking
from wwmcorpus.masking.choose import budgets, choose, expand, is_frame, unit_lengths
from wwmcorpus.masking.replace import Chosen, by_permutation, by_shares, by_similar_words
from wwmcorpus.masking.scheme import PermutationMasking, SimilarWordMasking
from wwmcorpus.masking.word_weights import weigh
from wwmcorpus.records import Rows

#: What the cross-entropy of torch and Hugging Face passes over.
IGNORED_LABEL = -100
#: Keeps these draws apart from those for the lengths of runs and for replacing, which have numbers of their own.
_CHOICE = 1


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Rows with masked words.

    Attributes:
        input_ids: (num_pieces,) int32, what the model sees.
        labels: (num_pieces,) int32, what it must answer: the ids of the pieces that stood there, or for a scheme that
            predicts positions where in the row they stand now; ``IGNORED_LABEL`` where nothing is asked.
        masked: (num_pieces,) bool, True where it must answer: the pieces of the chosen words.
    """

    input_ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    masked: NDArray[np.bool_]


def mask_rows(rows: Rows, vocabulary: Vocabulary, masking: Masking, seed: int, epoch: int) -> MaskedRows:
    """Mask each row as a scheme says.

    The mask of a row depends on the scheme, the seed, the epoch and the row's id, and on nothing else. A scheme with a
    schedule is asked for the one at a position first (``masking.at``); here it is what it begins with.

    Raises:
        CorpusError: ``word_start`` is broken.
        ConfigError: a file that the scheme names cannot be read as it was announced.
    """
    chosen = choose_pieces(rows, vocabulary, masking, seed, epoch)
    seen, answers = _replaced(rows, chosen, vocabulary, masking)
    input_ids, labels = rows.input_ids.copy(), np.full(len(rows.input_ids), IGNORED_LABEL, dtype=np.int32)
    input_ids[chosen.pieces], labels[chosen.pieces] = seen, answers
    return MaskedRows(input_ids, labels, labels != IGNORED_LABEL)


def choose_pieces(rows: Rows, vocabulary: Vocabulary, masking: Masking, seed: int, epoch: int) -> Chosen:
    """Do the first two steps of ``mask_rows``: give the pieces that it asks for, and where units begin among them."""
    keys = key_of(seed, epoch, rows.row_ids)
    budget = budgets(rows.lengths, masking)
    units = _units(rows, vocabulary, masking, keys, budget)
    draws = draws_of(keys, np.diff(units.bounds), _CHOICE)
    which = choose(rows, units, draws, vocabulary.frame_ids, budget, masking)
    lengths = unit_lengths(units, which, len(rows.input_ids))
    return Chosen(expand(units.first.take(which), lengths), np.cumsum(lengths) - lengths, keys)


def _units(
    rows: Rows,
    vocabulary: Vocabulary,
    masking: Masking,
    keys: NDArray[np.uint64],
    budget: NDArray[np.int64] | None,
) -> cut.Units:
    words = cut.words(rows)
    if masking.weights is not None:
        words = weigh(words, rows, masking.weights, vocabulary)
    if masking.unit == "word":
        return words
    if masking.unit == "piece":
        return cut.pieces(rows, words)
    frames = is_frame(rows.input_ids.take(words.first), vocabulary.frame_ids)
    return cut.runs(rows, words, keys, masking.run_shares(), budget, frames)


def _replaced(
    rows: Rows, chosen: Chosen, vocabulary: Vocabulary, masking: Masking
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give what stands at the chosen pieces, and what is asked there."""
    if isinstance(masking, PermutationMasking):
        return by_permutation(rows, chosen, masking)
    original = rows.input_ids.take(chosen.pieces)
    if isinstance(masking, SimilarWordMasking):
        return by_similar_words(rows, chosen, vocabulary, masking), original
    if isinstance(masking, ReplacingMasking):
        return by_shares(rows, chosen, vocabulary, masking), original
    raise ConfigError(
        "a masking scheme that says nothing of what replaces its words",
        value=type(masking).__name__,
        fix="Derive it from ReplacingMasking.",
    )
