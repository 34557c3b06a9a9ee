"""Flat pieces in, row bounds and framed rows out: the steps that every way of packing shares. Pure numpy."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.pack_options import PackOptions
from wwmcorpus.hashing import below, key_of, mix, within
from wwmcorpus.records import bounds_of

#: [CLS] and [SEP].
NUM_FRAME = 2
#: Keeps the draws for packing apart from those for masks and order.
_PACKING = 0x9AC4
#: Draws of a document's key; pairs use others.
_IS_SHORT, _LENGTH = 0, 1
#: The shortest length that is drawn for a row, special pieces not counted: BERT's.
_SHORTEST = 2


class Provenance(NamedTuple):
    """Which documents each row has pieces of.

    Attributes:
        source_index: (num_entries,) int32.
        document_offset: (num_entries,) int64.
        bounds: (num_rows + 1,) int64 into the two.
    """

    source_index: NDArray[np.int32]
    document_offset: NDArray[np.int64]
    bounds: NDArray[np.int64]


def drop_long_words(batch: AlignedBatch, longest: int, counts: Counter[str]) -> tuple[AlignedBatch, list[LongWord]]:
    """Leave out the words of more than ``longest`` pieces, and count them as dropped."""
    first = np.flatnonzero(batch.word_start)
    lengths = np.diff(first, append=len(batch.word_start))
    long = lengths > longest
    if not long.any():
        return batch, []
    counts.update(dropped_words=int(long.sum()), dropped_pieces=int(lengths[long].sum()))
    sentences = np.searchsorted(batch.sentence_bounds, first[long], side="right") - 1
    dropped = [
        LongWord(document, num_pieces)
        for document, num_pieces in zip(
            batch.sentence_document[sentences].tolist(), lengths[long].tolist(), strict=True
        )
    ]
    keep = np.repeat(~long, lengths)
    kept = AlignedBatch(
        piece_ids=batch.piece_ids[keep],
        word_start=batch.word_start[keep],
        sentence_bounds=bounds_of(keep)[batch.sentence_bounds],
        sentence_document=batch.sentence_document,
        ends_line=batch.ends_line,
        source_index=batch.source_index,
        document_offset=batch.document_offset,
    )
    return kept, dropped


def document_bounds(batch: AlignedBatch) -> NDArray[np.int64]:
    """Give the bounds of each document in the batch's pieces, (num_documents + 1,) int64."""
    sentences = np.searchsorted(batch.sentence_document, np.arange(batch.num_documents + 1))
    return batch.sentence_bounds[sentences]


class Cutter:
    """Finds where a row ends, for one row after the other: whole words, as many as a length allows.

    Args:
        cuts: (num_pieces,) bool, True where a row may end before that piece; it may end behind the last one.
        lengths: (num_pieces + 1,) how long a row should be that begins there; or one number for all.
    """

    def __init__(self, cuts: NDArray[np.bool_], lengths: NDArray[np.int64] | int) -> None:
        self._latest = latest_places(cuts)
        self._one_length = lengths if isinstance(lengths, int) else 0
        self._lengths = None if isinstance(lengths, int) else lengths.data

    def reach(self, begin: int) -> int:
        """Give the place that a row beginning at ``begin`` should not go beyond."""
        return begin + (self._one_length if self._lengths is None else int(self._lengths[begin]))

    def end(self, begin: int) -> int:
        """Give where that row ends: behind one word at least."""
        reach = self.reach(begin)
        end = self._latest[reach]
        while end <= begin:
            reach += 1
            end = self._latest[reach]
        return int(end)


def latest_places(chosen: NDArray[np.bool_]) -> memoryview:
    """Give, for each place, the latest chosen place up to it; the end counts as chosen.

    Args:
        chosen: (num_places,) bool.

    Returns:
        num_places + 1 integers: ``[1, 0, 1, 0]`` -> ``[0, 0, 2, 2, 4]``.
    """
    places = np.zeros(len(chosen) + 1, dtype=np.int64)
    places[:-1][chosen] = np.flatnonzero(chosen)
    places[-1] = len(chosen)
    return np.maximum.accumulate(places).data


def cut_units(
    word_start: NDArray[np.bool_], unit_bounds: NDArray[np.int64], lengths: NDArray[np.int64] | int
) -> NDArray[np.int64]:
    """Cut what shares no rows, such as documents, into rows: each as long as whole words allow.

    word_start [1, 0, 1, 1, 0, 1], unit_bounds [0, 5, 6], lengths 3 -> [0, 3, 5, 6]

    Args:
        word_start: (num_pieces,) bool; True where a unit begins.
        unit_bounds: (num_units + 1,) bounds of the units in the pieces; empty units give no row.
        lengths: (num_pieces + 1,) how many pieces a row should have that begins there, or one number for all. A row
            has more only where its first word has.

    Returns:
        (num_rows + 1,) int64, bounds of the rows, covering all pieces.
    """
    begins, ends = unit_bounds[:-1], unit_bounds[1:]
    filled = ends > begins
    begins, ends = begins[filled], ends[filled]
    long = ends - begins > (lengths if isinstance(lengths, int) else lengths[begins])
    bounds = np.append(begins, len(word_start))
    if not long.any():
        return bounds
    cutter = Cutter(word_start, lengths)
    cuts: list[int] = []
    for begin, end in zip(begins[long].tolist(), ends[long].tolist(), strict=True):
        while cutter.reach(begin) < end:
            begin = cutter.end(begin)
            cuts.append(begin)
    return np.unique(np.concatenate([bounds, np.array(cuts, dtype=np.int64)]))


def row_targets(
    word_start: NDArray[np.bool_],
    documents: NDArray[np.int64],
    keys: NDArray[np.uint64],
    options: PackOptions,
    num_behind: int = 0,
) -> NDArray[np.int64]:
    """Draw how many pieces a row should have, for every place where one may begin.

    BERT draws once for a document, Megatron for each row; so do we. A draw belongs to the place of its row's first
    piece in the document.

    Args:
        word_start: (num_pieces,) bool.
        documents: (num_documents + 1,) bounds of the documents in the pieces.
        keys: (num_documents,) uint64, as ``document_keys`` gives them.
        options: Probability and length of short rows.
        num_behind: Pieces of the first document that went before.

    Returns:
        (num_pieces + 1,) int64 in [2, max_length - 2], special pieces not counted; drawn where words begin.
    """
    capacity = options.max_length - NUM_FRAME
    targets = np.full(len(word_start) + 1, capacity, dtype=np.int64)
    first = np.flatnonzero(word_start)
    home = np.searchsorted(documents, first, side="right") - 1
    place = first - documents[home] + np.where(home == 0, num_behind, 0)
    targets[first] = short_lengths(mix(keys[home], place), options.short_sequence_probability, capacity)
    return targets


def short_lengths(keys: NDArray[np.uint64], probability: float, longest: int) -> NDArray[np.int64]:
    """Draw a length for each key: from [2, longest] with ``probability``, else ``longest``."""
    if not probability:
        return np.full(len(keys), longest, dtype=np.int64)
    lengths = within(mix(keys, _LENGTH), _SHORTEST, longest)
    return np.where(below(mix(keys, _IS_SHORT), probability), lengths, longest)


def document_keys(
    options: PackOptions, source_index: NDArray[np.int32], document_offset: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Give one key per document, (num_documents,) uint64: its place in the sources decides it, not its batch."""
    return key_of(_PACKING, options.seed, source_index.astype(np.int64), document_offset)


def frame(
    piece_ids: NDArray[np.int32],
    word_start: NDArray[np.bool_],
    row_bounds: NDArray[np.int64],
    provenance: Provenance,
    vocabulary: Vocabulary,
) -> PackedRows:
    """Put [CLS] and [SEP] around each row.

    Args:
        piece_ids: (num_pieces,) the rows end to end.
        word_start: (num_pieces,) bool.
        row_bounds: (num_rows + 1,) bounds of the rows in the two.
        provenance: The documents of each row.
        vocabulary: Gives [CLS] and [SEP].
    """
    bounds = row_bounds + NUM_FRAME * np.arange(len(row_bounds))
    first, last = bounds[:-1], bounds[1:] - 1
    inner = np.ones(int(bounds[-1]), dtype=bool)
    inner[first] = inner[last] = False
    ids = np.empty(len(inner), dtype=np.int32)
    ids[inner] = piece_ids
    ids[first], ids[last] = vocabulary.cls_id, vocabulary.sep_id
    starts = np.ones(len(inner), dtype=bool)
    starts[inner] = word_start
    return PackedRows(ids, starts, bounds, *provenance)


def count_rows(counts: Counter[str], rows: PackedRows, num_special: int) -> None:
    """Count rows, their pieces, and how many of these are special."""
    counts.update(rows=rows.num_rows, row_pieces=len(rows.input_ids), special_pieces=num_special)


def empty_rows() -> PackedRows:
    """Give no rows."""
    none, zero = np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64)
    return PackedRows(none, np.empty(0, dtype=bool), zero, none, np.empty(0, dtype=np.int64), zero)
