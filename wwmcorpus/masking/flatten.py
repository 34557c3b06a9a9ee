"""A batch as a data set gives it in, ``Rows`` out: pieces checked, words known, padding gone, every row with an id."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import CorpusError
from wwmcorpus.hashing import mix
from wwmcorpus.masking.choose import is_frame
from wwmcorpus.masking.columns import Batch, Column, Columns, read_columns
from wwmcorpus.records import Rows, bounds_of

#: Keeps the ids made of a row's content apart from every other use of the hash.
_CONTENT = 0x726F7773


def flatten(batch: Batch, vocabulary: Vocabulary) -> Rows:
    """Give the rows of a batch, end to end.

    [PAD] pieces are dropped, wherever they stand: padding is made anew. A row without ``row_ids`` gets an id that its
    pieces decide, the same in every batch and on every machine.

    Args:
        batch: As ``read_columns`` takes it.
        vocabulary: Of the rows.

    Raises:
        CorpusError: there are no rows, a row is empty or without words, lengths differ, an id lies outside the
            vocabulary, or a special piece is part of a word.
    """
    columns = read_columns(batch)
    if "input_ids" not in columns.lists:
        raise CorpusError("rows without pieces", value=columns.names, fix="Rows need input_ids.")
    lengths = columns.lists["input_ids"].lengths
    pieces = _pieces(columns.lists["input_ids"].values, vocabulary)
    bounds = bounds_of(lengths)
    row_ids, pair_label = columns.numbers.get("row_ids"), columns.numbers.get("pair_label")
    rows = Rows(
        pieces,
        _word_start(columns, pieces, bounds, vocabulary),
        bounds,
        np.empty(0, dtype=np.int64) if row_ids is None else row_ids,
        _int8("token_type_ids", _alike(columns, "token_type_ids")) if "token_type_ids" in columns.lists else None,
        None if pair_label is None else _int8("pair_label", pair_label),
    )
    rows = _without_padding(rows, vocabulary)
    _check_specials(rows, vocabulary)
    if row_ids is not None:
        return rows
    return Rows(rows.input_ids, rows.word_start, rows.bounds, content_ids(rows), rows.token_type_ids, rows.pair_label)


def content_ids(rows: Rows) -> NDArray[np.int64]:
    """Give each row an id that its pieces and their order decide, (num_rows,) int64; no row may be empty.

    The high half is the length, the low half the sum of each piece times a fixed number of its position, modulo 2**32.
    Rows that share an id share the draws of their masks, and nothing else comes of it: 32 bits and their speed will do.
    """
    lengths = rows.lengths
    factors = _factors(1 << (int(lengths.max()) - 1).bit_length())
    products = np.concatenate([factors[:length] for length in lengths.tolist()])
    products *= rows.input_ids.view(np.uint32)
    return (lengths << 32) + np.add.reduceat(products, rows.bounds[:-1], dtype=np.uint32)


@lru_cache(maxsize=32)
def _factors(count: int) -> NDArray[np.uint32]:
    factors = (mix(_CONTENT, np.arange(count)) >> np.uint64(32)).astype(np.uint32)
    factors.flags.writeable = False
    return factors


def _pieces(values: NDArray[np.generic], vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Check the ids against the vocabulary, before a narrower type could fold a wrong one into it."""
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < vocabulary.num_pieces:
        outside = np.isin(values, np.arange(vocabulary.num_pieces), invert=True)
        raise CorpusError(
            "a piece id lies outside the vocabulary",
            value=int(values[outside][0]),
            where=f"vocabulary of {vocabulary.num_pieces} pieces, sha256 {vocabulary.sha256[:8]}",
            fix="Give the collator the tokenizer that made the rows.",
        )
    return values.astype(np.int32, copy=False)


def _alike(columns: Columns, name: str) -> NDArray[np.generic]:
    """Give a column that must have an entry for each piece."""
    pieces, column = columns.lists["input_ids"].lengths, columns.lists[name]
    if not np.array_equal(column.lengths, pieces):
        row = int(np.flatnonzero(column.lengths != pieces)[0])
        raise CorpusError(
            f"{name} has {column.lengths[row]} entries, input_ids {pieces[row]}",
            where=f"row {row} of the batch",
            fix="Truncate both alike.",
        )
    return column.values


def _int8(name: str, values: NDArray[np.generic]) -> NDArray[np.int8]:
    """Make the type of ``Rows`` of what fits it."""
    narrow = values.astype(np.int8)
    if (narrow != values).any():
        raise CorpusError(
            f"{name} holds what is no such number",
            value=int(values[narrow != values][0]),
            fix="Token types are 0 and 1; pair labels too, or -100.",
        )
    return narrow


def _word_start(
    columns: Columns, pieces: NDArray[np.int32], bounds: NDArray[np.int64], vocabulary: Vocabulary
) -> NDArray[np.bool_]:
    if "word_start" in columns.lists:
        starts = _alike(columns, "word_start")
        return starts.view(np.bool_) if starts.dtype == np.bool_ else starts != 0
    if "chinese_ref" in columns.lists:
        return _starts_of_refs(columns.lists["chinese_ref"], pieces, bounds, vocabulary)
    raise CorpusError(
        "rows without words",
        value=columns.names,
        fix="Rows need word_start or chinese_ref. transformers.Trainer removes them unless its TrainingArguments say "
        "remove_unused_columns=False.",
    )


def _starts_of_refs(
    refs: Column, pieces: NDArray[np.int32], bounds: NDArray[np.int64], vocabulary: Vocabulary
) -> NDArray[np.bool_]:
    """Say where words begin: not at a listed position, not at ``##``, and always after a special piece.

    The last is for rows that older tools cut inside a word: what is left of it is a word, not a part of [CLS].
    """
    sizes = np.repeat(np.diff(bounds), refs.lengths)
    within = refs.values.astype(np.int64)
    outside = (within < 0) | (within >= sizes)
    positions = within + np.repeat(bounds[:-1], refs.lengths)
    if outside.any():
        raise _wrong_ref("points outside a row", refs, int(np.flatnonzero(outside)[0]), int(sizes[outside][0]))
    frames = np.isin(pieces, vocabulary.frame_ids)
    framed = np.flatnonzero(frames[positions])
    if len(framed):
        raise _wrong_ref("points at a special piece", refs, int(framed[0]), int(sizes[framed[0]]))
    starts = ~vocabulary.continues[pieces]
    starts[positions] = False
    starts[1:] |= frames[:-1]
    starts[bounds[:-1][np.diff(bounds) > 0]] = True
    return starts


def _wrong_ref(what: str, refs: Column, entry: int, num_pieces: int) -> CorpusError:
    row = int(np.searchsorted(np.cumsum(refs.lengths), entry, side="right"))
    return CorpusError(
        f"chinese_ref {what}",
        value=int(refs.values[entry]),
        where=f"row {row} of the batch, {num_pieces} pieces",
        fix="Positions count from [CLS] = 0. Truncate both alike, and keep the lines of text and references in step.",
    )


def _without_padding(rows: Rows, vocabulary: Vocabulary) -> Rows:
    """Drop the [PAD] pieces of rows that come padded; a row that has no other piece is an error."""
    if not rows.lengths.all():
        raise _empty_row(rows.lengths)
    real = rows.input_ids != vocabulary.pad_id
    if real.all():
        return rows
    lengths = np.add.reduceat(real, rows.bounds[:-1], dtype=np.int64)
    if not lengths.all():
        raise _empty_row(lengths)
    return dataclasses.replace(
        rows,
        input_ids=rows.input_ids[real],
        word_start=rows.word_start[real],
        bounds=bounds_of(lengths),
        token_type_ids=None if rows.token_type_ids is None else rows.token_type_ids[real],
    )


def _empty_row(lengths: NDArray[np.int64]) -> CorpusError:
    row = int(np.flatnonzero(lengths == 0)[0])
    return CorpusError(
        "a row without pieces", where=f"row {row} of the batch", fix="Leave empty rows out of the data set."
    )


def _check_specials(rows: Rows, vocabulary: Vocabulary) -> None:
    """Find special pieces in words: a [SEP] would be masked with its word, what hangs on [CLS] never."""
    frames = np.flatnonzero(is_frame(rows.input_ids, vocabulary.frame_ids))
    places = np.concatenate([frames, np.minimum(frames + 1, len(rows.input_ids) - 1)])
    glued = places[~rows.word_start.take(places)]
    if len(glued):
        place = int(glued.min())
        row = int(np.searchsorted(rows.bounds, place, side="right")) - 1
        raise CorpusError(
            "word_start puts a special piece and another into one word",
            value=place - int(rows.bounds[row]),
            where=f"row {row} of the batch",
            fix="word_start is True on special pieces, and on what follows one.",
        )
