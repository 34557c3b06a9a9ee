from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_fakes import STUDENT, batch, tiny

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.heads import forward_masked, micro_batches
from wwmcorpus.training.losses import hard_label_sum, hidden_mse_sum, soft_cross_entropy
from wwmcorpus.training.matches import ModelShape, Projections, layer_pairs, resolve_matches
from wwmcorpus.training.registry import Positions
from wwmcorpus.training.schedules import learning_rate_scale
from wwmcorpus.training.settings import DistillLosses, LayerMatch
from wwmcorpus.training.settings.losses import TemperatureSchedule
from wwmcorpus.training.terms import soft_label_sum


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_soft_labels_equal_the_formula(temperature):
    chance = np.random.default_rng(0)
    student, teacher = chance.normal(0, 2, (7, 11)), chance.normal(0, 3, (7, 11))
    expected = -(np.exp(log_softmax(teacher / temperature)) * log_softmax(student / temperature)).sum()
    tensors = torch.tensor(student), torch.tensor(teacher)
    for scaled, factor in ((False, 1), (True, temperature**2)):
        asked = DistillLosses(temperature=temperature, scale_by_squared_temperature=scaled)
        assert float(soft_label_sum(asked, *tensors, None, temperature)) == pytest.approx(expected * factor, rel=1e-5)


def test_soft_labels_by_hand():
    # teacher 3 : 1, student 1 : 1, so -(3/4 ln 1/2 + 1/4 ln 1/2) = ln 2
    teacher, student = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    assert float(soft_cross_entropy(student, teacher, 1.0)) == pytest.approx(math.log(2))


def test_soft_label_gradient_is_difference_of_distributions():
    student, teacher = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5)
    soft_label_sum(DistillLosses(temperature=4.0), student, teacher, None, 4.0).backward()
    expected = 4.0 * (torch.softmax(student.detach() / 4, -1) - torch.softmax(teacher / 4, -1))
    torch.testing.assert_close(student.grad, expected)


def test_hidden_mse_counts_only_real_positions():
    student, teacher = torch.zeros(1, 3, 2), torch.tensor([[[1.0, 3.0], [2.0, 0.0], [100.0, 100.0]]])
    # (1 + 9) / 2 + (4 + 0) / 2
    real = torch.tensor([[1.0, 1.0, 0.0]])
    assert float(hidden_mse_sum(student, teacher, Positions(real, real))) == pytest.approx(7.0)


def test_no_positions_give_zero_and_a_gradient():
    logits = torch.zeros(0, 9, requires_grad=True)
    total = hard_label_sum(logits, torch.zeros(0, dtype=torch.int64))
    for shape in ("constant", "flsw", "cwsm"):
        asked = DistillLosses(temperature=8.0, temperature_schedule=TemperatureSchedule(shape=shape))
        total = total + soft_label_sum(asked, logits, torch.zeros(0, 9), None, 8.0)
    total.backward()
    assert total.item() == 0.0
    assert logits.grad is not None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_micro_batches_hold_every_masked_position_once(seed, size):
    rows = batch(seed=seed)
    cuts = micro_batches(rows, size)
    assert sum(len(cut.positions_M) for cut in cuts) == int((rows["labels"] != -100).sum())
    assert torch.equal(torch.cat([cut.targets_M for cut in cuts]), rows["labels"][rows["labels"] != -100])
    assert sum(len(cut.input_ids_BL) for cut in cuts) == len(rows["input_ids"])


def test_masked_head_equals_the_full_forward_pass():
    model, rows = tiny().eval(), batch()
    (cut,) = micro_batches(rows)
    outputs = forward_masked(model, cut, hidden=True)
    full = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], output_hidden_states=True)
    torch.testing.assert_close(outputs.logits_MV, full.logits[rows["labels"] != -100])
    assert len(outputs.hidden_BLD) == STUDENT.layers + 1
    for ours, theirs in zip(outputs.hidden_BLD, full.hidden_states, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(outputs.hidden_BLD[0], model.bert.embeddings(rows["input_ids"]))


def test_rows_longer_than_the_model():
    (cut,) = micro_batches(batch(length=41))
    with pytest.raises(ConfigError, match="rows of 41 pieces do not fit a model of 40"):
        forward_masked(tiny(), cut)


@pytest.mark.parametrize(
    ("teacher", "student", "expected"),
    [
        (12, 6, [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]),  # L6h256_roberta_hidden_mse, L6_hidden_mse
        (
            6,
            6,
            [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)],
        ),  # L6h256_rbt6_hidden_mse, L6h288_rbt6_hidden_mse
        (12, 4, [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]),  # L4t_hidden_mse
        (12, 3, [(0, 0), (4, 1), (8, 2), (12, 3)]),  # L3_hidden_mse
        (4, 6, [(0, 0), (1, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6)]),  # a student deeper than its teacher
    ],
)
def test_uniform_map_gives_the_published_ones(teacher, student, expected):
    assert layer_pairs("uniform", teacher, student) == expected


def test_other_maps():
    assert layer_pairs("first", 12, 4) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]  # L4_hidden_mse
    assert layer_pairs("last", 12, 4) == [(12, 4)]
    assert layer_pairs("none", 12, 4) == []


def test_projections_only_where_the_widths_differ():
    assert {
        match.projection for match in resolve_matches(DistillLosses(), ModelShape(12, 768, 12), ModelShape(6, 256, 8))
    } == {"linear"}
    assert {
        match.projection for match in resolve_matches(DistillLosses(), ModelShape(12, 768, 12), ModelShape(6, 768, 12))
    } == {None}


def test_bad_matches():
    with pytest.raises(
        ConfigError, match=r"the teacher has no such layer: 13 \(losses.matches\[1\].teacher_layer\). It has 0 .* to 12"
    ):
        resolve_matches(
            DistillLosses(
                matches=[LayerMatch(teacher_layer=k, student_layer=0, projection="linear") for k in (12, 13)]
            ),
            ModelShape(12, 8, 2),
            ModelShape(6, 4, 2),
        )
    with pytest.raises(ConfigError, match="student has no such layer: 7"):
        resolve_matches(
            DistillLosses(matches=[LayerMatch(teacher_layer=1, student_layer=7)]),
            ModelShape(12, 8, 2),
            ModelShape(6, 8, 2),
        )
    with pytest.raises(ConfigError, match=r"the student's width 4 is not the teacher's 8.*projection"):
        resolve_matches(
            DistillLosses(matches=[LayerMatch(teacher_layer=1, student_layer=1)]),
            ModelShape(12, 8, 2),
            ModelShape(6, 4, 2),
        )


def test_projections_are_seeded_and_leave_the_generator_alone():
    matches = resolve_matches(DistillLosses(), ModelShape(4, 768, 12), ModelShape(2, 256, 8))
    before = torch.random.get_rng_state()
    first, again = Projections(matches, 768, 256, seed=5), Projections(matches, 768, 256, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first[1].weight, again[1].weight)
    assert first[0].weight.shape == (768, 256)
    assert first[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert first[0].bias.abs().max().item() == 0.0


def test_schedules():
    assert [learning_rate_scale(step, 10, "linear", 0.2) for step in range(10)] == [
        0.5,
        1,
        1,
        0.875,
        0.75,
        0.625,
        0.5,
        0.375,
        0.25,
        0.125,
    ]
    assert [learning_rate_scale(step, 4, "constant", 0.5) for step in range(4)] == [0.5, 1, 1, 1]
    assert [round(learning_rate_scale(step, 4, "cosine", 0), 4) for step in range(4)] == [1, 0.8536, 0.5, 0.1464]
    assert learning_rate_scale(0, 1, "linear", 1.0) == 1.0
