"""A whole job on a real corpus that is stopped and begun again by the same command."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sqlite3
from functools import partial
from typing import ClassVar

import pytest

from wwmcorpus.errors import ConfigError, CorpusError, TerminatedJobError
from wwmcorpus.files import folder_lock
from wwmcorpus.stream import Stream
from wwmcorpus.training import runs
from wwmcorpus.training.reporting import TIMES
from wwmcorpus.training.settings import DistillConfig, PretrainConfig

SHAPE = {"layers": 1, "hidden": 16, "heads": 2, "intermediate": 16, "max_positions": 128}
TRAINING = {"steps": 8, "global_batch_size": 4, "log_every": 3, "evaluate_every": 4, "device": "cpu"}


def stops_at(step):
    class StoppingStream(Stream):
        def __iter__(self):
            for batch in super().__iter__():
                self.num_given = getattr(self, "num_given", 0) + 1
                if self.num_given == step:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

    return StoppingStream


def config(small_corpus, output, **changes):
    values = {
        "corpus": str(small_corpus.path),
        "validation": str(small_corpus.path),
        "output": str(output),
        "student": SHAPE,
        "training": TRAINING | {"evaluation_rows": 8},
    }
    return PretrainConfig(**values | changes)


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


@pytest.fixture(scope="module")
def teacher(small_corpus, tmp_path_factory):
    """A run that was not stopped."""
    return runs.run_pretrain(config(small_corpus, tmp_path_factory.mktemp("whole") / "teacher"))


@pytest.mark.parametrize("step", [1, 5])
def test_pretraining_stopped_and_begun_again(small_corpus, tmp_path, monkeypatch, teacher, step):
    settings = config(small_corpus, tmp_path / "teacher")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "Stream", stops_at(step))
        with pytest.raises(TerminatedJobError, match=f"step {step} of 8, saved"):
            runs.run_pretrain(settings)
    assert not (tmp_path / "teacher").exists()
    result = runs.run_pretrain(settings)
    assert (result.before, result.after, result.baseline) == (teacher.before, teacher.after, teacher.baseline)
    assert metrics(result.output) == metrics(teacher.output)
    names = ("model.safetensors", "config.json")
    assert all((result.output / name).read_bytes() == (teacher.output / name).read_bytes() for name in names)
    assert not (result.output / ".lock").exists()


def test_distillation_stopped_and_begun_again(small_corpus, tmp_path, monkeypatch, teacher):
    found = []
    for folder in ("whole", "stopped"):
        values = config(small_corpus, tmp_path / folder).values() | {"teacher": str(teacher.output)}
        settings = DistillConfig(**values, accept_teacher=True)
        if folder == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(runs, "Stream", stops_at(5))
                with pytest.raises(TerminatedJobError):
                    runs.run_distill(settings)
        found.append(runs.run_distill(settings))
    whole, stopped = found
    assert metrics(stopped.output) == metrics(whole.output)
    assert (stopped.before, stopped.after, stopped.teacher) == (whole.before, whole.after, whole.teacher)
    assert (stopped.output / "model.safetensors").read_bytes() == (whole.output / "model.safetensors").read_bytes()


class Database(sqlite3.Connection):
    """A connection that is counted until it is closed."""

    open: ClassVar[list[sqlite3.Connection]] = []

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.open.append(self)

    def close(self):
        self.open.remove(self)
        super().close()


def test_two_distillations_with_one_cache_of_the_teacher(small_corpus, tmp_path, teacher, monkeypatch):
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Database))
    losses = {"layer_map": "none"}
    cached = TRAINING | {"evaluation_rows": 8, "teacher_cache": str(tmp_path / "cache")}
    made = []
    for name in ("first", "second"):
        values = config(small_corpus, tmp_path / name).values() | {"training": cached}
        settings = DistillConfig(**values, teacher=str(teacher.output), losses=losses, accept_teacher=True)
        made.append(runs.run_distill(settings))
        assert (tmp_path / "cache" / "teacher_logits.sqlite").is_file()
        assert not Database.open
    assert made[0].after == made[1].after
    values = config(small_corpus, tmp_path / "third").values() | {"training": cached | {"seed": 1}}
    other = DistillConfig(**values, teacher=str(teacher.output), losses=losses, accept_teacher=True)
    with pytest.raises(ConfigError, match="seed was 0, now 1"):
        runs.run_distill(other)
    assert not Database.open


def test_what_was_stopped_goes_on_with_its_own_settings_only(small_corpus, tmp_path, monkeypatch, caplog):
    settings = config(small_corpus, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "Stream", stops_at(2))
        with pytest.raises(TerminatedJobError):
            runs.run_pretrain(settings)
    other = config(small_corpus, tmp_path / "run", training=TRAINING | {"evaluation_rows": 8, "seed": 3})
    with pytest.raises(ConfigError, match=r"config\.training\.seed was 0, now 3"):
        runs.run_pretrain(other)
    (weights,) = (tmp_path / "run.partial" / "checkpoints").glob("*/model.safetensors")
    weights.write_bytes(b"")
    free = TRAINING | {"evaluation_rows": 8, "checkpoint_every": 4, "keep_checkpoints": 1}
    with caplog.at_level(logging.WARNING):
        runs.run_pretrain(config(small_corpus, tmp_path / "run", training=free))
    assert "is damaged and passed over" in caplog.text


def test_two_runs_with_one_output(small_corpus, tmp_path):
    partial = tmp_path / "run.partial"
    partial.mkdir()
    with folder_lock(partial, "training"), pytest.raises(CorpusError, match="another process works in the folder"):
        runs.run_pretrain(config(small_corpus, tmp_path / "run"))
    shutil.rmtree(partial)
