"""What packing takes and gives: aligned documents of a batch in, rows of pieces out, both as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.records import bounds_of


@dataclass(frozen=True, slots=True)
class AlignedBatch:
    """The pieces of several documents, sentence after sentence, without special pieces.

    Attributes:
        piece_ids: (num_pieces,) int32.
        word_start: (num_pieces,) bool, True where a word begins; True on the first piece of every sentence.
        sentence_bounds: (num_sentences + 1,) int64 into the pieces; a sentence may have none.
        sentence_document: (num_sentences,) int64, the index of its document in this batch; never falling.
        ends_line: (num_sentences,) bool, True where the sentence closes a line of its document.
        source_index: (num_documents,) int32, the position of each document's source in the job's list.
        document_offset: (num_documents,) int64, where each document begins in its source.
    """

    piece_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    sentence_bounds: NDArray[np.int64]
    sentence_document: NDArray[np.int64]
    ends_line: NDArray[np.bool_]
    source_index: NDArray[np.int32]
    document_offset: NDArray[np.int64]

    @property
    def num_documents(self) -> int:
        """Documents of the batch."""
        return len(self.source_index)

    def select(self, documents: NDArray[np.bool_]) -> AlignedBatch:
        """Give the documents for which ``documents``, (num_documents,) bool, is True, in their order."""
        if documents.all():
            return self
        sentences = documents[self.sentence_document]
        lengths = np.diff(self.sentence_bounds)
        pieces = np.repeat(sentences, lengths)
        return AlignedBatch(
            piece_ids=self.piece_ids[pieces],
            word_start=self.word_start[pieces],
            sentence_bounds=bounds_of(lengths[sentences]),
            sentence_document=(np.cumsum(documents) - 1)[self.sentence_document[sentences]],
            ends_line=self.ends_line[sentences],
            source_index=self.source_index[documents],
            document_offset=self.document_offset[documents],
        )


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows ready to be written, end to end.

    Attributes:
        input_ids: (num_pieces,) int32, special pieces included.
        word_start: (num_pieces,) bool, True where a word begins and on every special piece.
        bounds: (num_rows + 1,) int64; row i is ``input_ids[bounds[i]:bounds[i + 1]]``.
        source_index: (num_entries,) int32, the source of each document that a row has pieces of.
        document_offset: (num_entries,) int64, where that document begins in its source.
        provenance_bounds: (num_rows + 1,) int64 into the two: one entry a row unless documents are joined.
        token_type_ids: (num_pieces,) int8, 0 in the first segment of a pair and 1 in the second; None without pairs.
        pair_label: (num_rows,) int8, 0 where the second segment follows the first, else 1; None without pairs.
    """

    input_ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    bounds: NDArray[np.int64]
    source_index: NDArray[np.int32]
    document_offset: NDArray[np.int64]
    provenance_bounds: NDArray[np.int64]
    token_type_ids: NDArray[np.int8] | None = None
    pair_label: NDArray[np.int8] | None = None

    @property
    def num_rows(self) -> int:
        """Rows."""
        return len(self.bounds) - 1

    @classmethod
    def joined(cls, parts: Sequence[PackedRows]) -> PackedRows:
        """Give the rows of several parts, at least one, end to end."""
        if len(parts) == 1:
            return parts[0]
        columns: dict[str, NDArray[np.generic] | None] = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            if field.name in ("bounds", "provenance_bounds"):
                columns[field.name] = bounds_of(np.concatenate([np.diff(bounds) for bounds in values]))
            else:
                columns[field.name] = None if values[0] is None else np.concatenate(values)
        return cls(**columns)  # type: ignore[arg-type]

    def between(self, begin: int, end: int) -> PackedRows:
        """Give the rows [begin, end) as views."""
        pieces = slice(int(self.bounds[begin]), int(self.bounds[end]))
        entries = slice(int(self.provenance_bounds[begin]), int(self.provenance_bounds[end]))
        return PackedRows(
            input_ids=self.input_ids[pieces],
            word_start=self.word_start[pieces],
            bounds=self.bounds[begin : end + 1] - pieces.start,
            source_index=self.source_index[entries],
            document_offset=self.document_offset[entries],
            provenance_bounds=self.provenance_bounds[begin : end + 1] - entries.start,
            token_type_ids=None if self.token_type_ids is None else self.token_type_ids[pieces],
            pair_label=None if self.pair_label is None else self.pair_label[begin:end],
        )


@dataclass(frozen=True, slots=True)
class LongWord:
    """A word that was dropped whole because it fits no row, or not half a row where rows are pairs.

    Attributes:
        document: The index of its document in the batch.
        num_pieces: Its length.
    """

    document: int
    num_pieces: int
