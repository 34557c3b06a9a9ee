"""Numbers of this process in, their sum over all processes out, without asking a GPU to wait.

Counts and figures are known to the CPU or read there once in a while, so they travel between CPUs, beside the gradients
that accelerate sends between devices.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks:
    """The processes of a run.

    Attributes:
        index: This process, in [0, number).
        number: How many there are.
    """

    def __init__(self) -> None:
        is_parallel = dist.is_available() and dist.is_initialized()
        self.number = dist.get_world_size() if is_parallel else 1
        self.index = dist.get_rank() if is_parallel else 0
        self._group = dist.new_group(backend="gloo") if self.number > 1 and dist.get_backend() != "gloo" else None

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over all ranks; every rank must call it. It comes back on the CPU, values unchanged for one.

        Exact where no more than one rank has another value than 0.
        """
        total = values.detach().cpu()
        if self.number > 1:
            total = total.clone()
            dist.all_reduce(total, group=self._group)
        return total

    def wait(self) -> None:
        """Return when every rank is here."""
        if self.number > 1:
            self.sum(torch.zeros(1))
