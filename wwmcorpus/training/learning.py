"""What the training loop asks of whatever learns: a batch in, counts and micro-batches out; a micro-batch in, sums out.

``Objective`` learns masked words with or without a teacher; the tasks of ``wwmcorpus.tasks`` learn labels. The loop,
its checkpoints and its metrics know no more of either than stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from wwmcorpus.training.registry import Unit
from wwmcorpus.training.settings.losses import WeightSchedule


@dataclass(frozen=True)
class Term:
    """One summand of the loss: ``weight * sum / count``, the count being of its unit over the whole step."""

    name: str
    weight: float
    unit: Unit
    schedule: WeightSchedule = field(default_factory=WeightSchedule)


class Learning(nn.Module):
    """A student, what it learns from, and how a batch is counted and cut.

    A micro-batch is anything with ``moved(move)``, which gives the same with ``move`` done to each tensor. ``forward``
    takes one, and what ``teach`` gave, and gives the sum of each term, (len(terms),) float32.

    Attributes:
        student: The module that learns, projections left out.
        terms: The summands, in the order of the forward pass's result.
    """

    student: Any
    terms: list[Term]
    #: Whether rows may be laid end to end without padding.
    may_join_rows = False

    @property
    def needs_teacher(self) -> bool:
        """Whether any term compares with a teacher."""
        raise NotImplementedError

    @property
    def needs_attention(self) -> bool:
        """Whether any term compares attention or relations: rows must then keep their grid."""
        raise NotImplementedError

    @property
    def counts_padding(self) -> bool:
        """Whether any term counts padding: rows must then keep their width."""
        return any(term.unit in ("all", "all_pairs") for term in self.terms)

    def weights_at(self, progress: float) -> list[float]:
        """Give the weight of each term after this share of the steps, in [0, 1]."""
        return [term.weight * term.schedule.factor(progress) for term in self.terms]

    def set_progress(self, progress: float) -> None:
        """Say which share of the steps is done, in [0, 1): a temperature may follow it."""
        raise NotImplementedError

    def num_labels(self, batch: Mapping[str, Tensor]) -> int:
        """Give how many positions of a batch on the CPU have a label: the unit "masked"."""
        raise NotImplementedError

    def micro_batches(self, rows: Mapping[str, Tensor]) -> Sequence[Any]:
        """Make micro-batches of rows on the CPU that were cut to the length of the longest."""
        raise NotImplementedError

    def teach(self, teacher: Any, batch: Any) -> Any:
        """Run the teacher on a micro-batch, without a graph, as far as the terms need it."""
        raise NotImplementedError

    def flops(self, teacher: Any | None, num_pieces: int, num_pairs: int, num_labels: int) -> float:
        """Give the floating point operations of a step: pieces, pairs of pieces in a row, positions with a label."""
        raise NotImplementedError
