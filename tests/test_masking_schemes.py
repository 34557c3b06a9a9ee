"""Every scheme equals an independent rewrite in plain Python, masks words whole, and leaves no row with words alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masking_rows import PIECES, REAL, VOCABULARY, make_rows, row_slices
from naive_masking import mask_row

from wwmcorpus.masking import (
    IGNORED_LABEL,
    NgramMasking,
    PermutationMasking,
    SpanMasking,
    TokenMasking,
    WholeWordMasking,
    mask_rows,
)
from wwmcorpus.records import Rows

COMMON = {
    "probability": st.sampled_from([0.01, 0.15, 0.4, 0.99]),
    "budget": st.sampled_from(["exact", "bernoulli"]),
    "max_predictions": st.sampled_from([None, 1, 5]),
}
REPLACING = COMMON | {
    "mask_share": st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    "random_share": st.just(0.0),
    "replace_by": st.sampled_from(["piece", "word", "unit"]),
    "random_from": st.sampled_from(["pieces", "vocabulary"]),
}
SHARES = st.sampled_from([(0.4, 0.3, 0.2, 0.1), "inverse", (0.0, 1.0)])


def replacing(scheme, **more):
    few = st.builds(scheme, **REPLACING, **more)
    return few | st.builds(scheme, **(REPLACING | {"mask_share": st.just(0.4), "random_share": st.just(0.6)}), **more)


schemes = st.one_of(
    replacing(WholeWordMasking),
    replacing(TokenMasking),
    replacing(NgramMasking, shares=SHARES),
    replacing(SpanMasking, stop_probability=st.sampled_from([0.2, 0.6])),
    st.builds(
        PermutationMasking,
        **COMMON,
        shares=SHARES,
        shuffle_share=st.sampled_from([0.9, 0.3, 1.0]),
        shuffle_by=st.sampled_from(["piece", "word", "unit"]),
    ),
)
row_lists = st.lists(st.lists(st.integers(1, 9), max_size=24), min_size=1, max_size=6)
seeds = st.integers(0, 2**63 - 1)
ALL = list(range(len(PIECES)))


def assert_equal_to_the_rewrite(rows, masking, seed, epoch, **tables):
    found = mask_rows(rows, VOCABULARY, masking, seed, epoch)
    pool = REAL if getattr(masking, "random_from", "pieces") == "pieces" else ALL
    for place, row_id in zip(row_slices(rows), rows.row_ids.tolist(), strict=True):
        ids, starts = rows.input_ids[place].tolist(), rows.word_start[place].tolist()
        seen, labels = mask_row(ids, starts, row_id, masking, seed, epoch, pool, **tables)
        assert found.labels[place].tolist() == labels
        assert found.input_ids[place].tolist() == seen
        assert found.masked[place].tolist() == [label != IGNORED_LABEL for label in labels]


class TestEveryScheme:
    @settings(max_examples=250)
    @given(lengths=row_lists, masking=schemes, seed=seeds, epoch=st.integers(0, 1000), data=st.data())
    def test_it_equals_the_naive_rewrite(self, lengths, masking, seed, epoch, data):
        row_ids = data.draw(st.lists(seeds, min_size=len(lengths), max_size=len(lengths)))
        assert_equal_to_the_rewrite(make_rows(lengths, row_ids), masking, seed, epoch)

    @given(lengths=row_lists, masking=schemes, seed=seeds, split=st.integers(1, 20))
    def test_it_equals_the_rewrite_on_pairs_and_rows_without_frames(self, lengths, masking, seed, split):
        rows = make_rows(lengths)
        for place in row_slices(rows):
            middle = place.start + min(split, place.stop - place.start - 1)
            rows.input_ids[middle], rows.word_start[middle] = 4, True
            if middle + 1 < len(rows.word_start):
                rows.word_start[middle + 1] = True
        rows.input_ids[0] = REAL[-1]
        rows.input_ids[-1] = REAL[-2]
        assert_equal_to_the_rewrite(rows, masking, seed, 0)

    @given(lengths=row_lists, masking=schemes, seed=seeds)
    def test_a_row_with_a_word_has_one_masked_and_budgets_hold(self, lengths, masking, seed):
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, masking, seed, epoch=0)
        assert not found.masked[np.isin(rows.input_ids, VOCABULARY.frame_ids)].any()
        for place, words in zip(row_slices(rows), lengths, strict=True):
            count = int(found.masked[place].sum())
            assert bool(count) == bool(words)
            budget = max(1, round((sum(words) + 2) * masking.probability))
            budget = min(budget, masking.max_predictions or budget)
            if masking.budget == "exact" and words and masking.unit != "piece" and count > budget:
                groups = np.cumsum(rows.word_start[place])[found.masked[place]]
                assert len(set(groups.tolist())) == 1, "only a lone word may exceed the budget"

    @given(lengths=row_lists, masking=schemes.filter(lambda masking: masking.unit != "piece"), seed=seeds)
    def test_words_are_masked_whole(self, lengths, masking, seed):
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, masking, seed, epoch=0)
        groups = np.cumsum(rows.word_start) - 1
        assert set((np.bincount(groups, found.masked) / np.bincount(groups)).tolist()) <= {0.0, 1.0}

    @given(lengths=row_lists, masking=schemes, seed=seeds, order=st.randoms(use_true_random=False))
    def test_a_row_does_not_depend_on_its_batch(self, lengths, masking, seed, order):
        rows = make_rows(lengths)
        whole = mask_rows(rows, VOCABULARY, masking, seed, epoch=3)
        numbers = list(range(len(lengths)))
        order.shuffle(numbers)
        for number in numbers:
            place = row_slices(rows)[number]
            bounds = np.array([0, place.stop - place.start])
            alone = Rows(rows.input_ids[place], rows.word_start[place], bounds, rows.row_ids[[number]])
            found = mask_rows(alone, VOCABULARY, masking, seed, epoch=3)
            assert found.input_ids.tolist() == whole.input_ids[place].tolist()
            assert found.labels.tolist() == whole.labels[place].tolist()

    @pytest.mark.parametrize("scheme", [WholeWordMasking, TokenMasking, NgramMasking, SpanMasking, PermutationMasking])
    @pytest.mark.parametrize("budget", ["exact", "bernoulli"])
    def test_long_rows_and_many_of_them(self, scheme, budget):
        """The fast path, its second try, and batches too large for keys in one number."""
        generator = np.random.default_rng(5)
        rows = make_rows([generator.integers(1, 5, 200).tolist() for _ in range(12)])
        assert_equal_to_the_rewrite(rows, scheme(budget=budget), 7, 1)

    def test_batches_whose_keys_do_not_fit_64_bits_are_the_same(self):
        lengths = [[1, 2, 1]] * 30_000
        rows = make_rows(lengths)
        whole = mask_rows(rows, VOCABULARY, WholeWordMasking(probability=0.3), seed=1, epoch=0)
        half = slice(0, int(rows.bounds[15_000]))
        first = Rows(rows.input_ids[half], rows.word_start[half], rows.bounds[:15_001], rows.row_ids[:15_000])
        found = mask_rows(first, VOCABULARY, WholeWordMasking(probability=0.3), seed=1, epoch=0)
        assert (found.input_ids == whole.input_ids[half]).all()
        assert len(rows.row_ids).bit_length() + int(rows.word_start.sum()).bit_length() > 32
