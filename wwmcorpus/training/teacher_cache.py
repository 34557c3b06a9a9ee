# ruff: noqa: N806 - names end in shape suffixes; the legend is in losses.py
"""Rows in, the teacher's largest logits at their masked positions out: from disk where some run was there before.

The key is a hash of the row as the teacher sees it: its pieces after masking, and which of them are to be told. That
says all that corpus, masking, seed, epoch and row say, and nothing of step or rank: order, batch size and number of
processes may differ from run to run. What the logits depend on beside stands in the header, and a cache with another
header is refused. Logits are kept in half precision, and so they are used, whether they were read or just computed: a
run is the same with a cache that is empty, partly filled or full.

Only logits are kept: a row of 512 pieces has 20 kB of them at 64 a position, and 5 MB of hidden states.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from wwmcorpus.errors import ConfigError, TrainingError, differences
from wwmcorpus.training.cuts import row_lengths
from wwmcorpus.training.heads import MicroBatch
from wwmcorpus.training.objective import Objective

#: Seconds that a process waits for another to finish writing.
_PATIENCE_SECONDS = 60.0
_FILE = "teacher_logits.sqlite"
_FORMAT = 1
#: Values of a model's configuration that say where it came from.
_NOT_CONTENT = ("_name_or_path", "transformers_version")

#: Logits (M, K) float32 and pieces (M, K) int64 of the masked positions of some rows.
Kept = tuple[Tensor, Tensor]


class Rows(NamedTuple):
    """The rows of a micro-batch.

    Attributes:
        keys: A hash of each.
        num_masked: Masked positions of each.
    """

    keys: list[bytes]
    num_masked: list[int]


def rows_of(batch: MicroBatch) -> Rows:
    """Give the rows of a micro-batch on the CPU, in a grid or end to end."""
    if batch.row_ends is None:
        begins = np.arange(batch.input_ids_BL.shape[0] + 1) * batch.input_ids_BL.shape[1]
        lengths = row_lengths(batch.attention_mask_BL).numpy()
    else:
        begins = batch.row_ends.ends.numpy().astype(np.int64)
        lengths = np.diff(begins)
    ids, positions = batch.input_ids_BL.flatten().numpy().astype(np.int32), batch.positions_M.numpy()
    segments = None if batch.segments_BL is None else batch.segments_BL.flatten().numpy().astype(np.int8)
    cuts = np.searchsorted(positions, begins)
    keys = []
    for row, length in enumerate(lengths):
        told = (positions[cuts[row] : cuts[row + 1]] - begins[row]).astype(np.int32)
        seen = hashlib.blake2b(ids[begins[row] : begins[row] + length].tobytes(), digest_size=16)
        seen.update(b"|" + told.tobytes())
        if segments is not None:
            seen.update(b"|" + segments[begins[row] : begins[row] + length].tobytes())
        keys.append(seen.digest())
    return Rows(keys, np.diff(cuts).tolist())


def model_sha256(model: PreTrainedModel) -> str:
    """Give the sha256 of what decides a model's numbers: weights, and heads, activation and so on; not their place."""
    values = {key: value for key, value in model.config.to_dict().items() if key not in _NOT_CONTENT}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def check_cache_fits(objective: Objective, top_k: int) -> None:
    """Raise ConfigError unless so many logits at masked positions are all that the losses take from the teacher."""
    losses = objective.losses
    fits = (
        losses.soft_weight
        and not objective.matches
        and losses.soft_positions == "masked"
        and losses.soft_loss in ("cross_entropy", "kl")
        and losses.temperature_schedule.shape != "flsw"
    )
    if not fits:
        raise ConfigError(
            "these losses need more of the teacher than a cache of logits holds",
            where="training.teacher_cache",
            fix='Leave it out, or set losses.layer_map = "none" and compare soft labels at masked positions alone.',
        )
    num_needed = min(losses.soft_top_k or 1, objective.student.config.vocab_size)
    if num_needed > top_k:
        raise ConfigError(
            f"the losses take {num_needed} logits of the teacher at each position and its cache keeps {top_k}",
            value=losses.soft_top_k,
            where="losses.soft_top_k",
            fix="Lower it, or raise training.teacher_cache_top_k.",
        )


class TeacherCache:
    """A cache in a folder; several processes of one machine may share it.

    Args:
        folder: Made where there is none.
        identity: Hashes of teacher and corpus, masking, seed.
        top_k: Logits per position.

    Raises:
        ConfigError: the folder holds a cache of something else; both sides are named.
        TrainingError: the file cannot be opened.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], top_k: int) -> None:
        self.top_k, self._path = top_k, folder / _FILE
        header = {"format": _FORMAT, "top_k": top_k, **identity}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)
            with self._database as database:
                database.execute("CREATE TABLE IF NOT EXISTS header (content TEXT NOT NULL)")
                database.execute("CREATE TABLE IF NOT EXISTS logits (row BLOB PRIMARY KEY, pieces BLOB, logits BLOB)")
                database.execute("BEGIN IMMEDIATE")
                found = database.execute("SELECT content FROM header").fetchone()
                if found is None:
                    database.execute("INSERT INTO header VALUES (?)", (json.dumps(header),))
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None
        unlike = [] if found is None else list(differences(json.loads(found[0]), header))
        if unlike:
            self.close()
            raise ConfigError(
                "the cache is of another teacher or other rows: " + "; ".join(unlike),
                value=str(folder),
                where="training.teacher_cache",
                fix="Name another folder, or delete this one.",
            )

    def look_up(self, rows: Rows, compute: Callable[[], Tensor]) -> Kept:
        """Give the kept logits of some rows.

        Args:
            rows: From ``rows_of``.
            compute: Gives all logits of all these rows, (M, V), rows in order; called where any row is missing.

        Raises:
            TrainingError: the cache cannot be read or written.
        """
        try:
            kept = self._read(rows)
            if kept is None:
                logits_MK, pieces_MK = compute().float().topk(self.top_k, dim=-1)
                kept = logits_MK.half().cpu().numpy(), pieces_MK.to(torch.int32).cpu().numpy()
                self._write(rows, *kept)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        return torch.from_numpy(kept[0]).float(), torch.from_numpy(kept[1]).long()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _read(self, rows: Rows) -> tuple[NDArray[np.float16], NDArray[np.int32]] | None:
        """Give what is kept of all rows; None where any is missing."""
        query = "SELECT logits, pieces FROM logits WHERE row = ?"
        found = [self._database.execute(query, (key,)).fetchone() for key in rows.keys]
        if any(kept is None for kept in found):
            return None
        shape = (sum(rows.num_masked), self.top_k)
        logits, pieces = (bytearray(b"".join(kept[column] for kept in found)) for column in (0, 1))
        return np.frombuffer(logits, np.float16).reshape(shape), np.frombuffer(pieces, np.int32).reshape(shape)

    def _write(self, rows: Rows, logits: NDArray[np.float16], pieces: NDArray[np.int32]) -> None:
        ends = np.cumsum(rows.num_masked)[:-1]
        parts = zip(rows.keys, np.split(pieces, ends), np.split(logits, ends), strict=True)
        with self._database as database:
            content = [(key, of_row.tobytes(), values.tobytes()) for key, of_row, values in parts]
            database.executemany("INSERT OR IGNORE INTO logits VALUES (?, ?, ?)", content)

    def _unusable(self, error: Exception) -> TrainingError:
        return TrainingError(
            f"the cache of the teacher cannot be used: {error}", where=str(self._path), fix="Name another folder."
        )
