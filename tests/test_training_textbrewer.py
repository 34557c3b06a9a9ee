"""Losses beside those of the installed TextBrewer, whose published definitions ours are to equal."""

from __future__ import annotations

import warnings

import pytest
import torch
from training_fakes import batch, tiny

from wwmcorpus.training.losses import position_temperatures
from wwmcorpus.training.registry import Positions, find_loss
from wwmcorpus.training.settings import LayerMatch
from wwmcorpus.training.settings.losses import TemperatureSchedule

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # `is not 'none'` in its sources
    textbrewer = pytest.importorskip("textbrewer", reason="pip install 'wwmcorpus[bench]' brings TextBrewer")

B, L, D, H = 3, 7, 10, 4
LENGTHS = (7, 5, 2)


def mask():
    return (torch.arange(L) < torch.tensor(LENGTHS)[:, None]).float()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ours(name, student, teacher, counted):
    """Our sum over our unit's count, counted here by loops."""
    loss = find_loss(name, "test")
    unit = loss.unit_for("real" if counted is not None else "all")
    real = mask() if counted is not None else torch.ones(B, L)
    count = {
        "real": sum(LENGTHS),
        "all": B * L,
        "rows": B,
        "pairs": sum(length * length for length in LENGTHS),
        "all_pairs": B * L * L,
    }[unit]
    return loss.function(student, teacher, Positions(counted, real)) / count


def theirs(name, student, teacher, counted):
    from textbrewer.presets import MATCH_LOSS_MAP

    return MATCH_LOSS_MAP[name](student, teacher, mask=counted)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("name", "published"), [("hidden_mse", "hidden_mse"), ("cosine", "cos"), ("pkd", "pkd")])
def test_hidden_losses(name, published, masked):
    states = normal(B, L, D), normal(B, L, D, seed=1)
    counted = mask() if masked else None
    torch.testing.assert_close(ours(name, *states, counted), theirs(published, *states, counted), rtol=1e-5, atol=0)


@pytest.mark.parametrize("masked", [True, False])
def test_gram(masked):
    student, teacher = [normal(B, L, D), normal(B, L, D, seed=2)], [normal(B, L, D, seed=1), normal(B, L, D, seed=3)]
    counted = mask() if masked else None
    torch.testing.assert_close(
        ours("gram", student, teacher, counted), theirs("gram", student, teacher, counted), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("name", ["nst", "mmd"])
def test_nst_without_a_mask_at_two_widths(name):
    student = [normal(B, L, 6), normal(B, L, 6, seed=2)]
    teacher = [normal(B, L, D, seed=1), normal(B, L, D, seed=3)]
    torch.testing.assert_close(
        ours("nst", student, teacher, None), theirs(name, student, teacher, None), rtol=1e-5, atol=0
    )


def test_nst_with_a_mask_divides_by_the_width_and_not_by_the_padded_length():
    student, teacher = [normal(B, L, D), normal(B, L, D, seed=2)], [normal(B, L, D, seed=1), normal(B, L, D, seed=3)]
    published = theirs("nst", student, teacher, mask()) * (L / D) ** 2
    torch.testing.assert_close(ours("nst", student, teacher, mask()), published, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("name", "heads"), [("attention_mse", H), ("attention_mse_sum", 3)])
def test_attention_mse(name, heads):
    scores = normal(B, heads, L, L), normal(B, H, L, L, seed=1)
    published = theirs(name, *scores, mask())
    # TextBrewer adds the heads' errors up over a count that has the heads in it: the same mean.
    torch.testing.assert_close(ours(name, *scores, mask()), published, rtol=1e-5, atol=0)


def test_attention_mse_without_a_mask_where_no_score_is_negative():
    scores = normal(B, H, L, L).abs(), normal(B, H, L, L, seed=1).abs()
    published = theirs("attention_mse", *scores, None)
    torch.testing.assert_close(ours("attention_mse", *scores, None), published, rtol=1e-5, atol=0)
    negative = -scores[0], -scores[1]
    assert theirs("attention_mse", *negative, None) < 1e-6  # its fault: every negative score is left out
    torch.testing.assert_close(ours("attention_mse", *negative, None), published, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("name", "heads"), [("attention_ce", H), ("attention_ce_mean", 3)])
def test_attention_cross_entropy(name, heads):
    scores = normal(B, heads, L, L), normal(B, H, L, L, seed=1)
    padded = tuple(side + (1 - mask())[:, None, None, :] * -10_000 for side in scores)  # as version 4 models gave them
    torch.testing.assert_close(ours(name, *scores, mask()), theirs(name, *padded, mask()), rtol=1e-5, atol=0)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 8.0])
def test_soft_labels(temperature):
    from textbrewer.presets import KD_LOSS_MAP

    logits = normal(9, 30), 2 * normal(9, 30, seed=1)
    for name, published in (("cross_entropy", "ce"), ("mse", "mse")):
        mean = find_loss(name, "test", soft=True).function(*logits, temperature).mean()
        torch.testing.assert_close(mean, KD_LOSS_MAP[published](*logits, temperature), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("shape", "arguments"), [("flsw", (1.5, 2.0)), ("cwsm", (0.5,))])
def test_temperatures_of_positions(shape, arguments):
    from textbrewer.presets import TEMPERATURE_SCHEDULER

    logits = normal(9, 30), 2 * normal(9, 30, seed=1)
    asked = TemperatureSchedule(shape=shape, **dict(zip(("beta", "gamma"), arguments, strict=False)))
    published = TEMPERATURE_SCHEDULER[[shape, *arguments]](*logits, 4.0)
    found = position_temperatures(asked, 4.0, *logits).squeeze(-1)
    torch.testing.assert_close(found, published.clamp(min=asked.least), rtol=1e-5, atol=0)
    assert found.unique().numel() == 9


def test_projections_begin_alike():
    from textbrewer.presets import PROJ_MAP

    from wwmcorpus.training.matches import Projections

    for kind in ("linear", "relu", "tanh"):
        match = LayerMatch(teacher_layer=0, student_layer=0, projection=kind)
        mine, published = Projections([match], 600, 300)[0], PROJ_MAP[kind](300, 600)
        sides = [mine, published] if kind == "linear" else [mine[0], published[0]]
        assert [tuple(side.weight.shape) for side in sides] == [(600, 300)] * 2
        for side in sides:
            assert side.weight.std().item() == pytest.approx(0.02, rel=0.02)
            assert not side.bias.any()
        if kind != "linear":
            assert type(mine[1]) is type(published[1])


#: (teacher layer, student layer) of each preset as MiniRBT's matches.py lists them, for its teacher's depth.
PUBLISHED = {
    "minirbt_h256": (6, 6, [(layer, layer) for layer in range(7)]),
    "minirbt_h288": (12, 6, [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]),
    "rbt4_h312": (12, 4, [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]),
    "rbt6_assistant": (12, 6, [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]),
}
STEPS = 10


@pytest.mark.parametrize("preset", PUBLISHED)
def test_ten_steps_equal_those_of_the_general_distiller(preset, tmp_path):
    from wwmcorpus.training import DistillConfig, Optimiser, StudentShape, Training
    from wwmcorpus.training.objective import Objective
    from wwmcorpus.training.reporting import Reporter, read_metrics
    from wwmcorpus.training.trainer import Trainer

    teacher_layers, student_layers, pairs = PUBLISHED[preset]
    width = 24 if preset == "rbt6_assistant" else 16
    shape = {"intermediate": 32, "dropout": 0.0, "max_positions": 40}
    teacher = tiny(StudentShape(layers=teacher_layers, hidden=24, heads=2, **shape)).eval()
    students = [tiny(StudentShape(layers=student_layers, hidden=width, heads=2, **shape), seed=1) for _ in range(2)]
    batches = [batch(seed=step) for step in range(STEPS)]
    losses = DistillConfig(preset=preset, corpus="", output="", teacher="").losses

    objective = Objective(students[0], losses, teacher)
    first_maps = [
        {key: value.clone() for key, value in each.state_dict().items()} for each in objective.projections.maps
    ]
    training = Training(steps=STEPS, log_every=1, global_batch_size=8, device="cpu", checkpoint_every=None)
    optimiser = Optimiser(
        learning_rate=1e-3, weight_decay=0.0, clip="student", schedule="constant", warmup_fraction=0.0, epsilon=1e-8
    )
    with Reporter("ours", STEPS, tmp_path / "metrics.jsonl") as reporter:
        Trainer(objective, batches, training, optimiser, teacher=teacher, reporter=reporter).run()
    our_losses = [record["loss"] for record in read_metrics(tmp_path / "metrics.jsonl", "train")]

    their_losses, maps = published_run(teacher, students[1], pairs, width, batches, first_maps, tmp_path)
    assert our_losses == pytest.approx(their_losses, rel=1e-5)
    ours_ = [*students[0].parameters(), *objective.projections.maps.parameters()]
    theirs_ = [*students[1].parameters(), *maps]
    # Adam makes a step of full size out of a gradient that is mere rounding, so weights are compared as a whole.
    apart, whole = (
        torch.cat([each.detach().flatten() for each in sides]).norm()
        for sides in ([mine - other for mine, other in zip(ours_, theirs_, strict=True)], theirs_)
    )
    assert apart / whole < 1e-5


def published_run(teacher, student, pairs, width, batches, first_maps, folder):
    """Train with TextBrewer as MiniRBT's train.py does: masked positions, hidden states, no inputs_mask."""
    projection = {} if width == 24 else {"proj": ["linear", width, 24]}
    matches = [
        {"layer_T": t, "layer_S": s, "feature": "hidden", "loss": "hidden_mse", "weight": 1, **projection}
        for t, s in pairs
    ]

    def adaptor(rows, outputs):
        return {"logits": (outputs.logits,), "logits_mask": (rows["labels"] >= -1,), "hidden": outputs.hidden_states}

    distiller = textbrewer.GeneralDistiller(
        textbrewer.TrainingConfig(device="cpu", output_dir=str(folder / "out"), ckpt_steps=STEPS),
        textbrewer.DistillationConfig(temperature=8, hard_label_weight=0, intermediate_matches=matches),
        teacher,
        student,
        adaptor,
        adaptor,
    )
    for found, first in zip([each for each in distiller.projs if each is not None], first_maps, strict=True):
        found.load_state_dict(first)
    totals = []
    distiller.write_loss = lambda total, step, parts=None: totals.append(float(total.detach()))
    rows = [{name: each[name] for name in ("input_ids", "attention_mask", "labels")} for each in batches]
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, weight_decay=0.0)
    with distiller:
        distiller.train(optimizer, rows, num_steps=STEPS, max_grad_norm=1.0, output_hidden_states=True, callback=None)
    return totals, [each for found in distiller.projs if found is not None for each in found.parameters()]
