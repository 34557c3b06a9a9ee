"""A loss is one number, whatever the number format of the models, the padding and the cut of a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training_fakes import TEACHER, batch, tiny

from wwmcorpus.training.attention import Attention
from wwmcorpus.training.heads import micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.registry import Positions
from wwmcorpus.training.relations import gram_sum, nst_sum, relation_sum
from wwmcorpus.training.settings import DistillLosses, LayerMatch, Training
from wwmcorpus.training.settings.losses import TemperatureSchedule
from wwmcorpus.training.step_plan import Planner

EVERYWHERE = Positions(None, torch.ones(1, 512))


def half_precise(*shape, scale=1.0, seed=0):
    """Numbers that bf16 and fp16 both hold exactly."""
    numbers = np.random.default_rng(seed).integers(-64, 65, shape) / 64 * scale
    return numbers, torch.tensor(numbers, dtype=torch.float32)


@pytest.fixture(params=[torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def lowered(request):
    """Autocast as a training step has it, and its number format."""
    with torch.autocast("cpu", request.param):
        yield request.param


def test_the_flow_matrix_is_multiplied_in_float32(lowered):
    """One feature is 12 everywhere, as outliers are: 512 squares of it are beyond fp16."""
    numbers, states = half_precise(1, 512, 8)
    numbers[:, :, 3] = states[:, :, 3] = 12.0
    other = numbers.copy()
    other[:, :, 3] = 12.5
    error = (numbers[0].T @ numbers[0] - other[0].T @ other[0]) / 512
    sides = [tensor.to(lowered) for tensor in (states, torch.tensor(other))]
    found = gram_sum((sides[0], sides[0]), (sides[1], sides[1]), EVERYWHERE)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float((error**2).mean()), rel=1e-4)


def test_similarities_of_near_states_keep_their_difference(lowered):
    numbers, states = half_precise(1, 512, 64)
    other = numbers.copy()
    other[:, ::7, 5] += 1 / 64
    error = (numbers[0] @ numbers[0].T - other[0] @ other[0].T) / 64
    sides = [tensor.to(lowered) for tensor in (states, torch.tensor(other))]
    found = nst_sum((sides[0], sides[0]), (sides[1], sides[1]), EVERYWHERE)
    assert float(found) == pytest.approx(float((error**2).sum()), rel=1e-3)


def test_attention_scores_are_multiplied_in_float32(lowered):
    (queries, query), (keys, key) = half_precise(1, 2, 9, 16, scale=4.0), half_precise(1, 2, 9, 16, scale=4.0, seed=1)
    scaling = 1 / math.sqrt(16)
    captured = Attention(query.to(lowered), key.to(lowered), key.to(lowered), scaling)
    expected = queries @ keys.swapaxes(-1, -2) * scaling
    np.testing.assert_allclose(captured.scores().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_relations_of_near_heads_keep_their_difference(lowered):
    numbers, heads = half_precise(1, 2, 9, 16)
    numbers[..., 7] = heads[..., 7] = 12.0
    other = numbers.copy()
    other[:, :, ::2, 3] += 1 / 4
    log_relations = []
    for each in (numbers, other):
        scores = each @ each.swapaxes(-1, -2) / 4
        log_relations.append(scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True)))
    of_student, of_teacher = log_relations
    expected = (np.exp(of_teacher) * (of_teacher - of_student)).sum() / 2
    sides = heads.to(lowered), torch.tensor(other).to(lowered)
    found = relation_sum(*sides, Positions(None, torch.ones(1, 9)))
    assert float(found) == pytest.approx(float(expected), rel=1e-3)


def padded(rows, more):
    """The same rows with more padding."""
    fills = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    return {name: torch.nn.functional.pad(rows[name], (0, more), value=fill) for name, fill in fills.items()}


@pytest.mark.parametrize("shape", ["flsw", "cwsm"])
def test_padding_moves_no_temperature(shape):
    schedule = TemperatureSchedule(shape=shape, beta=20.0)
    losses = DistillLosses(temperature=4.0, temperature_schedule=schedule, soft_positions="real", layer_map="none")
    teacher, student = tiny(TEACHER, 1).eval(), tiny().eval()
    objective, found = Objective(student, losses, teacher), []
    for more in (0, 20):
        (cut,) = micro_batches(padded(batch(4), more))
        found.append(float(objective(cut, objective.teach(teacher, cut)).detach()))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("size", [None, 3, 1])
@pytest.mark.parametrize("options", [{"positions": "all"}, {}], ids=["of the match", "of the losses"])
def test_the_flow_matrix_with_padding_is_of_whole_rows_however_they_are_cut(size, options):
    match = LayerMatch(teacher_layer=(0, 4), student_layer=(0, 2), loss="gram", projection="linear", **options)
    losses = DistillLosses(soft_weight=0.0, matches=[match], hidden_positions="real" if options else "all")
    teacher, student, rows = tiny(TEACHER, 1).eval(), tiny().eval(), batch()
    objective = Objective(student, losses, teacher)
    plan = Planner(objective, teacher, Training(micro_batch_size=size), torch.device("cpu"), Ranks()).plan(rows)
    found = sum(objective(cut, objective.teach(teacher, cut)) for cut in plan.cuts) / plan.divisors
    flows = []
    for model, project in ((student, objective.projections[0]), (teacher, torch.nn.Identity())):
        inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
        states = model(**inputs, output_hidden_states=True).hidden_states
        first, last = (project(states[layer]).detach().double().numpy() for layer in (0, -1))
        flows.append(np.einsum("bli,blj->bij", first, last) / 12)
    expected = ((flows[0] - flows[1]) ** 2).mean(axis=(1, 2)).mean()
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-4)
