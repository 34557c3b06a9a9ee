"""Rows of pieces as a model reads them, with what they should give: examples encoded, without padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wwmcorpus.masking import IGNORED_LABEL


@dataclass(frozen=True, slots=True)
class Features:
    """The rows of some examples, end to end. Examples that were read without labels give rows without labels.

    Attributes:
        input_ids: (num_pieces,) int32.
        token_type_ids: (num_pieces,) int8, 0 up to the first [SEP] and 1 behind it.
        bounds: (num_rows + 1,) int64; row i is ``input_ids[bounds[i]:bounds[i + 1]]``.
        examples: (num_rows,) int64, the example of each row, rising; a long passage has several rows.
        labels: Classification (num_rows,) int64, ids; regression (num_rows,) float32. None otherwise.
        tags: Labelling: (num_pieces,) int64, ids of tags, and -100 where nothing is to be learned. None otherwise.
        answers: Reading: (num_rows, 2) int64, the first and the last piece of the answer as places in its row; both 0,
            which is [CLS], where the row does not hold the answer. None otherwise.
        has_offsets: (num_pieces,) bool, whether a piece is of the passage or the sentence that is labelled.
        offsets: (num_pieces, 2) int32, where it lies there, [start, end) in code points; 0 where there is none.
        pad_id: What fills short rows.
        counts: ``rows``; ``truncated_rows``, ``truncated_pieces`` (left out for length); of reading ``windows`` (rows
            beyond the first of a question), ``rows_without_answer``, ``answers_in_no_row``; of labelling
            ``truncated_tokens``, ``tokens_without_pieces``, ``tokens_inside_pieces`` (that share a piece with the token
            before, whose tag it has), ``entities_inside_pieces`` (that begin there, and are not learned).
    """

    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int8]
    bounds: NDArray[np.int64]
    examples: NDArray[np.int64]
    labels: NDArray[np.int64] | NDArray[np.float32] | None
    tags: NDArray[np.int64] | None
    answers: NDArray[np.int64] | None
    has_offsets: NDArray[np.bool_]
    offsets: NDArray[np.int32]
    pad_id: int
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pieces per row, (num_rows,) int64."""
        return np.diff(self.bounds)

    def batch(self, rows: ArrayLike, length: int | None = None) -> dict[str, NDArray[np.generic]]:
        """Give some rows, padded, under the names that the models of transformers know.

        Args:
            rows: Which, in this order.
            length: Pieces of each row after padding; None: as many as the longest has.

        Returns:
            ``input_ids``, ``attention_mask`` and ``token_type_ids`` (B, L) int64; with labels also ``labels`` (B,), or
            (B, L) of labelling, or ``start_positions`` and ``end_positions`` (B,) int64.

        Raises:
            ValueError: a row is longer than ``length``.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[chosen]
        longest = int(lengths.max(initial=0))
        width = longest if length is None else length
        if longest > width:
            raise ValueError(f"a row has {longest} pieces, more than {width}")
        is_real = np.arange(width) < lengths[:, None]
        places = (self.bounds[chosen][:, None] + np.arange(width))[is_real]

        def padded(values: NDArray[np.generic], fill: int) -> NDArray[np.int64]:
            grid = np.full(is_real.shape, fill, dtype=np.int64)
            grid[is_real] = values[places]
            return grid

        batch: dict[str, NDArray[np.generic]] = {
            "input_ids": padded(self.input_ids, self.pad_id),
            "attention_mask": is_real.astype(np.int64),
            "token_type_ids": padded(self.token_type_ids, 0),
        }
        if self.answers is not None:
            batch |= {"start_positions": self.answers[chosen, 0], "end_positions": self.answers[chosen, 1]}
        elif self.tags is not None:
            batch["labels"] = padded(self.tags, IGNORED_LABEL)
        elif self.labels is not None:
            batch["labels"] = self.labels[chosen]
        return batch
