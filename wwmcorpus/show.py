"""Rows of a corpus in, lines for people out: words, pieces, and one masked draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align import Vocabulary
from wwmcorpus.masking import WholeWordMasking, mask_rows
from wwmcorpus.records import Rows


def grouped_pieces(pieces: list[str], word_start: NDArray[np.bool_]) -> list[list[str]]:
    """Put the pieces of each word together: ``(["外", "衣", "。"], [1, 0, 1])`` -> ``[["外", "衣"], ["。"]]``."""
    groups: list[list[str]] = []
    for piece, starts in zip(pieces, word_start.tolist(), strict=True):
        if starts:
            groups.append([])
        groups[-1].append(piece)
    return groups


def words_line(rows: Rows, index: int, vocabulary: Vocabulary) -> str:
    """Give the words of one row, separated by spaces, special pieces included."""
    pieces, starts = _row(rows, rows.input_ids, index, vocabulary)
    return " ".join("".join(piece.removeprefix("##") for piece in group) for group in grouped_pieces(pieces, starts))


def pieces_line(rows: Rows, index: int, vocabulary: Vocabulary) -> str:
    """Give the pieces of one row: a space inside a word, a bar between words."""
    pieces, starts = _row(rows, rows.input_ids, index, vocabulary)
    return " | ".join(" ".join(group) for group in grouped_pieces(pieces, starts))


def masked_line(
    rows: Rows, index: int, vocabulary: Vocabulary, masking: WholeWordMasking, seed: int = 0, epoch: int = 0
) -> str:
    """Give one masked draw of a row: what the model sees, with the answer behind each piece that it must give.

    ``[MASK]=外`` was masked, ``山=外`` replaced by another piece, ``外=外`` chosen but left as it is.
    """
    masked = mask_rows(rows, vocabulary, masking, seed, epoch)
    begin, end = rows.bounds[index], rows.bounds[index + 1]
    seen, _ = _row(rows, masked.input_ids, index, vocabulary)
    true, starts = _row(rows, rows.input_ids, index, vocabulary)
    asked = masked.masked[begin:end].tolist()
    shown = [f"{now}={was}" if ask else now for now, was, ask in zip(seen, true, asked, strict=True)]
    return " | ".join(" ".join(group) for group in grouped_pieces(shown, starts))


def _row(rows: Rows, ids: NDArray[np.int32], index: int, vocabulary: Vocabulary) -> tuple[list[str], NDArray[np.bool_]]:
    begin, end = rows.bounds[index], rows.bounds[index + 1]
    return [vocabulary.pieces[i] for i in ids[begin:end].tolist()], rows.word_start[begin:end]
