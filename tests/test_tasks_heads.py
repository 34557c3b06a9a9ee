"""Models with heads for tasks: number formats, weights that are not there or do not fit, heads of regression."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from task_fakes import sample, similarity, tokenizer, write_model
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
)

from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.errors import ConfigError
from wwmcorpus.models.load import load_model
from wwmcorpus.tasks import DistillTaskConfig, FinetuneConfig, load_task, runs
from wwmcorpus.tasks.heads import load_task_model, load_teacher
from wwmcorpus.training.heads import load_masked_lm

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def judge(folder, num_labels=2, **options):
    """A model with a head for classification, saved, whose labels are those of the sample task."""
    config = BertConfig(vocab_size=len(tokenizer()), num_labels=num_labels, **SHAPE, **options)
    if num_labels == 2:
        config.id2label = {0: "0", 1: "1"}
    model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    return model


def change_weight(folder, key, change):
    """Change a weight in a file; None takes it out."""
    weights = load_file(folder / "model.safetensors")
    weights[key] = change(weights[key])
    kept = {name: weight for name, weight in weights.items() if weight is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("saved", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_become_fp32(saved, tmp_path):
    task = load_task(sample("sentiment"))
    judge(tmp_path / "judge").to(saved).save_pretrained(tmp_path / "judge")
    masked = BertForMaskedLM.from_pretrained(write_model(tmp_path / "masked"))
    masked.to(saved).save_pretrained(tmp_path / "masked")
    models = [load_task_model(task, str(tmp_path / name)) for name in ("judge", "masked")]
    models += [load_teacher(task, str(tmp_path / "judge")), load_masked_lm(str(tmp_path / "masked"))]
    for model in models:
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}


NARROW = ("bert.embeddings.position_embeddings.weight", lambda weight: weight[:100].clone())
ABSENT = ("bert.encoder.layer.1.output.dense.weight", lambda weight: None)


@pytest.mark.parametrize(("key", "change"), [NARROW, ABSENT])
def test_weights_below_the_head_are_never_drawn(key, change, tmp_path):
    task = load_task(sample("sentiment"))
    judge(tmp_path / "judge")
    write_model(tmp_path / "masked")
    for folder in ("judge", "masked"):
        change_weight(tmp_path / folder, key, change)
        with pytest.raises(ConfigError, match=f"lacks weights below its head.*{key}"):
            load_task_model(task, str(tmp_path / folder))
    with pytest.raises(ConfigError, match=f"the teacher's backbone has no weights.*{key}"):
        load_teacher(task, str(tmp_path / "judge"))
    with pytest.raises(ConfigError, match=f"the teacher lacks weights.*{key}"):
        load_masked_lm(str(tmp_path / "masked"))


@pytest.mark.parametrize("key", ["classifier.weight", "bert.pooler.dense.weight"])
def test_a_teacher_needs_all_of_its_head(key, tmp_path):
    judge(tmp_path)
    change_weight(tmp_path, key, lambda weight: None)
    with pytest.raises(ConfigError, match=f"the teacher's (head|backbone) has no weights.*{key}"):
        load_teacher(load_task(sample("sentiment")), str(tmp_path))


def test_a_head_of_another_size_is_still_replaced(tmp_path):
    judge(tmp_path, num_labels=5)
    model = load_task_model(load_task(sample("sentiment")), str(tmp_path))
    assert model.classifier.weight.shape == (2, 16)


def test_one_output_without_a_problem_type_is_regression(tmp_path):
    trained = judge(tmp_path / "judge", num_labels=1)
    task = load_task(similarity(tmp_path))
    for load in (load_teacher, load_task_model):
        model = load(task, str(tmp_path / "judge"))
        assert torch.equal(model.classifier.weight, trained.classifier.weight)


def test_the_right_class_with_other_outputs_is_told_apart(tmp_path):
    judge(tmp_path / "two")
    judge(tmp_path / "one", num_labels=1)
    with pytest.raises(ConfigError) as found:
        load_teacher(load_task(similarity(tmp_path)), str(tmp_path / "two"))
    assert "BertForSequenceClassification of 2 outputs and problem_type None" in str(found.value)
    assert "not one of one output and problem_type 'regression'" in str(found.value)
    with pytest.raises(ConfigError, match="of 1 outputs and problem_type None, not one with an output for each label"):
        load_teacher(load_task(sample("sentiment")), str(tmp_path / "one"))


def other_backbone(folder, kind, config_kind, **shape):
    """A general model of another kind, with a tokenizer."""
    kind(config_kind(vocab_size=len(tokenizer()), max_position_embeddings=256, **shape)).save_pretrained(folder)
    save_tokenizer(tokenizer(), folder)
    return str(folder)


def test_models_whose_layers_have_no_numbers(tmp_path):
    """DistilBERT and ALBERT learn a task; where attention is compared that is one message."""
    small = {"n_layers": 2, "dim": 16, "n_heads": 2, "hidden_dim": 32}
    models = [
        other_backbone(tmp_path / "distilbert", DistilBertForMaskedLM, DistilBertConfig, **small),
        other_backbone(tmp_path / "albert", AlbertForMaskedLM, AlbertConfig, embedding_size=8, **SHAPE),
    ]
    training = {"epochs": 0.1, "device": "cpu"}
    for model in models:
        for name in ("pairs", "names"):
            values = {"task": sample(name), "model": model, "output": f"{model}-{name}", "training": training}
            assert runs.run_finetune(FinetuneConfig(**values)).scores
        taught = {"task": sample("pairs"), "teacher": f"{model}-pairs", "student": model, "output": f"{model}-student"}
        with pytest.raises(ConfigError, match=r"attention of such a model cannot be compared.*attention_weight = 0"):
            runs.run_distill_task(DistillTaskConfig(**taught, intermediate=training))
        below = training | {"losses": {"attention_weight": 0.0}}
        assert runs.run_distill_task(DistillTaskConfig(**taught, intermediate=below, prediction=training))


@pytest.mark.parametrize(
    "load", [load_masked_lm, load_model, lambda name: load_task_model(load_task(sample("pairs")), name)]
)
def test_weights_that_break_off_are_one_message(load, tmp_path):
    write_model(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load(str(tmp_path))
