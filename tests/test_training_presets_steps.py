"""A step of the presets of TinyBERT and DistilBERT against their published formulas, written down by hand."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional
from training_fakes import TEACHER, batch, tiny

from wwmcorpus.training import DistillConfig, StudentShape, Training
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.trainer import Trainer

NARROW = StudentShape(layers=2, hidden=32, heads=4, intermediate=48, dropout=0.0, max_positions=40)
SHALLOW = StudentShape(layers=2, hidden=48, heads=4, intermediate=64, dropout=0.0, max_positions=40)


def first_step(preset, shape, tmp_path):
    """Give the record of the first step, the rows, and what both models gave for them before it."""
    config = DistillConfig(preset=preset, corpus="", output="", teacher="")
    teacher, student, rows = tiny(TEACHER, 1), tiny(shape), batch()
    objective = Objective(student, config.losses, teacher)
    inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"], "output_hidden_states": True}
    with torch.no_grad():
        given = student.eval()(**inputs), teacher.eval()(**inputs)
        scores = [scores_of(model, found.hidden_states) for model, found in zip((student, teacher), given, strict=True)]
        projected = [objective.projections[-1](states) for states in given[0].hidden_states]
    training = Training(steps=1, device="cpu", dropout=0.0, micro_batch_size=3)
    path = tmp_path / "metrics.jsonl"
    with Reporter("t", 1, path) as reporter:
        Trainer(objective, [rows], training, config.optimiser, teacher=teacher, reporter=reporter).run()
    (record,) = map(json.loads, path.read_text().splitlines())
    return record, rows, given, scores, projected


def scores_of(model, hidden_states):
    """Give Q K' / sqrt(d) of each layer, (B, H, L, L), from the layer's input and weights."""
    found = []
    for layer, states in zip(model.bert.encoder.layer, hidden_states[:-1], strict=True):
        attention = layer.attention.self
        query, key = (part(states).unflatten(-1, (4, -1)).transpose(1, 2) for part in (attention.query, attention.key))
        found.append(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5)
    return found


def test_tinybert(tmp_path):
    """Means over all heads, queries and keys, where scores of padded keys count as 0; one map for all layers."""
    record, rows, (_, theirs), scores, projected = first_step("tinybert_general", NARROW, tmp_path)
    padded = rows["attention_mask"][:, None, None, :] == 0
    of_student, of_teacher = ([each.masked_fill(padded, 0.0) for each in side] for side in scores)
    attention = [functional.mse_loss(of_student[k - 1], of_teacher[2 * k - 1]) for k in (1, 2)]
    hidden = [functional.mse_loss(projected[k], theirs.hidden_states[2 * k]) for k in (0, 1, 2)]
    expected = {f"attention_mse_{2 * k}_{k}": float(attention[k - 1]) for k in (1, 2)}
    expected |= {f"hidden_mse_{2 * k}_{k}": float(hidden[k]) for k in (0, 1, 2)}
    assert record["terms"] == pytest.approx(expected, rel=1e-4)
    assert record["loss"] == pytest.approx(float(sum(attention) + sum(hidden)), rel=1e-4)


def test_distilbert(tmp_path):
    """5 KL at every piece with T = 2 and its square, 2 cross-entropy, 1 cosine of the last hidden states."""
    record, rows, (ours, theirs), _, _ = first_step("distilbert", SHALLOW, tmp_path)
    real, masked = rows["attention_mask"].bool(), rows["labels"] != -100
    kl = functional.kl_div(
        torch.log_softmax(ours.logits[real] / 2, -1), torch.softmax(theirs.logits[real] / 2, -1), reduction="batchmean"
    )
    states = ours.hidden_states[-1][real], theirs.hidden_states[-1][real]
    cosine = functional.cosine_embedding_loss(*states, torch.ones(int(real.sum())))
    mlm = functional.cross_entropy(ours.logits[masked], rows["labels"][masked])
    expected = {"hard_labels": float(mlm), "soft_labels": 4 * float(kl), "cosine_4_2": float(cosine)}
    assert record["terms"] == pytest.approx(expected, rel=1e-4)
    assert record["loss"] == pytest.approx(float(5 * 4 * kl + 2 * mlm + cosine), rel=1e-4)
