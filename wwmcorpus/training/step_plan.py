"""A rank's slice of a global batch in, what a step needs to know before its first forward pass out.

The micro-batches lie on the device, or are on their way there, and every count is known on the CPU: nothing in a step
has to wait for a GPU.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wwmcorpus.training.cuts import cut_rows, without_fillers
from wwmcorpus.training.learning import Learning
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.settings import Training
from wwmcorpus.training.teacher_cache import Rows, rows_of
from wwmcorpus.training.unpadded import can_join_rows, joined_rows, use_unpadded_attention

#: Most pieces of a forward pass where nobody says. A CPU loses more to padding than to small products: of 8 rows of
#: natural lengths and a teacher of 12 x 768, a step takes 1.0 with 512, 1.16 with 1,024 and 1.77 with 4,096.
_CPU_PIECES = 512
_GPU_PIECES = 65_536
#: Matrix units of a GPU take multiples of this.
_GPU_MULTIPLE = 8
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class StepPlan:
    """One step.

    Attributes:
        cuts: Micro-batches on the device.
        rows: Of each, the rows that are looked up in a cache; empty where there is none.
        divisors: What each term's sum is divided by, (num_terms,) float32 on the device, at least 1; infinite on a rank
            whose rows only fill the batch.
        num_pieces: Of all ranks, padding left out.
        flops: Of the models over all ranks.
        stop_signal: SIGINT or SIGTERM where any rank got one before the step.
    """

    cuts: list[Any]
    rows: list[Rows]
    divisors: Tensor
    num_pieces: int
    flops: float
    stop_signal: int | None


class Planner:
    """Plans steps.

    Args:
        objective: Its terms say what is counted.
        teacher: For the count of operations.
        training: Sizes.
        device: Where the models are.
        ranks: With whom to count.
        looks_up: Whether the rows are looked up in a cache.
    """

    def __init__(
        self,
        objective: Learning,
        teacher: Any | None,
        training: Training,
        device: torch.device,
        ranks: Ranks,
        looks_up: bool = False,
    ) -> None:
        self._looks_up = looks_up
        self._objective, self._device, self._ranks = objective, device, ranks
        self._teacher = teacher
        on_gpu = device.type == "cuda"
        self._max_rows = training.micro_batch_size
        self._max_pieces = training.micro_batch_pieces or (_GPU_PIECES if on_gpu else _CPU_PIECES)
        self._multiple = _GPU_MULTIPLE if on_gpu else 1
        self._joins_rows = can_join_rows(objective, teacher, training, device)
        # What compares attention has put an attention of its own there.
        if on_gpu and objective.may_join_rows and not objective.needs_attention:
            for model in (objective.student, teacher):
                if model is not None:
                    use_unpadded_attention(model)

    def plan(self, batch: Mapping[str, Tensor], stop_signal: int | None = None) -> StepPlan:
        """Plan a step; every rank must call. Rows that only fill the batch are left out of every term and count."""
        batch, has_rows = without_fillers(batch)
        micro = self._micro_batches(batch)
        lengths = batch["attention_mask"].sum(dim=1)
        counts = {
            "masked": self._objective.num_labels(batch),
            "real": int(lengths.sum()),
            "all": batch["input_ids"].numel(),
            "rows": lengths.numel(),
            "pairs": int(lengths.square().sum()),
            "all_pairs": batch["input_ids"].numel() * batch["input_ids"].shape[1],
        }
        signals = [float(stop_signal == each) for each in _SIGNALS]
        own = [number * has_rows for number in counts.values()]
        total = self._ranks.sum(torch.tensor([*own, *signals], dtype=torch.float64)).tolist()
        known = dict(zip(counts, total, strict=False))
        raised = [each for each, number in zip(_SIGNALS, total[len(counts) :], strict=True) if number]
        divisors = torch.tensor([max(known[term.unit], 1.0) for term in self._objective.terms], dtype=torch.float32)
        divisors = divisors if has_rows else torch.full_like(divisors, torch.inf)
        flops = self._objective.flops(self._teacher, *(int(known[unit]) for unit in ("real", "pairs", "masked")))
        return StepPlan(
            [cut.moved(self.to_device) for cut in micro],
            [rows_of(cut) for cut in micro] if self._looks_up else [],
            self.to_device(divisors),
            int(known["real"]),
            flops,
            raised[-1] if raised else None,
        )

    def _micro_batches(self, batch: Mapping[str, Tensor]) -> list[Any]:
        if self._joins_rows:
            return joined_rows(batch, self._max_rows, self._max_pieces)
        keep_width = self._objective.counts_padding
        cuts = cut_rows(batch, self._max_rows, self._max_pieces, self._multiple, keep_width)
        return [cut for rows in cuts for cut in self._objective.micro_batches(rows)]

    def to_device(self, tensor: Tensor) -> Tensor:
        """Give it on the device. Copy without waiting: from memory that the device reads by itself."""
        return tensor.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else tensor
