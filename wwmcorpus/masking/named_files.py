"""A configuration that names files in, hashes of their content out: what a file holds decides masks, not its name."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, ClassVar

from wwmcorpus.config import Config
from wwmcorpus.masking.spell import read_bytes, read_lines


class WithFiles(Config):
    """Base of what names files whose content is a part of it."""

    #: The fields that hold a path, or None.
    file_fields: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def file_hashes(self) -> dict[str, str]:
        """sha256 of each file by its field, taken at the first use: this object then stands for that content.

        Raises:
            ConfigError: a file cannot be read.
        """
        paths = {name: getattr(self, name) for name in self.file_fields}
        return {
            name: hashlib.sha256(read_bytes(path, self._where(name))).hexdigest()
            for name, path in paths.items()
            if path is not None
        }

    def lines_of(self, name: str) -> list[str]:
        """Give the lines, those that hold something, of the file that a field names; none where it names none.

        Raises:
            ConfigError: the file cannot be read, is not UTF-8, or was changed since ``file_hashes`` were taken.
        """
        path = getattr(self, name)
        return [] if path is None else read_lines(path, self._where(name), self.file_hashes[name])

    def identity(self) -> dict[str, Any]:
        """Give the section as plain values, with the hash of a file's content in place of its path.

        Raises:
            ConfigError: a file cannot be read.
        """
        return self.values() | {name: f"sha256:{found}" for name, found in self.file_hashes.items()}

    def _where(self, name: str) -> str:
        return f"{type(self).__name__}.{name}"
