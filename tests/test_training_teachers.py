"""Teachers that are no BERT: ELECTRA generators and RoBERTa, as small random models in folders."""

from __future__ import annotations

import pytest
import torch
from training_fakes import VOCAB, batch, tiny
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    RobertaConfig,
    RobertaForMaskedLM,
    set_seed,
)

from wwmcorpus.errors import ConfigError
from wwmcorpus.models.latency import measure_latency
from wwmcorpus.training.heads import forward_masked, load_masked_lm, longest_row, micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.reporting import Reporter, read_metrics
from wwmcorpus.training.settings import DistillLosses, LayerMatch, Optimiser, Training
from wwmcorpus.training.trainer import Trainer

SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
#: Places for 13 pieces: RoBERTa counts positions from 1 where the padding piece is 0.
ROBERTA = SHAPE | {"max_position_embeddings": 14, "type_vocab_size": 1, "pad_token_id": 0}
ELECTRA = SHAPE | {"embedding_size": 16, "max_position_embeddings": 13}


@pytest.fixture(scope="module", params=["electra", "roberta"])
def folder(request, tmp_path_factory):
    set_seed(0)
    model = (
        ElectraForMaskedLM(ElectraConfig(**ELECTRA))
        if request.param == "electra"
        else RobertaForMaskedLM(RobertaConfig(**ROBERTA))
    )
    path = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(path)
    return str(path)


def test_their_heads_give_at_masked_positions_what_the_whole_model_gives(folder):
    teacher, rows = load_masked_lm(folder), batch()
    (cut,) = micro_batches(rows)
    whole = teacher(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], output_hidden_states=True)
    found = forward_masked(teacher, cut, hidden=True)
    masked = rows["labels"] != -100
    torch.testing.assert_close(found.logits_MV, whole.logits[masked], atol=1e-5, rtol=1e-5)
    assert len(found.hidden_BLD) == 5
    torch.testing.assert_close(found.hidden_BLD[-1], whole.hidden_states[-1], atol=1e-5, rtol=1e-5)


def test_the_longest_row_is_the_longest_that_the_model_itself_reads(folder):
    teacher = load_masked_lm(folder)
    longest = longest_row(teacher.config)
    assert longest == 13
    teacher(input_ids=torch.full((1, longest), 7))
    with pytest.raises((IndexError, RuntimeError)):
        teacher(input_ids=torch.full((1, longest + 1), 7))
    (latency,) = measure_latency({"it": teacher}, batch_sizes=(1,), length=128, seconds=0.0)["it"]
    assert latency.batch_size == 1


def test_a_bert_learns_from_them(folder, tmp_path):
    """The terms of a first step are those of the formulas; the value relation is taken from the layers' own weights."""
    matches = (LayerMatch(layers="last", projection="linear"), LayerMatch(layers="last", loss="value_relation"))
    teacher, student, rows = load_masked_lm(folder), tiny(), batch()
    objective = Objective(student, DistillLosses(matches=matches, temperature=1.0), teacher)
    inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"], "output_hidden_states": True}
    real, masked = rows["attention_mask"].bool(), rows["labels"] != -100
    with torch.no_grad():
        ours, theirs = student.eval()(**inputs), teacher(**inputs)
        projected = objective.projections[0](ours.hidden_states[-1])
        relations = [
            log_relation(model.base_model.encoder.layer[-1].attention.self.value(found.hidden_states[-2]), real)
            for model, found in ((student, ours), (teacher, theirs))
        ]
    soft = torch.softmax(theirs.logits[masked], -1) * torch.log_softmax(ours.logits[masked], -1)
    divergence = (relations[1].exp() * (relations[1] - relations[0])).sum(-1).mean(1)[real]
    expected = {
        "soft_labels": -soft.sum(-1).mean(),
        "hidden_mse_4_2": torch.nn.functional.mse_loss(projected[real], theirs.hidden_states[-1][real]),
        "value_relation_4_2": divergence.mean(),
    }
    training = Training(steps=1, device="cpu", dropout=0.0)
    with Reporter("t", 1, tmp_path / "metrics.jsonl") as reporter:
        Trainer(objective, [rows], training, Optimiser(), teacher=teacher, reporter=reporter).run()
    (record,) = read_metrics(tmp_path / "metrics.jsonl", "train")
    assert record["terms"] == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-4)


def log_relation(values, real, heads=2):
    """MiniLMv2's relation of (B, L, D) values in two heads, the student's number: (B, 2, L, L), in logarithms."""
    split = values.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / split.shape[-1] ** 0.5
    return torch.log_softmax(scores.masked_fill(~real[:, None, None, :], -1e4), -1)


def test_the_longest_rows_they_take(folder):
    teacher = load_masked_lm(folder)
    assert forward_masked(teacher, micro_batches(batch(4, 13))[0]).logits_MV.shape[1] == VOCAB
    with pytest.raises(ConfigError, match="rows of 14 pieces do not fit a model of 13 positions"):
        forward_masked(teacher, micro_batches(batch(4, 14))[0])


def test_an_electra_discriminator_has_no_head(tmp_path):
    ElectraForPreTraining(ElectraConfig(**ELECTRA)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"no masked language modelling head.*generator_lm_head"):
        load_masked_lm(str(tmp_path))
