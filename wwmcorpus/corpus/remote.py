"""A corpus on another machine in, a checked copy of it on this one out: what is read by memory map must be a file here.

The copy has a folder of its own in the cache, named by the hash of the manifest's content. Each file is checked against
size and sha256 as it arrives; ``state.json`` comes last, so that a copy is there whole or is made on.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wwmcorpus.corpus.manifest import STATE_FILE, Manifest, StoredFile
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256, make_folder, whole_file, write_json
from wwmcorpus.text.sources.files import file_system, reaching

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

TOKENIZER_FOLDER = "tokenizer"


def is_url(path: str | Path) -> bool:
    """Say whether fsspec has to open it."""
    return isinstance(path, str) and "://" in path


def default_cache() -> Path:
    """Give the folder for copies: ``wwmcorpus/corpora`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wwmcorpus" / "corpora"


def local_copy(url: str, cache: Path | None = None) -> Path:
    """Give the folder of a copy of a corpus; what it lacks is fetched, what is there already is not.

    Of several processes that ask for one copy, one makes it and the others wait.

    Args:
        url: Of the corpus folder, as fsspec reads it: ``s3://bucket/corpus``.
        cache: Where copies lie; None: ``default_cache()``.

    Raises:
        SourceError: the address is malformed, nothing is there, or it cannot be read.
        CorpusError: what is there is no corpus, or a file is not what its manifest says.
    """
    system, path = file_system(url)
    root, folder = path.rstrip("/"), cache or default_cache()
    make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".state-") as place:
        state = Path(place) / STATE_FILE
        _fetch(system, f"{root}/{STATE_FILE}", state)
        manifest = _manifest(state.parent, url)
        copy = folder / manifest.content_sha256[:32]
        make_folder(copy / TOKENIZER_FOLDER)
        with (copy / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (copy / STATE_FILE).is_file():
                _complete(system, root, manifest, copy)
                with whole_file(copy / STATE_FILE) as file:
                    file.write(state.read_bytes())
    return copy


def _manifest(folder: Path, url: str) -> Manifest:
    """Read the manifest that was fetched; an error names its home, not the folder that goes again."""
    try:
        return Manifest.read(folder)
    except CorpusError as error:
        raise CorpusError(error.what.replace(str(folder), url), value=url, fix=error.fix) from None


def _complete(system: AbstractFileSystem, root: str, manifest: Manifest, copy: Path) -> None:
    for stored in manifest.files:
        _fetch_checked(system, f"{root}/{stored.name}", copy / stored.name, stored)
    for stored in manifest.tokenizer_files:
        target = copy / TOKENIZER_FOLDER / stored.name
        _fetch_checked(system, f"{root}/{TOKENIZER_FOLDER}/{stored.name}", target, stored)
    write_json(copy / "dataset_info.json", {})


def _fetch_checked(system: AbstractFileSystem, source: str, target: Path, stored: StoredFile) -> None:
    if target.is_file() and target.stat().st_size == stored.size_bytes and file_sha256(target) == stored.sha256:
        return
    _fetch(system, source, target)
    found = file_sha256(target)
    if found != stored.sha256:
        target.unlink()
        raise CorpusError(
            f"a file arrived with sha256 {found[:16]}, the manifest says {stored.sha256[:16]}",
            value=source,
            fix="Try again; if it stays so, the corpus there is damaged.",
        )


def _fetch(system: AbstractFileSystem, source: str, target: Path) -> None:
    with reaching(source), system.open(source, "rb") as remote, whole_file(target) as file:
        shutil.copyfileobj(remote, file, 1 << 20)
