"""A model of a disk that loses what was not synced: stop a program at any file operation and see what would be left.

What a real crash may do to what was not synced, the model does to all of it at once, in three ways: bytes are dropped,
read as zeros, or kept; new, changed and removed names of a folder are forgotten, or kept. What was synced stays.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

POLICIES = [(data, names) for data in ("drop", "zero", "keep") for names in ("drop", "keep")]
_WATCHED = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "link", "truncate")


class Crash(BaseException):
    """The power is gone."""


class CrashDisk:
    """Counts the file operations of this process below a folder, and crashes at one of them.

    Args:
        root: The folder; whatever is in it counts as synced.
        crash_at: Number of the operation that is not done any more; None for none.
    """

    def __init__(self, root, crash_at=None):
        self.root, self.crash_at, self.num_operations = Path(root), crash_at, 0
        self._bytes, self._names, self._held = {}, {}, []
        for folder, _, files in os.walk(self.root):
            self._keep(folder)
            for name in files:
                self._keep(os.path.join(folder, name))

    def __enter__(self):
        self._real = {name: getattr(os, name) for name in _WATCHED}
        for name in _WATCHED:
            setattr(os, name, self._watching(name))
        return self

    def __exit__(self, *_):
        for name, function in self._real.items():
            setattr(os, name, function)
        return False

    def image(self, target, data, names):
        """Write what would be left to a new folder."""
        self._copy(self.root, Path(target), data, names)

    def close(self):
        for descriptor in self._held:
            os.close(descriptor)

    def _watching(self, name):
        def operation(*arguments, **options):
            place = arguments[0]
            is_below = isinstance(place, int) or os.path.abspath(os.fspath(place)).startswith(str(self.root))
            if not is_below:
                return self._real[name](*arguments, **options)
            self.num_operations += 1
            if self.crash_at is not None and self.num_operations > self.crash_at:
                raise Crash
            result = self._real[name](*arguments, **options)
            if name == "fsync":
                with contextlib.suppress(FileNotFoundError):
                    self._keep(os.readlink(f"/proc/self/fd/{place}"))
            return result

        return operation

    def _keep(self, path):
        """Remember a file's bytes, or a folder's names, as synced. It is held open: no other file gets its number."""
        descriptor = os.open(path, os.O_RDONLY)
        self._held.append(descriptor)
        number = os.fstat(descriptor).st_ino
        if os.path.isdir(path):
            self._names[number] = {name: os.stat(os.path.join(path, name)).st_ino for name in os.listdir(path)}
        else:
            self._bytes[number] = Path(path).read_bytes()

    def _copy(self, path, target, data, names):
        target.mkdir()
        number = path.stat().st_ino
        now = {name: (path / name).stat().st_ino for name in os.listdir(path)}
        entries = self._names.get(number, {}) if names == "drop" else now
        for name, inner in entries.items():
            current = next(iter(self._places(inner)), None)
            if inner in self._names or (current is not None and current.is_dir()):
                if current is not None:
                    self._copy(current, target / name, data, names)
            else:
                (target / name).write_bytes(self._content(inner, current, data))

    def _places(self, number):
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.stat().st_ino == number:
                    yield path

    def _content(self, number, current, data):
        synced = self._bytes.get(number)
        if current is None or (synced is not None and data != "keep"):
            return synced or b""
        now = current.read_bytes()
        if data == "keep":
            return now
        return b"" if data == "drop" else bytes(len(now))
