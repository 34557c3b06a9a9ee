"""Scores of a segmenter: gold words and predicted words in, precision, recall and F1 out.

A predicted word counts where a gold word has exactly the same start and the same end, as the SIGHAN bakeoffs count.
A segmentation is given as word spans, (num_words, 2), or as the list of its words; both forms may be mixed where the
text has no whitespace, since the words of a list stand one right behind the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from wwmcorpus.errors import AlignmentError, ConfigError
from wwmcorpus.records import WordSpans

#: Word spans, (num_words, 2), or the words themselves.
Segmentation = WordSpans | Sequence[str]


@dataclass(frozen=True, slots=True)
class WordScores:
    """Counts over any number of texts, and the rates that follow from them. Scores of two sets add up with ``+``.

    Attributes:
        num_gold: Words of the gold segmentation.
        num_predicted: Words of the other one.
        num_correct: Words that stand in both, with the same start and end.
        num_unseen: Gold words whose form is not in the training vocabulary; 0 where none was given.
        num_unseen_correct: Those among them that were found.
    """

    num_gold: int
    num_predicted: int
    num_correct: int
    num_unseen: int = 0
    num_unseen_correct: int = 0

    @property
    def precision(self) -> float:
        """Share of the predicted words that are right, 0 to 1; 1 where nothing was predicted and nothing was there."""
        return self._share(self.num_correct, self.num_predicted)

    @property
    def recall(self) -> float:
        """Share of the gold words that were found, 0 to 1; 1 where nothing was predicted and nothing was there."""
        return self._share(self.num_correct, self.num_gold)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        total = self.num_gold + self.num_predicted
        return 2 * self.num_correct / total if total else 1.0

    @property
    def recall_of_unseen(self) -> float | None:
        """Share of the unseen words that were found, 0 to 1; None where there was none."""
        return self.num_unseen_correct / self.num_unseen if self.num_unseen else None

    def __add__(self, other: WordScores) -> WordScores:
        return WordScores(
            self.num_gold + other.num_gold,
            self.num_predicted + other.num_predicted,
            self.num_correct + other.num_correct,
            self.num_unseen + other.num_unseen,
            self.num_unseen_correct + other.num_unseen_correct,
        )

    def _share(self, part: int, whole: int) -> float:
        if whole:
            return part / whole
        return 1.0 if self.num_gold == self.num_predicted else 0.0


def score_words(
    gold: Iterable[Segmentation], predicted: Iterable[Segmentation], vocabulary: Collection[str] | None = None
) -> WordScores:
    """Compare predicted words with gold words, text by text.

    gold ``[["他", "叫", "汤姆"]]``, predicted ``[["他", "叫汤姆"]]`` -> 1 correct of 3 gold and 2 predicted:
    precision 0.5, recall 0.333, F1 0.4; with the vocabulary ``{"他", "叫"}`` the recall of unseen words is 0.0 of 1.

    Args:
        gold: One segmentation per text; lists of words where ``vocabulary`` is given, since spans have no form.
        predicted: One segmentation per text, in the same order.
        vocabulary: Forms of the words that the segmenter was trained on (a set is fast); None: no unseen words counted.

    Raises:
        AlignmentError: the two hold different numbers of texts, or segment different texts.
        ConfigError: ``vocabulary`` is given and a gold segmentation is an array of spans.
    """
    scores = WordScores(0, 0, 0)
    for index, (left, right) in enumerate(zip_longest(gold, predicted)):
        if left is None or right is None:
            short = "gold" if left is None else "predicted"
            raise AlignmentError(
                f"the {short} side ends first",
                value=index,
                where="number of texts",
                fix="Segment every text once, in order.",
            )
        scores += _score_text(left, right, vocabulary, index)
    return scores


def agreement(first: Iterable[Segmentation], second: Iterable[Segmentation]) -> float:
    """Give how far two segmenters agree: the F1 of one against the other, 0 to 1; the order of the two does not matter.

    ``[["研究", "生命"]]`` against ``[["研究", "生", "命"]]`` -> 1 common word of 2 and 3: 2 * 1 / 5 = 0.4

    Raises:
        AlignmentError: the two hold different numbers of texts, or segment different texts.
    """
    return score_words(first, second).f1


def spans_of_words(words: Sequence[str]) -> WordSpans:
    """Give the spans of words that stand one right behind the other.

    ``["他", "叫", "汤姆"]`` -> ``[[0, 1], [1, 2], [2, 4]]``

    Returns:
        (num_words, 2) int32.
    """
    ends = np.cumsum([len(word) for word in words], dtype=np.int32)
    return np.stack([ends - np.array([len(word) for word in words], np.int32), ends], axis=1)


def _score_text(
    gold: Segmentation, predicted: Segmentation, vocabulary: Collection[str] | None, index: int
) -> WordScores:
    gold_spans, predicted_spans = _as_pairs(gold), _as_pairs(predicted)
    if isinstance(gold, np.ndarray) or isinstance(predicted, np.ndarray):
        same = _extent(gold_spans) == _extent(predicted_spans)
    else:
        same = "".join(gold) == "".join(predicted)
    if not same:
        raise AlignmentError(
            "the two sides segment different texts",
            value=index,
            where="index of the text",
            fix="Segment the same texts, in the same order.",
        )
    found = set(predicted_spans)
    correct = [span in found for span in gold_spans]
    scores = WordScores(len(gold_spans), len(predicted_spans), sum(correct))
    if vocabulary is None:
        return scores
    if isinstance(gold, np.ndarray):
        raise ConfigError(
            "unseen words need the forms of the gold words", where="gold", fix="Give gold as lists of words."
        )
    unseen = [right for word, right in zip(gold, correct, strict=True) if word not in vocabulary]
    return scores + WordScores(0, 0, 0, len(unseen), sum(unseen))


def _as_pairs(segmentation: Segmentation) -> list[tuple[int, int]]:
    spans = segmentation if isinstance(segmentation, np.ndarray) else spans_of_words(segmentation)
    return [(start, end) for start, end in spans.tolist()]


def _extent(spans: list[tuple[int, int]]) -> tuple[int, int]:
    """Give where the first word starts and the last one ends: all that spans tell of the text behind them."""
    return (spans[0][0], spans[-1][1]) if spans else (0, 0)
