"""Pairs of segments in, the same shortened to a row, and framed rows out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, PackedRows
from wwmcorpus.corpus.pack_rows import latest_places
from wwmcorpus.hashing import mix
from wwmcorpus.records import bounds_of

#: [CLS], and a [SEP] behind each segment.
NUM_PAIR_FRAME = 3
_BITS = 64


class Pair(NamedTuple):
    """Two segments of the pieces of a batch.

    Attributes:
        a_begin: Where the first segment begins.
        a_end: Where it ends.
        b_begin: Where the second segment begins.
        b_end: Where it ends.
        label: 0 where the second follows the first, else 1.
        a_document: The document of the first.
        b_document: The document of the second.
        sentence: The sentence whose draws the pair uses.
    """

    a_begin: int
    a_end: int
    b_begin: int
    b_end: int
    label: int
    a_document: int
    b_document: int
    sentence: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Several pairs as arrays.

    Attributes:
        segments: (num_pairs, 2, 2) int64: of each segment, first and second, its begin and end in the pieces.
        labels: (num_pairs,) int8.
        documents: (num_pairs, 2) int64, of the two segments.
        sides: (num_pairs,) uint64, whose bits say from which side words are left out.
    """

    segments: NDArray[np.int64]
    labels: NDArray[np.int8]
    documents: NDArray[np.int64]
    sides: NDArray[np.uint64]

    @classmethod
    def of(cls, pairs: list[Pair], sides: NDArray[np.uint64]) -> Pairs:
        """Put pairs into arrays; ``sides`` has a number per sentence."""
        table = np.array(pairs, dtype=np.int64).reshape(-1, len(Pair._fields))
        return cls(table[:, :4].reshape(-1, 2, 2), table[:, 4].astype(np.int8), table[:, 5:7], sides[table[:, 7]])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pieces of the two segments, (num_pairs, 2) int64."""
        return self.segments[:, :, 1] - self.segments[:, :, 0]

    @property
    def borrowed_length(self) -> int:
        """Pieces of the segments that are another document's."""
        return int(self.lengths[self.is_borrowed, 1].sum())

    def own_length(self, places: NDArray[np.int64]) -> int:
        """Add up what the segments of a pair's own document span of ``places``, (num_pieces + 1,) rising integers."""
        spans = places[self.segments[:, :, 1]] - places[self.segments[:, :, 0]]
        return int(spans.sum() - spans[self.is_borrowed, 1].sum())

    @property
    def is_borrowed(self) -> NDArray[np.bool_]:
        """Say of each pair whether its second segment is another document's, (num_pairs,) bool."""
        borrowed: NDArray[np.bool_] = self.documents[:, 0] != self.documents[:, 1]
        return borrowed

    def shortened(self, word_start: NDArray[np.bool_], room: int) -> Pairs:
        """Leave words out of the longer segment, at its front or back by chance, until both fit ``room`` pieces.

        Args:
            word_start: (num_pieces,) bool; no word is longer than half of ``room``, so that no segment becomes empty.
            room: Pieces of a pair.
        """
        long = np.flatnonzero(self.lengths.sum(axis=1) > room)
        if not len(long):
            return self
        first = np.flatnonzero(word_start)
        following = np.zeros(len(word_start), dtype=np.int64)
        following[first] = np.append(first[1:], len(word_start))
        steps = (following.data, latest_places(word_start))
        segments = self.segments.copy()
        segments[long] = [
            _shorten(pair, sides, room, steps)
            for pair, sides in zip(segments[long].tolist(), self.sides[long].tolist(), strict=True)
        ]
        return replace(self, segments=segments)


def _shorten(segments: list[list[int]], sides: int, room: int, steps: tuple[memoryview, memoryview]) -> list[list[int]]:
    """Shorten one pair; ``steps`` lead from where a word begins to the next one, and from any piece to its word."""
    following, latest = steps
    (a_begin, a_end), (b_begin, b_end) = segments
    a_length, b_length = a_end - a_begin, b_end - b_begin
    num_left_out = 0
    while a_length + b_length > room:
        if num_left_out and num_left_out % _BITS == 0:
            sides = int(mix(sides, num_left_out))
        is_front = sides >> num_left_out % _BITS & 1
        num_left_out += 1
        if a_length > b_length:
            if is_front:
                a_begin = following[a_begin]
            else:
                a_end = latest[a_end - 1]
            a_length = a_end - a_begin
        else:
            if is_front:
                b_begin = following[b_begin]
            else:
                b_end = latest[b_end - 1]
            b_length = b_end - b_begin
    return [[a_begin, a_end], [b_begin, b_end]]


def frame_pairs(pairs: Pairs, batch: AlignedBatch, vocabulary: Vocabulary) -> PackedRows:
    """Put [CLS] before each pair and [SEP] behind each of its segments."""
    lengths = pairs.lengths
    bounds = bounds_of(lengths.sum(axis=1) + NUM_PAIR_FRAME)
    middles = bounds[:-1] + 1 + lengths[:, 0]
    inner = np.ones(int(bounds[-1]), dtype=bool)
    inner[bounds[:-1]] = inner[middles] = inner[bounds[1:] - 1] = False
    segment_bounds = bounds_of(lengths.ravel())
    pieces = np.arange(segment_bounds[-1]) + np.repeat(
        pairs.segments[:, :, 0].ravel() - segment_bounds[:-1], lengths.ravel()
    )
    ids = np.full(len(inner), vocabulary.sep_id, dtype=np.int32)
    ids[inner] = batch.piece_ids[pieces]
    ids[bounds[:-1]] = vocabulary.cls_id
    starts = np.ones(len(inner), dtype=bool)
    starts[inner] = batch.word_start[pieces]
    types = np.repeat(np.tile(np.array([0, 1], dtype=np.int8), len(lengths)), (lengths + np.array([2, 1])).ravel())
    is_entry = np.ones(pairs.documents.shape, dtype=bool)
    is_entry[:, 1] = pairs.is_borrowed
    entries = pairs.documents[is_entry]
    return PackedRows(
        input_ids=ids,
        word_start=starts,
        bounds=bounds,
        source_index=batch.source_index[entries],
        document_offset=batch.document_offset[entries],
        provenance_bounds=bounds_of(is_entry.sum(axis=1)),
        token_type_ids=types,
        pair_label=pairs.labels,
    )
