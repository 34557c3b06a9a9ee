"""A corpus on another machine in, a checked copy of it on this one out: what is read by memory map must be a file here.

The copy has a folder of its own in the cache, named by the hash of the manifest's content. Each file is checked against
size and sha256 as it arrives; ``state.json`` comes last, so that a copy is there whole or is made on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from wwmcorpus.corpus.manifest import STATE_FILE, Manifest, StoredFile
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import disk_errors, file_sha256, make_folder, remove, whole_file, write_json
from wwmcorpus.text.sources.files import file_system, reaching

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

TOKENIZER_FOLDER = "tokenizer"
_BLOCK_BYTES = 1 << 20


def is_url(path: str | Path) -> bool:
    """Say whether fsspec has to open it."""
    return isinstance(path, str) and "://" in path


def default_cache() -> Path:
    """Give the folder for copies: ``wwmcorpus/corpora`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wwmcorpus" / "corpora"


def local_copy(url: str, cache: Path | None = None) -> Path:
    """Give the folder of a copy of a corpus; what it lacks is fetched, what is there already is not.

    Of several processes that ask for one copy, one makes it and the others wait. A whole copy is only read.

    Args:
        url: Of the corpus folder, as fsspec reads it: ``s3://bucket/corpus``.
        cache: Where copies lie; None: ``default_cache()``.

    Raises:
        SourceError: the address is malformed, nothing is there, or it cannot be read.
        CorpusError: what is there is no corpus, a file is not what its manifest says, or the cache cannot be written.
    """
    system, path = file_system(url)
    root, folder = path.rstrip("/"), cache or default_cache()
    state = b"".join(_blocks(system, f"{root}/{STATE_FILE}"))
    manifest = Manifest.of_state(state, url)
    copy = folder / manifest.content_sha256[:32]
    with _writing(folder):
        if (copy / STATE_FILE).is_file():
            return copy
        make_folder(copy / TOKENIZER_FOLDER)
        with (copy / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (copy / STATE_FILE).is_file():
                _complete(system, root, manifest, copy)
                with whole_file(copy / STATE_FILE) as file:
                    file.write(state)
    return copy


def reject(copy: Path) -> None:
    """Have the next ``local_copy`` check every file of a copy, and fetch again what is damaged.

    Raises:
        CorpusError: the cache cannot be written.
    """
    with _writing(copy.parent):
        remove(copy / STATE_FILE)


def _writing(cache: Path) -> AbstractContextManager[None]:
    return disk_errors(cache, "Is the disk full, or the folder read-only? Give another folder as cache.")


def _complete(system: AbstractFileSystem, root: str, manifest: Manifest, copy: Path) -> None:
    for left in copy.rglob(".*.tmp"):  # of a process that was killed: whoever holds the lock writes alone
        left.unlink()
    for stored in manifest.files:
        _fetch_checked(system, f"{root}/{stored.name}", copy / stored.name, stored)
    for stored in manifest.tokenizer_files:
        target = copy / TOKENIZER_FOLDER / stored.name
        _fetch_checked(system, f"{root}/{TOKENIZER_FOLDER}/{stored.name}", target, stored)
    write_json(copy / "dataset_info.json", {})


def _fetch_checked(system: AbstractFileSystem, source: str, target: Path, stored: StoredFile) -> None:
    if target.is_file() and target.stat().st_size == stored.size_bytes and file_sha256(target) == stored.sha256:
        return
    with whole_file(target) as file:
        for block in _blocks(system, source):
            file.write(block)
    found = file_sha256(target)
    if found != stored.sha256:
        target.unlink()
        raise CorpusError(
            f"a file arrived with sha256 {found[:16]}, the manifest says {stored.sha256[:16]}",
            value=source,
            fix="Try again; if it stays so, the corpus there is damaged.",
        )


def _blocks(system: AbstractFileSystem, source: str) -> Iterator[bytes]:
    """Read a file elsewhere; what goes wrong with that, and with nothing else, is a SourceError."""
    with reaching(source), system.open(source, "rb") as remote:
        while block := remote.read(_BLOCK_BYTES):
            yield block
