"""Chosen pieces in, what stands in their place out: [MASK], other pieces, similar words, or one another. Pure numpy.

Draws are numbered within a row, by piece, word or unit among the chosen ones: a pure function of row and epoch, as the
choice itself is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.hashing import draws_of
from wwmcorpus.masking.base import ReplacingMasking
from wwmcorpus.masking.choose import expand
from wwmcorpus.masking.scheme import PermutationMasking, SimilarWordMasking
from wwmcorpus.masking.similar import similar_words
from wwmcorpus.records import Rows

#: Keep the draws for different purposes apart; 1 is for choosing and 4 for the lengths of runs.
_REPLACEMENT, _PIECE, _SIMILAR, _ORDER = 2, 3, 5, 6


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen pieces of some rows.

    Attributes:
        pieces: (num_chosen,) int64, their places in ``Rows.input_ids``, rising.
        starts: (num_units,) int64, which of them begin a chosen unit.
        row_keys: (num_rows,) uint64, one key per row and epoch.
    """

    pieces: NDArray[np.int64]
    starts: NDArray[np.int64]
    row_keys: NDArray[np.uint64]

    def draws(self, rows: Rows, purpose: int, which: NDArray[np.int64] | None = None) -> NDArray[np.uint64]:
        """Draw once for each of some chosen pieces, all by default, numbered within their row."""
        pieces = self.pieces if which is None else self.pieces[which]
        return draws_of(self.row_keys, np.diff(np.searchsorted(pieces, rows.bounds)), purpose)

    def shared_draws(self, rows: Rows, by: Literal["piece", "word", "unit"]) -> NDArray[np.uint64]:
        """Draw once for each piece, word or unit, (num_chosen,) uint64."""
        if by == "piece":
            return self.draws(rows, _REPLACEMENT)
        begins = self.starts if by == "unit" else self.words(rows)
        return np.repeat(self.draws(rows, _REPLACEMENT, begins), np.diff(begins, append=len(self.pieces)))

    def words(self, rows: Rows) -> NDArray[np.int64]:
        """Say which of the pieces begin a word; a unit that begins inside a word begins one here."""
        begins = rows.word_start[self.pieces]
        begins[self.starts] = True
        return np.flatnonzero(begins)


def by_shares(rows: Rows, chosen: Chosen, vocabulary: Vocabulary, masking: ReplacingMasking) -> NDArray[np.int32]:
    """Give the ids that stand at the chosen pieces: [MASK], another piece, or the piece itself."""
    draws = chosen.shared_draws(rows, masking.replace_by)
    to_mask, to_random = (
        int(share * 2**32) for share in (masking.mask_share, masking.mask_share + masking.random_share)
    )
    seen = np.full(len(draws), vocabulary.mask_id, dtype=np.int32)
    others = np.flatnonzero(draws >= to_mask)
    seen[others] = rows.input_ids.take(chosen.pieces.take(others))
    random = others[draws[others] < to_random]
    if masking.replace_by == "piece":
        seen[random] = _pieces_of(draws[random] - np.uint64(to_mask), to_random - to_mask, vocabulary, masking)
    else:
        seen[random] = _pieces_of(chosen.draws(rows, _PIECE, random), 2**32, vocabulary, masking)
    return seen


def by_similar_words(
    rows: Rows, chosen: Chosen, vocabulary: Vocabulary, masking: SimilarWordMasking
) -> NDArray[np.int32]:
    """Give the ids that stand at the chosen pieces: those of a similar word, other pieces, or the word itself."""
    table = similar_words(masking.table, vocabulary, masking.file_hashes["table"])
    begins = chosen.words(rows)
    lengths = np.diff(begins, append=len(chosen.pieces))
    seen = rows.input_ids[chosen.pieces]
    listed, entries = table.find(seen, begins)
    draws = chosen.draws(rows, _REPLACEMENT, begins)
    replaced = draws < int(masking.similar_share * 2**32)
    random = ~replaced & (draws < int((masking.similar_share + masking.random_share) * 2**32)) | (replaced & ~listed)
    swapped = np.flatnonzero(replaced & listed)
    picks = chosen.draws(rows, _SIMILAR, begins[swapped])
    seen[expand(begins[swapped], lengths[swapped])] = table.pick(entries[swapped], picks, lengths[swapped])
    at = np.flatnonzero(np.repeat(random, lengths))
    seen[at] = _pieces_of(chosen.draws(rows, _PIECE, at), 2**32, vocabulary, masking)
    return seen


def by_permutation(
    rows: Rows, chosen: Chosen, masking: PermutationMasking
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the ids that stand at the chosen pieces, and where in the row the piece that belongs there stands now."""
    counts = np.diff(np.searchsorted(chosen.pieces, rows.bounds))
    places = (chosen.pieces - np.repeat(rows.bounds[:-1], counts)).astype(np.int32)
    seen, labels = rows.input_ids[chosen.pieces], places.copy()
    moving = np.flatnonzero(chosen.shared_draws(rows, masking.shuffle_by) < int(masking.shuffle_share * 2**32))
    row = np.searchsorted(rows.bounds, chosen.pieces[moving], side="right")
    order = moving[np.lexsort((chosen.draws(rows, _ORDER, moving), row))]
    ids = seen[order]
    labels[order] = places[moving]
    seen[moving] = ids
    return seen, labels


def _pieces_of(
    draws: NDArray[np.uint64], size: int, vocabulary: Vocabulary, masking: ReplacingMasking | SimilarWordMasking
) -> NDArray[np.int32]:
    """Make pieces, all as likely, of draws that are uniform in [0, size)."""
    pool = vocabulary.replacement_ids if masking.random_from == "pieces" else None
    num_pieces = vocabulary.num_pieces if pool is None else len(pool)
    picked = (draws * np.uint64(num_pieces) // np.uint64(max(size, 1))).astype(np.int32)
    return picked if pool is None else pool.take(picked)
