"""A corpus folder in, its first fault or none out.

The fast checks are those of every open: sizes, end marks, columns, offsets, row counts, the tokenizer. The full ones
read every byte: sha256 of each file, the counts of the manifest, special pieces where they belong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wwmcorpus.corpus.commit import SPLITS_FILE
from wwmcorpus.corpus.manifest import STATE_FILE, Manifest, Shard, StoredFile
from wwmcorpus.corpus.reader import Corpus, open_corpus
from wwmcorpus.corpus.settings import SPLITS
from wwmcorpus.corpus.shards import open_shard
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found whole."""

    folder: Path
    num_shards: int
    num_rows: int
    size_bytes: int


def verify(path: str | Path, full: bool = False, advance: Callable[[int], None] = lambda _: None) -> list[Verified]:
    """Check a corpus, or all splits of one.

    Args:
        path: A corpus folder, or the root of one with splits.
        full: Read every byte.
        advance: Told of bytes as they are checked in full.

    Returns:
        What was checked, one entry a split.

    Raises:
        CorpusError: the first fault.
    """
    folders = list(_folders(Path(path)))
    return [_verify_one(folder, full, advance) for folder in folders]


def corpus_bytes(path: str | Path) -> int:
    """Give the size of the files that a corpus, or all its splits, commit."""
    return sum(file.size_bytes for folder in _folders(Path(path)) for file in Manifest.read(folder).files)


def _folders(root: Path) -> Iterator[Path]:
    """Give the corpus folders below a root, whose own commit point must agree with theirs."""
    binding = root / SPLITS_FILE
    if not binding.exists():
        yield root
        return
    try:
        values = json.loads(binding.read_text("utf-8"))
        fingerprints = dict(values["wwmcorpus"]["fingerprints"])
        named = list(values["splits"])
    except (ValueError, KeyError, TypeError):
        raise CorpusError(
            "dataset_dict.json is damaged", value=str(binding), fix="Run the same build again, with --overwrite."
        ) from None
    unknown = sorted(set(named) - set(SPLITS))
    if unknown or sorted(named) != sorted(fingerprints):
        raise CorpusError(
            "dataset_dict.json names other splits than ours", value=named, where=str(binding), fix="Build it again."
        )
    for split in named:
        found = Manifest.read(root / split).fingerprint
        if found != fingerprints[split]:
            raise CorpusError(
                f"split {split} has fingerprint {found[:16]}, the corpus was committed with {fingerprints[split][:16]}",
                where=str(root),
                fix="A build was cut short: run it again.",
            )
        yield root / split


def _verify_one(folder: Path, full: bool, advance: Callable[[int], None]) -> Verified:
    corpus = open_corpus(folder)
    manifest = corpus.manifest
    for file in manifest.files:
        _check_size(folder, file)
    if full:
        for file in manifest.files:
            _check_bytes(folder, file)
            advance(file.size_bytes)
        for file in manifest.tokenizer_files:
            _check_size(corpus.tokenizer_folder, file)
            _check_bytes(corpus.tokenizer_folder, file)
        for shard in manifest.content.shards:
            _check_rows(corpus, folder, shard)
        _check_fingerprint(folder, manifest)
    return Verified(folder, len(manifest.content.shards), len(corpus), sum(file.size_bytes for file in manifest.files))


def _check_size(folder: Path, file: StoredFile) -> None:
    path = folder / file.name
    found = path.stat().st_size if path.is_file() else None
    if found != file.size_bytes:
        has = "is gone" if found is None else f"has {found} bytes"
        raise CorpusError(
            f"a file {has}, its manifest says {file.size_bytes}",
            value=file.name,
            where=str(folder),
            fix="Copy it again from where it is whole, or build the corpus again.",
        )


def _check_bytes(folder: Path, file: StoredFile) -> None:
    found = file_sha256(folder / file.name)
    if found != file.sha256:
        raise CorpusError(
            f"a file has sha256 {found[:16]}, its manifest says {file.sha256[:16]}",
            value=file.name,
            where=str(folder),
            fix="Its bytes were changed: copy it again from where it is whole, or build the corpus again.",
        )


def _check_rows(corpus: Corpus, folder: Path, shard: Shard) -> None:
    """Check what the manifest counts, that every id is a piece, and that rows stand between [CLS] and [SEP]."""
    vocabulary, num_words, num_pieces = corpus.vocabulary, 0, 0
    for batch in open_shard(folder / shard.name, vocabulary.num_pieces):
        ids = batch.input_ids[batch.bounds[0] : batch.bounds[-1]]
        starts = batch.word_start(int(batch.bounds[0]), int(batch.bounds[-1]))
        bounds = batch.bounds - batch.bounds[0]
        whole = (np.diff(bounds) >= 2).all() and (not len(ids) or int(ids.max()) < vocabulary.num_pieces)
        framed = whole and bool(
            (ids[bounds[:-1]] == vocabulary.cls_id).all() and (ids[bounds[1:] - 1] == vocabulary.sep_id).all()
        )
        specials = np.isin(ids, vocabulary.frame_ids)
        if not framed or not starts[specials].all():
            raise CorpusError(
                "a shard holds rows that no build writes", value=shard.name, where=str(folder), fix="Build it again."
            )
        num_pieces += len(ids)
        num_words += int(starts.sum()) - int(specials.sum())
    if (num_words, num_pieces) != (shard.num_words, shard.num_pieces):
        raise CorpusError(
            f"a shard holds {num_words} words and {num_pieces} pieces, "
            f"its manifest says {shard.num_words} and {shard.num_pieces}",
            value=shard.name,
            where=str(folder),
            fix="Build the corpus again.",
        )


def _check_fingerprint(folder: Path, manifest: Manifest) -> None:
    """Compare what ``datasets`` reads with what we read: both stand in state.json."""
    state = json.loads((folder / STATE_FILE).read_text("utf-8"))
    names = [file["filename"] for file in state["_data_files"]]
    if names != [shard.name for shard in manifest.content.shards] or state["_fingerprint"] != manifest.fingerprint[:16]:
        raise CorpusError(
            "state.json tells datasets of other shards than its manifest",
            value=names[:5],
            where=str(folder),
            fix="Build the corpus again.",
        )
