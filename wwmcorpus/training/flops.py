"""The shapes of two models and the lengths of rows in, the floating point operations of a training step out.

They are those of the model, not those that were done: padding, work done twice and anything but matrix products do not
count. Divided by what the device could have done they are the model FLOPs utilisation (MFU) of PaLM, arXiv:2204.02311,
appendix B.
"""

from __future__ import annotations

from typing import Any

#: Dense peaks in FLOP/s as the makers state them: of bf16 and fp16 matrix units, and of fp32 without them. The first
#: name that is part of the device's counts.
_PEAKS: tuple[tuple[str, float, float], ...] = (
    ("H100 PCIe", 756e12, 51e12),
    ("H100 NVL", 835e12, 60e12),
    ("H100", 989e12, 67e12),
    ("H200", 989e12, 67e12),
    ("B200", 2250e12, 75e12),
    ("A100", 312e12, 19.5e12),
    ("A800", 312e12, 19.5e12),
    ("H800", 989e12, 67e12),
    ("L40S", 362e12, 91.6e12),
    ("L4", 121e12, 30.3e12),
    ("A10G", 70e12, 35e12),
    ("RTX 4090", 165e12, 82.6e12),
    ("RTX 3090", 71e12, 35.6e12),
)


def peak_flops(device_name: str, precision: str) -> float | None:
    """Give the FLOP/s that a device can do: ``peak_flops("NVIDIA H200", "bf16")`` -> 9.89e14; None where not known."""
    for name, half, single in _PEAKS:
        if name in device_name:
            return single if precision == "fp32" else half
    return None


def forward_flops(config: Any, num_pieces: int, num_pairs: int, num_masked: int) -> float:
    """Give the operations of a BERT's forward pass, its head at some positions only.

    Args:
        config: Hugging Face's, of a BERT.
        num_pieces: Pieces of all rows.
        num_pairs: Pairs of pieces that attend to each other: the sum of the squared lengths.
        num_masked: Positions at which the head runs: the masked ones, or all pieces; 0 where it does not.
    """
    inner = config.hidden_dim if config.model_type == "distilbert" else config.intermediate_size
    width, vocabulary = config.hidden_size, config.vocab_size
    layer = 2 * num_pieces * (4 * width**2 + 2 * width * inner) + 4 * num_pairs * width
    head = 2 * num_masked * (width**2 + width * vocabulary)
    return float(config.num_hidden_layers * layer + head)


def step_flops(config: Any, num_pieces: int, num_pairs: int, num_masked: int) -> float:
    """Give those of a step of what learns: forwards and, twice as dear, backwards. A teacher's forward pass is more."""
    return 3 * forward_flops(config, num_pieces, num_pairs, num_masked)
