"""Law 3: a word is masked whole or not at all, by draws that are a pure function of seed, epoch and row.

That every scheme equals an independent rewrite stands in test_masking_schemes.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masking_rows import PIECES, REAL, VOCABULARY, make_rows
from naive_masking import draw_of, fold, splitmix

from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.hashing import draws_of, key_of, mix
from wwmcorpus.masking import (
    IGNORED_LABEL,
    MaskedRows,
    NgramMasking,
    PermutationMasking,
    SpanMasking,
    TokenMasking,
    WholeWordMasking,
    inside,
    mask_rows,
    pad,
    padded_batch,
    padded_width,
)
from wwmcorpus.records import Rows

seeds = st.integers(0, 2**63 - 1)
#: Masks that were once drawn. A change here changes every mask, and wants a new format version.
GOLDEN = {
    "WholeWordMasking": [3, 5, 5, 197, 10, 11, 12, 5, 5, 5, 16, 5, 18, 19, 20, 21, 4],
    "TokenMasking": [3, 5, 5, 9, 197, 5, 12, 13, 14, 5, 16, 5, 18, 19, 20, 5, 4],
    "NgramMasking": [3, 7, 8, 9, 10, 11, 12, 13, 5, 5, 16, 197, 5, 5, 5, 5, 4],
    "SpanMasking": [3, 7, 8, 9, 10, 11, 12, 13, 5, 5, 16, 5, 5, 5, 5, 5, 4],
    "PermutationMasking": [3, 7, 8, 9, 10, 11, 12, 13, 21, 20, 16, 17, 19, 18, 15, 14, 4],
}


class TestMaskRows:
    def test_replacements_are_real_pieces_only(self):
        rows = make_rows([[1] * 400] * 20)
        masking = WholeWordMasking(probability=0.9, mask_share=0.0, random_share=1.0)
        found = mask_rows(rows, VOCABULARY, masking, seed=1, epoch=0)
        assert set(found.input_ids[found.masked].tolist()) == set(REAL)

    @pytest.mark.parametrize("replace_by", ["piece", "word"])
    def test_replacements_may_come_from_the_whole_vocabulary(self, replace_by):
        rows = make_rows([[1] * 400] * 20)
        masking = WholeWordMasking(
            probability=0.9, mask_share=0.0, random_share=1.0, random_from="vocabulary", replace_by=replace_by
        )
        found = mask_rows(rows, VOCABULARY, masking, seed=1, epoch=0)
        assert set(found.input_ids[found.masked].tolist()) == set(range(len(PIECES)))

    def test_replacing_by_word_draws_once_a_word(self):
        rows = make_rows([[4] * 40] * 10)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(probability=0.5, replace_by="word"), seed=2, epoch=0)
        groups = np.cumsum(rows.word_start)
        for group in set(groups[found.masked].tolist()):
            assert len(set((found.input_ids[groups == group] == VOCABULARY.mask_id).tolist())) == 1

    def test_another_seed_epoch_or_row_draws_another_mask(self):
        rows = make_rows([[1] * 300, [1] * 300])
        draws = {
            tuple(mask_rows(rows, VOCABULARY, WholeWordMasking(), seed, epoch).masked.tolist())
            for seed in range(5)
            for epoch in range(5)
        }
        assert len(draws) == 25
        one = mask_rows(rows, VOCABULARY, WholeWordMasking(), 0, 0).masked.reshape(2, -1)
        assert one[0].tolist() != one[1].tolist()

    def test_a_row_that_begins_inside_a_word_is_an_error(self):
        rows = make_rows([[2], [2]])
        rows.word_start[rows.bounds[1]] = False
        with pytest.raises(CorpusError, match="group of its own: 1"):
            mask_rows(rows, VOCABULARY, WholeWordMasking(), 0, 0)

    def test_rows_without_pieces_are_passed_over(self):
        rows = Rows(np.array([3, 9, 4], np.int32), np.ones(3, bool), np.array([0, 0, 3, 3]), np.arange(3))
        assert mask_rows(rows, VOCABULARY, WholeWordMasking(), 0, 0).masked.tolist() == [False, True, False]


class TestStatistics:
    """Bounds of five standard deviations, seeds fixed."""

    def test_bernoulli_masks_its_share_of_the_words(self):
        lengths = [[1, 2, 3, 4] * 25] * 400
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(budget="bernoulli"), seed=0, epoch=0)
        chosen = int(found.masked[rows.word_start].sum())
        num_words, share = 100 * 400, 0.15
        assert abs(chosen - num_words * share) <= 5 * math.sqrt(num_words * share * (1 - share))

    def test_words_of_every_length_are_masked_alike_per_word(self):
        rows = make_rows([[1, 2, 3, 4] * 25] * 400)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(budget="bernoulli"), seed=1, epoch=0)
        groups = np.cumsum(rows.word_start) - 1
        sizes = np.bincount(groups)
        masked = np.bincount(groups, found.masked) > 0
        for size in (1, 2, 3, 4):
            words = (sizes == size) & (~np.isin(np.arange(len(sizes)) % 102, (0, 101)))
            expected, deviation = 0.15 * words.sum(), math.sqrt(words.sum() * 0.15 * 0.85)
            assert abs(masked[words].sum() - expected) <= 5 * deviation

    @pytest.mark.parametrize("length", [3, 10, 64, 126])
    def test_exact_masks_exactly_berts_rounding_where_words_allow(self, length):
        rows = make_rows([[1] * length] * 50)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(), seed=0, epoch=0)
        counts = np.add.reduceat(found.masked.astype(int), rows.bounds[:-1])
        assert set(counts.tolist()) == {max(1, round((length + 2) * 0.15))}

    def test_every_word_of_a_row_is_equally_likely(self):
        rows = make_rows([[1] * 20] * 20_000)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(), seed=4, epoch=0)
        hits = found.masked.reshape(20_000, 22)[:, 1:-1].sum(axis=0)
        share = 3 / 20
        assert np.abs(hits - 20_000 * share).max() <= 5 * math.sqrt(20_000 * share * (1 - share))

    @pytest.mark.parametrize("replace_by", ["piece", "word"])
    def test_eighty_ten_ten(self, replace_by):
        rows = make_rows([[1] * 200] * 500)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(probability=0.5, replace_by=replace_by), seed=3, epoch=0)
        now, was = found.input_ids[found.masked], rows.input_ids[found.masked]
        total, same_by_chance = len(now), 1 / len(REAL)
        for count, share in (
            ((now == VOCABULARY.mask_id).sum(), 0.8),
            (((now != was) & (now != VOCABULARY.mask_id)).sum(), 0.1 * (1 - same_by_chance)),
            ((now == was).sum(), 0.1 + 0.1 * same_by_chance),
        ):
            assert abs(int(count) - total * share) <= 5 * math.sqrt(total * share * (1 - share))


class TestHashing:
    """Golden values: a change here changes every mask and every order, and wants a new format version."""

    def test_mix_is_splitmix64(self):
        assert int(mix(0, 0)) == 0xE220A8397B1DCDAF
        assert [int(value) for value in mix(0, np.arange(3))] == [
            0xE220A8397B1DCDAF,
            0x6E789E6AA1B965F4,
            0x06C45D188009454F,
        ]
        assert int(mix(2**64 - 1, 2**64 - 1)) == splitmix(2**64 - 1, 2**64 - 1)

    @given(key=st.integers(0, 2**64 - 1), counter=st.integers(-(2**63), 2**64 - 1))
    def test_mix_equals_the_rewrite_in_integers(self, key, counter):
        assert int(mix(key, counter)) == splitmix(key, counter % 2**64)

    @given(parts=st.lists(st.integers(-(2**70), 2**70), max_size=4), rows=st.lists(seeds, min_size=1, max_size=4))
    def test_keys_fold_their_parts(self, parts, rows):
        assert [int(key) for key in key_of(*parts, np.array(rows))] == [fold(*parts, row) for row in rows]

    @given(
        keys=st.lists(st.tuples(seeds, st.integers(0, 9)), min_size=1, max_size=5), purpose=st.integers(0, 2**31 - 1)
    )
    def test_draws_equal_the_rewrite_in_integers(self, keys, purpose):
        counts = np.array([count for _, count in keys])
        found = draws_of(np.array([key for key, _ in keys], dtype=np.uint64), counts, purpose)
        assert found.tolist() == [draw_of(key, purpose, number) for key, count in keys for number in range(count)]

    @pytest.mark.parametrize("part", [1.7, np.array([1.0]), np.float32(2)])
    def test_fractions_are_no_keys(self, part):
        with pytest.raises(TypeError, match="are integers, not float"):
            key_of(0, part)

    def test_golden_keys(self):
        assert [hex(int(key)) for key in key_of(1, 2, np.arange(2))] == ["0x508afb8e036d2294", "0x25d57fcb2b61f9c1"]

    def test_golden_masks(self):
        rows = make_rows([[2, 1, 3, 1, 2, 1, 1, 4]])
        assert rows.input_ids.tolist() == [3, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 4]
        found = {
            type(masking).__name__: mask_rows(rows, VOCABULARY, masking, seed=6, epoch=2).input_ids.tolist()
            for masking in (
                WholeWordMasking(probability=0.4),
                TokenMasking(probability=0.4),
                NgramMasking(probability=0.4),
                SpanMasking(probability=0.4),
                PermutationMasking(probability=0.4),
            )
        }
        assert found == GOLDEN


class TestScheme:
    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({"probability": 0.0}, "probability"),
            ({"probability": 1.0}, "probability"),
            ({"probability": "0.15"}, "probability"),
            ({"budget": "exakt"}, "budget"),
            ({"mask_share": 0.8, "random_share": 0.3}, "the shares exceed 1"),
            ({"probabilty": 0.2}, "Did you mean 'probability'"),
        ],
    )
    def test_a_wrong_scheme_is_an_error(self, values, problem):
        with pytest.raises(ConfigError, match=problem):
            WholeWordMasking(**values)


class TestPadding:
    def test_flat_rows_become_a_rectangle(self):
        assert (padded_width(5), padded_width(5, 8), padded_width(8, 8)) == (5, 8, 8)
        cells = inside(np.array([2, 1]), 3)
        assert cells.tolist() == [[True, True, False], [True, False, False]]
        assert pad(np.array([7, 8, 9]), cells, -1, np.int64).tolist() == [[7, 8, -1], [9, -1, -1]]
        assert pad(np.array([7, 8, 9, 6]), inside(np.array([2, 2]), 2), -1, np.int64).tolist() == [[7, 8], [9, 6]]

    @pytest.mark.parametrize(("lengths", "width"), [([3, 2], 4), ([3, 3], 3), ([3, 3], 4)])
    def test_a_batch_holds_the_labels_that_masking_gave(self, lengths, width):
        size = sum(lengths)
        ids, labels = np.arange(10, 10 + size, dtype=np.int32), np.arange(50, 50 + size, dtype=np.int32)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        rows = Rows(ids, np.ones(size, bool), bounds, np.arange(2))
        masked = MaskedRows(ids + 20, labels, np.ones(size, bool))
        found = padded_batch(rows, masked, VOCABULARY, inside(rows.lengths, width))
        assert {name: values.dtype.name for name, values in found.items()} == dict.fromkeys(found, "int64")
        for row, length in enumerate(lengths):
            begin, rest = sum(lengths[:row]), width - length
            assert found["input_ids"][row].tolist() == [30 + begin + at for at in range(length)] + [0] * rest
            assert found["labels"][row].tolist() == [50 + begin + at for at in range(length)] + [IGNORED_LABEL] * rest
            assert found["attention_mask"][row].tolist() == [1] * length + [0] * rest
