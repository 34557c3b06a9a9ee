"""Law 8: one loss, however it is cut: two and three processes equal one on the same global batches."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch
from parallel_training import distil, rank_main, wait_for
from safetensors.torch import load_file

from wwmcorpus.errors import ConfigError
from wwmcorpus.stream import Stream
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.reporting import read_metrics
from wwmcorpus.training.state import weights_of


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with torch loaded: their server needs the way to this folder from its first breath."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["parallel_training"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    return context


def run_ranks(processes, folder, num_ranks, **options):
    """Give the exit codes of the ranks of one run."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [
        processes.Process(target=rank_main, args=(str(folder), port, rank, num_ranks, options))
        for rank in range(num_ranks)
    ]
    for rank in ranks:
        rank.start()
    return wait_for(ranks)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return weights_of(distil(folder, 0, 1)), read_metrics(folder / "metrics.jsonl", "train")


def assert_near(folder, alone, rank=0):
    found = load_file(folder / f"rank{rank}.safetensors")
    assert any(name.startswith("projections.maps.0") for name in found)
    assert found.keys() == alone[0].keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, alone[0][name].detach(), atol=5e-5, rtol=1e-3)


@pytest.mark.parametrize(("num_ranks", "micro_batch_size"), [(2, None), (3, None), (2, 2)])
def test_ranks_equal_one_process(processes, tmp_path, alone, num_ranks, micro_batch_size):
    folder = tmp_path / "run"
    assert run_ranks(processes, folder, num_ranks, micro_batch_size=micro_batch_size) == [0] * num_ranks
    for rank in range(num_ranks):
        assert_near(folder, alone, rank)
    first = load_file(folder / "rank0.safetensors")
    assert all(torch.equal(tensor, first[name]) for name, tensor in load_file(folder / "rank1.safetensors").items())
    found = read_metrics(folder / "metrics.jsonl", "train")
    assert [line["step"] for line in found] == [2, 4, 6, 7]
    for line, expected in zip(found, alone[1], strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert line["terms"] == pytest.approx(expected["terms"], rel=1e-4)
        assert line["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)
        assert line["num_pieces"] == expected["num_pieces"]


def test_a_rank_of_rows_that_only_fill_the_batch_changes_nothing(processes, tmp_path):
    (tmp_path / "alone").mkdir()
    alone = weights_of(distil(tmp_path / "alone", 0, 1, num_real=5)), []
    assert run_ranks(processes, tmp_path / "run", 2, num_real=5) == [0, 0]
    assert_near(tmp_path / "run", alone)
    found, expected = (read_metrics(tmp_path / name / "metrics.jsonl", "train") for name in ("run", "alone"))
    for line, wanted in zip(found, expected, strict=True):
        assert line["terms"] == pytest.approx(wanted["terms"], rel=1e-4)
        assert line["num_pieces"] == wanted["num_pieces"]


def test_a_signal_to_one_rank_stops_all_and_another_number_of_ranks_goes_on(processes, tmp_path, alone):
    folder = tmp_path / "run"
    assert run_ranks(processes, folder, 2, stopped_rank=1, stop_at=4) == [0, 0]
    assert not (folder / "rank0.safetensors").exists()
    saved = Checkpoints(folder / "checkpoints").newest()
    assert saved.step == 4
    assert saved.values["stream"] == {"position": 4}
    assert run_ranks(processes, folder, 3) == [0, 0, 0]
    assert_near(folder, alone)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 7]


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_resumed_ranks_equal_ranks_that_were_not_stopped(processes, tmp_path, num_ranks):
    """With three, the order in which a sum is taken counts."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run_ranks(processes, whole, num_ranks, dropout=0.1) == [0] * num_ranks
    assert run_ranks(processes, stopped, num_ranks, dropout=0.1, stopped_rank=0, stop_at=3) == [0] * num_ranks
    assert run_ranks(processes, stopped, num_ranks, dropout=0.1) == [0] * num_ranks
    assert (whole / "rank0.safetensors").read_bytes() == (stopped / "rank0.safetensors").read_bytes()
    kept = ("step", "loss", "terms", "grad_norm", "num_pieces")
    metrics = [
        [{key: line[key] for key in kept} for line in read_metrics(folder / "metrics.jsonl", "train")]
        for folder in (whole, stopped)
    ]
    assert metrics[0] == metrics[1]


def test_a_world_size_that_does_not_divide_the_batch(small_corpus):
    with pytest.raises(ConfigError, match="world size 3 does not divide the global batch of 8"):
        Stream(small_corpus, 8, world_size=3)
