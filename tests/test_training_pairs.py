"""Sentence pairs: segments reach the models, and the pair head is Hugging Face's, in its loss and when written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_training_runs import FakeCorpus, FakeStream, pretrain_config
from training_fakes import STUDENT, TEACHER, VOCAB, batch, tiny, tokenizer_folder
from transformers import BertForMaskedLM, BertForPreTraining

from wwmcorpus.errors import ConfigError
from wwmcorpus.training import runs
from wwmcorpus.training.heads import forward_masked, micro_batches
from wwmcorpus.training.initialise import initialise
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.pair_head import pair_accuracy
from wwmcorpus.training.settings.shapes import Initialisation
from wwmcorpus.training.students import build_student, student_config
from wwmcorpus.training.unpadded import joined_rows


def pairs(num_rows: int = 8, seed: int = 0) -> dict[str, torch.Tensor]:
    rows = batch(num_rows, seed=seed)
    halves = torch.arange(rows["input_ids"].shape[1]) >= 4
    segments = (halves & rows["attention_mask"].bool()).long()
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, 2, num_rows))
    return rows | {"token_type_ids": segments, "pair_label": labels}


@pytest.fixture
def student():
    return build_student(student_config(STUDENT, VOCAB), seed=3, has_pair_head=True).eval()


@pytest.mark.parametrize("has_pair_head", [False, True])
def test_segments_reach_the_model(has_pair_head):
    model = build_student(student_config(STUDENT, VOCAB), 3, has_pair_head).eval()
    rows = pairs()
    (cut,) = micro_batches(rows)
    names = ("input_ids", "attention_mask", "token_type_ids")
    outputs = model(**{name: rows[name] for name in names})
    logits = outputs.prediction_logits if has_pair_head else outputs.logits
    torch.testing.assert_close(forward_masked(model, cut).logits_MV, logits[rows["labels"] != -100])
    without = {name: rows[name] for name in names[:2]}
    assert not torch.allclose(model(**without)[0], logits)


def test_rows_end_to_end_keep_their_segments():
    rows = pairs()
    (cut,) = joined_rows(rows)
    inside = rows["attention_mask"].bool()
    assert torch.equal(cut.segments_BL[0], rows["token_type_ids"][inside])
    assert torch.equal(cut.to(torch.device("cpu")).segments_BL, cut.segments_BL)


def test_pair_loss_is_hugging_faces(student):
    rows = pairs()
    objective = Objective(student, pair_weight=0.5)
    assert [(term.name, term.weight, term.unit) for term in objective.terms] == [
        ("hard_labels", 1.0, "masked"),
        ("pair_labels", 0.5, "rows"),
    ]
    hard, pair = sum(objective(cut) for cut in micro_batches(rows, 3))
    names = ("input_ids", "attention_mask", "token_type_ids", "labels")
    expected = student(**{name: rows[name] for name in names}, next_sentence_label=rows["pair_label"]).loss
    num_masked = int((rows["labels"] != -100).sum())
    torch.testing.assert_close(hard / num_masked + pair / len(rows["labels"]), expected)


def test_accuracy_equals_a_naive_count(student):
    many = [pairs(seed=seed) for seed in range(3)]
    right = []
    for rows in many:
        inputs = {name: rows[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        best = student(**inputs).seq_relationship_logits.argmax(-1)
        right += (best == rows["pair_label"]).tolist()
    assert pair_accuracy(student, many) == pytest.approx(np.mean(right))


@pytest.fixture
def paired(monkeypatch, tmp_path):
    """Let the runs read a fake corpus of pairs."""
    folder = tokenizer_folder(tmp_path / "tokenizer")

    class PairCorpus(FakeCorpus):
        has_pairs = True

    class PairStream(FakeStream):
        def batch(self, epoch, index):
            return pairs(self.size, seed=1000 * self.seed + 100 * epoch + index)

    monkeypatch.setattr(runs, "open_corpus", lambda path: PairCorpus(path, folder))
    monkeypatch.setattr(runs, "Stream", PairStream)
    monkeypatch.setattr(runs, "draw_curves", lambda metrics, output: None)


def test_a_run_writes_both_heads_and_goes_on_with_both(paired, tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path, pair_weight=1.0))
    assert first.after.pair_accuracy is not None
    assert "of pairs right" in first.summary()
    metrics = [json.loads(line) for line in (first.output / "metrics.jsonl").read_text().splitlines()]
    assert set(next(line for line in metrics if line["kind"] == "train")["terms"]) == {"hard_labels", "pair_labels"}
    whole, masked = (kind.from_pretrained(first.output) for kind in (BertForPreTraining, BertForMaskedLM))
    rows = pairs()
    inputs = {name: rows[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    torch.testing.assert_close(whole.eval()(**inputs).prediction_logits, masked.eval()(**inputs).logits)
    init = {"weights": str(first.output)}
    more = pretrain_config(tmp_path, student=None, init=init, pair_weight=1.0, output=str(tmp_path / "more"))
    assert runs.run_pretrain(more).before == first.after


def test_a_pair_head_that_the_source_lacks_is_random(paired, tmp_path):
    plain = runs.run_pretrain(pretrain_config(tmp_path))
    assert plain.after.pair_accuracy is None
    init = {"weights": str(plain.output)}
    config = pretrain_config(tmp_path, student=None, init=init, pair_weight=1.0, output=str(tmp_path / "more"))
    more = runs.run_pretrain(config)
    assert more.before.loss == plain.after.loss
    assert more.before.pair_accuracy is not None


def test_pairs_that_are_not_there(tmp_path, paired, monkeypatch):
    monkeypatch.setattr(runs, "open_corpus", lambda path: FakeCorpus(path, tmp_path / "tokenizer"))
    with pytest.raises(ConfigError, match=r"no sentence pairs: 'corpus' \(pair_weight\)"):
        runs.run_pretrain(pretrain_config(tmp_path, pair_weight=1.0))


def test_only_a_bert_gives_its_weights():
    source = tiny(TEACHER)
    source.config.model_type = "electra"
    with pytest.raises(ConfigError, match="only a BERT can give its weights to a student: 'electra'"):
        initialise(tiny(TEACHER), source, Initialisation(weights="teacher"))
