"""The records that travel along the road: documents, rejections, pieces, rows.

Each is immutable and knows nothing of how it was made. Offsets are code points unless the name says bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: [start, end) of each word in code points of one text. Shape (num_words, 2), int32, sorted, disjoint.
WordSpans = NDArray[np.int32]


class Document(NamedTuple):
    """One unit of source text. A tuple because a job makes millions; distinct within a job by (source_index, offset).

    Attributes:
        text: The decoded text, without the line end that closed it.
        source_index: Position of its source in the job's list of sources.
        source: Name of the source, for messages.
        offset: Where it begins in the (decompressed) bytes of its source; of a table, the number of its row.
        id: What the source calls it; None where it has no name for it, or none was asked for.
    """

    text: str
    source_index: int
    source: str
    offset: int
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document, or a part of one, that was left out, and why.

    Attributes:
        reason: A short constant such as ``"invalid_utf8"``: what the manifest counts by.
        source: Name of the source.
        offset: Where the rejected unit begins in the (decompressed) bytes of its source; of a table, a row's number.
        detail: One line for people.
        source_index: Position of its source in the job's list of sources.
    """

    reason: str
    source: str
    offset: int
    detail: str
    source_index: int


class Pieces(NamedTuple):
    """The WordPiece units of one text, without special pieces.

    Attributes:
        piece_ids: (n,) int32.
        word_start: (n,) bool, True where a word begins; the first is always True.
        offsets: (n, 2) int32, [start, end) of each piece in code points of the text.
    """

    piece_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    offsets: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Several rows of a corpus, end to end.

    Attributes:
        input_ids: (num_pieces,) int32, the rows one after another.
        word_start: (num_pieces,) bool, True where a word begins and on every special piece.
        bounds: (num_rows + 1,) int64; row i is ``input_ids[bounds[i]:bounds[i + 1]]``.
        row_ids: (num_rows,) int64, the rows' positions in their corpus.
        token_type_ids: (num_pieces,) int8, 0 in the first segment of a pair and 1 in the second; None without pairs.
        pair_label: (num_rows,) int8, 0 where the second segment follows the first, else 1; None without pairs.
    """

    input_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    bounds: NDArray[np.int64]
    row_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int8] | None = None
    pair_label: NDArray[np.int8] | None = None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pieces per row, (num_rows,) int64."""
        return self.bounds[1:] - self.bounds[:-1]


def bounds_of(lengths: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the bounds of runs that lie end to end: ``[2, 0, 3]`` -> ``[0, 2, 2, 5]``, int64."""
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds
