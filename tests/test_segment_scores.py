"""Word scores: expected values counted by hand, and the laws that any segmentation obeys."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.errors import AlignmentError, ConfigError
from wwmcorpus.segment.scores import Segmentation, WordScores, agreement, score_words, spans_of_words

GOLD = [["研究", "生命", "的", "起源"], ["他", "叫", "汤姆"]]
PREDICTED = [["研究生", "命", "的", "起源"], ["他", "叫", "汤姆"]]


def test_counts_exact_spans_only() -> None:
    # 的, 起源 in the first text; all three words of the second: 5 of 7 and of 7.
    assert score_words(GOLD, PREDICTED) == WordScores(num_gold=7, num_predicted=7, num_correct=5)


def test_rates_of_an_uneven_pair() -> None:
    scores = score_words([["他", "叫", "汤姆"]], [["他", "叫汤姆"]])
    assert (scores.precision, scores.recall, scores.f1) == (1 / 2, 1 / 3, 2 / 5)


def test_recall_of_unseen_words() -> None:
    # Not in the vocabulary: 生命 (missed), 起源 (found), 汤姆 (found).
    scores = score_words(GOLD, PREDICTED, vocabulary={"研究", "的", "他", "叫"})
    assert (scores.num_unseen, scores.num_unseen_correct) == (3, 2)
    assert scores.recall_of_unseen == 2 / 3


def test_no_unseen_words_is_none_and_not_zero() -> None:
    assert score_words(GOLD, PREDICTED).recall_of_unseen is None


def test_spans_and_words_give_the_same_scores() -> None:
    spans: list[Segmentation] = [spans_of_words(words) for words in PREDICTED]
    assert score_words(GOLD, spans) == score_words(GOLD, PREDICTED)


def test_spans_of_words() -> None:
    spans = spans_of_words(["他", "叫", "汤姆"])
    assert spans.dtype == np.int32
    assert spans.tolist() == [[0, 1], [1, 2], [2, 4]]
    assert spans_of_words([]).shape == (0, 2)


def test_nothing_against_nothing_is_perfect() -> None:
    scores = score_words([[]], [[]])
    assert (scores.precision, scores.recall, scores.f1) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [
        ([["他", "叫"]], [["他", "去"]]),
        ([["他", "叫"]], [["他"]]),
        ([spans_of_words(["他", "叫"])], [spans_of_words(["他"])]),
        ([["他"]], [[]]),
    ],
)
def test_different_texts_are_an_error(gold: list[Segmentation], predicted: list[Segmentation]) -> None:
    with pytest.raises(AlignmentError, match="different texts: 0"):
        score_words(gold, predicted)


@pytest.mark.parametrize(("num_gold", "short"), [(1, "gold"), (3, "predicted")])
def test_different_numbers_of_texts_are_an_error(num_gold: int, short: str) -> None:
    with pytest.raises(AlignmentError, match=f"the {short} side ends first"):
        score_words([["他"]] * num_gold, [["他"]] * 2)


def test_unseen_words_need_forms() -> None:
    with pytest.raises(ConfigError, match="lists of words"):
        score_words([spans_of_words(["他"])], [["他"]], vocabulary=set())


@st.composite
def two_segmentations(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    text = draw(st.text("研究生命a1𠀀😀", min_size=1, max_size=12))
    return tuple(_cut(text, draw(st.sets(st.integers(1, len(text))))) for _ in range(2))  # type: ignore[return-value]


def _cut(text: str, places: set[int]) -> list[str]:
    edges = sorted(places | {0, len(text)})
    return [text[start:end] for start, end in pairwise(edges)]


@given(two_segmentations())
def test_laws_of_two_segmentations(pair: tuple[list[str], list[str]]) -> None:
    first, second = pair
    forward, backward = score_words([first], [second]), score_words([second], [first])
    assert (forward.precision, forward.recall) == (backward.recall, backward.precision)
    assert agreement([first], [second]) == agreement([second], [first])
    assert 0 <= forward.f1 <= 1
    assert (forward.f1 == 1) == (first == second)
    assert agreement([first], [first]) == 1


@given(st.lists(two_segmentations(), max_size=5), st.integers(0, 5))
def test_scores_of_parts_add_up(pairs: list[tuple[list[str], list[str]]], cut: int) -> None:
    vocabulary = {"研究", "生", "a"}
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    parts = score_words(gold[:cut], predicted[:cut], vocabulary) + score_words(gold[cut:], predicted[cut:], vocabulary)
    assert parts == score_words(gold, predicted, vocabulary)
