"""Folders of earlier deduplications in, their documents as the older ones of a new deduplication out.

Their documents are numbered before ours, folder after folder, so that of two duplicates the older one is kept. What was
found among them then still holds: only ours are looked at anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256
from wwmcorpus.text.dedup.keep_list import KeepList
from wwmcorpus.text.dedup.settings import DedupConfig, SignatureOptions
from wwmcorpus.text.dedup.sign import signature_schema
from wwmcorpus.text.dedup.signatures import Signatures

Numbers = NDArray[np.int64]


class Earlier:
    """The documents of earlier deduplications. Made by ``open_earlier``.

    Args:
        keep_lists: Their results, oldest first.
        options: Of all of them.

    Attributes:
        sha256s: Of the keep-lists.
        signatures: Of all their documents.
        num_documents: How many these are.
    """

    def __init__(self, keep_lists: list[KeepList], options: SignatureOptions) -> None:
        self._keep_lists = keep_lists
        self.sha256s = tuple(keep.sha256 for keep in keep_lists)
        paths = [path for keep in keep_lists for path in keep.signature_files]
        lengths = [each.num_documents for keep in keep_lists for each in keep.content.signatures]
        self.signatures = Signatures(paths, lengths, signature_schema(options))
        self.num_documents = self.signatures.num_documents
        # Where the documents of each folder begin, and behind them ours.
        self._begins = np.cumsum([0, *(keep.num_documents for keep in keep_lists)], dtype=np.int64)

    def known_pairs(self) -> Iterator[tuple[Numbers, Numbers]]:
        """Give the numbers of dropped and of kept documents, some at a time."""
        for index, keep in enumerate(self._keep_lists):
            folders = [index, *(self.sha256s.index(sha256) for sha256 in keep.content.against)]
            for batch in keep.pairs():
                begins = self._begins[np.array(folders)[batch["kept_in"]]]
                yield batch["document"] + self._begins[index], batch["kept_document"] + begins

    def folder_of(self, numbers: Numbers) -> tuple[NDArray[np.int16], Numbers]:
        """Give, for each number, its folder (from 1 as in the configuration, 0 for ours) and its number in there."""
        folders = np.searchsorted(self._begins, numbers, side="right") - 1
        names = np.where(folders == len(self._keep_lists), 0, folders + 1)
        return names.astype(np.int16), numbers - self._begins[folders]


def open_earlier(config: DedupConfig) -> Earlier:
    """Open the folders that a deduplication is to be compared with.

    Raises:
        CorpusError: one is damaged, has other signatures, is named twice or is the output; or was compared with another
            that is not named before it.
    """
    keep_lists: list[KeepList] = []
    for folder in config.against:
        if Path(folder).resolve() == Path(config.output).resolve():
            raise CorpusError(
                "the output is among the folders to compare with",
                value=folder,
                where="against",
                fix="Choose another output.",
            )
        keep = KeepList.open(Path(folder))
        _check_signatures(keep, config)
        known = [other.sha256 for other in keep_lists]
        missing = [sha256 for sha256 in keep.content.against if sha256 not in known]
        if missing:
            fix = "Name all folders that it was compared with before it, oldest first."
            raise CorpusError(
                f"a folder was compared with {len(missing)} that do not stand before it",
                value=folder,
                where="against",
                fix=fix,
            )
        if keep.sha256 in known:
            raise CorpusError(
                "two folders are of the same documents", value=folder, where="against", fix="Name each once."
            )
        keep_lists.append(keep)
    return Earlier(keep_lists, config)


def _check_signatures(keep: KeepList, config: DedupConfig) -> None:
    ours = config.signature_options.values()
    differing = {
        name: (keep.content.config[name], value) for name, value in ours.items() if keep.content.config[name] != value
    }
    if differing:
        found = ", ".join(f"{name} {there!r} there and {here!r} here" for name, (there, here) in differing.items())
        raise CorpusError(
            "the signatures of a folder cannot be compared with ours",
            value=str(keep.folder),
            where=found,
            fix="Use the same options.",
        )
    for path, recorded in zip(keep.signature_files, keep.content.signatures, strict=True):
        if not path.is_file() or file_sha256(path) != recorded.sha256:
            raise CorpusError(
                "signatures are absent or damaged",
                value=path.name,
                where=str(path.parent),
                fix="Run that deduplication again with --overwrite.",
            )
