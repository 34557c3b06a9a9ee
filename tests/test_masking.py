"""Law 3: a word is masked whole or not at all, by draws that are a pure function of seed, epoch and row.

``naive_mask`` is the specification: the same draws, one row, one word, one piece at a time, in Python's integers.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.align import Vocabulary
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.hashing import key_of, mix
from wwmcorpus.masking import WholeWordMasking, inside, mask_rows, pad, padded_width
from wwmcorpus.records import Rows

PIECES = ("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "", *(chr(0x4E00 + i) for i in range(200)))
VOCABULARY = Vocabulary(PIECES, pad_id=0, unk_id=2, cls_id=3, sep_id=4, mask_id=5)
REAL = list(range(7, len(PIECES)))


def splitmix(key, counter):
    """SplitMix64's output number ``counter`` for the seed ``key``, after its authors' description."""
    state = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def fold(*parts):
    key = 0
    for part in parts:
        key = splitmix(key, part % 2**64)
    return key


def naive_mask(ids, starts, row_id, masking, seed, epoch):
    """One row: BERT's greedy choice over shuffled words, passing over those that overflow, then 80/10/10."""
    row_key = fold(seed, epoch, row_id)
    groups = []
    for position, begins in enumerate(starts):
        if begins:
            groups.append([])
        groups[-1].append(position)
    words = [i for i, group in enumerate(groups) if ids[group[0]] not in (0, 3, 4, 5)]
    draw = {i: splitmix(splitmix(row_key, 1), i) for i in words}
    order = sorted(words, key=lambda i: (draw[i], i))
    chosen, taken = [], 0
    budget = max(1, round(len(ids) * masking.probability))
    for i in order:
        if masking.budget == "bernoulli":
            fits = draw[i] < int(masking.probability * 2**64)
        else:
            fits = taken + len(groups[i]) <= budget
        if fits:
            chosen.append(i)
            taken += len(groups[i])
    chosen = chosen or order[:1]
    masked, seen = [False] * len(ids), list(ids)
    for i in chosen:
        for position in groups[i]:
            masked[position] = True
            unit = position if masking.replace_by == "piece" else i
            share = splitmix(splitmix(row_key, 2), unit)
            pick = splitmix(splitmix(row_key, 3), position)
            if share < int(masking.mask_share * 2**64) or masking.mask_share == 1:
                seen[position] = 5
            elif share < (masking.mask_share + masking.random_share) * 2**64:
                seen[position] = REAL[pick % len(REAL)]
    return seen, masked


def make_rows(rows, row_ids=None):
    """Rows of word lengths as flat arrays, each framed by [CLS] and [SEP]; a word's pieces count up from its row's."""
    ids, starts, bounds = [], [], [0]
    for number, lengths in enumerate(rows):
        size = sum(lengths)
        ids += [3, *(REAL[(number * 7 + at) % len(REAL)] for at in range(size)), 4]
        starts += [True, *(at == 0 for length in lengths for at in range(length)), True]
        bounds.append(len(ids))
    row_ids = np.arange(len(rows)) if row_ids is None else row_ids
    return Rows(
        np.array(ids, np.int32), np.array(starts, bool), np.array(bounds, np.int64), np.array(row_ids, np.int64)
    )


row_lists = st.lists(st.lists(st.integers(1, 9), max_size=14), min_size=1, max_size=6)
schemes = st.builds(
    WholeWordMasking,
    probability=st.sampled_from([0.01, 0.15, 0.4, 0.99]),
    budget=st.sampled_from(["exact", "bernoulli"]),
    mask_share=st.sampled_from([0.0, 0.5, 0.8]),
    random_share=st.sampled_from([0.0, 0.1, 0.2]),
    replace_by=st.sampled_from(["piece", "word"]),
)
seeds = st.integers(0, 2**63 - 1)


def row_slices(rows):
    return [slice(int(a), int(b)) for a, b in zip(rows.bounds[:-1], rows.bounds[1:], strict=True)]


class TestMaskRows:
    @given(lengths=row_lists, masking=schemes, seed=seeds, epoch=st.integers(0, 1000), data=st.data())
    def test_it_equals_the_naive_rewrite(self, lengths, masking, seed, epoch, data):
        row_ids = data.draw(st.lists(seeds, min_size=len(lengths), max_size=len(lengths)))
        rows = make_rows(lengths, row_ids)
        found = mask_rows(rows, VOCABULARY, masking, seed, epoch)
        for place, row_id in zip(row_slices(rows), row_ids, strict=True):
            ids, starts = rows.input_ids[place].tolist(), rows.word_start[place].tolist()
            seen, masked = naive_mask(ids, starts, row_id, masking, seed, epoch)
            assert found.masked[place].tolist() == masked
            assert found.input_ids[place].tolist() == seen

    @given(lengths=row_lists, masking=schemes, seed=seeds)
    def test_words_are_masked_whole_and_frames_never(self, lengths, masking, seed):
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, masking, seed, epoch=0)
        groups = np.cumsum(rows.word_start)
        for group in range(1, groups[-1] + 1):
            assert len(set(found.masked[groups == group].tolist())) == 1
        frame = np.isin(rows.input_ids, VOCABULARY.frame_ids)
        assert not found.masked[frame].any()
        assert (found.input_ids == rows.input_ids)[~found.masked].all()

    @given(lengths=row_lists, masking=schemes, seed=seeds)
    def test_a_row_with_a_word_has_one_masked_and_the_budget_holds(self, lengths, masking, seed):
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, masking, seed, epoch=0)
        for place, words in zip(row_slices(rows), lengths, strict=True):
            count = int(found.masked[place].sum())
            assert bool(count) == bool(words)
            budget = max(1, round((sum(words) + 2) * masking.probability))
            if masking.budget == "exact" and words and count > budget:
                groups = np.cumsum(rows.word_start[place])[found.masked[place]]
                assert len(set(groups.tolist())) == 1, "only a lone word may exceed the budget"
                assert min(words) > budget, "and only where no word fits"

    @given(lengths=row_lists, seed=seeds, order=st.randoms(use_true_random=False))
    def test_a_row_does_not_depend_on_its_batch(self, lengths, seed, order):
        rows = make_rows(lengths)
        whole = mask_rows(rows, VOCABULARY, WholeWordMasking(), seed, epoch=3)
        numbers = list(range(len(lengths)))
        order.shuffle(numbers)
        for number in numbers:
            place = row_slices(rows)[number]
            bounds = np.array([0, place.stop - place.start])
            alone = Rows(rows.input_ids[place], rows.word_start[place], bounds, rows.row_ids[[number]])
            found = mask_rows(alone, VOCABULARY, WholeWordMasking(), seed, epoch=3)
            assert found.input_ids.tolist() == whole.input_ids[place].tolist()
            assert found.masked.tolist() == whole.masked[place].tolist()

    def test_replacements_are_real_pieces_only(self):
        rows = make_rows([[1] * 400] * 20)
        masking = WholeWordMasking(probability=0.9, mask_share=0.0, random_share=1.0)
        found = mask_rows(rows, VOCABULARY, masking, seed=1, epoch=0)
        assert set(found.input_ids[found.masked].tolist()) == set(REAL)

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

    def test_golden_keys(self):
        assert [hex(int(key)) for key in key_of(1, 2, np.arange(2))] == ["0x508afb8e036d2294", "0x25d57fcb2b61f9c1"]

    def test_a_golden_mask(self):
        rows = make_rows([[2, 1, 3, 1, 2, 1, 1, 4]])
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(probability=0.4), seed=6, epoch=2)
        assert rows.input_ids.tolist() == [3, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 4]
        assert found.input_ids.tolist() == [3, 7, 8, 9, 5, 5, 181, 13, 14, 15, 16, 17, 5, 5, 20, 5, 4]
        assert found.masked.astype(int).tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0]


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
