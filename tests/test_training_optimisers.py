"""Optimisers beside their formulas."""

from __future__ import annotations

import sys

import pytest
import torch

from wwmcorpus.errors import MissingExtraError
from wwmcorpus.training.optimisers import build_optimizer, load_optimizer, optimizer_tensors, optimizer_values
from wwmcorpus.training.settings import Optimiser


def layer(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Linear(5, 4)


def gradients(step):
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(step))


def steps(module, optimizer, numbers, rate=0.01):
    for step in numbers:
        module.weight.grad = gradients(step)
        module.bias.grad = None
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return module.weight.detach().clone()


@pytest.mark.parametrize("correction", [True, False])
def test_adamw_equals_its_formula(correction):
    """Written out with and without the correction of the moments; BERT's own optimiser has none."""
    module = layer()
    settings = Optimiser(betas=(0.9, 0.99), epsilon=1e-6, weight_decay=0.1, bias_correction=correction)
    weight, first, second = module.weight.detach().double().clone(), 0.0, 0.0
    found = steps(module, build_optimizer(module, settings), range(5))
    for step in range(5):
        gradient = gradients(step).double()
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        divisors = (1 - 0.9 ** (step + 1), 1 - 0.99 ** (step + 1)) if correction else (1, 1)
        weight = weight * (1 - 0.01 * 0.1)
        weight = weight - 0.01 * (first / divisors[0]) / ((second / divisors[1]).sqrt() + 1e-6)
    torch.testing.assert_close(found, weight.float(), rtol=1e-5, atol=1e-6)


def test_lamb_equals_its_formula():
    pytest.importorskip("pytorch_optimizer")
    module = layer()
    settings = Optimiser(name="lamb", betas=(0.9, 0.99), epsilon=1e-6, weight_decay=0.1)
    weight, first, second = module.weight.detach().double().clone(), 0.0, 0.0
    found = steps(module, build_optimizer(module, settings), range(5))
    for step in range(5):
        gradient = gradients(step).double()
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        update = first / (second.sqrt() + 1e-6) + 0.1 * weight
        weight = weight - 0.01 * weight.norm() / update.norm() * update
    torch.testing.assert_close(found, weight.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_a_state_that_comes_back_goes_on_alike(name):
    if name == "lamb":
        pytest.importorskip("pytorch_optimizer")
    settings = Optimiser(name=name)
    whole, half, rest = layer(), layer(), layer(1)
    expected = steps(whole, build_optimizer(whole, settings), range(6))
    optimizer = build_optimizer(half, settings)
    steps(half, optimizer, range(3))
    rest.load_state_dict(half.state_dict())
    fresh = build_optimizer(rest, settings)
    load_optimizer(rest, fresh, optimizer_tensors(half, optimizer), optimizer_values(optimizer))
    assert torch.equal(steps(rest, fresh, range(3, 6)), expected)


def test_lamb_without_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(MissingExtraError, match=r"pytorch-optimizer.*pip install 'wwmcorpus\[lamb\]'"):
        build_optimizer(layer(), Optimiser(name="lamb"))
