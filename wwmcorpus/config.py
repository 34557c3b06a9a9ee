"""Strict configuration: TOML or keyword arguments in, frozen typed objects out.

An unknown key is an error that names the nearest known one; nothing is cast in silence; every section is validated
where it is defined, next to the code that it configures.
"""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from wwmcorpus.errors import ConfigError, choices, nearest


class Config(BaseModel):
    """Base of every configuration section: frozen, strict, no unknown keys.

    Raises:
        ConfigError: on construction, with the key, its value and what is allowed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _config_error(type(self), error.errors()[0]) from None

    def values(self) -> dict[str, Any]:
        """Give the section as plain JSON-able values, for manifests and checkpoints."""
        return self.model_dump(mode="json")


C = TypeVar("C", bound=Config)


def load_config(section: type[C], path: str | Path | None = None, overrides: Sequence[str] = (), /, **flags: Any) -> C:
    """Put a TOML file, flags and ``a.b=value`` overrides together, the later over the earlier.

    Args:
        section: The configuration to make.
        path: A UTF-8 TOML file; None for none.
        overrides: Each ``dotted.key=value``; the value is read as TOML where it parses, else as a string.
        flags: Values by field; None stands for a flag that was not given.

    Raises:
        ConfigError: the file is absent or not TOML, a key is unknown or missing, a value is out of range.
    """
    values = read_toml(path) if path is not None else {}
    values |= {name: value for name, value in flags.items() if value is not None}
    for override in overrides:
        _apply(values, override)
    return section(**values)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Give the table of a TOML file.

    Raises:
        ConfigError: the file is absent or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigError(
            "no such config file", value=str(path), fix="Check the path; configs ship in pipelines/configs."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not a TOML file: {error}", where=str(path), fix="Mend the file at that place.") from None


def whole_number(value: object, where: str) -> int:
    """Give an integer, numpy's among them, as Python's.

    Raises:
        ConfigError: it is something else; a fraction is not rounded.
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError("not a whole number", value=value, where=where, fix="Give an integer.") from None


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            "an override is not key=value",
            value=override,
            where="--set",
            fix="Write it as --set masking.probability=0.2.",
        )
    *parents, last = key.strip().split(".")
    table = values
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(
                "an override goes below a value",
                value=override,
                where="--set",
                fix=f"{parent!r} holds a value, not a section.",
            )
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text


def _config_error(cls: type[Config], error: ErrorDetails) -> ConfigError:
    key = ".".join(str(part) for part in error["loc"])
    inner = error.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):
        place = ".".join(part for part in (key, inner.where) if part)
        return ConfigError(inner.what, value=inner.value, where=place, fix=inner.fix)
    if error["type"] == "extra_forbidden":
        known = list(cls.model_fields)
        close = nearest(key, known)
        hint = f"Did you mean {close!r}? " if close else ""
        return ConfigError("unknown key", value=key, where=cls.__name__, fix=hint + choices(known))
    if error["type"] == "missing":
        return ConfigError("a key is missing", value=key, where=cls.__name__, fix="Give it a value.")
    return ConfigError(
        "a value is not allowed",
        value=error["input"],
        where=f"{cls.__name__}.{key}" if key else cls.__name__,
        fix=error["msg"] + ".",
    )
