"""Tensors and plain values in, checkpoint folders out that are there whole or not at all; and back.

A folder ``step-00001000`` holds safetensors files and JSON, nothing that runs when it is read. It is written under a
private name, synced and renamed; ``checkpoint.json`` names every other file with its sha256, so damage is found.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from wwmcorpus.errors import TrainingError
from wwmcorpus.files import file_sha256, make_folder, move, remove_folder, sync, write_json
from wwmcorpus.training.identity import check_identity

_PREFIX = "step-"
_INDEX = "checkpoint.json"
_VALUES = "state.json"
_FORMAT = 1

_log = logging.getLogger(__name__)


class _DamagedError(Exception):
    """A checkpoint is not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole.

    Attributes:
        path: Its folder.
        step: Finished optimiser steps.
        score: Held-out loss at that step; None where nothing was evaluated there.
        values: What was saved beside the tensors.
    """

    path: Path
    step: int
    score: float | None
    values: dict[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read one of its tensor files, on the CPU: ``"model"``, ``"optimizer"``."""
        return load_file(self.path / f"{name}.safetensors")


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Made with the first checkpoint.
        keep_last: The newest so many stay, and the one with the best score.
        identity: What decides the run, as plain values: its settings, and hashes of what it reads.
    """

    def __init__(self, folder: Path, keep_last: int = 2, identity: Mapping[str, Any] | None = None) -> None:
        self.folder, self.keep_last, self.identity = folder, keep_last, dict(identity or {})

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], values: Mapping[str, Any], score: float | None
    ) -> Path:
        """Write a checkpoint and remove those that are not to be kept.

        Args:
            step: Finished steps.
            tensors: Per file its tensors by name.
            values: Anything that JSON can hold.
            score: The lower the better; None where there is none.

        Raises:
            TrainingError: the disk is full or cannot be written; the earlier checkpoints are as they were.
        """
        final = self.folder / f"{_PREFIX}{step:08d}"
        attempt = self.folder / f".{final.name}.{os.getpid()}.tmp"
        try:
            make_folder(self.folder)
            self._clean()
            attempt.mkdir()
            for name, group in tensors.items():
                path = attempt / f"{name}.safetensors"
                save_file({key: tensor.detach().cpu().contiguous() for key, tensor in group.items()}, path)
                sync(path)
            write_json(attempt / _VALUES, dict(values) | {"identity": self.identity})
            hashes = {path.name: file_sha256(path) for path in sorted(attempt.iterdir())}
            content = {"format": _FORMAT, "step": step, "score": score, "files": hashes}
            write_json(attempt / _INDEX, content | {"sha256": _digest(content)})
            sync(attempt)
            remove_folder(final)
            move(attempt, final)
            self._prune(final)
        except (OSError, SafetensorError) as error:
            remove_folder(attempt)
            raise TrainingError(
                f"a checkpoint cannot be written: {error}",
                where=f"step {step}, {self.folder}",
                fix="Make room, then run the same command: it goes on from the checkpoint before.",
            ) from None
        return final

    def newest(self) -> Checkpoint | None:
        """Give the newest checkpoint that is whole, with a warning for each damaged one that is passed over.

        Raises:
            ConfigError: it is of a run with another identity; both sides of each difference are named.
            TrainingError: it was written in another format.
        """
        for path in reversed(self._paths()):
            try:
                found = _verified(path)
            except _DamagedError as error:
                _log.warning("checkpoint %s is damaged and passed over: %s", path, error)
                continue
            check_identity(found.values["identity"], self.identity, str(path))
            return found
        return None

    def best(self) -> Checkpoint | None:
        """Give the checkpoint with the lowest held-out loss among those that are whole; None where none has one."""
        known = {path: score for path in self._paths() if (score := _score(path)) is not None}
        for path in sorted(known, key=lambda path: known[path]):
            try:
                return _verified(path)
            except _DamagedError as error:
                _log.warning("checkpoint %s is damaged and passed over: %s", path, error)
        return None

    def _paths(self) -> list[Path]:
        """Give the folders, oldest first: numbers have leading zeros."""
        return sorted(path for path in self.folder.glob(f"{_PREFIX}*") if path.is_dir())

    def _prune(self, saved: Path) -> None:
        """Keep the newest up to the one just saved, and the best. What lies above it was passed over as damaged."""
        paths = self._paths()
        whole = paths[: paths.index(saved) + 1]
        kept = set(whole[-self.keep_last :])
        known = {path: score for path in whole if (score := _score(path)) is not None}
        if known:
            kept.add(min(known, key=lambda path: known[path]))
        for path in paths:
            if path not in kept:
                # First out of sight, so that a crash leaves no half of a checkpoint under its name.
                hidden = path.with_name(f".{path.name}.old")
                path.replace(hidden)
                remove_folder(hidden)

    def _clean(self) -> None:
        """Remove what a crash left under private names."""
        for path in self.folder.glob(f".{_PREFIX}*"):
            remove_folder(path)


def _verified(path: Path) -> Checkpoint:
    index = _read(path / _INDEX)
    recorded = index.pop("sha256", None)
    if recorded != _digest(index):
        raise _DamagedError(f"{_INDEX} was changed")
    if index["format"] != _FORMAT:
        raise TrainingError(
            f"the checkpoint has format {index['format']}, this version reads {_FORMAT}",
            where=str(path),
            fix="Go on with the version of wwmcorpus that wrote it.",
        )
    for name, sha256 in index["files"].items():
        if not (path / name).is_file():
            raise _DamagedError(f"{name} is missing")
        if file_sha256(path / name) != sha256:
            raise _DamagedError(f"{name} was changed")
    return Checkpoint(path, index["step"], index["score"], _read(path / _VALUES))


def _score(path: Path) -> float | None:
    try:
        score: float | None = _read(path / _INDEX)["score"]
    except (_DamagedError, KeyError):
        return None
    return score


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _DamagedError(f"{path.name} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise _DamagedError(f"{path.name} holds no object")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
