"""What happened since the last line of metrics: sums that stay on the device until somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wwmcorpus.training.ranks import Ranks


@dataclass
class Interval:
    """Figures of the steps since the last line of metrics.

    Attributes:
        terms: Per step this rank's share of each loss term and of the loss, (num_terms + 1,) float32.
        unchecked: Per step that nobody has looked at: its number, its rows, and loss share and gradient norm, (2,).
        num_pieces: Pieces of all ranks, padding left out.
        num_skipped: Steps left out because fp16 gradients overflowed.
        flops: Operations of the models, over all ranks.
        seconds: Wall time.
        waited_seconds: The part of it in which the next batch was not there yet.
        grad_norm: Of the last step that was looked at.
    """

    terms: list[Tensor] = field(default_factory=list)
    unchecked: list[tuple[int, list[int], Tensor]] = field(default_factory=list)
    num_pieces: int = 0
    num_skipped: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    waited_seconds: float = 0.0
    grad_norm: float = 0.0

    def summed_terms(self, ranks: Ranks) -> Tensor:
        """Give the terms of each step over all ranks, (steps, num_terms + 1) on the CPU; every rank must call."""
        return ranks.sum(torch.stack(self.terms)) if self.terms else torch.zeros(0, 0)

    def content(self, ranks: Ranks) -> dict[str, Any]:
        """Give plain values for a checkpoint; every rank must call. Everything was looked at before."""
        names = ("num_pieces", "num_skipped", "flops", "seconds", "waited_seconds", "grad_norm")
        return {"terms": self.summed_terms(ranks).tolist()} | {name: getattr(self, name) for name in names}

    @classmethod
    def restored(cls, content: dict[str, Any], ranks: Ranks, device: torch.device) -> Interval:
        """Give what ``content`` was taken from: the first rank holds the sums, the others nothing."""
        share = 1.0 if ranks.index == 0 else 0.0
        terms = [torch.tensor(step, dtype=torch.float32, device=device) * share for step in content["terms"]]
        return cls(terms, **{name: value for name, value in content.items() if name != "terms"})
