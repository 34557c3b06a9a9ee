"""The jobs on a fake corpus and stream: what they write, what they refuse, and that teachers reach their students."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from training_fakes import VOCAB, batch, tokenizer_folder
from transformers import BertForMaskedLM

from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.training import runs
from wwmcorpus.training.settings import DistillConfig, PretrainConfig, TwoStageConfig

SHAPE = {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "max_positions": 40}
TRAINING = {"steps": 4, "global_batch_size": 4, "log_every": 2, "evaluation_draws": 2, "device": "cpu"}


class FakeCorpus:
    def __init__(self, path, folder):
        self.path, self.tokenizer_folder = Path(path), folder
        self.fingerprint, self.signature = "f" * 64, "wwm|fake"
        self.vocabulary = SimpleNamespace(num_pieces=VOCAB, pad_id=0, frame_ids=np.array([0, 2, 3, 4]), sha256="v")

    def __len__(self):
        return 0 if self.path.name == "empty" else 20

    def piece_counts(self):
        return np.arange(VOCAB, dtype=np.int64)


class FakeStream:
    def __init__(self, corpus, global_batch_size=64, seed=0, rank=0, world_size=1, masking=None):
        if len(corpus) < global_batch_size:
            raise CorpusError("fewer rows than one global batch", fix="Make it smaller.")
        self.size, self.rows, self.seed = global_batch_size, len(corpus), seed

    def batch(self, epoch, index):
        return batch(self.size, seed=1000 * self.seed + 100 * epoch + index)

    def __iter__(self):
        return (self.batch(0, index) for index in range(self.rows // self.size))


@pytest.fixture(autouse=True)
def fakes(monkeypatch, tmp_path):
    folder = tokenizer_folder(tmp_path / "tokenizer")
    monkeypatch.setattr(runs, "open_corpus", lambda path: FakeCorpus(path, folder))
    monkeypatch.setattr(runs, "Stream", FakeStream)


def pretrain_config(tmp_path, **changes):
    values = {
        "corpus": "corpus",
        "validation": "held_out",
        "output": str(tmp_path / "teacher"),
        "student": SHAPE,
        "training": TRAINING,
    }
    return PretrainConfig(**values | changes)


def test_pretrain_writes_a_folder_that_hugging_face_opens(tmp_path):
    result = runs.run_pretrain(pretrain_config(tmp_path))
    names = {path.name for path in result.output.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "metrics.jsonl",
        "README.md",
    }
    assert BertForMaskedLM.from_pretrained(result.output).config.vocab_size == VOCAB
    assert list(result.figures) == ["unigram baseline", "student before", "student after"]
    assert result.before != result.after
    kinds = [json.loads(line)["kind"] for line in (result.output / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["baseline", "evaluation", "train", "train", "evaluation"]
    assert "wwm|fake" in (result.output / "README.md").read_text()


def test_a_run_is_a_function_of_its_config(tmp_path):
    first = runs.run_pretrain(pretrain_config(tmp_path))
    torch.rand(5)
    again = runs.run_pretrain(pretrain_config(tmp_path, output=str(tmp_path / "again")))
    assert (first.output / "model.safetensors").read_bytes() == (again.output / "model.safetensors").read_bytes()
    assert first.after == again.after


def test_first_bias(tmp_path):
    begun = [
        runs.run_pretrain(pretrain_config(tmp_path, output=str(tmp_path / bias), output_bias=bias))
        for bias in ("zero", "log_frequency")
    ]
    assert begun[0].before.loss == pytest.approx(np.log(VOCAB), rel=0.02)
    assert begun[1].before.loss == pytest.approx(begun[1].baseline.loss, rel=0.02)


def test_two_stages(tmp_path):
    teacher = runs.run_pretrain(pretrain_config(tmp_path))
    stage = {"model": SHAPE | {"hidden": 12}, "training": TRAINING | {"micro_batch_size": 2}}
    config = TwoStageConfig(
        corpus="corpus",
        validation="held_out",
        output=str(tmp_path / "two"),
        teacher=str(teacher.output),
        assistant=stage,
        student=stage | {"model": SHAPE},
    )
    result = runs.run_two_stage(config)
    assert result.assistant.teacher == teacher.after
    assert result.student.teacher == result.assistant.after
    assert [path.name for path in (result.assistant.output, result.student.output)] == ["assistant", "student"]
    metrics = [json.loads(line) for line in (result.student.output / "metrics.jsonl").read_text().splitlines()]
    assert set(next(line for line in metrics if line["kind"] == "train")["terms"]) == {
        "soft_labels",
        "hidden_mse_0_0",
        "hidden_mse_1_1",
    }


def test_progress_bar_on_a_terminal(tmp_path):
    with open(tmp_path / "screen", "w") as screen:
        runs.run_pretrain(pretrain_config(tmp_path), console=Console(file=screen, force_terminal=True, width=120))
    text = (tmp_path / "screen").read_text()
    assert "4/4" in text
    assert "loss" in text


def test_no_validation_corpus(tmp_path):
    result = runs.run_pretrain(pretrain_config(tmp_path, validation=None))
    assert result.figures == {}


def test_output_that_exists_is_refused_before_any_work(tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "mine").touch()
    with pytest.raises(ConfigError, match="exists already"):
        runs.run_pretrain(pretrain_config(tmp_path))
    with pytest.raises(ConfigError, match="exists already"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher="nowhere"))


def test_empty_corpora(tmp_path):
    with pytest.raises(ConfigError, match="validation corpus is empty"):
        runs.run_pretrain(pretrain_config(tmp_path, validation="empty"))
    with pytest.raises(CorpusError, match="fewer rows"):
        runs.run_pretrain(pretrain_config(tmp_path, validation=None, corpus="empty"))


def test_teacher_of_another_vocabulary(tmp_path):
    from training_fakes import tiny

    tiny(vocab_size=50).save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="the teacher has 50 pieces where 60 are expected"):
        runs.run_distill(DistillConfig(**pretrain_config(tmp_path).values(), teacher=str(tmp_path / "other")))
