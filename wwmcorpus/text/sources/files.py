"""A source in, its stored bytes out: from this machine or, through fsspec, from wherever else they lie."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from wwmcorpus.errors import SourceError
from wwmcorpus.text.sources.source import Source, shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_READ_BYTES = 1 << 26
_DIGEST_BLOCK_BYTES = 1 << 20


class StoredFile:
    """The stored bytes of a source; whatever goes wrong with reading them is a SourceError.

    Args:
        file: Open, binary.
        location: For messages.

    Attributes:
        failure: The SourceError that was raised, for readers such as pyarrow's that pass on another one.
    """

    def __init__(self, file: BinaryIO, location: str) -> None:
        self._file, self._location = file, location
        self.failure: SourceError | None = None

    def read(self, size: int) -> bytes:
        """Give ``size`` bytes, fewer only at the end; damaged tables ask for more than fit in memory."""
        with self._noting():
            data = self._file.read(min(size, _READ_BYTES))
            if not 0 < len(data) < size:
                return data
            parts = [data]
            num_left = size - len(data)
            while num_left and (data := self._file.read(min(num_left, _READ_BYTES))):
                parts.append(data)
                num_left -= len(data)
            return b"".join(parts)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as files do."""
        with self._noting():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where it stands."""
        return self._file.tell()

    def readable(self) -> bool:
        """Always: pyarrow asks."""
        return True

    def seekable(self) -> bool:
        """Say whether ``seek`` works."""
        return self._file.seekable()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            with reaching(self._location):
                yield
        except SourceError as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def open_stored(source: Source) -> Iterator[StoredFile]:
    """Open a source's stored bytes.

    Raises:
        SourceError: it is gone, or cannot be read.
    """
    with reaching(source.location):
        system, path = file_system(source.location)
        file = system.open(path, "rb") if source.is_remote else io.FileIO(path)
    with contextlib.closing(StoredFile(file, source.location)) as stored:
        yield stored


def source_digest(source: Source) -> str:
    """Give the sha256 of a source's stored bytes. The hub knows that of its large files: they are not fetched for it.

    Raises:
        SourceError: it cannot be read.
    """
    if source.location.startswith("hf://"):
        system, path = file_system(source.location)
        with reaching(source.location):
            known = system.info(path).get("lfs")
        if known:
            return str(known["sha256"])
    digest = hashlib.sha256()
    with open_stored(source) as file:
        while block := file.read(_DIGEST_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def file_system(place: str) -> tuple[AbstractFileSystem, str]:
    """Give the file system of a path or URL, and the path in it.

    Raises:
        SourceError: fsspec does not know the protocol, or the package behind it is not installed.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.registry import known_implementations

    if "://" not in place:
        return LocalFileSystem(), os.path.abspath(place)
    protocol = place.partition("://")[0]
    try:
        system, path = url_to_fs(place)
    except ImportError as error:
        package = known_implementations.get(protocol, {}).get("class", protocol).split(".")[0]
        if package == "fsspec":  # a backend of its own, with the packages that it needs as an extra
            package = f"'fsspec[{'http' if protocol == 'https' else protocol}]'"
        raise SourceError(
            f"a package for {protocol}:// is not installed: {error}", value=place, fix=f"Run: pip install {package}"
        ) from None
    except ValueError as error:
        fix = f"Name a path, or a URL of a protocol that fsspec knows: {', '.join(sorted(known_implementations))}."
        raise SourceError(f"a URL cannot be read: {error}", value=place, fix=fix) from None
    return system, path


@contextlib.contextmanager
def reaching(location: str) -> Iterator[None]:
    """Turn whatever goes wrong while a location is looked at or read into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError("no such file", value=shown(location), fix="Check the path.") from None
    except Exception as error:  # each backend of fsspec has errors of its own
        raise SourceError(
            f"a file cannot be read: {one_line(error)}",
            value=shown(location),
            fix="See whether it can be reached from here and whether you may read it, then run the job again.",
        ) from error


def one_line(error: Exception) -> str:
    """Give an error's name and message without line ends."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def is_local(system: Any) -> bool:
    """Say whether a file system is that of this machine."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)
