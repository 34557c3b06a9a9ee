"""Presets against what was published, written down here once more."""

from __future__ import annotations

import pytest

from wwmcorpus.config import load_config
from wwmcorpus.errors import ConfigError
from wwmcorpus.training import DistillConfig, DistillLosses, Stage, TwoStageConfig
from wwmcorpus.training.matches import ModelShape, resolve_matches
from wwmcorpus.training.settings.presets import preset_names, read_preset
from wwmcorpus.training.students import STUDENTS

PLACES = {"corpus": "corpus", "output": "out", "teacher": "teacher"}
MINIRBT = {
    "optimiser": {
        "name": "adamw",
        "learning_rate": 4e-4,
        "weight_decay": 0.01,
        "betas": [0.9, 0.999],
        "epsilon": 1e-6,
        "bias_correction": False,
        "max_grad_norm": 1.0,
        "clip": "student",
        "schedule": "linear",
        "warmup_fraction": 0.1,
    },
    "losses": {
        "soft_loss": "cross_entropy",
        "temperature": 8.0,
        "scale_by_squared_temperature": False,
        "soft_weight": 1.0,
        "soft_positions": "masked",
        "hard_weight": 0.0,
        "layer_map": "uniform",
        "hidden_weight": 1.0,
        "hidden_positions": "all",
    },
}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_configuration(name):
    config = DistillConfig(preset=name, **PLACES)
    assert config.preset == name
    assert config.student in STUDENTS


@pytest.mark.parametrize("name", ["minirbt_h256", "minirbt_h288", "rbt4_h312", "rbt6_assistant"])
def test_the_presets_of_minirbt_write_out_every_published_choice(name):
    table = read_preset(name)
    assert {section: table[section] for section in MINIRBT} == MINIRBT
    assert table["masking"]["probability"] == 0.15
    assert table["masking"]["random_from"] == "vocabulary"
    assert (table["training"]["steps"], table["training"]["global_batch_size"]) == (100_000, 4096)


@pytest.mark.parametrize(
    ("name", "teacher", "expected"),
    [
        ("minirbt_h256", 6, [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]),
        ("minirbt_h256", 12, [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)]),
        ("rbt4_h312", 12, [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]),
    ],
)
def test_their_matches(name, teacher, expected):
    config = DistillConfig(preset=name, **PLACES)
    shape = STUDENTS[config.student]
    found = resolve_matches(
        config.losses, ModelShape(teacher, 768, 12), ModelShape(shape.layers, shape.hidden, shape.heads)
    )
    assert [(match.teacher_layer, match.student_layer) for match in found] == expected
    assert {(match.loss, match.projection, match.weight) for match in found} == {("hidden_mse", "linear", 1.0)}


def test_the_matches_of_tinybert():
    losses = DistillConfig(preset="tinybert_general", **PLACES).losses
    found = resolve_matches(losses, ModelShape(12, 768, 12), ModelShape(4, 312, 12))
    layers = {
        loss: [(m.teacher_layer, m.student_layer) for m in found if m.loss == loss]
        for loss in ("attention_mse", "hidden_mse")
    }
    assert layers == {
        "attention_mse": [(3, 1), (6, 2), (9, 3), (12, 4)],
        "hidden_mse": [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)],
    }


def test_what_is_said_beside_a_preset_wins_key_by_key(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('preset = "minirbt_h256"\n[losses]\ntemperature = 2.0\n[masking]\nscheme = "span"\n', "utf-8")
    config = load_config(DistillConfig, path, ["training.steps=5"], **PLACES)
    assert (config.losses.temperature, config.losses.hidden_positions) == (2.0, "all")
    assert (config.training.steps, config.training.global_batch_size) == (5, 4096)
    assert config.masking.values()["scheme"] == "span"  # another scheme takes no options over
    assert DistillConfig(preset="minirbt_h256", losses=DistillLosses(), **PLACES).losses == DistillLosses()


def test_stages_from_presets():
    config = TwoStageConfig(
        **PLACES,
        assistant=Stage(preset="rbt6_assistant"),
        student=Stage(preset="minirbt_h256", losses={"temperature": 4.0}),
    )
    stages = config.stages()
    assert stages["assistant"].student == "rbt6"
    assert stages["student"].student == "minirbt-h256"
    assert stages["student"].losses.temperature == 4.0
    assert stages["student"].optimiser.clip == "student"


def test_an_unknown_preset():
    with pytest.raises(ConfigError, match=r"unknown preset: 'minirbt256' \(preset\). Did you mean 'minirbt_h256'"):
        DistillConfig(preset="minirbt256", **PLACES)
