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

from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.forward import TaskOutputs, TaskRows, forward_task
from wwmcorpus.tasks.settings import IntermediateLosses
from wwmcorpus.tasks.student import TaskStudent
from wwmcorpus.tasks.teachers import Teachers
from wwmcorpus.training.attention import capture_attention
from wwmcorpus.training.flops import forward_flops, step_flops
from wwmcorpus.training.learning import Learning, Term
from wwmcorpus.training.matches import ModelShape, Projections, resolve_matches
from wwmcorpus.training.objective import list_terms, shape_of
from wwmcorpus.training.settings import DistillLosses, LayerMatch, TemperatureSchedule
from wwmcorpus.training.terms import (
    Features,
    Grid,
    count_padding,
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
        teachers: Of each task the first one's shape is read here; None where there are none.
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
        if self.needs_attention:
            # All of them: the layers that students share look at the first one's settings.
            for model in (*student.models, *(teachers.first_of(number) for number in range(len(tasks)) if teachers)):
                capture_attention(model)

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher must run."""
        return not self._cached and any(part.losses.soft_weight or part.matches for part in self._parts)

    @property
    def needs_attention(self) -> bool:
        """Whether any term compares attention or relations."""
        return any(needs_attention(part.matches) for part in self._parts)

    @property
    def counts_padding(self) -> bool:
        """Whether a term depends on how wide its rows are padded: then the trainer does not trim them."""
        parts = self._parts
        return super().counts_padding or any(
            count_padding(part.matches, part.losses.hidden_positions) for part in parts
        )

    def set_progress(self, progress: float) -> None:
        """Say which share of the steps is done, in [0, 1): a temperature may follow it."""
        self._progress.fill_(progress)

    def num_labels(self, batch: Mapping[str, Tensor]) -> int:
        """Count labels: one a row, of labelling one a labelled piece."""
        labels = batch["labels"]
        is_of_pieces = self._parts[int(batch["task"][0])].task.kind == "labelling"
        return int((labels != IGNORED_LABEL).sum()) if is_of_pieces else len(labels)

    def micro_batches(self, rows: Mapping[str, Tensor]) -> list[TaskRows]:
        """Make a micro-batch of rows, all of one task."""
        return [TaskRows.of(rows, int(rows["task"][0]))]

    def teach(self, teacher: Teachers, batch: TaskRows) -> TaskOutputs:
        """Run the teachers of a micro-batch's task, as far as its terms need them."""
        part = self._parts[batch.task]
        hidden, attention = needs_hidden(part.matches), needs_attention(part.matches)
        return teacher.run(batch, logits=part.losses.soft_weight > 0, hidden=hidden, attention=attention)

    def flops(self, teacher: Teachers | None, num_pieces: int, num_pairs: int, num_labels: int) -> float:
        """Give the operations of a step; heads are too small to count, and teachers as of the first task."""
        own = step_flops(self.student.models[0].config, num_pieces, num_pairs, 0)
        taught_by = [] if teacher is None else teacher.models[0]
        return own + sum(forward_flops(model.config, num_pieces, num_pairs, 0) for model in taught_by)

    def forward(self, batch: TaskRows, teacher: TaskOutputs | None = None) -> Tensor:
        """Give the sum of each term over the micro-batch, (len(terms),) float32.

        Args:
            batch: Rows.
            teacher: What ``teach`` gave; None where the rows carry kept logits, or nothing is compared.
        """
        part = self._parts[batch.task]
        losses, matches = part.losses, part.matches
        ours = forward_task(
            self.student.models[batch.task],
            batch,
            logits=bool(losses.soft_weight or losses.hard_weight),
            hidden=needs_hidden(matches),
            attention=needs_attention(matches),
        )
        sums = []
        if losses.hard_weight:
            sums.append(_hard_sum(part.task, ours, batch))
        if losses.soft_weight:
            kept = batch.teacher_logits if teacher is None else teacher.logits
            sums.append(self._soft_sum(part, ours, kept, batch))
        if matches:
            assert teacher is not None
            sums += self._match_sums(part, ours, teacher, batch)
        before, after = sums[0].new_zeros(part.first), sums[0].new_zeros(len(self.terms) - part.first - len(sums))
        return torch.cat([before, torch.stack(sums), after])

    def _soft_sum(self, part: _Part, ours: TaskOutputs, theirs: Tensor | None, batch: TaskRows) -> Tensor:
        assert ours.logits is not None
        assert theirs is not None
        student_MV, teacher_MV = (_vectors(part.task, logits, batch) for logits in (ours.logits, theirs))
        if part.task.kind == "labelling":
            assert batch.labels is not None
            is_labelled_M = (batch.labels != IGNORED_LABEL).flatten()
            student_MV, teacher_MV = student_MV[is_labelled_M], teacher_MV[is_labelled_M]
        weight_M = None
        if part.task.kind == "reading" and part.losses.soft_loss == "mse":
            # A mean over the width of the batch, to which padding adds zeros, becomes one over the pieces of the row.
            lengths_B = batch.attention_mask_BL.sum(1)
            weight_M = (batch.attention_mask_BL.shape[1] / lengths_B).repeat_interleave(2)
        temperature = scheduled_temperature(part.losses, self._progress)
        total = soft_label_sum(part.losses, student_MV, teacher_MV, None, temperature, weight_M)
        return total / 2 if part.task.kind == "reading" else total

    def _match_sums(self, part: _Part, ours: TaskOutputs, theirs: TaskOutputs, batch: TaskRows) -> list[Tensor]:
        grid = Grid.of(batch.attention_mask_BL)
        sides = Features(ours.hidden_BLD, ours.attention), Features(theirs.hidden_BLD, theirs.attention)
        heads: int = self.student.models[batch.task].config.num_attention_heads
        projections: Any = self.projections[batch.task]
        return [
            sum_of_match(
                match,
                *sides,
                projections[index],
                grid.positions(match.positions or part.losses.hidden_positions),
                match.relation_heads or heads,
            )
            for index, match in enumerate(part.matches)
        ]

    def _part(
        self, task: Task, model: Any, losses: DistillLosses | None, teacher: PreTrainedModel | None, seed: int
    ) -> _Part:
        first = len(self.terms)
        if losses is None or teacher is None:
            return _Part(task, DistillLosses(soft_weight=0.0, hard_weight=1.0, layer_map="none"), [], first)
        of_teacher, of_student = shape_of(teacher), shape_of(model)
        if isinstance(losses, IntermediateLosses) and not losses.matches:
            losses = losses.model_copy(update={"matches": tinybert_matches(losses, of_teacher, of_student)})
        if task.kind == "regression":
            # A softmax over one number says nothing: neither does what is made of it.
            plain = {"soft_loss": "mse", "soft_top_k": None}
            losses = losses.model_copy(update=plain | {"temperature_schedule": _of_step(losses.temperature_schedule)})
        if task.kind == "reading" and losses.temperature_schedule.shape == "flsw":
            raise ConfigError(
                "this schedule compares the lengths of logits, and those of a passage grow with its padding",
                value="flsw",
                where="losses.temperature_schedule",
                fix='Take "cwsm", "linear" or "constant".',
            )
        matches = resolve_matches(losses, of_teacher, of_student)
        self.projections.append(Projections(matches, of_teacher.width, of_student.width, losses.share_projection, seed))
        return _Part(task, losses, matches, first)


def tinybert_matches(losses: IntermediateLosses, teacher: ModelShape, student: ModelShape) -> tuple[LayerMatch, ...]:
    """Give TinyBERT's matches over a layer map by name: hidden states, embeddings among them, and attention.

    Source: TinyBERT, arXiv:1909.10351, equations 7 to 9.
    """
    named: Any = losses.layer_map
    projection: Any = None if teacher.width == student.width else "linear"
    matches = [LayerMatch(layers=named, loss="hidden_mse", weight=losses.hidden_weight, projection=projection)]
    if losses.attention_weight:
        loss = "attention_mse" if teacher.heads == student.heads else "attention_ce_mean"
        matches.append(LayerMatch(layers=named, loss=loss, weight=losses.attention_weight))
    return tuple(matches)


def _of_step(schedule: TemperatureSchedule) -> TemperatureSchedule:
    """Give a schedule as it is for values that have no distribution: with one temperature for all of a step."""
    return TemperatureSchedule() if schedule.shape in ("flsw", "cwsm") else schedule


def _vectors(task: Task, logits: Tensor, batch: TaskRows) -> Tensor:
    """Give one vector for each place where there may be a label, (M, V)."""
    if task.kind != "reading":
        return logits.flatten(0, 1)
    is_padding = batch.attention_mask_BL.unsqueeze(1) == 0
    return logits.float().transpose(1, 2).masked_fill(is_padding, _NEVER).flatten(0, 1)


def _hard_sum(task: Task, ours: TaskOutputs, batch: TaskRows) -> Tensor:
    """Sum the loss against the labels: cross-entropy in nats, of regression the squared error."""
    assert ours.logits is not None
    assert batch.labels is not None
    found = _vectors(task, ours.logits, batch).float()
    if task.kind == "regression":
        return (found[:, 0] - batch.labels).square().sum()
    total = functional.cross_entropy(found, batch.labels.flatten(), ignore_index=IGNORED_LABEL, reduction="sum")
    return total / 2 if task.kind == "reading" else total
