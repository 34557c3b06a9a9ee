"""What only a GPU can show: half precision, attention without padding, compiling, copies that wait for nothing."""

from __future__ import annotations

import pytest
import torch
from training_fakes import batch, tiny

from wwmcorpus.training import unpadded
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.heads import micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.optimisers import optimizer_tensors
from wwmcorpus.training.reporting import Reporter, read_metrics
from wwmcorpus.training.settings import DistillLosses, Optimiser, StudentShape, Training
from wwmcorpus.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

TEACHER = StudentShape(layers=4, hidden=64, heads=4, intermediate=128, dropout=0.0, max_positions=40)
STUDENT = StudentShape(layers=2, hidden=36, heads=4, intermediate=64, dropout=0.0, max_positions=40)


class Rows:
    """Batches with a place."""

    def __init__(self):
        self.position = 0

    def __iter__(self):
        while True:
            self.position += 1
            yield batch(8, seed=self.position % 5)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def trainer(tmp_path, losses=None, student=STUDENT, evaluate=None, **changes):
    teacher = tiny(TEACHER, 1)
    training = {"steps": 30, "log_every": 5, "precision": "bf16"}
    tmp_path.mkdir(exist_ok=True)
    return Trainer(
        Objective(tiny(student), losses or DistillLosses(hard_weight=0.5), teacher),
        Rows(),
        Training(**training | changes),
        Optimiser(learning_rate=5e-3),
        teacher=teacher,
        reporter=Reporter("t", 30, tmp_path / "metrics.jsonl"),
        evaluate=evaluate,
        checkpoints=Checkpoints(tmp_path / "checkpoints"),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "fp16"},
        {"precision": "fp32"},
        {"unpad": False},
        {"unpad": False, "compile": True},
        {"compile": True},
        {"gradient_checkpointing": True},
        {"micro_batch_size": 3},
        {"dropout": 0.1},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())) or "bf16",
)
def test_the_loss_falls(tmp_path, changes):
    run = trainer(tmp_path, **changes)
    run.run()
    lines = read_metrics(tmp_path / "metrics.jsonl", "train")
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(parameter.dtype == torch.float32 for parameter in run.objective.parameters())
    assert 0 <= lines[-1]["waiting_share"] < 1


def test_fp16_leaves_out_steps_that_overflow_and_finds_a_scale(tmp_path):
    run = trainer(tmp_path, precision="fp16", log_every=1)
    run.state.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40)
    run.run()
    lines = read_metrics(tmp_path / "metrics.jsonl", "train")
    assert sum(line["num_skipped"] for line in lines) > 0
    assert lines[-1]["num_skipped"] == 0
    assert lines[-1]["loss_scale"] < 2.0**40


@pytest.mark.skipif(unpadded.kernel() is None, reason="this torch has no torch.nn.attention.varlen")
@pytest.mark.parametrize("student", [STUDENT, TEACHER], ids=["heads of 9", "heads of 16"])
def test_rows_end_to_end_give_what_padded_rows_give(student):
    rows, found = batch(16, seed=3), []
    for joins in (False, True):
        teacher = tiny(TEACHER, 1).cuda()
        objective = Objective(tiny(student), DistillLosses(hard_weight=0.5), teacher).cuda()
        if joins:
            for model in (objective.student, teacher):
                unpadded.use_unpadded_attention(model)
        (cut,) = unpadded.joined_rows(rows) if joins else micro_batches(rows)
        cut = cut.to(torch.device("cuda"))
        with torch.autocast("cuda", torch.bfloat16):
            sums = objective(cut, objective.teach(teacher, cut))
        sums.sum().backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in objective.parameters()])
        found.append((sums.detach(), gradient))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=2e-2, atol=2e-2)
    assert torch.nn.functional.cosine_similarity(found[0][1], found[1][1], dim=0) > 0.99


def test_training_without_padding_is_taken_where_it_can_be(tmp_path):
    run = trainer(tmp_path)
    (cut,) = run._planner.plan(batch(8)).cuts
    assert (cut.row_ends is not None) == (unpadded.kernel() is not None)
    (cut,) = trainer(tmp_path, dropout=0.1)._planner.plan(batch(8)).cuts
    assert cut.row_ends is None


def test_bf16_is_near_fp32(tmp_path):
    losses = []
    for precision in ("fp32", "bf16"):
        folder = tmp_path / precision
        trainer(folder, precision=precision, steps=1, log_every=1).run()
        losses.append(read_metrics(folder / "metrics.jsonl", "train")[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("unpad", [True, False])
def test_nothing_in_a_step_waits_for_the_device(tmp_path, unpad):
    """Torch raises where the CPU would have to wait; the copies go from pinned memory."""
    run = trainer(tmp_path, precision="bf16", unpad=unpad)
    rows = [batch(8, seed=seed) for seed in range(4)]
    run.step(rows[0])  # the first step makes buffers
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for each in rows[1:]:
            run.step(each)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_resumed_run_is_near_the_whole_one(tmp_path, precision):
    """Weights and scaler come back as they were; what follows is equal but for the order of a GPU's sums."""
    whole = trainer(tmp_path / "whole", precision=precision, steps=10, checkpoint_every=5)
    whole.run()
    again = trainer(tmp_path / "whole", precision=precision, steps=10, checkpoint_every=5)
    assert again.resume()
    for name, tensor in whole.objective.state_dict().items():
        assert torch.equal(tensor, again.objective.state_dict()[name]), name
    moments = optimizer_tensors(whole.objective, whole.state.optimizer)
    for name, tensor in optimizer_tensors(again.objective, again.state.optimizer).items():
        assert torch.equal(tensor, moments[name]), name
        assert tensor.device == moments[name].device
    assert again.state.scaler.get_scale() == whole.state.scaler.get_scale()
    assert torch.equal(again.state.module.student.bert.embeddings.word_embeddings.weight.cpu(),
                       whole.state.module.student.bert.embeddings.word_embeddings.weight.cpu())  # fmt: skip
    again.step(batch(8))
