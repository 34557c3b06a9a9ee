"""Packing: a word is never cut, nothing is lost but what is counted, every row is as full as whole words allow."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packing import (
    SEP,
    VOCABULARY,
    batch_of,
    check_types,
    documents,
    documents_of,
    framed,
    plain_rows,
    splitmix,
)

from wwmcorpus.corpus.batches import AlignedBatch, PackedRows
from wwmcorpus.corpus.pack import PackOptions, make_packer
from wwmcorpus.corpus.pack_rows import cut_units
from wwmcorpus.errors import ConfigError

MODES = ("document", "line", "stream")
SHORT = st.sampled_from([0.0, 0.3, 1.0])
lengths_of_rows = st.integers(8, 20)


def target_at(document, place, options):
    """The pieces that a row should have that begins at a place of a document, drawn in plain integers."""
    key = 0
    for part in (0x9AC4, options.seed, document.source, document.offset, place):
        key = splitmix(key, part)
    capacity = options.max_length - 2
    if splitmix(key, 0) < options.short_sequence_probability * 2**64:
        return splitmix(key, 1) % (capacity - 1) + 2
    return capacity


def units_of(document, mode, capacity):
    """Lists of (place in the document, word), long words left out, for what shares no rows."""
    units, place = [[]], 0
    for sentence in document.sentences:
        for word in sentence.words:
            if len(word) <= capacity:
                units[-1].append((place, word))
                place += len(word)
        if sentence.ends_line and mode == "line":
            units.append([])
    return units


def naive(some, options):
    """Rows word by word: a word that no longer fits opens the next row."""
    rows, waiting = [], None
    capacity = options.max_length - 2
    for document in some:
        for unit in units_of(document, options.pack, capacity):
            for number, (place, word) in enumerate(unit):
                separator = [[SEP]] if number == 0 and waiting else []
                if waiting and sum(map(len, waiting[0] + separator)) + len(word) > waiting[1]:
                    rows.append(framed(waiting[0], waiting[2]))
                    waiting = None
                if waiting is None:
                    waiting, separator = ([], target_at(document, place, options), []), []
                if number == 0 or not waiting[2]:
                    waiting[2].append((document.source, document.offset))
                waiting[0].extend([*separator, word])
            if waiting and options.pack != "stream":
                rows.append(framed(waiting[0], waiting[2]))
                waiting = None
    return rows + ([framed(waiting[0], waiting[2])] if waiting else [])


def pack(batches, options):
    packer = make_packer(VOCABULARY, options)
    found, long_words = [], []
    for batch in batches:
        rows, words = packer.pack(batch)
        found.append(rows)
        long_words.append(words)
    found.append(packer.finish())
    for rows in found:
        check_types(rows)
    return plain_rows(*found), long_words, packer.counts


def batched(some, cuts):
    cuts = sorted({0, len(some), *(cut % (len(some) + 1) for cut in cuts)})
    return [some[begin:end] for begin, end in pairwise(cuts)]


@given(
    some=documents(longest_word=24),
    mode=st.sampled_from(MODES),
    max_length=lengths_of_rows,
    short=SHORT,
    seed=st.integers(0, 2**63 - 1),
    cuts=st.lists(st.integers(0, 99), max_size=4),
)
def test_rows_are_those_of_the_plain_way_however_documents_are_batched(some, mode, max_length, short, seed, cuts):
    options = PackOptions(pack=mode, max_length=max_length, short_sequence_probability=short, seed=seed)
    batches = batched(some, cuts)
    rows, long_words, counts = pack(map(batch_of, batches), options)
    assert rows == naive(some, options)
    capacity = max_length - 2
    for words, batch in zip(long_words, batches, strict=True):
        wanted = [(at, len(word)) for at, document in enumerate(batch) for word in document.words]
        assert [(word.document, word.num_pieces) for word in words] == [pair for pair in wanted if pair[1] > capacity]
    dropped = [word for document in some for word in document.words if len(word) > capacity]
    assert counts["dropped_words"] == len(dropped)
    assert counts["dropped_pieces"] == sum(map(len, dropped))
    assert counts["rows"] == len(rows)
    assert counts["row_pieces"] == sum(len(row.ids) for row in rows)
    assert counts["special_pieces"] == sum(piece < 5 for row in rows for piece in row.ids)
    num_pieces = sum(len(word) for document in some for word in document.words)
    assert num_pieces == counts["row_pieces"] - counts["special_pieces"] + counts["dropped_pieces"]


@given(some=documents(longest_word=5), max_length=lengths_of_rows)
def test_stream_rows_are_as_full_as_the_next_word_allows(some, max_length):
    rows, _, _ = pack([batch_of(some)], PackOptions(pack="stream", max_length=max_length))
    for row, following in pairwise(rows):
        is_new_document = row.places[-1] != following.places[0]
        assert len(row.ids) + is_new_document + len(following.words[1]) > max_length


#: The words of the examples that fit a row, but for the last three.
NUMBERS = [[5, 6], [7], [8, 9, 10], [11, 12, 13, 14], [15], [16]]


class TestExamples:
    """By hand: rows of at most 8 pieces, so of 6 between [CLS] and [SEP]."""

    SOME = documents_of([[([2, 1], False), ([3], True), ([4, 1], True)], [([1], True)], [([7, 2], True), ([5], False)]])

    def rows(self, mode):
        rows, long_words, _ = pack([batch_of(self.SOME)], PackOptions(pack=mode, max_length=8))
        assert [(word.document, word.num_pieces) for word in long_words[0]] == [(2, 7)]
        return [row.words for row in rows], [[offset - 1000 for _, offset in row.places] for row in rows]

    def test_document(self):
        two, one, three, four, last, other = NUMBERS
        rows, places = self.rows("document")
        third, fourth = [24, 25], [26, 27, 28, 29, 30]
        assert rows == [[[2], *row, [3]] for row in ([two, one, three], [four, last], [other], [third], [fourth])]
        assert places == [[0], [0], [1], [2], [2]]

    def test_line(self):
        two, one, three, four, last, other = NUMBERS
        rows, places = self.rows("line")
        assert rows[:3] == [[[2], *row, [3]] for row in ([two, one, three], [four, last], [other])]
        assert places == [[0], [0], [1], [2], [2]]

    def test_stream(self):
        two, one, three, four, last, other = NUMBERS
        rows, places = self.rows("stream")
        assert rows == [
            [[2], two, one, three, [3]],
            [[2], four, last, [3]],
            [[2], other, [3], [24, 25], [3]],
            [[2], [26, 27, 28, 29, 30], [3]],
        ]
        assert places == [[0], [0], [1, 2], [2]]


def test_short_rows_are_as_many_as_asked_and_of_every_length():
    words = documents_of([[([1] * 40_000, False)]])
    rows, _, _ = pack([batch_of(words)], PackOptions(max_length=34, short_sequence_probability=0.5))
    lengths = Counter(len(row.ids) - 2 for row in rows[:-1])
    assert set(lengths) == set(range(2, 33))
    # Half of the rows draw one of 31 lengths, among which the full one.
    assert abs(1 - lengths[32] / len(rows) - 0.5 * 30 / 31) < 0.03
    again, _, _ = pack([batch_of(words)], PackOptions(max_length=34, short_sequence_probability=0.5, seed=1))
    assert [len(row.ids) for row in again] != [len(row.ids) for row in rows]


@given(lengths=st.lists(st.integers(1, 6), max_size=20), cuts=st.lists(st.integers(0, 20)), capacity=st.integers(6, 12))
def test_row_bounds_hold_whole_units_in_whole_words(lengths, cuts, capacity):
    starts = np.array([at == 0 for length in lengths for at in range(length)], dtype=bool)
    bounds = np.cumsum([0, *lengths])
    units = np.array(sorted([0, len(starts), *(int(bounds[cut % len(bounds)]) for cut in cuts)]))
    rows = cut_units(starts, units, capacity)
    assert rows.tolist() == sorted({*rows.tolist(), *units.tolist()}), "every unit ends a row, none is empty"
    assert (np.diff(rows) <= capacity).all()
    assert starts[rows[:-1]].all()
    for begin, end in pairwise(rows):
        following = next((i for i in range(end + 1, len(starts) + 1) if i == len(starts) or starts[i]), end)
        assert end in units or following - begin > capacity


@given(some=documents(), chosen=st.lists(st.booleans(), min_size=6, max_size=6))
def test_chosen_documents_are_those_of_a_batch_of_their_own(some, chosen):
    mask = np.array(chosen[: len(some)], dtype=bool)
    found = batch_of(some).select(mask)
    wanted = batch_of([document for document, keep in zip(some, mask, strict=True) if keep])
    for name in AlignedBatch.__slots__:
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()
        assert getattr(found, name).dtype == getattr(wanted, name).dtype


@given(some=documents(), cuts=st.lists(st.integers(0, 99), max_size=4), pairs=st.sampled_from([None, "sop"]))
def test_rows_come_apart_and_together_again(some, cuts, pairs):
    whole, _ = make_packer(VOCABULARY, PackOptions(max_length=16, pairs=pairs)).pack(batch_of(some))
    cuts = sorted({0, whole.num_rows, *(cut % (whole.num_rows + 1) for cut in cuts)})
    parts = [whole.between(begin, end) for begin, end in pairwise(cuts)] or [whole]
    for rows in parts:
        check_types(rows)
    assert plain_rows(*parts) == plain_rows(whole) == plain_rows(PackedRows.joined(parts))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "lengths", [[], [[]], [[([], True)]], [[([50], True)]]], ids=["none", "empty", "blank", "long"]
)
def test_what_holds_no_word_that_fits_gives_no_row(lengths, mode):
    rows, _, counts = pack([batch_of(documents_of(lengths))], PackOptions(pack=mode, max_length=8))
    assert rows == []
    assert counts["rows"] == 0


@pytest.mark.parametrize("mode", ["line", "stream"])
def test_pairs_need_whole_documents(mode):
    with pytest.raises(ConfigError, match="sentences of one document"):
        PackOptions(pack=mode, pairs="nsp")
