"""What a stream is and where it stands, as plain values; and whether two such descriptions are of the same stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wwmcorpus.errors import CorpusError

#: Raised when the same settings would give other batches.
STATE_FORMAT = 1
_POSITION = ("epoch", "batch_index")


def check_same(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Check that a saved position is one in this very stream.

    Raises:
        CorpusError: something that decides the batches differs; both sides are printed.
    """
    missing = [key for key in own if key not in saved]
    if missing:
        raise CorpusError(
            "this is no state of a stream", value=sorted(saved), where=f"without {missing}", fix="Give state_dict()'s."
        )
    for key in own:
        if key not in _POSITION:
            _check_value(key, saved[key], own[key])


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
