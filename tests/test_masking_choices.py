"""What schemes can be told: similar words, weights, schedules, shares; and how their statistics come out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masking_rows import PIECES, REAL, VOCABULARY, make_rows, row_slices
from naive_masking import draw_of, fold, mask_row, words_of
from test_masking_schemes import assert_equal_to_the_rewrite

from wwmcorpus.align import Vocabulary
from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import (
    AnyMasking,
    NgramMasking,
    PermutationMasking,
    RatioSchedule,
    SimilarWordMasking,
    SpanMasking,
    TokenMasking,
    WholeWordMasking,
    WordPredictingMasking,
    WordWeights,
    mask_rows,
    similar_words,
    write_piece_counts,
    write_similar_words,
)
from wwmcorpus.masking.apply import choose_pieces
from wwmcorpus.masking.report import mask_report
from wwmcorpus.masking.spell import spell

row_lists = st.lists(st.lists(st.integers(1, 4), max_size=24), min_size=1, max_size=6)
seeds = st.integers(0, 2**63 - 1)
budgets = st.sampled_from(["exact", "bernoulli"])


def spelling(ids):
    return "".join(PIECES[i] for i in ids)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A similar-word file, and the same as pieces -> pieces of similar words."""
    path = tmp_path_factory.mktemp("similar") / "similar.tsv"
    entries = {(i,): [(i + 1,), (i + 2,)] for i in REAL[:60:2]}
    entries |= {(i, i + 1): [(i + 5, i + 9), (i + 1, i), (i + 3, i + 3)] for i in REAL[:60:3]}
    lines = ["\t".join([spelling(word), *map(spelling, others)]) for word, others in entries.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path, entries


class TestSimilarWords:
    @given(
        lengths=row_lists, seed=seeds, budget=st.sampled_from(["exact", "bernoulli"]), share=st.sampled_from([0.4, 0.8])
    )
    def test_it_equals_the_naive_rewrite(self, table, lengths, seed, budget, share):
        masking = SimilarWordMasking(
            table=str(table[0]), probability=0.4, budget=budget, similar_share=share, random_share=0.2
        )
        assert_equal_to_the_rewrite(make_rows(lengths), masking, seed, 0, table=table[1])

    def test_what_cannot_stand_for_a_word_is_counted(self, tmp_path):
        path = tmp_path / "similar.tsv"
        a, b, c = (PIECES[i] for i in REAL[:3])
        path.write_text(f"{a}\t{b}\t{b}{c}\t{a}\t☃\n{b}\n{c}{a}\t{a}{c}\n", "utf-8")
        found = similar_words(str(path), VOCABULARY)
        assert found.dropped == {"other_length": 1, "same": 1, "unknown": 1}
        assert sorted(found.ids.tolist()) == sorted([REAL[1], REAL[0], REAL[2]])

    def test_a_table_without_use_is_an_error(self, tmp_path):
        path = tmp_path / "similar.tsv"
        path.write_text(f"{PIECES[REAL[0]]}\t{PIECES[REAL[0]]}\n", "utf-8")
        masking = SimilarWordMasking(table=str(path))
        with pytest.raises(ConfigError, match="no word of the table has a similar word"):
            mask_rows(make_rows([[1]]), VOCABULARY, masking, 0, 0)
        with pytest.raises(ConfigError, match="cannot read the file"):
            mask_rows(make_rows([[1]]), VOCABULARY, SimilarWordMasking(table=str(tmp_path / "none")), 0, 0)

    def test_word_vectors_become_a_table(self, tmp_path):
        vectors, output = tmp_path / "vectors.txt", tmp_path / "similar.tsv"
        lines = ["6 2", "山 1 0", "水 0.8 0.6", "火 -1 0.1", "山水 1 0", "水山 0.6 0.8", "河 0.6 0.8"]
        vectors.write_text("\n".join(lines) + "\n", "utf-8")
        assert write_similar_words(vectors, output, num_similar=2, least=0.5) == 5
        assert output.read_text("utf-8").split("\n") == [
            "山\t水\t河",
            "水\t河\t山",
            "山水\t水山",
            "水山\t山水",
            "河\t水\t山",
            "",
        ]
        vectors.write_bytes("\n".join(lines).encode() + b"\n\xff 1 0\n")
        assert write_similar_words(vectors, output, max_words=6) == 5, "what is not asked for is not read"
        with pytest.raises(ConfigError, match=r"not UTF-8.*Store it as UTF-8"):
            write_similar_words(vectors, output, max_words=7)
        with pytest.raises(ConfigError, match="cannot read the file: No such file"):
            write_similar_words(tmp_path / "none", output)
        vectors.write_text("山 1 0 2\n水 0.8 0.6\n", "utf-8")
        with pytest.raises(ConfigError, match="vectors of different lengths"):
            write_similar_words(vectors, output)
        for line in ("水 0.8 x", "高 山 0.8 0.6", "水 nan 0.6"):
            vectors.write_text(f"山 1 0\n{line}\n", "utf-8")
            with pytest.raises(ConfigError, match=f"not a word and its numbers: '{line}'"):
                write_similar_words(vectors, output)


class TestWeights:
    def test_words_are_spelled_as_bert_does(self):
        pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "外", "衣", "##衣", "play", "##ing", ",")
        vocabulary = Vocabulary(pieces, 0, 1, 2, 3, 4)
        assert spell(["外衣", "Playing", ",", "汤", ""], vocabulary) == [[5, 6], [8, 9], [10], [1], []]

    @given(
        lengths=row_lists,
        seed=seeds,
        budget=budgets,
        scheme=st.sampled_from([WholeWordMasking, TokenMasking, NgramMasking, SpanMasking]),
        probability=st.sampled_from([0.15, 0.5]),
    )
    def test_it_equals_the_naive_rewrite(self, tmp_path_factory, lengths, seed, budget, scheme, probability):
        counts = tmp_path_factory.getbasetemp() / "counts.tsv"
        count_of = {i: 1 + 37 * (i % 5) ** 3 for i in REAL[:100]}
        counts.write_text("".join(f"{PIECES[i]}\t{count}\n" for i, count in count_of.items()), "utf-8")
        stop = tuple(spelling(word) for word in [[REAL[2]], [REAL[4], REAL[5]]])
        never = tuple(spelling(word) for word in [[REAL[0]], [REAL[8]], [REAL[1], REAL[2]]])
        weights = WordWeights(never=never, stop_words=stop, stop_weight=0.25, counts_file=str(counts))
        masking = scheme(probability=probability, budget=budget, weights=weights)

        rate = {i: count_of.get(i, 1) ** -0.7 for i in range(len(PIECES))}
        scale = sum(count_of.values()) / sum(count * rate[i] for i, count in count_of.items())

        def weight_of(ids):
            word = spelling(ids)
            if word in never:
                return 0.0
            return sum(rate[i] * scale for i in ids) / len(ids) * (0.25 if word in stop else 1)

        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, masking, seed, 0)
        for place, row_id in zip(row_slices(rows), rows.row_ids.tolist(), strict=True):
            ids, starts = rows.input_ids[place].tolist(), rows.word_start[place].tolist()
            _, labels = mask_row(ids, starts, row_id, masking, seed, 0, REAL, weight_of=weight_of)
            assert found.labels[place].tolist() == labels
            for word in words_of(starts):
                assert spelling([ids[p] for p in word]) not in never or labels[word[0]] == -100

    def test_a_word_with_half_the_weight_is_masked_half_as_often(self):
        rows = make_rows([[1] * 200] * 300)
        word = PIECES[REAL[50]]
        weights = WordWeights(stop_words=(word,), stop_weight=0.5)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(budget="bernoulli", weights=weights), seed=0, epoch=0)
        for here, share in ((rows.input_ids == REAL[50], 0.075), (np.isin(rows.input_ids, REAL[51:]), 0.15)):
            total = int(here.sum())
            assert abs(int(found.masked[here].sum()) - total * share) <= 5 * math.sqrt(total * share * (1 - share))

    def test_with_an_exact_budget_weights_are_rates_of_a_draw_without_replacement(self):
        """One word of three is drawn first: of weights 1, 2 and 5 with probability 1/8, 2/8, 5/8."""
        rows = make_rows([[1, 1, 1]] * 8000)
        rows.input_ids[:] = np.tile([3, REAL[0], REAL[1], REAL[2], 4], 8000)
        weights = [WordWeights(stop_words=(PIECES[REAL[n]],), stop_weight=2.0 * (n + 1)) for n in range(2)]
        for number, weight in enumerate((2.0, 4.0)):
            found = mask_rows(rows, VOCABULARY, WholeWordMasking(probability=0.1, weights=weights[number]), 1, 0)
            hits = int(found.masked.reshape(-1, 5)[:, number + 1].sum())
            share = weight / (weight + 2)
            assert found.masked.sum() == 8000
            assert abs(hits - 8000 * share) <= 5 * math.sqrt(8000 * share * (1 - share))

    def test_files_of_words(self, tmp_path):
        path = tmp_path / "never.txt"
        path.write_text("".join(f"{PIECES[i]}\n" for i in REAL[:100]), "utf-8")
        masking = WholeWordMasking(probability=0.9, weights=WordWeights(never_file=str(path)))
        rows = make_rows([[1] * 150])
        found = mask_rows(rows, VOCABULARY, masking, 0, 0)
        assert set(rows.input_ids[found.masked].tolist()) == set(REAL[100:150])

    def test_counts_of_another_vocabulary_are_an_error(self, tmp_path):
        path = tmp_path / "counts.tsv"
        path.write_text(f"{PIECES[REAL[0]]}\t3\n猫猫\t4\n", "utf-8")
        masking = WholeWordMasking(weights=WordWeights(counts_file=str(path)))
        with pytest.raises(ConfigError, match=r"counts\.tsv:2"):
            mask_rows(make_rows([[1]]), VOCABULARY, masking, 0, 0)

    def test_piece_counts_of_a_corpus_are_read_back(self, small_corpus, tmp_path):
        path = tmp_path / "counts.tsv"
        rows = small_corpus.rows(range(len(small_corpus)))
        assert write_piece_counts(small_corpus, path) == len(np.unique(rows.input_ids))
        masking = WholeWordMasking(weights=WordWeights(counts_file=str(path)))
        plain = mask_rows(rows, small_corpus.vocabulary, WholeWordMasking(), 0, 0)
        found = mask_rows(rows, small_corpus.vocabulary, masking, 0, 0)
        count_of = np.bincount(rows.input_ids)
        assert np.median(count_of[rows.input_ids[found.masked]]) < np.median(count_of[rows.input_ids[plain.masked]])


class TestSchedule:
    def test_the_share_follows_the_position(self):
        schedule = RatioSchedule(final_probability=0.3, num_rows=1000, first_row=100)
        masking = NgramMasking(probability=0.1, schedule=schedule)
        shares = [masking.at(position).probability for position in (0, 100, 350, 600, 1100, 10**9)]
        assert shares == pytest.approx([0.1, 0.1, 0.15, 0.2, 0.3, 0.3])
        assert masking.at(350) == NgramMasking(probability=shares[2])

    def test_half_a_cosine(self):
        masking = WholeWordMasking(schedule=RatioSchedule(final_probability=0.45, num_rows=4, shape="cosine"))
        shares = [masking.at(position).probability for position in range(5)]
        first = 0.15 + 0.3 * (0.5 - math.sqrt(0.5) / 2)
        assert shares == pytest.approx([0.15, first, 0.3, 0.6 - first, 0.45])

    def test_a_fixed_scheme_is_itself(self):
        masking = WholeWordMasking()
        assert masking.at(10**6) is masking


class TestStatistics:
    """Bounds of five standard deviations, seeds fixed."""

    @pytest.mark.parametrize(
        ("masking", "shares"),
        [
            (NgramMasking(budget="bernoulli", probability=0.05), [0.4, 0.3, 0.2, 0.1]),
            (NgramMasking(budget="bernoulli", probability=0.05, shares="inverse"), [6 / 11, 3 / 11, 2 / 11]),
            (
                SpanMasking(budget="bernoulli", probability=0.02),
                [0.2 * 0.8**n / (1 - 0.8**10) for n in range(10)],
            ),
        ],
    )
    def test_the_mix_of_runs(self, masking, shares):
        """Only the last run of a row may be shorter than it was drawn."""
        num_rows = 100
        rows = make_rows([[1] * 2000] * num_rows)
        chosen = choose_pieces(rows, VOCABULARY, masking, seed=3, epoch=0)
        lengths = np.diff(chosen.starts, append=len(chosen.pieces))
        total = len(lengths)
        for length, share in enumerate(shares, start=1):
            hits = int((lengths == length).sum())
            assert abs(hits - total * share) <= 5 * math.sqrt(total * share * (1 - share)) + num_rows * 0.02
        assert lengths.max() <= len(shares)

    def test_every_word_is_as_likely_in_runs(self):
        rows = make_rows([[1] * 40] * 20_000)
        found = mask_rows(rows, VOCABULARY, NgramMasking(budget="bernoulli"), seed=4, epoch=0)
        hits = found.masked.reshape(20_000, 42)[:, 1:-1].sum(axis=0)
        assert np.abs(hits - 20_000 * 0.15).max() <= 5 * math.sqrt(20_000 * 0.15 * 0.85) + 20_000 * 0.85**15

    def test_nine_tenths_change_places(self):
        rows = make_rows([[1] * 150] * 400)
        found = mask_rows(rows, VOCABULARY, PermutationMasking(), seed=2, epoch=0)
        moved, total = int((found.input_ids != rows.input_ids).sum()), int(found.masked.sum())
        fixed_points = 400
        bound = 5 * math.sqrt(total * 0.9 * 0.1) + 5 * math.sqrt(fixed_points)
        assert abs(moved - (0.9 * total - fixed_points)) <= bound, "a permutation has one fixed point on average"


class TestReport:
    @pytest.mark.parametrize(
        "masking",
        [
            WholeWordMasking(),
            WholeWordMasking(budget="bernoulli", mask_share=0.5),
            TokenMasking(),
            NgramMasking(),
            SpanMasking(),
            PermutationMasking(),
        ],
    )
    def test_it_counts_what_a_draw_masked(self, small_corpus, masking):
        report = mask_report(small_corpus, masking, seed=3, num_rows=1500)
        rows = small_corpus.rows(range(min(1500, len(small_corpus))))
        found = mask_rows(rows, small_corpus.vocabulary, masking, 3, 0)
        vocabulary = small_corpus.vocabulary
        seen, true = found.input_ids[found.masked], rows.input_ids[found.masked]
        groups = np.cumsum(rows.word_start)
        frames = np.isin(rows.input_ids, vocabulary.frame_ids)
        assert (report.num_rows, report.num_pieces) == (len(rows.row_ids), len(rows.input_ids))
        assert report.masked_pieces == found.masked.sum()
        assert report.num_words == len(set(groups[~frames].tolist()))
        assert report.masked_words == len(set(groups[found.masked].tolist()))
        assert report.rows_without == sum(not found.masked[place].any() for place in row_slices(rows))
        mask, same = int((seen == vocabulary.mask_id).sum()), int((seen == true).sum())
        assert report.replaced == {"mask": mask, "other": len(seen) - mask - same, "same": same}
        if masking.unit != "piece":
            words = sum(number * count for number, count in enumerate(report.unit_words, start=1))
            assert words == report.masked_words
        if isinstance(masking, WholeWordMasking):
            assert len(report.unit_words) == 1
        assert f"({masking.probability:.2%} of " in "\n".join(report.lines())


class TestPermutation:
    @given(lengths=row_lists, seed=seeds)
    def test_labels_lead_back_to_the_row(self, lengths, seed):
        rows = make_rows(lengths)
        found = mask_rows(rows, VOCABULARY, PermutationMasking(probability=0.5), seed, 0)
        for place in row_slices(rows):
            seen, labels, true = (a[place].tolist() for a in (found.input_ids, found.labels, rows.input_ids))
            asked = [position for position, label in enumerate(labels) if label != -100]
            assert sorted(labels[position] for position in asked) == asked
            assert [seen[labels[position]] for position in asked] == [true[position] for position in asked]
            assert sorted(seen) == sorted(true)

    def test_heads_that_predict_words_refuse_it(self):
        class Run(Config):
            masking: WordPredictingMasking

        assert Run(masking={"scheme": "span"}).masking == SpanMasking()
        with pytest.raises(ConfigError, match="predicts positions"):
            Run(masking={"scheme": "permutation"})


class TestConfiguration:
    class Run(Config):
        masking: AnyMasking = WholeWordMasking()

    def test_tables_choose_a_scheme(self):
        made = self.Run(masking={"scheme": "ngram", "shares": [0.5, 0.5], "weights": {"never": ["的"]}}).masking
        assert made == NgramMasking(shares=(0.5, 0.5), weights=WordWeights(never=("的",)))
        assert self.Run(masking={"probability": 0.2}).masking == WholeWordMasking(probability=0.2)

    def test_values_are_whole_and_make_the_same_scheme(self):
        for scheme in (NgramMasking(), SpanMasking(max_words=4), WholeWordMasking(max_predictions=20)):
            run = self.Run(masking=scheme)
            assert self.Run(**run.values()) == run

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({"scheme": "ngrm"}, "Did you mean 'ngram'"),
            ({"scheme": "whole"}, "Choose one of: ngram, permutation, similar, span, token, whole_word"),
            ({"scheme": "ngram", "shares": [0.5, 0.4]}, "do not add up to 1"),
            ({"scheme": "ngram", "shares": []}, "do not add up to 1"),
            ({"scheme": "ngram", "shares": [0.5, math.nan]}, "do not add up to 1"),
            ({"scheme": "span", "max_word": 3}, "Did you mean 'max_words'"),
            ({"scheme": "similar"}, "a key is missing: 'table'"),
            ({"scheme": "similar", "table": "x", "similar_share": 0.95}, "the shares exceed 1"),
            ({"schedule": {"num_rows": 5}}, "final_probability"),
            ({"max_predictions": 0}, "max_predictions"),
            ({"weights": {"stop_weight": math.inf}}, "stop_weight"),
        ],
    )
    def test_a_wrong_table_is_an_error(self, values, problem):
        with pytest.raises(ConfigError, match=problem):
            self.Run(masking=values)


def published_version_4(ids, words, coins, budget, mask_id, pool):
    """What version 4 of transformers did to one row, its words shuffled already and its coins in [0, 1) thrown.

    It walks over the words, passes over those that overflow, stops at the budget; then each piece of the words taken
    becomes [MASK] in eight cases of ten and another piece in half of the rest.
    """
    covered = []
    for word in words:
        if len(covered) >= budget:
            break
        if len(covered) + len(word) > budget or any(index in covered for index in word):
            continue
        covered.extend(word)
    labels = [ids[at] if at in covered else -100 for at in range(len(ids))]
    seen = list(ids)
    for at, (replaced, randomised, piece) in zip(sorted(covered), coins, strict=False):
        if replaced:
            seen[at] = mask_id
        elif randomised:
            seen[at] = pool[piece]
    return seen, labels


class TestParityWithVersion4:
    @given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=40), seed=seeds)
    def test_the_same_words_in_the_same_order_give_the_same_labels(self, lengths, seed):
        rows = make_rows([lengths])
        ids, starts = rows.input_ids.tolist(), rows.word_start.tolist()
        key, words = fold(seed, 0, 0), words_of(starts)
        order = sorted(range(1, len(words) - 1), key=lambda number: (draw_of(key, 1, number), number))
        throws = [draw_of(key, 2, number) for number in range(len(ids))]
        mask, random = int(0.8 * 2**32), int(0.9 * 2**32)
        coins = [(t < mask, t < random, (t - mask) * len(REAL) // (random - mask)) for t in throws]
        budget = max(1, round(len(ids) * 0.15))
        seen, labels = published_version_4(ids, [words[number] for number in order], coins, budget, 5, REAL)
        found = mask_rows(rows, VOCABULARY, WholeWordMasking(), seed, 0)
        if set(labels) == {-100}:
            assert np.flatnonzero(found.masked).tolist() == words[order[0]], "where it masks nothing, one word is"
        else:
            assert found.labels.tolist() == labels
            assert found.input_ids.tolist() == seen
