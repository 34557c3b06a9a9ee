"""A number in, all random generators set to it: what is drawn in a step is a function of the step.

So dropout is the same after a resume, and there are no generators' states to save.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_generators(device: torch.device) -> Iterator[None]:
    """Leave the generators of torch, numpy and Python afterwards as they were before."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


def seed_generators(device: torch.device, seed: int) -> None:
    """Set the generators that a loss or a layer may draw from."""
    # torch.manual_seed would also seed, and on a machine without them queue, every kind of accelerator.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
