"""Bytes in, files that survive a crash out: whole or not at all, kept by the disk before anything refers to them.

Whatever the package commits goes through these functions: write an attempt under a private name, sync it, rename it,
sync its folder. A failed sync is never tried again: the attempt is given up.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from wwmcorpus.errors import CorpusError

#: What helps where the system refuses to write, and the job can go on.
GO_ON = "Is the disk full, or the folder read-only? Run the same command again: it goes on where it stopped."


@contextlib.contextmanager
def disk_errors(output: Path, fix: str = GO_ON) -> Iterator[None]:
    """Make what the system refuses one message.

    Raises:
        CorpusError: it refused; the disk is full, say.
    """
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"the output cannot be written: {error.strerror or error}", value=error.filename, where=str(output), fix=fix
        ) from error


def file_sha256(path: Path) -> str:
    """Give the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have the disk keep a file's bytes, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where there are none, and have the disk keep their names."""
    if not folder.is_dir():
        make_folder(folder.absolute().parent)
        folder.mkdir(exist_ok=True)
        sync(folder.absolute().parent)


def move(source: Path, target: Path) -> None:
    """Rename a synced file, and have both folders keep the names."""
    source.replace(target)
    sync(target.parent)
    if source.parent != target.parent:
        sync(source.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there, and have its folder keep that."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if folder.is_dir():
        shutil.rmtree(folder)
        sync(folder.parent)


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Write a file so that it is there whole or not at all.

    ``with whole_file(path) as file: file.write(...)``

    Args:
        path: Its final name; whatever is there is replaced.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text.
    """
    attempt = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with attempt.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
        sync(attempt)
        move(attempt, path)
    finally:
        attempt.unlink(missing_ok=True)


def check_output_file(path: Path, overwrite: bool) -> None:
    """See, before anything is done, that a file may be written there.

    Raises:
        CorpusError: it is there already and may not be replaced, or it is a folder.
    """
    if path.is_dir():
        raise CorpusError("the output is a folder", value=str(path), where="--output", fix="Name a file.")
    if path.exists() and not overwrite:
        raise CorpusError("the output is there already", value=str(path), fix="Remove it, or give --overwrite.")


def write_json(path: Path, values: object) -> None:
    """Write a JSON file, keys sorted, whole or not at all."""
    with whole_file(path, "w") as file:
        json.dump(values, file, ensure_ascii=False, indent=1, sort_keys=True)
        file.write("\n")


@contextlib.contextmanager
def folder_lock(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder for this process alone; the system lets go of it even if the process is killed.

    Raises:
        CorpusError: another process holds it.
    """
    path = folder / ".lock"
    file = _locked(path)
    if file is None:
        holder = path.read_text("utf-8").strip() if path.exists() else "it is about to end"
        raise CorpusError(
            f"another process works in the folder: {holder}",
            value=str(folder),
            fix="Wait for it, or choose another folder.",
        )
    with file:
        file.truncate(0)
        file.write(f"{doing}, process {os.getpid()} on {platform.node()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str] | None:
    """Open and lock a file; None where somebody else holds it."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        # Who held it before may have removed the name meanwhile: then this is a lock on nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
