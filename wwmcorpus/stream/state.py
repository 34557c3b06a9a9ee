"""What a stream is and where it stands, as plain values; and whether two such descriptions are of the same stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wwmcorpus.errors import CorpusError

#: Raised when the same settings would give other batches.
STATE_FORMAT = 1
_POSITION = ("epoch", "batch_index")
_FIX = "Give what state_dict() gave, unchanged."


def check_same(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Check that a saved position is one in this very stream.

    Raises:
        CorpusError: it is no state of a stream; or something that decides the batches differs: both sides are printed.
    """
    if not isinstance(saved, Mapping):
        raise CorpusError("this is no state of a stream", value=saved, fix=_FIX)
    missing = [key for key in own if key not in saved]
    if missing:
        raise CorpusError("this is no state of a stream", value=sorted(saved), where=f"without {missing}", fix=_FIX)
    for key in own:
        if key not in _POSITION:
            _check_value(key, saved[key], own[key])
    unknown = [key for key in saved if key not in own]
    if unknown:
        raise CorpusError("the state holds what no stream wrote", value=unknown, fix=_FIX)


def position_in(saved: Mapping[str, Any], batches_per_epoch: int) -> tuple[int, int]:
    """Give the epoch and the batch number of a saved state.

    Raises:
        CorpusError: there is no such batch.
    """
    epoch, index = (saved[key] for key in _POSITION)
    if type(epoch) is not int or type(index) is not int or epoch < 0 or not 0 <= index < batches_per_epoch:
        raise CorpusError(
            "the saved position does not exist",
            value={key: saved[key] for key in _POSITION},
            where=f"epochs from 0 on, of {batches_per_epoch} batches",
            fix=_FIX,
        )
    return epoch, index


def _check_value(key: str, saved: Any, own: Any) -> None:
    """Compare two values; of tables, entry by entry, so that the message names the one that differs."""
    if saved == own:
        return
    if isinstance(saved, Mapping) and isinstance(own, Mapping):
        for name in [*own, *(name for name in saved if name not in own)]:
            _check_value(f"{key}.{name}", saved.get(name), own.get(name))
        return
    fix = "Resume with what the run began with."
    if key == "fingerprint":
        fix = "The corpus was changed or is another one: resume with the one that the run began with."
    raise CorpusError(f"the saved stream has {key} {saved}, this one {own}", fix=fix)
