"""A corpus and a scheme in, what one draw really masks beside what was asked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.masking.apply import choose_pieces, mask_rows
from wwmcorpus.masking.base import Masking, ReplacingMasking
from wwmcorpus.masking.choose import is_frame
from wwmcorpus.masking.scheme import PermutationMasking, SimilarWordMasking
from wwmcorpus.records import Rows

if TYPE_CHECKING:
    from wwmcorpus.corpus import Corpus

_BATCH_ROWS = 1024
_UNITS = {"word": "words", "run": "runs of words", "piece": "pieces"}


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What one draw masked.

    Attributes:
        masking: The scheme.
        num_rows: Rows that were masked.
        num_pieces: Their pieces, [CLS] and [SEP] counted.
        num_words: Their words.
        masked_pieces: Pieces that are predicted.
        masked_words: Words of which a piece is predicted.
        unit_words: (longest,) how many chosen units have 1, 2, ... words.
        replaced: Predicted pieces by what the model sees: ``mask``, ``other`` (another piece), ``same``.
        rows_without: Rows in which nothing is masked: those without a word that may be.
    """

    masking: Masking
    num_rows: int
    num_pieces: int
    num_words: int
    masked_pieces: int
    masked_words: int
    unit_words: tuple[int, ...]
    replaced: dict[str, int]
    rows_without: int

    @property
    def ratio(self) -> float:
        """The share of pieces that are predicted."""
        return self.masked_pieces / max(1, self.num_pieces)

    def asked_replaced(self) -> dict[str, float]:
        """Give the shares that were asked for, by the keys of ``replaced``; some of ``other`` fall on ``same``."""
        if isinstance(self.masking, ReplacingMasking):
            mask, other = self.masking.mask_share, self.masking.random_share
        elif isinstance(self.masking, SimilarWordMasking):
            mask, other = 0.0, self.masking.similar_share + self.masking.random_share
        else:
            assert isinstance(self.masking, PermutationMasking)
            mask, other = 0.0, self.masking.shuffle_share
        return {"mask": mask, "other": other, "same": max(0.0, 1 - mask - other)}

    def lines(self) -> list[str]:
        """Give the report as lines of text, what was asked in brackets."""
        masking, rows, units = self.masking, max(1, self.num_rows), max(1, sum(self.unit_words))
        of = "pieces" if masking.budget == "exact" else _UNITS[masking.unit]
        asked = self.asked_replaced()
        total, replaced = self.masked_pieces, self.replaced.items()
        split = (f"{name} {_share(count, total)} ({asked[name]:.1%})" for name, count in replaced)
        lines = [
            f"rows           {self.num_rows:,}; without anything to mask {self.rows_without:,}",
            f"masked pieces  {self.ratio:.2%} ({masking.probability:.2%} of {of}); {total / rows:.1f} a row",
            f"masked words   {_share(self.masked_words, self.num_words)}; {self.masked_words / rows:.1f} a row",
        ]
        if masking.unit == "run":
            shares = masking.run_shares()
            counts = [*self.unit_words, *[0] * len(shares)]
            lengths = (f"{n + 1}: {_share(counts[n], units)} ({share:.1%})" for n, share in enumerate(shares))
            lines.append("words a run    " + "  ".join(lengths))
        return [*lines, "seen instead   " + "  ".join(split)]


def mask_report(corpus: Corpus, masking: Masking, seed: int = 0, epoch: int = 0, num_rows: int = 2000) -> MaskReport:
    """Mask the first rows of a corpus once and say what became of them.

    Args:
        corpus: The corpus.
        masking: The scheme.
        seed: Of the draw.
        epoch: Of the draw.
        num_rows: How many rows; fewer where the corpus has fewer.
    """
    end = min(num_rows, len(corpus))
    totals = dict.fromkeys(("num_pieces", "num_words", "masked_pieces", "masked_words", "rows_without"), 0)
    replaced, unit_words = np.zeros(3, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for begin in range(0, end, _BATCH_ROWS):
        rows = corpus.rows(range(begin, min(begin + _BATCH_ROWS, end)))
        counts, split, lengths = _counted(rows, corpus.vocabulary, masking, seed, epoch)
        totals = {name: totals[name] + counts[name] for name in totals}
        replaced += split
        unit_words = _sum(unit_words, lengths)
    names = dict(zip(("mask", "other", "same"), replaced.tolist(), strict=True))
    return MaskReport(masking, end, unit_words=tuple(unit_words.tolist()), replaced=names, **totals)


def _counted(
    rows: Rows, vocabulary: Vocabulary, masking: Masking, seed: int, epoch: int
) -> tuple[dict[str, int], NDArray[np.int64], NDArray[np.int64]]:
    """Count the draw of some rows: totals, what is seen instead, and units by their number of words, from 1 on."""
    drawn = mask_rows(rows, vocabulary, masking, seed, epoch)
    chosen = choose_pieces(rows, vocabulary, masking, seed, epoch)
    seen, true = drawn.input_ids[chosen.pieces], rows.input_ids[chosen.pieces]
    to_mask = (seen == vocabulary.mask_id) & (true != vocabulary.mask_id)
    same = seen == true
    first = np.flatnonzero(rows.word_start)
    words = np.searchsorted(first, chosen.pieces, side="right")
    per_unit = np.add.reduceat(np.diff(words, prepend=-1) != 0, chosen.starts) if len(words) else np.zeros(0, np.int64)
    counts = {
        "num_pieces": len(rows.input_ids),
        "num_words": int(np.count_nonzero(~is_frame(rows.input_ids[first], vocabulary.frame_ids))),
        "masked_pieces": len(chosen.pieces),
        "masked_words": len(np.unique(words)),
        "rows_without": int(np.count_nonzero(np.diff(np.searchsorted(chosen.pieces, rows.bounds)) == 0)),
    }
    split = np.array([np.count_nonzero(to_mask), np.count_nonzero(~to_mask & ~same), np.count_nonzero(same)])
    return counts, split, np.bincount(per_unit.astype(np.int64))[1:]


def _sum(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    longest = max(len(one), len(other))
    return np.pad(one, (0, longest - len(one))) + np.pad(other, (0, longest - len(other)))


def _share(count: int, total: int) -> str:
    return f"{count / max(1, total):.1%}"
