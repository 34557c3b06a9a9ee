"""The model-agnostic distiller: TextBrewer's configurations and adaptors give its losses; inputs may differ."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from torch import nn
from training_fakes import STUDENT, TEACHER, batch, tiny

from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.training import DistillLosses, LayerMatch
from wwmcorpus.training.distiller import Distiller
from wwmcorpus.training.matches import ModelShape
from wwmcorpus.training.textbrewer import losses_from_textbrewer

CONFIG = {
    "temperature": 8,
    "temperature_scheduler": ["flsw", 1.0, 2.0],
    "hard_label_weight": 0.5,
    "kd_loss_type": "ce",
    "kd_loss_weight": 2,
    "intermediate_matches": [
        {
            "layer_T": 4,
            "layer_S": 2,
            "feature": "hidden",
            "loss": "hidden_mse",
            "weight": 1,
            "proj": ["linear", 32, 48],
        },
        {"layer_T": 0, "layer_S": 0, "feature": "hidden", "loss": "cos", "weight": 3, "proj": ["tanh", 32, 48]},
        {
            "layer_T": [0, 4],
            "layer_S": [0, 2],
            "feature": "hidden",
            "loss": "gram",
            "weight": 1,
            "proj": ["relu", 32, 48],
        },
        {"layer_T": 3, "layer_S": 1, "feature": "attention", "loss": "attention_mse_sum", "weight": 0.1},
        {"layer_T": 1, "layer_S": 0, "feature": "attention", "loss": "attention_ce_mean", "weight": 1},
    ],
}


def adaptor(rows, outputs):
    real = rows["attention_mask"]
    scores = [each.clamp(min=1e-9).log() * real[:, None, None, :] for each in outputs.attentions]
    return {
        "logits": (outputs.logits,),
        "logits_mask": (rows["labels"] >= 0,),
        "hidden": outputs.hidden_states,
        "attention": [each + (1 - real.float())[:, None, None, :] * -1e4 for each in scores],
        "inputs_mask": real,
        "losses": outputs.loss,
    }


def models():
    teacher, student = tiny(TEACHER).eval(), tiny(STUDENT, 1)
    for model in (teacher, student):
        model.set_attn_implementation("eager")
    return teacher, student


def rows(seed=0):
    return {name: each for name, each in batch(seed=seed).items() if name in ("input_ids", "attention_mask", "labels")}


def test_a_textbrewer_configuration_gives_its_loss(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        textbrewer = pytest.importorskip("textbrewer", reason="pip install 'wwmcorpus[bench]' brings TextBrewer")
    teacher, student = models()
    path = tmp_path / "distill.json"
    path.write_text(json.dumps(CONFIG), "utf-8")
    ours = Distiller(teacher, student, losses_from_textbrewer(path), adaptor, adaptor)
    config = {**CONFIG, "intermediate_matches": [dict(match) for match in CONFIG["intermediate_matches"]]}
    theirs = textbrewer.GeneralDistiller(
        textbrewer.TrainingConfig(device="cpu", output_dir=str(tmp_path / "out")),
        textbrewer.DistillationConfig(**config),
        teacher,
        student,
        adaptor,
        adaptor,
    )
    for index, projection in enumerate(theirs.projs):
        if projection is not None:
            projection.load_state_dict(ours.projections[index].state_dict())
    options = {"output_hidden_states": True, "output_attentions": True}
    expected, parts = theirs.train_on_batch(rows(), options)
    found, terms = ours(rows(), **options)
    assert len(terms) == len(parts) == 7
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_schedules_and_names_are_translated():
    losses = losses_from_textbrewer(
        {"kd_loss_weight": 5, "kd_loss_weight_scheduler": "linear_decay", "temperature_scheduler": "none"},
        inputs_mask=False,
    )
    assert (losses.soft_weight, losses.soft_schedule.shape, losses.temperature) == (1.0, "linear_decay", 4.0)
    assert (losses.scale_by_squared_temperature, losses.layer_map, losses.hidden_positions) == (False, "none", "all")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temprature": 8}, "unknown key: 'temprature'.*Did you mean 'temperature'"),
        ({"probability_shift": True}, "no counterpart: True .DistillationConfig.probability_shift"),
        ({"is_caching_logits": True}, "no counterpart.*teacher_cache"),
        (
            {
                "intermediate_matches": [
                    {
                        "layer_T": 0,
                        "layer_S": 0,
                        "loss": "hidden_mse",
                        "feature": "hidden",
                        "proj": ["linear", 1, 1, {"lr": 1}],
                    }
                ]
            },
            "no counterpart: {'lr': 1}",
        ),
        ({"kd_loss_type": "kl"}, "unknown name: 'kl'.*kd_loss_type.*ce, mse"),
        ({"temperature": "hot"}, "not a number: 'hot'"),
        ({"intermediate_matches": [{"layer_T": 0, "loss": "hidden_mse", "feature": "hidden"}]}, "missing: 'layer_S'"),
        ({"intermediate_matches": [{"layer_t": 0}]}, r"'layer_t' .*intermediate_matches\[0\].*Did you mean 'layer_T'"),
        (
            {"intermediate_matches": [{"layer_T": 0, "layer_S": 0, "loss": "hidden_mse", "feature": "hiden"}]},
            "unknown name: 'hiden'.*attention, hidden",
        ),
    ],
)
def test_what_cannot_be_translated_is_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        losses_from_textbrewer(config)


@pytest.mark.parametrize(
    ("text", "message"), [("[1]", "not a JSON object"), ("{", "not JSON"), (None, "cannot be read")]
)
def test_files_that_hold_no_configuration(tmp_path, text, message):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        losses_from_textbrewer(path)


class Classifier(nn.Module):
    """A model of no known kind: three numbers in, two classes out."""

    def __init__(self, width):
        super().__init__()
        self.inner, self.outer = nn.Linear(3, width), nn.Linear(width, 2)

    def forward(self, numbers):
        hidden = torch.tanh(self.inner(numbers))
        return self.outer(hidden), hidden


def classifier_adaptor(given, outputs):
    return {"logits": outputs[0], "hidden": [outputs[1].unsqueeze(1)]}


def test_models_of_any_kind_and_different_inputs():
    torch.manual_seed(0)
    teacher, student = Classifier(8), Classifier(4)
    losses = DistillLosses(
        soft_loss="kl", matches=[LayerMatch(teacher_layer=0, student_layer=0, projection="linear")], temperature=1.0
    )
    shapes = {"teacher_shape": ModelShape(0, 8, 1), "student_shape": ModelShape(0, 4, 1)}
    distiller = Distiller(teacher, student, losses, classifier_adaptor, classifier_adaptor, **shapes)
    numbers = torch.randn(16, 3)
    pairs = [{"teacher": {"numbers": numbers}, "student": {"numbers": numbers * 2}}]
    before = {name: weight.clone() for name, weight in teacher.named_parameters()}
    first, _ = distiller(pairs[0])
    seen = []
    optimizer = torch.optim.Adam(distiller.parameters(), lr=0.02)
    distiller.fit(optimizer, pairs, 60, accumulate=2, callback=lambda step, model, terms: seen.append(step))
    assert distiller(pairs[0])[0].item() < 0.1 * first.item()
    assert seen == list(range(1, 61))
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.named_parameters())
    assert not any(name.startswith("_teacher") for name in distiller.state_dict())


def test_bad_adaptors_and_no_batches():
    losses = DistillLosses(layer_map="none")
    with pytest.raises(ConfigError, match="Give teacher_shape"):
        Distiller(Classifier(8), Classifier(4), losses, classifier_adaptor, classifier_adaptor)
    shapes = {"teacher_shape": ModelShape(0, 8, 1), "student_shape": ModelShape(0, 4, 1)}
    silent = Distiller(Classifier(8), Classifier(4), losses, lambda given, outputs: {}, classifier_adaptor, **shapes)
    with pytest.raises(ConfigError, match="the teacher's adaptor gives no logits"):
        silent({"numbers": torch.zeros(2, 3)})
    with pytest.raises(TrainingError, match="no batches"):
        silent.fit(torch.optim.SGD(silent.parameters(), lr=0.1), [], 1)


def test_the_teacher_has_no_dropout_and_the_student_its_own():
    """Loaded models are in evaluation mode, and new ones in training mode."""
    teacher, student = tiny(TEACHER).train(), tiny(STUDENT, 1).eval()
    distiller = Distiller(teacher, student, DistillLosses(), adaptor, adaptor)
    assert not teacher.training
    distiller = Distiller(teacher, student, DistillLosses(layer_map="none"), logits_adaptor, logits_adaptor)
    distiller.fit(torch.optim.SGD(distiller.parameters(), lr=0.1), [rows()], 1)
    assert student.training
    assert not teacher.training


def logits_adaptor(rows, outputs):
    return {"logits": outputs.logits, "logits_mask": rows["labels"] >= 0, "inputs_mask": rows["attention_mask"]}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("hidden_mse", "the student's adaptor gives no such hidden: 2 .adaptor.. It gives none"),
        ("attention_ce_mean", "gives no such attention: 2"),
        ("value_relation", "adaptors give no queries, keys or values: 'value_relation'"),
    ],
)
def test_what_an_adaptor_does_not_give(loss, message):
    match = LayerMatch(layers="last", loss=loss, projection="linear" if loss == "hidden_mse" else None)
    losses = DistillLosses(matches=[match.model_copy(update={"relation_heads": 2})])

    def step():
        Distiller(*models(), losses, logits_adaptor, logits_adaptor)(rows())

    with pytest.raises(ConfigError, match=message):
        step()
