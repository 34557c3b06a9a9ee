# ruff: noqa: N806 - names end in shape suffixes; the legend is in training/losses.py
"""A student with heads, perhaps teachers, and loss settings in; out comes a module that sums every term of a step.

Terms are those of general distillation, in the same settings. Logits are compared where there are labels: one vector a
row, of labelling one a labelled piece; of reading two a row, over its pieces, how well each begins and ends the answer.
The terms of each task stand one after the other; in a step of one task those of the others are zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.features import IGNORED
from wwmcorpus.tasks.forward import TaskOutputs, TaskRows, forward_task
from wwmcorpus.tasks.settings import IntermediateLosses
from wwmcorpus.tasks.student import TaskStudent
from wwmcorpus.tasks.teachers import Teachers
from wwmcorpus.training.flops import step_flops
from wwmcorpus.training.learning import Learning, Term
from wwmcorpus.training.matches import Projections, resolve_matches
from wwmcorpus.training.objective import list_terms, shape_of
from wwmcorpus.training.settings import DistillLosses, LayerMatch
from wwmcorpus.training.terms import (
    Features,
    Grid,
    needs_attention,
    needs_hidden,
    scheduled_temperature,
    soft_label_sum,
    sum_of_match,
)

#: What padding begins or ends an answer with: so little that it counts as never, and far from overflowing.
_NEVER = -1e4


@dataclass(frozen=True)
class _Part:
    """What is learned of one task: its terms stand from ``first`` on."""

    task: Task
    losses: DistillLosses
    matches: list[LayerMatch]
    first: int


class TaskObjective(Learning):
    """A student with what it learns from.

    Args:
        student: A backbone with a head for each task.
        tasks: The tasks, in the student's order.
        losses: What it learns from teachers; None: from labels alone.
        teachers: Their shapes are read here; None where there are none.
        seed: Decides the projections' first weights.
        cached: Whether the batches carry the teachers' logits, so that no teacher runs.
    """

    _progress: Tensor

    def __init__(
        self,
        student: TaskStudent,
        tasks: Sequence[Task],
        losses: DistillLosses | None = None,
        teachers: Teachers | None = None,
        seed: int = 0,
        cached: bool = False,
    ) -> None:
        super().__init__()
        self.student: TaskStudent = student
        self._cached = cached
        self.register_buffer("_progress", torch.zeros(()), persistent=False)
        self.projections = nn.ModuleList()
        self.terms: list[Term] = []
        self._parts: list[_Part] = []
        for number, task in enumerate(tasks):
            teacher = None if teachers is None else teachers.first_of(number)
            part = self._part(task, student.models[number], losses, teacher, seed)
            own = list_terms(part.losses, part.matches)
            prefix = f"{task.name}/" if len(tasks) > 1 else ""
            self.terms += [Term(prefix + term.name, term.weight, term.unit, term.schedule) for term in own]
            self._parts.append(part)

    def _part(
        self, task: Task, model: Any, losses: DistillLosses | None, teacher: PreTrainedModel | None, seed: int
    ) -> _Part:
        first = len(self.terms)
        if losses is None or teacher is None:
            return _Part(task, DistillLosses(soft_weight=0.0, hard_weight=1.0, layer_map="none"), [], first)
        of_teacher, of_student = shape_of(teacher), shape_of(model)
        if isinstance(losses, IntermediateLosses) and not losses.matches:
            losses = losses.model_copy(update={"matches": tinybert_matches(losses, of_teacher == of_student, teacher, model)})
        if task.kind == "regression":
            losses = losses.model_copy(update={"soft_loss": "mse"})
        matches = resolve_matches(losses, of_teacher, of_student)
        self.projections.append(Projections(matches, of_teacher.width, of_student.width, losses.share_projection, seed))
        return _Part(task, losses, matches, first)
