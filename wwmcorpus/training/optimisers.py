"""A module and settings in, an optimiser out; its state goes in and out by the names of the weights.

By name, and not by number as in torch's own ``state_dict``, a saved state can be read, and is refused where it is not
that of the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wwmcorpus.errors import MissingExtraError
from wwmcorpus.training.settings import Optimiser

#: So many steps that what bias correction would divide by, 1 - decay ** step, is 1 in floating point.
_STEPS_WITHOUT_CORRECTION = 1e9


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Part the weights into those that decay, and biases and layer norms, which do not."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(module: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """Give the optimiser of a module's weights; the learning rate is set at every step by the caller.

    AdamW is torch's fused one (Loshchilov and Hutter, arXiv:1711.05101). LAMB is that of pytorch-optimizer with the
    weight decay inside the trust ratio, as in You et al., arXiv:1904.00962, algorithm 2, without bias correction; the
    norm of a weight counts as 10 where it is more.

    Raises:
        MissingExtraError: LAMB is asked for and its library is not installed.
    """
    groups = parameter_groups(module, settings.weight_decay)
    if settings.name == "lamb":
        return _lamb(groups, settings)
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=settings.betas, eps=settings.epsilon, fused=True)
    if not settings.bias_correction:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter] = _moments_of_long_ago(parameter)
    return optimizer


def optimizer_tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give the tensors of an optimiser's state as ``"weight's name/state's name"``."""
    return {
        f"{name}/{key}": value
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def optimizer_values(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Give what an optimiser keeps per group beside the weights, such as LAMB's number of steps."""
    return [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def load_optimizer(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    values: Iterable[Mapping[str, Any]],
) -> None:
    """Put back what ``optimizer_tensors`` and ``optimizer_values`` gave; a weight without a state then has none now."""
    for parameter in module.parameters():
        optimizer.state.pop(parameter, None)
    parameters = dict(module.named_parameters())
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("/")
        # A fused AdamW counts its steps on the device of the weight, as float32.
        optimizer.state[parameters[name]][part] = tensor.to(parameters[name].device, copy=True)
    for group, saved in zip(optimizer.param_groups, values, strict=True):
        group.update({key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()})


def _moments_of_long_ago(parameter: nn.Parameter) -> dict[str, Tensor]:
    """Give a first state that counts as old: torch's kernels cannot leave the correction out otherwise."""
    return {
        "step": torch.tensor(_STEPS_WITHOUT_CORRECTION, dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
    }


def _lamb(groups: list[dict[str, Any]], settings: Optimiser) -> torch.optim.Optimizer:
    try:
        from pytorch_optimizer import Lamb
    except ImportError:
        raise MissingExtraError.of("pytorch-optimizer", "lamb", 'optimiser.name = "lamb"') from None
    # By its name the last option asks for a correction of the moments; it is what leaves the correction out.
    optimizer: torch.optim.Optimizer = Lamb(
        groups, lr=0.0, betas=settings.betas, eps=settings.epsilon, weight_decouple=False, adam_debias=True
    )
    return optimizer
