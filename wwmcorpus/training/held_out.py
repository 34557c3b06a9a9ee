"""Held-out rows in, figures of student, teacher and unigram model out, before, while and after a student learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import BertForMaskedLM

from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.training.evaluate import (
    Figures,
    as_trained,
    evaluate,
    evaluate_with_guesses,
    evaluating,
    unigram_baseline,
)
from wwmcorpus.training.heads import forward_masked, micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.pair_head import pair_accuracy
from wwmcorpus.training.registry import find_loss
from wwmcorpus.training.reporting import Reporter, read_metrics
from wwmcorpus.training.settings import Training

#: Held-out rows are masked with this seed in every run, so that runs can be compared.
EVALUATION_SEED = 0
#: Hidden states are compared on so many batches only: the teacher runs over them each time, and a mean needs few.
_NUM_COSINE_BATCHES = 2

Batches = list[dict[str, Tensor]]


class HeldOut:
    """The evaluations of one run; the trainer calls it with the number of finished steps.

    Args:
        objective: The student with what it is compared by.
        batches: Masked rows, the same in every evaluation; empty for none.
        training: Precision.
        reporter: Gets the figures.
        teacher: On the device of the run, or None.

    Attributes:
        first: Figures of the student with its first weights.
        last: Its newest figures.
        baseline: Figures of the unigram model.
        teacher_figures: Those of the teacher.
    """

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        training: Training,
        reporter: Reporter,
        teacher: BertForMaskedLM | None = None,
    ) -> None:
        self.objective, self.batches, self.training, self.reporter = objective, batches, training, reporter
        self.teacher = teacher
        self.first: Figures | None = None
        self.last: Figures | None = None
        self.baseline: Figures | None = None
        self.teacher_figures: Figures | None = None
        self._guesses: list[Tensor] | None = None

    def __call__(self, step: int) -> float | None:
        """Evaluate the student and give its loss; None without held-out rows."""
        if not self.batches:
            return None
        figures = evaluate(self.objective.student, self.batches, self.training.precision, self._guesses)
        self.last = replace(figures, hidden_cosine=self._cosine(), pair_accuracy=self._pairs())
        self.first = self.first or self.last
        self.reporter.record("evaluation", step, **self.last.content())
        return self.last.loss

    def compare_with(self, corpus: Corpus, resumed: bool = False) -> None:
        """Evaluate what the student is to be compared with: the unigram model of its corpus, and its teacher.

        In a resumed run their figures, and those of the student so far, stand in the metrics already.
        """
        if not self.batches:
            return
        record = self.reporter.record
        if resumed:
            self._recall()
            record = _say_nothing
        self.baseline = unigram_baseline(corpus.piece_counts(), self.batches, corpus.vocabulary.frame_ids.tolist())
        record("baseline", 0, **self.baseline.content())
        if self.teacher is not None:
            found = evaluate_with_guesses(self.teacher, self.batches, self.training.precision)
            self.teacher_figures, self._guesses = found
            record("teacher", 0, **self.teacher_figures.content())

    def _recall(self) -> None:
        if self.reporter.path is None:
            return
        found = [Figures.of(line) for line in read_metrics(self.reporter.path, "evaluation")]
        if found:
            self.first, self.last = found[0], found[-1]

    def _pairs(self) -> float | None:
        if not self.objective.has_pairs:
            return None
        return pair_accuracy(self.objective.student, self.batches, self.training.precision)

    def _cosine(self) -> float | None:
        if self.teacher is None:
            return None
        batches = self.batches[:_NUM_COSINE_BATCHES]
        return hidden_cosine(self.objective, self.teacher, batches, self.training.precision)


def hidden_cosine(
    objective: Objective, teacher: BertForMaskedLM, batches: list[Mapping[str, Tensor]] | Batches, precision: str
) -> float | None:
    """Give the mean cosine, over real positions, of the deepest matched hidden state with the teacher's.

    The student's goes through its projection first. None where no hidden states of one width are matched.
    """
    deepest = _deepest_match(objective)
    if deepest is None:
        return None
    teacher_layer, student_layer, projection = deepest
    student, total, count = objective.student, 0.0, 0
    with evaluating(student), torch.no_grad(), as_trained(student.device, precision):
        for batch in batches:
            (cut,) = micro_batches(batch)
            cut = cut.to(student.device)
            ours, theirs = (forward_masked(model, cut, logits=False, hidden=True) for model in (student, teacher))
            mine = projection(ours.hidden_BLD[student_layer]).float()
            goal = theirs.hidden_BLD[teacher_layer].float()
            if goal.shape != mine.shape:
                return None
            cosine = cosine_similarity(mine, goal, dim=-1)
            total += float((cosine * cut.attention_mask_BL).sum())
            count += int(cut.attention_mask_BL.sum())
    return total / max(count, 1)


def _deepest_match(objective: Objective) -> tuple[int, int, nn.Module] | None:
    """Give teacher layer, student layer and projection of the deepest hidden state that is compared."""
    found = [
        (match.student_layer, match.teacher_layer, index)
        for index, match in enumerate(objective.matches)
        if isinstance(match.student_layer, int) and find_loss(match.loss, "losses.matches").feature == "hidden"
    ]
    if not found:
        return None
    student_layer, teacher_layer, index = max(found)
    assert isinstance(teacher_layer, int)
    return teacher_layer, student_layer, objective.projections[index]


def _say_nothing(kind: str, step: int, **figures: Any) -> None:
    """Record nothing."""
