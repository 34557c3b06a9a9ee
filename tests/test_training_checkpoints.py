"""Checkpoint folders: what comes back, what is kept, what damage and crashes do."""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import shutil

import pytest
import torch
from crash_disk import POLICIES, Crash, CrashDisk

from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.training.checkpoints import Checkpoints


def tensors(step):
    return {"model": {"weight": torch.full((3, 2), float(step))}, "optimizer": {"weight/exp_avg": torch.arange(4.0)}}


def save(checkpoints, step, score=None):
    return checkpoints.save(step, tensors(step), {"number": step, "list": [1.5, None]}, score)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "checkpoints")
    path = save(checkpoints, 7, 1.25)
    found = checkpoints.newest()
    assert (found.path, found.step, found.score) == (path, 7, 1.25)
    assert found.values["number"] == 7
    assert found.values["list"] == [1.5, None]
    assert torch.equal(found.tensors("model")["weight"], torch.full((3, 2), 7.0))
    assert names(path) == ["checkpoint.json", "model.safetensors", "optimizer.safetensors", "state.json"]


def test_no_checkpoint(tmp_path):
    assert Checkpoints(tmp_path / "none").newest() is None
    assert Checkpoints(tmp_path / "none").best() is None


def test_last_and_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep_last=2)
    for step, score in ((10, 3.0), (20, 1.0), (30, None), (40, 2.0), (50, 1.5), (100_000_000, None)):
        save(checkpoints, step, score)
    assert names(tmp_path) == ["step-00000020", "step-00000050", "step-100000000"]
    assert checkpoints.best().step == 20
    assert checkpoints.newest().step == 100_000_000
    (tmp_path / "step-00000020" / "model.safetensors").unlink()
    assert checkpoints.best().step == 50


def test_what_was_passed_over_does_not_outlive_what_is_saved_after_it(tmp_path, caplog):
    """The damaged checkpoint has the higher number; its recorded score, the best of all, does not save it either."""
    checkpoints = Checkpoints(tmp_path, keep_last=1)
    save(checkpoints, 300, 0.5)
    (tmp_path / "step-00000300" / "model.safetensors").write_bytes(b"")
    shutil.copytree(save(Checkpoints(tmp_path / "other"), 200, 1.0), tmp_path / "step-00000200")
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest().step == 200
    save(checkpoints, 210, 2.0)
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == ["step-00000200", "step-00000210"]
    assert checkpoints.newest().step == 210
    assert checkpoints.best().step == 200


def test_another_format_is_an_error_and_not_damage(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("wwmcorpus.training.checkpoints._FORMAT", 2)
        save(Checkpoints(tmp_path), 1)
    with pytest.raises(TrainingError, match=r"has format 2, this version reads 1 .*step-00000001"):
        Checkpoints(tmp_path).newest()


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 5)
    checkpoints.save(5, tensors(9), {"number": 9}, None)
    assert checkpoints.newest().values["number"] == 9


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_found_and_the_one_before_is_used(tmp_path, caplog, name, damage):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    path = save(checkpoints, 2) / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        # A digit of the step, or the last byte of a tensor: what still can be read is what matters.
        place = content.index(b"2") if name.endswith("json") else len(content) - 1
        content[place] ^= 1
        path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest().step == 1
    assert "is damaged and passed over" in caplog.text
    assert "step-00000002" in caplog.text


def test_all_damaged(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (save(checkpoints, 1) / "checkpoint.json").write_text("[]")
    assert checkpoints.newest() is None


def test_another_run_is_refused_with_both_sides(tmp_path):
    save(Checkpoints(tmp_path, identity={"config": {"steps": 100, "betas": (0.9, 0.99)}, "corpus": "aa"}), 1)
    same = Checkpoints(tmp_path, identity={"config": {"steps": 100, "betas": [0.9, 0.99]}, "corpus": "aa"})
    assert same.newest().step == 1
    other = Checkpoints(tmp_path, identity={"config": {"steps": 200, "betas": (0.9, 0.99)}, "corpus": "bb"})
    expected = 'config.steps was 100, now 200; corpus was "aa", now "bb"'
    with pytest.raises(ConfigError, match=expected.replace(".", r"\.")):
        other.newest()


def test_a_full_disk_stops_with_one_message_and_the_last_checkpoint_is_whole(tmp_path):
    """No file may grow past a limit of the system, as if there were no room."""
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1)
    large = {"model": {"weight": torch.zeros(1_000_000)}}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"a checkpoint cannot be written: .*step 2.*Make room"):
            checkpoints.save(2, large, {}, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["step-00000001"]
    assert checkpoints.newest().step == 1


def test_a_crash_at_any_file_operation_leaves_a_whole_checkpoint(tmp_path):
    (tmp_path / "disk").mkdir()
    save(Checkpoints(tmp_path / "disk", keep_last=1), 1)
    with CrashDisk(tmp_path / "disk") as disk:
        save(Checkpoints(tmp_path / "disk", keep_last=1), 2)
    disk.close()
    total, seen = disk.num_operations, set()
    assert total > 10
    for crash_at in range(total + 1):
        root = tmp_path / f"disk{crash_at}"
        root.mkdir()
        save(Checkpoints(root, keep_last=1), 1)
        with CrashDisk(root, crash_at) as disk, contextlib.suppress(Crash):
            save(Checkpoints(root, keep_last=1), 2)
        for number, policy in enumerate(POLICIES):
            left = tmp_path / f"left{crash_at}-{number}"
            disk.image(left, *policy)
            found = Checkpoints(left).newest()
            assert found.step in (1, 2)
            assert torch.equal(found.tensors("model")["weight"], torch.full((3, 2), float(found.step)))
            seen.add(found.step)
        save(Checkpoints(left, keep_last=1), 3)
        assert names(left) == ["step-00000003"]
        disk.close()
    assert seen == {1, 2}


def test_plain_files_without_pickle(tmp_path):
    path = save(Checkpoints(tmp_path), 1)
    for name in ("checkpoint.json", "state.json"):
        json.loads((path / name).read_text())
    for name in ("model.safetensors", "optimizer.safetensors"):
        header = int.from_bytes((path / name).read_bytes()[:8], "little")
        json.loads((path / name).read_bytes()[8 : 8 + header])
