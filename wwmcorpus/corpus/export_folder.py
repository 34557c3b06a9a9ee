"""A folder that other programs read, there whole or not at all; and the splits that go into it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from wwmcorpus.corpus.manifest import Manifest
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER, Corpus, open_corpus
from wwmcorpus.corpus.verify import verify
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import disk_errors, folder_lock, move, remove_folder, sync


def verified_splits(path: str | Path, advance: Callable[[int], None]) -> dict[str, Corpus]:
    """Read every byte of a corpus, and give its splits; ``"train"`` where it has none.

    Args:
        path: A corpus folder, or the root of one with splits.
        advance: Told of bytes as they are checked.

    Raises:
        CorpusError: it is absent or damaged.
    """
    folders = [found.folder for found in verify(path, full=True, advance=advance)]
    return {Manifest.read(folder).content.split: open_corpus(folder) for folder in folders}


def copy_tokenizer(corpus: Corpus, folder: Path) -> None:
    """Copy the tokenizer of a corpus to a folder ``tokenizer`` in another."""
    shutil.copytree(corpus.tokenizer_folder, folder / TOKENIZER_FOLDER)


@contextlib.contextmanager
def whole_folder(output: Path, doing: str) -> Iterator[Path]:
    """Give a folder beside ``output`` to write into; at the end the disk keeps it, and it takes that name.

    After an error nothing is left of it; what a killed process left goes when the next one writes the same output.

    Args:
        output: Its final name: absent, or an empty folder.
        doing: What is done, for whoever finds it locked.

    Raises:
        CorpusError: the output exists already, another process writes it, or the system refuses.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CorpusError(
            "the output exists already", value=str(output), fix="Choose a new or empty folder, or delete this one."
        )
    output = output.absolute()
    around = output.with_name(f".{output.name}.part")
    with disk_errors(output, "Is the disk full, or the folder read-only? Mend that, and export again."):
        around.mkdir(parents=True, exist_ok=True)
        try:
            with folder_lock(around, doing):
                yield from _attempt(around / output.name, output)
        finally:
            with contextlib.suppress(OSError):  # another process holds it, or has come already
                around.rmdir()


def _attempt(attempt: Path, output: Path) -> Iterator[Path]:
    try:
        remove_folder(attempt)
        attempt.mkdir()
        yield attempt
        for path in (*attempt.rglob("*"), attempt):
            sync(path)
        move(attempt, output)
    finally:
        remove_folder(attempt)
