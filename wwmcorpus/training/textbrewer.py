"""A TextBrewer configuration in, the settings that give the same loss out; what has no counterpart is refused by name.

Source: TextBrewer 0.2.1.post1's ``DistillationConfig``, https://github.com/airaria/TextBrewer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.training.settings import DistillLosses, LayerMatch
from wwmcorpus.training.settings.losses import TemperatureSchedule

_KEYS = (
    "temperature",
    "temperature_scheduler",
    "hard_label_weight",
    "hard_label_weight_scheduler",
    "kd_loss_type",
    "kd_loss_weight",
    "kd_loss_weight_scheduler",
    "probability_shift",
    "intermediate_matches",
    "is_caching_logits",
)
_LOSSES = {"cos": "cosine", "mmd": "nst", "fsp": "gram"}
_WHERE = "DistillationConfig"


def losses_from_textbrewer(config: Mapping[str, Any] | str | Path, inputs_mask: bool = True) -> DistillLosses:
    """Translate the fields of a ``DistillationConfig``.

    ``{"temperature": 8, "intermediate_matches": [{"layer_T": 12, "layer_S": 6, "feature": "hidden", "loss":
    "hidden_mse", "weight": 1, "proj": ["linear", 256, 768]}]}`` gives a temperature of 8, not scaled by its square, and
    one match with a linear projection.

    Args:
        config: The fields, or a JSON file of them; absent ones have TextBrewer's defaults.
        inputs_mask: Whether the adaptors give ``inputs_mask``: without it padding counts.

    Returns:
        The settings. Attention is counted from layer 1 here, so its layers are one higher.

    Raises:
        ConfigError: a field is unknown, or has no counterpart.
    """
    values = json.loads(Path(config).read_text("utf-8")) if isinstance(config, str | Path) else dict(config)
    for key in values:
        if key not in _KEYS:
            close = nearest(key, _KEYS)
            hint = f"Did you mean {close!r}? " if close else ""
            raise ConfigError("unknown key", value=key, where=_WHERE, fix=hint + choices(_KEYS))
    if values.get("probability_shift"):
        raise _refused("probability_shift", True, "Leave it out.")
    if values.get("is_caching_logits"):
        raise _refused("is_caching_logits", True, "Leave it out, and set training.teacher_cache for masked rows.")
    matches = tuple(_match(match) for match in values.get("intermediate_matches") or ())
    kind = str(values.get("kd_loss_type", "ce"))
    soft_weight, soft_schedule = _weight(values, "kd_loss_weight", 1.0)
    hard_weight, hard_schedule = _weight(values, "hard_label_weight", 0.0)
    return DistillLosses(
        soft_loss="cross_entropy" if kind == "ce" else kind,
        temperature=float(values.get("temperature", 4)),
        temperature_schedule=_temperature(values.get("temperature_scheduler")),
        scale_by_squared_temperature=False,
        soft_weight=soft_weight,
        soft_schedule=soft_schedule,
        hard_weight=hard_weight,
        hard_schedule=hard_schedule,
        layer_map="none",
        matches=matches,
        hidden_positions="real" if inputs_mask else "all",
    )


def _weight(values: Mapping[str, Any], key: str, default: float) -> tuple[float, Any]:
    """Give weight and schedule: a schedule stands in place of the configured weight there, so it begins with 1."""
    schedule = values.get(f"{key}_scheduler")
    if schedule in (None, "none"):
        return float(values.get(key, default)), "constant"
    return 1.0, schedule


def _temperature(schedule: Any) -> TemperatureSchedule:
    if schedule in (None, "none", "constant"):
        return TemperatureSchedule()
    name, *arguments = [schedule] if isinstance(schedule, str) else schedule
    options: dict[str, Any] = {
        "shape": name,
        **{key: float(value) for key, value in zip(("beta", "gamma"), arguments, strict=False)},
    }
    return TemperatureSchedule(**options)


def _match(match: Mapping[str, Any]) -> LayerMatch:
    shift = 1 if match.get("feature") == "attention" else 0
    projection = match.get("proj")
    if projection and len(projection) > 3 and projection[3]:
        raise _refused("proj", projection[3], "Projections learn with the student's options here.")
    return LayerMatch(
        teacher_layer=_shifted(match["layer_T"], shift),
        student_layer=_shifted(match["layer_S"], shift),
        loss=_LOSSES.get(match["loss"], match["loss"]),
        weight=float(match.get("weight", 1)),
        projection=projection[0] if projection else None,
    )


def _shifted(layer: int | list[int], shift: int) -> int | tuple[int, int]:
    if isinstance(layer, int):
        return layer + shift
    first, second = layer
    return first + shift, second + shift


def _refused(key: str, value: Any, fix: str) -> ConfigError:
    return ConfigError("this has no counterpart", value=value, where=f"{_WHERE}.{key}", fix=fix)
