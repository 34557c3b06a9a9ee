"""Models in, the time of a forward pass out: of several models turn by turn, so that their ratio can be trusted.

The median of turns is what is reported: on a machine with other work single times are off by half. Whatever disturbs
the machine disturbs all models alike, since they are measured by turns and not one after another.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from wwmcorpus.training.heads import longest_row

#: What published tables of small models measure: batches of 1 and of 32 rows, 128 pieces each.
BATCH_SIZES = (1, 32)
LENGTH = 128
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Latency:
    """The time of a forward pass.

    Attributes:
        batch_size: Rows.
        length: Pieces of each row, without padding.
        median_seconds: Of the turns.
        lower_seconds: The first quartile.
        upper_seconds: The third quartile.
        num_turns: How often it was measured.
        num_threads: That torch, or ONNX Runtime, might use.
        device: ``"cpu"``, or the name of the GPU.
    """

    batch_size: int
    length: int
    median_seconds: float
    lower_seconds: float
    upper_seconds: float
    num_turns: int
    num_threads: int
    device: str = "cpu"

    def content(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def set_threads(num_threads: int | None) -> None:
    """Set how many threads torch may use in this process; None leaves it as it is."""
    if num_threads is not None:
        torch.set_num_threads(num_threads)


def take_turns(calls: Mapping[str, Callable[[], object]], min_turns: int, seconds: float) -> dict[str, list[float]]:
    """Time functions turn by turn: each once, then each again.

    Args:
        calls: By name.
        min_turns: Turns, at least; two more come before, and are not counted.
        seconds: More turns are taken until so much time has gone, all calls together.

    Returns:
        The seconds of each turn, by name.
    """
    for _ in range(_WARM_UP):
        for call in calls.values():
            call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    started, turns = time.perf_counter(), 0
    while turns < min_turns or time.perf_counter() - started < seconds:
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            found[name].append(time.perf_counter() - begun)
        turns += 1
    return found


def summarise(times: Sequence[float], batch_size: int, length: int, device: str = "cpu") -> Latency:
    """Give median and quartiles of the seconds of two turns or more."""
    lower, median, upper = statistics.quantiles(times, n=4, method="inclusive")
    return Latency(batch_size, length, median, lower, upper, len(times), torch.get_num_threads(), device)


def measure_latency(
    models: Mapping[str, PreTrainedModel],
    batch_sizes: Sequence[int] = BATCH_SIZES,
    length: int = LENGTH,
    min_turns: int = 5,
    seconds: float = 2.0,
) -> dict[str, list[Latency]]:
    """Measure the backbones of models, where they are and as they are, in evaluation mode.

    Heads are left out: that of a masked language model costs as much as a small student, and no task needs it.

    Args:
        models: By name; all on one device.
        batch_sizes: Rows of a batch.
        length: Pieces of each row, without padding; fewer where a model has not so many positions.
        min_turns: Turns per batch size, at least; the length of one grows with the models.
        seconds: Time per batch size, at least.

    Returns:
        By name, a latency for each batch size.
    """
    found: dict[str, list[Latency]] = {name: [] for name in models}
    length = min(length, *(longest_row(model.config, length) for model in models.values()))
    device = next(iter(models.values())).device
    shown = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    for batch_size in batch_sizes:
        calls = {name: _forward(model, batch_size, length) for name, model in models.items()}
        for name, times in take_turns(calls, min_turns, seconds).items():
            found[name].append(summarise(times, batch_size, length, shown))
    return found


def example_batch(vocab_size: int, batch_size: int, length: int) -> dict[str, Tensor]:
    """Give a batch of any pieces, the same every time: ``input_ids`` and ``attention_mask``, (B, L) int64."""
    ids = torch.randint(0, vocab_size, (batch_size, length), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _forward(model: PreTrainedModel, batch_size: int, length: int) -> Callable[[], object]:
    batch = example_batch(model.config.vocab_size, batch_size, length)
    on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
    backbone = model.base_model

    def forward() -> object:
        with torch.inference_mode():
            made: object = backbone(**on_device)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return made

    return forward
