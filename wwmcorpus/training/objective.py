# ruff: noqa: N803, N806 - names end in shape suffixes; the legend is in losses.py
"""A student, perhaps a teacher, and the loss settings in; out comes a module whose forward pass sums every term.

The projections live in the module beside the student, so they are wrapped, clipped, saved and counted with it. The
teacher does not: it has no gradients and must not be wrapped for distributed training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import BertForMaskedLM

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.heads import MaskedOutputs, MicroBatch, forward_masked
from wwmcorpus.training.losses import hard_label_sum, hidden_mse_sum, soft_label_sum
from wwmcorpus.training.matches import build_projections, resolve_matches
from wwmcorpus.training.settings import DistillLosses


@dataclass(frozen=True)
class Term:
    """One summand of the loss: ``weight * sum / count``, the count being of its unit over the whole step."""

    name: str
    weight: float
    unit: Literal["masked", "real", "all"]


class Objective(nn.Module):
    """A student with what it learns from.

    Args:
        student: The model that learns.
        losses: None = masked language modelling alone, no teacher.
        teacher: The teacher; only its configuration is read here.
        seed: Decides the projections' first weights.

    Attributes:
        terms: The summands, in the order of the forward pass's result.
    """

    def __init__(
        self,
        student: BertForMaskedLM,
        losses: DistillLosses | None = None,
        teacher: BertForMaskedLM | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.student = student
        self.losses = losses or DistillLosses(soft_weight=0.0, hard_weight=1.0, layer_map="none")
        self.matches = []
        if losses is not None and teacher is not None:
            check_vocabulary("student", student.config.vocab_size, teacher.config.vocab_size)
            self.matches = resolve_matches(losses, _depth_and_width(teacher), _depth_and_width(student))
            self.projections = build_projections(
                self.matches, teacher.config.hidden_size, student.config.hidden_size, seed
            )
        self.terms = self._list_terms()

    @property
    def needs_teacher(self) -> bool:
        """Whether any term compares with a teacher."""
        return bool(self.losses.soft_weight or self.matches)

    @property
    def needs_logits(self) -> bool:
        """Whether any term reads the student's masked language modelling head."""
        return bool(self.losses.soft_weight or self.losses.hard_weight)

    def forward(self, batch: MicroBatch, teacher: MaskedOutputs | None = None) -> Tensor:
        """Give the sum of each term over the micro-batch, (len(terms),) float32."""
        outputs = forward_masked(self.student, batch, logits=self.needs_logits, hidden=bool(self.matches))
        sums = []
        if self.losses.hard_weight:
            assert outputs.logits_MV is not None
            sums.append(hard_label_sum(outputs.logits_MV, batch.targets_M))
        if self.losses.soft_weight:
            assert outputs.logits_MV is not None
            assert teacher is not None
            assert teacher.logits_MV is not None
            scaled = self.losses.scale_by_squared_temperature
            sums.append(soft_label_sum(outputs.logits_MV, teacher.logits_MV, self.losses.temperature, scaled))
        if self.matches:
            assert teacher is not None
            sums += self._hidden_sums(outputs, teacher, batch.attention_mask_BL)
        return torch.stack(sums)

    def teach(self, teacher: BertForMaskedLM, batch: MicroBatch) -> MaskedOutputs:
        """Run the teacher on a micro-batch, without a graph, as far as the terms need it."""
        with torch.no_grad():
            return forward_masked(teacher, batch, logits=self.losses.soft_weight > 0, hidden=bool(self.matches))

    def _hidden_sums(self, outputs: MaskedOutputs, teacher: MaskedOutputs, mask_BL: Tensor) -> list[Tensor]:
        if self.losses.hidden_positions == "all":
            mask_BL = torch.ones_like(mask_BL)
        return [
            hidden_mse_sum(
                projection(outputs.hidden_BLD[match.student_layer]), teacher.hidden_BLD[match.teacher_layer], mask_BL
            )
            for match, projection in zip(self.matches, self.projections, strict=True)
        ]

    def _list_terms(self) -> list[Term]:
        terms = []
        if self.losses.hard_weight:
            terms.append(Term("hard_labels", self.losses.hard_weight, "masked"))
        if self.losses.soft_weight:
            terms.append(Term("soft_labels", self.losses.soft_weight, "masked"))
        for match in self.matches:
            name = f"{match.loss}_{match.teacher_layer}_{match.student_layer}"
            terms.append(Term(name, match.weight, self.losses.hidden_positions))
        return terms


def check_vocabulary(role: str, found: int, expected: int) -> None:
    """Raise ConfigError unless two vocabularies have the same number of pieces."""
    if found != expected:
        raise ConfigError(
            f"the {role} has {found} pieces where {expected} are expected",
            fix="Use a model and a corpus that share one vocabulary.",
        )


def _depth_and_width(model: BertForMaskedLM) -> tuple[int, int]:
    return model.config.num_hidden_layers, model.config.hidden_size
