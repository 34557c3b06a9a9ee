"""Packing: a word is never cut, nothing is lost but what is counted, every row is as full as whole words allow."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import word_lengths

from wwmcorpus.align import Vocabulary
from wwmcorpus.corpus.pack import Packer, row_bounds
from wwmcorpus.records import Document, Pieces

VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), 0, 1, 2, 3, 4)
DOCUMENT = Document("", 7, "a.txt", 123)


def numbered_words(lengths):
    """Sentences as lists of words, each a list of piece ids that occur nowhere else."""
    numbers = iter(range(5, 1_000_000))
    return [[[next(numbers) for _ in range(length)] for length in sentence] for sentence in lengths]


def as_pieces(words):
    ids = np.array([piece for word in words for piece in word], dtype=np.int32)
    starts = np.array([at == 0 for word in words for at in range(len(word))], dtype=bool)
    return Pieces(ids, starts, np.zeros((len(ids), 2), np.int32))


def words_of(row):
    """The words of a row without its frame."""
    words = []
    for piece, starts in zip(row.input_ids[1:-1].tolist(), row.word_start[1:-1].tolist(), strict=True):
        if starts:
            words.append([])
        words[-1].append(piece)
    return words


@given(lengths=word_lengths, max_length=st.integers(3, 20))
def test_rows_hold_all_words_in_order_and_are_full(lengths, max_length):
    sentences = numbered_words(lengths)
    packer = Packer(VOCABULARY, max_length)
    rows = list(packer.pack(DOCUMENT, [as_pieces(words) for words in sentences]))
    words = [word for sentence in sentences for word in sentence]
    capacity = max_length - 2
    long = [word for word in words if len(word) > capacity]
    packed = [words_of(row) for row in rows]
    assert [word for row in packed for word in row] == [word for word in words if word not in long]
    for row in rows:
        assert len(row.input_ids) == len(row.word_start) <= max_length
        assert (row.input_ids[0], row.input_ids[-1]) == (VOCABULARY.cls_id, VOCABULARY.sep_id)
        assert row.word_start[[0, 1, -1]].all()
        assert row.input_ids.dtype == np.int32
        assert (row.source_index, row.offset_bytes) == (7, 123)
    for row, following in pairwise(packed):
        assert sum(map(len, row)) + len(following[0]) > capacity, "the next word would have fitted"
    assert packer.counts["rows"] == len(rows)
    assert packer.counts["row_pieces"] == sum(len(row.input_ids) for row in rows)
    assert packer.counts["dropped_words"] == len(long)
    assert packer.counts["dropped_pieces"] == sum(map(len, long))


@given(lengths=st.lists(st.integers(1, 6), max_size=20), capacity=st.integers(6, 12))
def test_bounds_follow_one_another(lengths, capacity):
    starts = np.array([at == 0 for length in lengths for at in range(length)], dtype=bool)
    bounds = row_bounds(starts, capacity)
    assert [begin for begin, _ in bounds] == [0, *(end for _, end in bounds)][: len(bounds)]
    assert (bounds[-1][1] if bounds else 0) == sum(lengths)
    assert all(starts[begin] and end - begin <= capacity for begin, end in bounds)


@pytest.mark.parametrize("lengths", [[], [[]], [[50]]], ids=["no text", "no words", "one long word"])
def test_what_holds_no_word_that_fits_gives_no_row(lengths):
    packer = Packer(VOCABULARY, 8)
    assert list(packer.pack(DOCUMENT, [as_pieces(words) for words in numbered_words(lengths)])) == []
    assert packer.counts["rows"] == 0
