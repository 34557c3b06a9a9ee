"""Attention, relations, schedules and losses of one's own: against formulas written out, and cut in any way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training_fakes import STUDENT, TEACHER, batch, tiny
from transformers import BertForMaskedLM

from wwmcorpus.errors import ConfigError
from wwmcorpus.training import DistillLosses, LayerMatch
from wwmcorpus.training.heads import forward_masked, micro_batches
from wwmcorpus.training.losses import soft_cross_entropy, top_k_cross_entropy
from wwmcorpus.training.matches import ModelShape, resolve_matches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.registry import Positions, find_loss, register_loss
from wwmcorpus.training.relations import relation_sum
from wwmcorpus.training.settings.losses import TemperatureSchedule, WeightSchedule
from wwmcorpus.training.terms import scheduled_temperature

EVERYTHING = DistillLosses(
    hard_weight=1.0,
    matches=[
        LayerMatch(layers="uniform", loss="hidden_mse", projection="linear"),
        LayerMatch(layers="last", loss="cosine", projection="tanh", positions="all"),
        LayerMatch(layers="first", loss="pkd", projection="relu"),
        LayerMatch(layers="uniform", loss="nst"),
        LayerMatch(teacher_layer=(0, 4), student_layer=(0, 2), loss="gram", projection="linear"),
        LayerMatch(layers="every_second", loss="attention_mse_sum"),
        LayerMatch(layers="last", loss="attention_ce_mean", positions="all"),
        LayerMatch(layers="last", loss="query_relation", relation_heads=8),
        LayerMatch(layers="last", loss="key_relation", relation_heads=8),
        LayerMatch(layers="last", loss="value_relation", relation_heads=16),
    ],
)


def counts(objective, cuts):
    known = {
        "masked": sum(len(cut.positions_M) for cut in cuts),
        "real": sum(int(cut.attention_mask_BL.sum()) for cut in cuts),
        "all": sum(cut.attention_mask_BL.numel() for cut in cuts),
        "rows": sum(len(cut.input_ids_BL) for cut in cuts),
    }
    return [known.get(term.unit, 1) for term in objective.terms]


def test_one_loss_however_it_is_cut():
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1).eval()
    objective = Objective(student, EVERYTHING, teacher)
    whole, parts = micro_batches(batch()), micro_batches(batch(), 3)
    sums = [sum(objective(cut, objective.teach(teacher, cut)) for cut in cuts).detach() for cuts in (whole, parts)]
    torch.testing.assert_close(*sums, rtol=1e-4, atol=1e-5)
    assert counts(objective, whole) == counts(objective, parts)
    assert (sums[0] > 0).all()


def test_no_masked_positions_give_zero_and_finite_gradients():
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1)
    objective = Objective(student, DistillLosses(hard_weight=1.0, layer_map="none"), teacher)
    (cut,) = micro_batches(batch(mask_share=0.0))
    sums = objective(cut, objective.teach(teacher, cut))
    assert sums.tolist() == [0.0, 0.0]
    sums.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in student.parameters())


def test_what_is_captured_is_what_eager_attention_computes():
    model = tiny(TEACHER).eval()
    (cut,) = micro_batches(batch())
    plain = forward_masked(model, cut, hidden=True)
    captured = forward_masked(model, cut, hidden=True, attention=True)
    for before, after in zip(plain.hidden_BLD, captured.hidden_BLD, strict=True):  # the padding mask is still seen
        torch.testing.assert_close(before, after)
    eager = BertForMaskedLM._from_config(model.config, attn_implementation="eager").eval()
    eager.load_state_dict(model.state_dict())
    expected = eager.bert(input_ids=cut.input_ids_BL, attention_mask=cut.attention_mask_BL, output_attentions=True)
    padded = (cut.attention_mask_BL == 0)[:, None, None, :]
    assert padded.any()
    assert sorted(captured.attention) == [1, 2, 3, 4]
    for layer, probabilities in enumerate(expected.attentions, start=1):
        scores = captured.attention[layer].scores().masked_fill(padded, -1e4)
        torch.testing.assert_close(torch.softmax(scores, dim=-1), probabilities)


class NeverAsks(TorchDispatchMode):
    """Raises where Python asks a tensor for its value: on a GPU it would wait for the answer."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("lengths", ["natural", "full"])
def test_capturing_attention_asks_the_device_nothing(lengths):
    model, rows = tiny(TEACHER).eval(), batch()
    if lengths == "full":
        rows["attention_mask"][:] = 1
    (cut,) = micro_batches(rows)
    with NeverAsks():
        captured = forward_masked(model, cut, attention=True)
    assert captured.attention


def test_padding_does_not_change_what_is_compared():
    """Rows with more padding give the same sums wherever padding does not count."""
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1).eval()
    real = EVERYTHING.model_copy(
        update={"matches": tuple(match.model_copy(update={"positions": None}) for match in EVERYTHING.matches)}
    )
    objective = Objective(student, real, teacher)
    rows = batch()
    wider = {
        name: torch.nn.functional.pad(rows[name], (0, 5), value=value)
        for name, value in (("input_ids", 0), ("attention_mask", 0), ("labels", -100))
    }
    sums = []
    for each in (rows, wider):
        (cut,) = micro_batches(each)
        sums.append(objective(cut, objective.teach(teacher, cut)).detach())
    torch.testing.assert_close(*sums, rtol=1e-4, atol=1e-5)


def softmax(scores):
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()


def test_relations_equal_the_formula():
    chance = np.random.default_rng(0)
    student, teacher, length = chance.normal(size=(2, 3, 5, 4)), chance.normal(size=(2, 3, 5, 8)), (5, 3)
    expected = 0.0
    for row in range(2):
        for head in range(3):
            mine, other = student[row, head, : length[row]], teacher[row, head, : length[row]]
            for position in range(length[row]):
                p = softmax(other[position] @ other.T / math.sqrt(8))
                q = softmax(mine[position] @ mine.T / math.sqrt(4))
                expected += (p * np.log(p / q)).sum() / 3
    real = (torch.arange(5) < torch.tensor(length)[:, None]).float()
    found = relation_sum(torch.tensor(student), torch.tensor(teacher), Positions(real, real))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_relation_heads_are_cut_from_the_joined_ones():
    (cut,) = micro_batches(batch())
    layer = forward_masked(tiny(TEACHER), cut, attention=True).attention[1]
    joined = layer.query_BHLd.transpose(1, 2).flatten(2)  # (B, L, D)
    assert torch.equal(layer.relation_heads("query", 8)[:, 3], joined[:, :, 18:24])


def test_top_k_with_all_pieces_is_the_whole_loss_and_fewer_are_by_hand():
    student, teacher = torch.randn(6, 9), torch.randn(6, 9)
    kept, pieces = teacher.topk(9, dim=-1)
    torch.testing.assert_close(
        top_k_cross_entropy(student, kept, pieces, 2.0), soft_cross_entropy(student, teacher, 2.0)
    )
    # The teacher keeps two of three pieces at 3 : 1; the student gives each a third.
    kept, pieces = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[2, 0]])
    found = top_k_cross_entropy(torch.zeros(1, 3), kept, pieces, 1.0)
    assert float(found) == pytest.approx(math.log(3))
    divergence = math.log(3) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert float(top_k_cross_entropy(torch.zeros(1, 3), kept, pieces, 1.0, kl=True)) == pytest.approx(divergence)


def test_soft_labels_at_every_piece():
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1).eval()
    rows = batch()
    (cut,) = micro_batches(rows)
    inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
    full = soft_cross_entropy(student(**inputs).logits.flatten(0, 1), teacher(**inputs).logits.flatten(0, 1), 2.0)
    for positions, expected in (("real", (full * rows["attention_mask"].flatten()).sum()), ("all", full.sum())):
        asked = DistillLosses(soft_positions=positions, scale_by_squared_temperature=False, layer_map="none")
        objective = Objective(student, asked, teacher)
        torch.testing.assert_close(objective(cut, objective.teach(teacher, cut))[0], expected)
        assert objective.terms[0].unit == positions


def test_schedules_of_weights_and_temperature():
    growth = WeightSchedule(shape="linear_growth", begin=0.25, end=0.75)
    assert [growth.factor(share) for share in (0, 0.25, 0.5, 0.75, 1)] == [0, 0, 0.5, 1, 1]
    losses = DistillLosses(
        hard_weight=2.0,
        soft_weight=3.0,
        hard_schedule="linear_growth",
        soft_schedule={"shape": "linear_decay", "end": 0.5},
        layer_map="none",
        temperature=8.0,
        temperature_schedule=TemperatureSchedule(shape="linear", end=2.0),
    )
    objective = Objective(tiny(), losses, tiny())
    assert objective.weights_at(0.25) == [0.5, 1.5]
    assert float(scheduled_temperature(losses, torch.tensor(0.5))) == 5.0
    with pytest.raises(ConfigError, match="ends before it begins"):
        WeightSchedule(shape="linear_decay", begin=0.5, end=0.5)


def test_the_temperature_follows_the_run():
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1).eval()
    (cut,) = micro_batches(batch())

    def value(progress, **options):
        objective = Objective(student, DistillLosses(layer_map="none", **options), teacher)
        objective.set_progress(progress)
        return float(objective(cut, objective.teach(teacher, cut)).detach())

    moving = {"temperature": 6.0, "temperature_schedule": TemperatureSchedule(shape="linear", end=2.0)}
    assert value(0.5, **moving) == pytest.approx(value(0.0, temperature=4.0))


def test_a_shared_projection_is_one():
    losses = DistillLosses(share_projection=True)
    objective = Objective(tiny(), losses, tiny(TEACHER))
    assert len(objective.projections.maps) == 1
    assert objective.projections[0] is objective.projections[2]


def test_a_loss_of_ones_own():
    register_loss("l1", lambda s, t, p: ((s - t).abs().mean(-1) * p.real_BL).sum())
    losses = DistillLosses(
        soft_weight=0.0, matches=[LayerMatch(teacher_layer=4, student_layer=2, loss="l1", projection="linear")]
    )
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1).eval()
    objective = Objective(student, losses, teacher)
    (cut,) = micro_batches(batch())
    sides = [forward_masked(model, cut, hidden=True).hidden_BLD[-1] for model in (student, teacher)]
    error = (objective.projections[0](sides[0]) - sides[1]).abs().mean(-1)[cut.attention_mask_BL == 1].sum()
    torch.testing.assert_close(objective(cut, objective.teach(teacher, cut))[0], error)
    register_loss("half", lambda s, t, temperature: 0.5 * s[:, 0] / temperature, feature="logits", unit="masked")
    assert Objective(tiny(), DistillLosses(soft_loss="half", layer_map="none"), tiny()).terms[0].name == "soft_labels"
    with pytest.raises(ConfigError, match="has this loss itself: 'pkd'"):
        register_loss("pkd", lambda s, t, p: s.sum())


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"layers": "last", "loss": "hidden_mes"}, "unknown loss: 'hidden_mes'.*Did you mean 'hidden_mse'"),
        ({"layers": "last", "loss": "attention_mse"}, "8 attention heads are not the teacher's 12"),
        ({"layers": "last", "loss": "query_relation", "relation_heads": 48}, "768 and 256: 48 .* 1, 2, 4, 8, 16, 32"),
        ({"teacher_layer": 0, "student_layer": 1, "loss": "attention_ce_mean"}, "no such layer: 0.*attention in lay"),
        ({"teacher_layer": 13, "student_layer": 6}, r"teacher has no such layer: 13 \(losses.matches\[0\].teacher_lay"),
        ({"teacher_layer": 1, "student_layer": 1, "loss": "nst"}, "nst compares products of two layers"),
        ({"teacher_layer": (0, 1), "student_layer": (0, 1), "projection": "linear"}, "compares single layers"),
        ({"layers": "last", "loss": "attention_ce_mean", "projection": "linear"}, "no hidden states to project"),
        ({"layers": "last"}, "width 256 is not the teacher's 768"),
    ],
)
def test_matches_that_do_not_fit(match, message):
    losses = DistillLosses(matches=[LayerMatch(**match)])
    with pytest.raises(ConfigError, match=message):
        resolve_matches(losses, ModelShape(12, 768, 12), ModelShape(6, 256, 8))


def test_the_same_match_twice():
    twice = [LayerMatch(teacher_layer=12, student_layer=6, loss="nst") for _ in range(2)]
    twice = [match.model_copy(update={"teacher_layer": (0, 12), "student_layer": (0, 6)}) for match in twice]
    with pytest.raises(ConfigError, match="two matches are the same: 'nst_0-12_0-6'"):
        resolve_matches(DistillLosses(matches=twice), ModelShape(12, 768, 12), ModelShape(6, 256, 8))


def test_layers_are_given_once():
    for wrong in ({}, {"teacher_layer": 1}, {"layers": "last", "student_layer": 1}):
        with pytest.raises(ConfigError, match="needs its layers once"):
            LayerMatch(**wrong)
    with pytest.raises(ConfigError, match="one layer is matched with two"):
        LayerMatch(teacher_layer=(1, 2), student_layer=1)


def test_top_k_needs_a_loss_that_can_do_without_the_rest():
    with pytest.raises(ConfigError, match="needs every logit"):
        DistillLosses(soft_top_k=8, soft_loss="mse")
    with pytest.raises(ConfigError, match="flsw needs every logit"):
        DistillLosses(soft_top_k=8, temperature_schedule=TemperatureSchedule(shape="flsw"))
    assert find_loss("kl", "test", soft=True).unit == "masked"


@pytest.mark.parametrize(("options", "message"), [({"feature": "hiden"}, "unknown feature"), ({"unit": "row"}, "unit")])
def test_a_loss_of_ones_own_with_a_misspelt_option(options, message):
    with pytest.raises(ConfigError, match=message):
        register_loss("misspelt", lambda *_: torch.zeros(()), **options)


@pytest.mark.parametrize(
    "losses",
    [
        DistillLosses(layer_map="none"),
        DistillLosses(soft_weight=0.0),
        DistillLosses(soft_weight=0.0, layer_map="none", matches=[LayerMatch(layers="last", loss="value_relation")]),
    ],
    ids=["soft labels", "a map by name", "a match"],
)
def test_what_is_compared_needs_a_teacher(losses):
    with pytest.raises(ConfigError, match="compare with a teacher and there is none"):
        Objective(tiny(), losses)


def test_hard_labels_need_no_teacher():
    losses = DistillLosses(soft_weight=0.0, hard_weight=1.0, layer_map="none")
    assert [term.name for term in Objective(tiny(), losses).terms] == ["hard_labels"]


@pytest.mark.parametrize(
    "options",
    [
        {"layer_map": "none", "hard_weight": 1.0},
        {"layer_map": "none", "soft_positions": "real"},
        {"soft_weight": 0.0},
        {"soft_weight": 0.0, "hard_weight": 1.0},
    ],
    ids=["soft and hard labels", "soft labels at every piece", "hidden states alone", "a head of the student alone"],
)
def test_operations_of_a_step_equal_those_that_torch_counts(options):
    from torch.utils.flop_counter import FlopCounterMode

    teacher, student, rows = tiny(TEACHER, 1).eval(), tiny(TEACHER).eval(), batch(5)
    rows["attention_mask"][:] = 1
    (cut,) = micro_batches(rows)
    for model in (student, teacher):
        model.set_attn_implementation("eager")
    objective = Objective(student, DistillLosses(**options), teacher)
    of_teacher, of_student = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with of_teacher:
        given = objective.teach(teacher, cut)
    with of_student:
        objective(cut, given)
    # The student goes forwards and, twice as dear, backwards.
    expected = of_teacher.get_total_flops() + 3 * of_student.get_total_flops()
    assert objective.flops(teacher, 60, 5 * 12**2, len(cut.positions_M)) == expected
