"""Rows and a scheme in, masked rows and labels out. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.hashing import below, key_of, mix
from wwmcorpus.masking.base import Masking
from wwmcorpus.masking.scheme import WholeWordMasking
from wwmcorpus.masking.words import Groups, choose_words, group_rows
from wwmcorpus.records import Rows

#: What the cross-entropy of torch and Hugging Face passes over.
IGNORED_LABEL = -100
_REPLACEMENT, _PIECE = 2, 3


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
    """Mask whole words of each row.

    The mask of a row depends on the scheme, the seed, the epoch and the row's id, and on nothing else.

    Raises:
        CorpusError: ``word_start`` is broken.
    """
    if not isinstance(masking, WholeWordMasking):
        raise ConfigError("no such masking scheme", value=type(masking).__name__, fix="Use WholeWordMasking.")
    row_keys = key_of(seed, epoch, rows.row_ids)
    groups = group_rows(rows, vocabulary.frame_ids)
    masked = choose_words(groups, rows.lengths, row_keys, masking)[groups.of_piece]
    input_ids = rows.input_ids.copy()
    chosen = np.flatnonzero(masked)
    input_ids[chosen] = _replace(rows, groups, chosen, row_keys, vocabulary, masking)
    labels = np.full(len(input_ids), IGNORED_LABEL, dtype=np.int32)
    labels[chosen] = rows.input_ids[chosen]
    return MaskedRows(input_ids, labels, masked)


def _replace(
    rows: Rows,
    groups: Groups,
    chosen: NDArray[np.int64],
    row_keys: NDArray[np.uint64],
    vocabulary: Vocabulary,
    masking: WholeWordMasking,
) -> NDArray[np.int32]:
    """Give the ids that stand at the chosen pieces: [MASK], another real piece, or the piece itself."""
    group = groups.of_piece[chosen]
    row = groups.row[group]
    position = chosen - rows.bounds[row]
    unit = position if masking.replace_by == "piece" else groups.index[group]
    draws = mix(mix(row_keys, _REPLACEMENT)[row], unit)
    to_mask = below(draws, masking.mask_share)
    to_random = ~to_mask & below(draws, masking.mask_share + masking.random_share)
    pick = mix(mix(row_keys, _PIECE)[row], position) % np.uint64(len(vocabulary.replacement_ids))
    ids = np.where(to_random, vocabulary.replacement_ids[pick], rows.input_ids[chosen])
    return np.where(to_mask, np.int32(vocabulary.mask_id), ids).astype(np.int32)
