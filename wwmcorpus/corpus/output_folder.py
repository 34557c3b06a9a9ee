"""The folder that a job is to write, looked at before: what may be written there."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from wwmcorpus.corpus.commit import SHARD_NAMES, SPLITS_FILE, committed
from wwmcorpus.corpus.manifest import STATE_FILE
from wwmcorpus.corpus.reader import TOKENIZER_FOLDER
from wwmcorpus.corpus.settings import SPLITS
from wwmcorpus.corpus.workspace import WORK_FOLDER, Workspace
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import make_folder

#: What a commit writes.
_OURS = (*SHARD_NAMES, *SPLITS, TOKENIZER_FOLDER, "dataset_info.json", ".*.tmp")


def make_output(output: Path) -> None:
    """Make the folder of a corpus.

    Raises:
        CorpusError: the system refuses.
    """
    try:
        make_folder(output)
    except OSError as error:
        raise CorpusError(
            f"the output folder cannot be made: {error.strerror}", value=str(output), fix="Choose another folder."
        ) from None


def check_free(output: Path, may_hold_corpus: bool, fix: str) -> None:
    """Check that a corpus may be written into a folder.

    Args:
        output: The folder.
        may_hold_corpus: Whether a corpus that is there is replaced, or added to.
        fix: What to do about a corpus that must not be there.

    Raises:
        CorpusError: it holds a corpus, one that cannot be replaced, or other files.
    """
    taken = sorted(entry.name for entry in output.iterdir() if entry.name not in (WORK_FOLDER, ".lock"))
    if Workspace(output).is_begun():  # a commit that was cut short leaves files of ours
        taken = [name for name in taken if not any(fnmatch.fnmatch(name, pattern) for pattern in _OURS)]
    is_corpus = (output / STATE_FILE).exists() or (output / SPLITS_FILE).exists()
    if taken and not is_corpus:
        raise CorpusError(
            "the output folder holds other files",
            value=taken[:5],
            where=str(output),
            fix="Choose a new or empty folder.",
        )
    if is_corpus and not may_hold_corpus:
        raise CorpusError("a corpus is already there", value=str(output), fix=fix)
    try:
        committed(output)
    except CorpusError as error:  # better now than after the work
        raise CorpusError(
            f"what lies in the output folder cannot be replaced: {error.what}",
            where=str(output),
            fix="Choose another folder, or delete this one.",
        ) from None
