"""A name in, the published settings of a distillation out; they travel with the package as TOML. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wwmcorpus.config import read_toml
from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.resources import presets_folder


def preset_names() -> list[str]:
    """Give the names of the presets, sorted."""
    return sorted(path.stem for path in presets_folder().glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """Give the table of a preset.

    Raises:
        ConfigError: there is none of this name.
    """
    names = preset_names()
    if name not in names:
        close = nearest(str(name), names)
        hint = f"Did you mean {close!r}? " if close else ""
        raise ConfigError("unknown preset", value=name, where="preset", fix=hint + choices(names))
    return read_toml(presets_folder() / f"{name}.toml")


def with_preset(values: Any, leave_out: tuple[str, ...] = (), rename: Mapping[str, str] | None = None) -> Any:
    """Put the values of a configuration over those of the preset that it names; without one, give them back.

    What is said beside the preset wins key by key, in sections too; a list, or a section that is an object already,
    replaces the preset's.

    Args:
        values: Raw values, perhaps with a key ``preset``.
        leave_out: Keys of a preset that this section does not have.
        rename: Keys of a preset that this section calls otherwise.
    """
    if not isinstance(values, dict) or values.get("preset") is None:
        return values
    names = rename or {}
    preset = {names.get(key, key): value for key, value in read_preset(values["preset"]).items()}
    return _merged({key: value for key, value in preset.items() if key not in leave_out}, values)


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = below.get(key)
        if isinstance(under, dict) and isinstance(value, dict) and _same_scheme(under, value):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    return merged


def _same_scheme(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Say whether two tables configure one thing: another masking scheme does not take over options."""
    return "scheme" not in above or above["scheme"] == below.get("scheme")
