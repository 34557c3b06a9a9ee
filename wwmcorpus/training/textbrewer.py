"""A TextBrewer configuration in, the settings that give the same loss out; what has no counterpart is refused by name.

Source: TextBrewer 0.2.1.post1's ``DistillationConfig``, https://github.com/airaria/TextBrewer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.training.settings import DistillLosses, LayerMatch
from wwmcorpus.training.settings.losses import TemperatureSchedule

T = TypeVar("T")

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
_MATCH_KEYS = ("layer_T", "layer_S", "weight", "loss", "feature", "proj")
_SOFT_LOSSES = {"ce": "cross_entropy", "mse": "mse"}
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
        ConfigError: the file is no JSON object, or a field is unknown, absent or without a counterpart.
    """
    values = _read(Path(config)) if isinstance(config, str | Path) else dict(config)
    _check_keys(values, _KEYS, _WHERE)
    if values.get("probability_shift"):
        raise _refused("probability_shift", True, "Leave it out.")
    if values.get("is_caching_logits"):
        raise _refused("is_caching_logits", True, "Leave it out, and set training.teacher_cache for masked rows.")
    matches = tuple(
        _match(match, f"{_WHERE}.intermediate_matches[{index}]")
        for index, match in enumerate(values.get("intermediate_matches") or ())
    )
    soft_weight, soft_schedule = _weight(values, "kd_loss_weight", 1.0)
    hard_weight, hard_schedule = _weight(values, "hard_label_weight", 0.0)
    return DistillLosses(
        soft_loss=_named(_SOFT_LOSSES, values.get("kd_loss_type", "ce"), f"{_WHERE}.kd_loss_type"),
        temperature=_number(values, "temperature", 4),
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
        return _number(values, key, default), "constant"
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


def _match(match: Mapping[str, Any], where: str) -> LayerMatch:
    _check_keys(match, _MATCH_KEYS, where)
    for key in ("layer_T", "layer_S", "loss", "feature"):
        if key not in match:
            raise ConfigError("a key is missing", value=key, where=where, fix=f"Give {key}, as TextBrewer asks.")
    shift = _named({"hidden": 0, "attention": 1}, match["feature"], f"{where}.feature")
    projection = match.get("proj")
    if projection and len(projection) > 3 and projection[3]:
        raise _refused("proj", projection[3], "Projections learn with the student's options here.")
    return LayerMatch(
        teacher_layer=_shifted(match["layer_T"], shift),
        student_layer=_shifted(match["layer_S"], shift),
        loss=_LOSSES.get(match["loss"], match["loss"]),
        weight=_number(match, "weight", 1),
        projection=projection[0] if projection else None,
    )


def _shifted(layer: int | list[int], shift: int) -> int | tuple[int, int]:
    if isinstance(layer, int):
        return layer + shift
    first, second = layer
    return first + shift, second + shift


def _refused(key: str, value: Any, fix: str) -> ConfigError:
    return ConfigError("this has no counterpart", value=value, where=f"{_WHERE}.{key}", fix=fix)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the configuration cannot be read: {error.strerror}", value=str(path), fix="Give a JSON file."
        ) from None
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}", value=str(path), fix="Give a JSON file.") from None
    if not isinstance(values, dict):
        raise ConfigError("not a JSON object", value=str(path), fix="Give the fields of a DistillationConfig.")
    return values


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            close = nearest(key, known)
            hint = f"Did you mean {close!r}? " if close else ""
            raise ConfigError("unknown key", value=key, where=where, fix=hint + choices(known))


def _named(table: Mapping[str, T], name: Any, where: str) -> T:
    if name not in table:
        raise ConfigError("unknown name", value=name, where=where, fix=choices(table))
    return table[name]


def _number(values: Mapping[str, Any], key: str, default: float) -> float:
    try:
        return float(values.get(key, default))
    except (TypeError, ValueError):
        raise ConfigError("not a number", value=values[key], where=f"{_WHERE}.{key}", fix="Give a number.") from None
