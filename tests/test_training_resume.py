"""Law 7: a run that was stopped at any step and resumed is, bit for bit, the run that was not."""

from __future__ import annotations

import json
import logging
import signal

import pytest
import torch
from training_fakes import TEACHER, batch, tiny

from wwmcorpus.errors import ConfigError, InterruptedJobError, TerminatedJobError, TrainingError
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.optimisers import optimizer_tensors
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.reporting import TIMES, Reporter
from wwmcorpus.training.settings import DistillLosses, Optimiser, Training
from wwmcorpus.training.trainer import Trainer

STEPS = 20


class Rows:
    """Batches with a place: seven an epoch, like a stream's. Before step ``stop_at`` a signal comes."""

    def __init__(self, stop_at=None, number=signal.SIGTERM, error=None):
        self.epoch = self.index = 0
        self.stop_at, self.number, self.error = stop_at, number, error

    def __iter__(self):
        while True:
            epoch, index = self.epoch, self.index
            self.epoch, self.index = (epoch + 1, 0) if index == 6 else (epoch, index + 1)
            if self.stop_at == 7 * epoch + index + 1:
                if self.error:
                    raise self.error
                signal.raise_signal(self.number)
            yield batch(6, seed=7 * epoch + index)
            if self.index == 0:
                return

    def state_dict(self):
        return {"epoch": self.epoch, "index": self.index}

    def load_state_dict(self, state):
        self.epoch, self.index = state["epoch"], state["index"]


def begin(folder, rows=None, optimiser=None, identity=None, **changes):
    """A distillation that is resumed where there is something to resume, and its reporter."""
    folder.mkdir(exist_ok=True)
    settings = {"steps": STEPS, "log_every": 3, "evaluate_every": 8, "dropout": 0.1, "checkpoint_every": None}
    teacher = tiny(TEACHER, 1)
    reporter = Reporter("t", STEPS, folder / "metrics.jsonl")

    def evaluate(step):
        reporter.record("evaluation", step, sum=run.objective.student.cls.predictions.bias.sum().item())
        return 1.0

    run = Trainer(
        Objective(tiny(), DistillLosses(hard_weight=0.5), teacher),
        rows or Rows(),
        Training(**settings | changes),
        optimiser or Optimiser(learning_rate=5e-3),
        teacher=teacher,
        reporter=reporter,
        evaluate=evaluate,
        checkpoints=Checkpoints(folder / "checkpoints", identity=identity),
    )
    return run, run.resume()


def result(folder, run):
    """Everything that must be equal: weights, moments, and metrics but for the times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
    moments = optimizer_tensors(run.objective, run.state.optimizer)
    tensors = {name: tensor.clone() for name, tensor in (*run.objective.state_dict().items(), *moments.items())}
    return tensors, metrics


def assert_same(one, other):
    assert one[1] == other[1]
    assert one[0].keys() == other[0].keys()
    for name, tensor in one[0].items():
        assert torch.equal(tensor, other[0][name]), name


CHANGES = {
    "plain": {},
    "accumulation": {"micro_batch_size": 2},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "published": {"optimiser": Optimiser(learning_rate=5e-3, bias_correction=False, clip="student")},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The runs that were not stopped."""
    found = {}
    for name, changes in CHANGES.items():
        folder = tmp_path_factory.mktemp(name)
        run, resumed = begin(folder, **changes)
        assert not resumed
        run.run()
        found[name] = result(folder, run)
    return found


def stop_and_go_on(folder, stop_at, **changes):
    run, _ = begin(folder, Rows(stop_at), **changes)
    with pytest.raises(TerminatedJobError, match=rf"SIGTERM.*step {stop_at} of {STEPS}, saved.*same command") as caught:
        run.run()
    assert caught.value.exit_status == 143
    again, resumed = begin(folder, **changes)
    assert resumed
    assert again.state.step == stop_at
    again.run()
    return result(folder, again)


@pytest.mark.parametrize("stop_at", range(1, STEPS))
def test_stopped_at_every_step(tmp_path, whole, stop_at):
    assert_same(stop_and_go_on(tmp_path / "run", stop_at), whole["plain"])


@pytest.mark.parametrize("stop_at", [1, 6, 7, 8, 16])
@pytest.mark.parametrize("name", sorted(CHANGES.keys() - {"plain"}))
def test_stopped_with_other_settings(tmp_path, whole, name, stop_at):
    assert_same(stop_and_go_on(tmp_path / "run", stop_at, **CHANGES[name]), whole[name])


def test_a_crash_goes_back_to_the_last_checkpoint(tmp_path, whole):
    """What was recorded after the checkpoint is cut off, and a step that was reached twice counts once."""
    folder = tmp_path / "run"
    run, _ = begin(folder, Rows(13, error=OSError("pulled out")), checkpoint_every=5)
    with pytest.raises(OSError, match="pulled out"):
        run.run()
    again, _ = begin(folder, checkpoint_every=5)
    assert again.state.step == 10
    again.run()
    assert_same(result(folder, again), whole["plain"])
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-00000015", "step-00000020"]


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(tmp_path, whole, caplog):
    folder = tmp_path / "run"
    run, _ = begin(folder, Rows(13), checkpoint_every=5)
    with pytest.raises(TerminatedJobError):
        run.run()
    weights = folder / "checkpoints" / "step-00000013" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with caplog.at_level(logging.WARNING):
        again, _ = begin(folder, checkpoint_every=5)
    assert "model.safetensors was changed" in caplog.text
    assert again.state.step == 10
    again.run()
    assert_same(result(folder, again), whole["plain"])


def test_a_run_that_ended_is_not_run_again(tmp_path, whole):
    folder = tmp_path / "run"
    begin(folder, checkpoint_every=5)[0].run()
    again, _ = begin(folder, Rows(error=AssertionError, stop_at=1), checkpoint_every=5)
    again.run()
    assert_same(result(folder, again), whole["plain"])


def test_the_best_checkpoint_stays(tmp_path):
    folder = tmp_path / "run"
    run, _ = begin(folder, checkpoint_every=4)
    scores = {8: 1.0, 16: 2.0, 20: 3.0}
    run._evaluate = scores.get
    run.run()
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["step-00000008", "step-00000016", "step-00000020"]


def test_an_interrupt(tmp_path):
    run, _ = begin(tmp_path / "run", Rows(4, signal.SIGINT))
    with pytest.raises(InterruptedJobError, match=r"SIGINT.*step 4 of 20") as caught:
        run.run()
    assert caught.value.exit_status == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_config_is_an_error_with_both_sides(tmp_path):
    run, _ = begin(tmp_path / "run", Rows(2), identity={"config": {"learning_rate": 0.1}})
    with pytest.raises(TerminatedJobError):
        run.run()
    with pytest.raises(ConfigError, match=r"config\.learning_rate was 0\.1, now 0\.2"):
        begin(tmp_path / "run", identity={"config": {"learning_rate": 0.2}})


def test_ranks_that_see_other_checkpoints_are_an_error_with_both_sides(tmp_path, monkeypatch):
    """Two machines without a common folder: this one has the checkpoint, the other none."""
    run, _ = begin(tmp_path / "run", Rows(4))
    with pytest.raises(TerminatedJobError):
        run.run()
    monkeypatch.setattr(Ranks, "__init__", lambda ranks: vars(ranks).update(index=0, number=2))
    monkeypatch.setattr(Ranks, "sum", lambda ranks, values: values + torch.tensor([0, 0]))
    with pytest.raises(TrainingError, match=r"different checkpoints: rank 0 at step 4, rank 1 at step 0 .*checkpoints"):
        begin(tmp_path / "run")


def test_another_machine_is_a_warning(tmp_path, caplog, monkeypatch):
    run, _ = begin(tmp_path / "run", Rows(2))
    with pytest.raises(TerminatedJobError):
        run.run()
    monkeypatch.setattr("platform.machine", lambda: "abacus")
    with caplog.at_level(logging.WARNING):
        begin(tmp_path / "run")
    assert "machine was" in caplog.text
    assert 'now "abacus"' in caplog.text


def test_metrics_of_a_run_that_came_to_nothing_are_removed(tmp_path):
    run, _ = begin(tmp_path / "run", Rows(6, error=OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        run.run()
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_size
    assert not begin(tmp_path / "run")[1]
    assert not (tmp_path / "run" / "metrics.jsonl").stat().st_size


def test_metrics_that_are_too_short(tmp_path):
    run, _ = begin(tmp_path / "run", Rows(9))
    with pytest.raises(TerminatedJobError):
        run.run()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    with pytest.raises(TrainingError, match="the metrics end before the checkpoint of step 9: 0 of"):
        begin(tmp_path / "run")


def test_not_a_number_keeps_the_last_good_checkpoint(tmp_path):
    run, _ = begin(tmp_path / "run", checkpoint_every=5)
    step = run.step

    def spoil(rows):
        if run.state.step == 12:
            with torch.no_grad():
                run.objective.student.bert.embeddings.word_embeddings.weight.fill_(float("nan"))
        step(rows)

    run.step = spoil
    with pytest.raises(TrainingError, match=r"the loss is nan.*step 13, rows 0, 1, 2, 3, 4, 5"):
        run.run()
    assert begin(tmp_path / "run")[0].state.step == 10


def test_generators_are_left_as_they_were(tmp_path):
    import random

    import numpy as np

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    begin(tmp_path / "run", steps=2)[0].run()
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.random.get_rng_state(), before[2])
