from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from training_fakes import STUDENT, VOCAB, tiny

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.settings import DistillConfig, PretrainConfig, StudentShape, TwoStageConfig
from wwmcorpus.training.students import STUDENTS, build_student, freeze, num_parameters, set_output_bias, student_config


@pytest.mark.parametrize(
    ("name", "exact", "published_millions"),
    [
        ("minirbt-h256", 10_345_216, 10.4),
        ("minirbt-h288", 12_311_136, 12.3),
        ("rbt4-h312", 11_419_320, 11.4),
        ("rbt6", 59_740_416, 59.8),
        ("rbt3", 38_476_800, 38.5),
    ],
)
def test_published_sizes(name, exact, published_millions):
    found = num_parameters(student_config(name, 21_128))
    assert found == exact
    # h256 is published as 10.4M; 10.345M rounds to 10.3: upstream rounds up.
    assert abs(found / 1e6 - published_millions) < 0.06


def test_every_student_of_the_registry_is_published():
    assert sorted(STUDENTS) == ["minirbt-h256", "minirbt-h288", "rbt3", "rbt4-h312", "rbt6"]


def test_h288_follows_the_readme():
    assert student_config("minirbt-h288", 100).num_attention_heads == 8


def test_unknown_student_lists_the_choices():
    with pytest.raises(
        ConfigError, match=r"unknown student: 'minirbt-256'.*Did you mean 'minirbt-h256'\?.*rbt3, rbt4-h312, rbt6"
    ):
        student_config("minirbt-256", 100)


def test_own_json_takes_the_vocabulary_of_the_corpus(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(
        json.dumps({"vocab_size": 21128, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4})
    )
    config = student_config(str(path), 77)
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (77, 64, 3)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"model_type": "gpt2"}', "not a BERT"),
        ("{", "not a JSON"),
        (None, "no such model config"),
        ('{"hidden_size": "wide"}', "no BERT has such a config.*hidden_size"),
        ('{"hidden_size": 30, "num_attention_heads": 4}', "no BERT has such a config.*not a multiple"),
        ('{"hidden_act": "step"}', "no BERT has such a config.*step"),
    ],
)
def test_bad_json(tmp_path, text, match):
    path = tmp_path / "own.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=match):
        student_config(str(path), 77)


def test_weights_are_a_function_of_the_seed_and_leave_the_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = tiny(seed=3), tiny(seed=3), tiny(seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    weight = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(first.state_dict()[weight], again.state_dict()[weight])
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])


def test_output_bias_is_the_log_of_the_shares():
    model = build_student(student_config(STUDENT, VOCAB))
    counts = np.zeros(VOCAB, dtype=np.int64)
    counts[2], counts[7] = 1000, 9
    set_output_bias(model, counts, left_out=[2])
    bias = model.cls.predictions.bias.detach()
    assert torch.isclose(bias.exp().sum(), torch.tensor(1.0))
    assert torch.isclose(bias[7].exp(), torch.tensor(10 / (VOCAB + 9)))
    assert bias[2] == bias[3]
    assert model.cls.predictions.decoder.bias is model.cls.predictions.bias


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="do not divide"):
        StudentShape(layers=1, hidden=30, heads=4, intermediate=10)


def test_inline_shape_shows_its_own_error():
    with pytest.raises(ConfigError, match=r"unknown key: 'layerz'.*Did you mean 'layers'"):
        PretrainConfig(
            corpus="c", output="o", student={"layerz": 2, "layers": 2, "hidden": 8, "heads": 2, "intermediate": 8}
        )


def test_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'temperature'"):
        DistillConfig(corpus="c", output="o", student="rbt3", teacher="t", losses={"temprature": 2.0})


def test_all_losses_left_out():
    with pytest.raises(ConfigError, match="every loss is left out"):
        DistillConfig(
            corpus="c", output="o", student="rbt3", teacher="t", losses={"soft_weight": 0, "layer_map": "none"}
        )


def test_two_stages_become_two_distillations():
    stage = {"model": "rbt3", "training": {"steps": 5}, "output_bias": "zero"}
    config = TwoStageConfig(
        corpus="c", output="o", teacher="t", assistant=stage, student=stage | {"training": {"steps": 7}}
    )
    first, second = config.stages().values()
    assert (first.teacher, first.output, first.training.steps) == ("t", "o/assistant", 5)
    assert (second.teacher, second.output, second.training.steps) == ("o/assistant", "o/student", 7)
    assert first.output_bias == "zero"


def test_one_stage_comes_third_and_learns_from_the_teacher():
    stage = {"model": "rbt3", "freeze": ["bert.embeddings.*"], "init": {"weights": "teacher"}}
    config = TwoStageConfig(corpus="c", output="o", teacher="t", assistant=stage, student=stage, one_stage=True)
    stages = config.stages()
    assert [(name, run.teacher, run.output) for name, run in stages.items()] == [
        ("assistant", "t", "o/assistant"),
        ("student", "o/assistant", "o/student"),
        ("one_stage", "t", "o/one_stage"),
    ]
    assert all(run.freeze == ("bert.embeddings.*",) and run.init.weights == "teacher" for run in stages.values())


def test_one_stage_with_layers_matched_by_hand():
    match = {"teacher_layer": 1, "student_layer": 1}
    with pytest.raises(ConfigError, match="fit the assistant"):
        TwoStageConfig(
            corpus="c",
            output="o",
            teacher="t",
            assistant={"model": "rbt3"},
            student={"model": "rbt3", "losses": {"matches": [match]}},
            one_stage=True,
        )


def test_one_stage_with_a_map_of_layers_fits_both():
    stage = {"model": "rbt3", "losses": {"matches": [{"layers": "uniform"}]}}
    config = TwoStageConfig(corpus="c", output="o", teacher="t", assistant=stage, student=stage, one_stage=True)
    assert list(config.stages()) == ["assistant", "student", "one_stage"]


def test_a_run_needs_a_model():
    with pytest.raises(ConfigError, match=r"no model that learns.*init\.weights"):
        PretrainConfig(corpus="c", output="o")


def test_a_folder_stands_for_its_config(tmp_path):
    tiny().save_pretrained(tmp_path)
    assert student_config(str(tmp_path), 77).hidden_size == STUDENT.hidden


def test_freezing_counts_what_is_left():
    model = tiny()
    left = freeze(model, ["bert.embeddings.*", "*.LayerNorm.*"])
    assert left == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    still = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert not any("embeddings" in name or "LayerNorm" in name for name in still)
    assert "bert.encoder.layer.0.output.dense.bias" in still


@pytest.mark.parametrize(
    ("patterns", "match"), [(["*"], "every weight is frozen"), (["bert.embedings.*"], r"freeze\[0\]")]
)
def test_bad_freezing(patterns, match):
    with pytest.raises(ConfigError, match=match):
        freeze(tiny(), patterns)
