# ruff: noqa: N806 - names end in shape suffixes; the legend is in losses.py
"""A student, perhaps a teacher, and the loss settings in; out comes a module whose forward pass sums every term.

The projections live in the module beside the student, so they are wrapped, clipped, saved and counted with it. The
teacher does not: it has no gradients and must not be wrapped for distributed training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import BertForMaskedLM, PreTrainedModel

from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.training.attention import capture_attention
from wwmcorpus.training.flops import forward_flops, step_flops
from wwmcorpus.training.heads import MaskedOutputs, MicroBatch, forward_masked, micro_batches
from wwmcorpus.training.learning import Learning, Term
from wwmcorpus.training.losses import hard_label_sum
from wwmcorpus.training.matches import ModelShape, Projections, resolve_matches, term_name
from wwmcorpus.training.pair_head import pair_label_sum
from wwmcorpus.training.registry import find_loss
from wwmcorpus.training.settings import DistillLosses, LayerMatch
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


class Objective(Learning):
    """A student with what it learns from.

    Args:
        student: The model that learns.
        losses: None = masked language modelling alone, no teacher.
        teacher: The teacher; only its shape is read here.
        seed: Decides the projections' first weights.
        pair_weight: Factor of the loss of the pair head; the student then has one, see ``pair_head``.

    Raises:
        ConfigError: the losses compare with a teacher and there is none, or student and teacher do not fit together.

    Attributes:
        terms: The summands, in the order of the forward pass's result.
        matches: The layer matches, written out.
        projections: One for each match, see ``Projections``.
    """

    _progress: Tensor
    may_join_rows = True

    def __init__(
        self,
        student: BertForMaskedLM,
        losses: DistillLosses | None = None,
        teacher: PreTrainedModel | None = None,
        seed: int = 0,
        pair_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.student: BertForMaskedLM = student
        self.losses = losses or DistillLosses(soft_weight=0.0, hard_weight=1.0, layer_map="none")
        self.matches: list[LayerMatch] = []
        if teacher is None and _compares(self.losses):
            raise ConfigError(
                "the losses compare with a teacher and there is none",
                where="losses",
                fix='Give a teacher, or set soft_weight = 0 and layer_map = "none", without matches.',
            )
        if losses is not None and teacher is not None:
            check_vocabulary("student", student.config.vocab_size, teacher.config.vocab_size)
            self.matches = resolve_matches(losses, shape_of(teacher), shape_of(student))
            widths = teacher.config.hidden_size, student.config.hidden_size
            self.projections = Projections(self.matches, *widths, losses.share_projection, seed)
            if self.needs_attention:
                for model in (student, teacher):
                    capture_attention(model)
        # A tensor, so that a compiled forward pass does not take each step's number for a new constant.
        self.register_buffer("_progress", torch.zeros(()), persistent=False)
        self.terms = list_terms(self.losses, self.matches)
        self.has_pairs = pair_weight > 0
        if self.has_pairs:
            self.terms.append(Term("pair_labels", pair_weight, "rows"))

    @property
    def needs_teacher(self) -> bool:
        """Whether any term compares with a teacher."""
        return bool(self.losses.soft_weight or self.matches)

    @property
    def needs_logits(self) -> bool:
        """Whether any term reads the student's masked language modelling head."""
        return bool(self.losses.soft_weight or self.losses.hard_weight)

    @property
    def needs_hidden(self) -> bool:
        """Whether any term compares hidden states."""
        return needs_hidden(self.matches)

    @property
    def needs_attention(self) -> bool:
        """Whether any term compares attention or relations: rows must then keep their grid."""
        return needs_attention(self.matches)

    @property
    def counts_padding(self) -> bool:
        """Whether any term counts padding; a match that is divided by rows may do so too, as "gram" does."""
        return super().counts_padding or count_padding(self.matches, self.losses.hidden_positions)

    def set_progress(self, progress: float) -> None:
        """Say which share of the steps is done, in [0, 1): a temperature may follow it."""
        self._progress.fill_(progress)

    def num_labels(self, batch: Mapping[str, Tensor]) -> int:
        """Count masked positions."""
        return int((batch["labels"] != IGNORED_LABEL).sum())

    def micro_batches(self, rows: Mapping[str, Tensor]) -> list[MicroBatch]:
        """Make a micro-batch of rows."""
        return micro_batches(rows)

    def flops(self, teacher: PreTrainedModel | None, num_pieces: int, num_pairs: int, num_labels: int) -> float:
        """Give the operations of a step: heads where they run, but for padding."""
        num_scored = num_pieces if self._everywhere else num_labels
        own = step_flops(self.student.config, num_pieces, num_pairs, num_scored * self.needs_logits)
        if teacher is None:
            return own
        return own + forward_flops(teacher.config, num_pieces, num_pairs, num_scored * (self.losses.soft_weight > 0))

    def forward(self, batch: MicroBatch, teacher: MaskedOutputs | None = None) -> Tensor:
        """Give the sum of each term over the micro-batch, (len(terms),) float32.

        Args:
            batch: Rows.
            teacher: What ``teach`` gave, or a cache: its logits may be the kept ones of ``pieces_MK``.
        """
        outputs = self._run(self.student, batch, logits=self.needs_logits)
        grid = Grid.of(batch.attention_mask_BL)
        sums = []
        if self.losses.hard_weight:
            assert outputs.logits_MV is not None
            masked_MV = outputs.logits_MV.index_select(0, batch.positions_M) if self._everywhere else outputs.logits_MV
            sums.append(hard_label_sum(masked_MV, batch.targets_M))
        if self.losses.soft_weight:
            assert outputs.logits_MV is not None
            assert teacher is not None
            assert teacher.logits_MV is not None
            temperature = scheduled_temperature(self.losses, self._progress)
            logits = outputs.logits_MV, teacher.logits_MV, teacher.pieces_MK
            sums.append(soft_label_sum(self.losses, *logits, temperature, self._counted(grid)))
        if self.matches:
            assert teacher is not None
            ours, theirs = (Features(each.hidden_BLD, each.attention) for each in (outputs, teacher))
            for index, match in enumerate(self.matches):
                positions = grid.positions(match.positions or self.losses.hidden_positions)
                heads = match.relation_heads or self.student.config.num_attention_heads
                sums.append(sum_of_match(match, ours, theirs, self.projections[index], positions, heads))
        if self.has_pairs:
            sums.append(pair_label_sum(self.student, outputs, batch))
        return torch.stack(sums)

    def teach(self, teacher: PreTrainedModel, batch: MicroBatch) -> MaskedOutputs:
        """Run the teacher on a micro-batch, without a graph, as far as the terms need it."""
        with torch.no_grad():
            return self._run(teacher, batch, logits=self.losses.soft_weight > 0)

    @property
    def _everywhere(self) -> bool:
        return bool(self.losses.soft_weight) and self.losses.soft_positions != "masked"

    def _run(self, model: PreTrainedModel, batch: MicroBatch, logits: bool) -> MaskedOutputs:
        return forward_masked(
            model,
            batch,
            logits=logits,
            hidden=self.needs_hidden,
            attention=self.needs_attention,
            everywhere=self._everywhere,
        )

    def _counted(self, grid: Grid) -> Tensor | None:
        """Give the weight of each row of the logits, or None where each counts."""
        return grid.real_BL.flatten() if self.losses.soft_positions == "real" else None


def _compares(losses: DistillLosses) -> bool:
    return bool(losses.soft_weight or losses.matches or losses.layer_map != "none")


def list_terms(losses: DistillLosses, matches: list[LayerMatch]) -> list[Term]:
    """Give the summands of settings whose matches are written out."""
    terms = []
    if losses.hard_weight:
        terms.append(Term("hard_labels", losses.hard_weight, "masked", losses.hard_schedule))
    if losses.soft_weight:
        find_loss(losses.soft_loss, "losses.soft_loss", soft=True)
        terms.append(Term("soft_labels", losses.soft_weight, losses.soft_positions, losses.soft_schedule))
    for match in matches:
        unit = find_loss(match.loss, "losses.matches").unit_for(match.positions or losses.hidden_positions)
        terms.append(Term(term_name(match), match.weight, unit, match.schedule))
    return terms


def check_vocabulary(role: str, found: int, expected: int) -> None:
    """Raise ConfigError unless two vocabularies have the same number of pieces."""
    if found != expected:
        raise ConfigError(
            f"the {role} has {found} pieces where {expected} are expected",
            fix="Use a model and a corpus that share one vocabulary.",
        )


def shape_of(model: PreTrainedModel) -> ModelShape:
    """Give what matching has to know of a model."""
    config: Any = model.config
    return ModelShape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
