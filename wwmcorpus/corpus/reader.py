"""A corpus folder in, its rows out, straight from the memory map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.gather import RowTable
from wwmcorpus.corpus.manifest import Manifest
from wwmcorpus.corpus.remote import TOKENIZER_FOLDER as TOKENIZER_FOLDER
from wwmcorpus.corpus.remote import is_url, local_copy, reject
from wwmcorpus.corpus.shards import ShardBatch, open_shard
from wwmcorpus.errors import CorpusError
from wwmcorpus.records import Rows


class Corpus:
    """A committed corpus, opened for reading.

    ``corpus[i]`` gives one row as a dict with ``input_ids`` (n,) int32 and ``word_start`` (n,) bool; where rows are
    sentence pairs also with ``token_type_ids`` (n,) int8 and ``pair_label`` () int8.

    Args:
        path: A corpus folder.

    Attributes:
        path: The folder.
        manifest: What the corpus is and was made from.
        vocabulary: Which id is which piece.

    Raises:
        CorpusError: there is no corpus, or it is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._home = self.path.absolute()  # of another process the working directory may differ
        self.manifest = Manifest.read(self.path)
        self.vocabulary = self._load_vocabulary()
        self._batches: list[ShardBatch] = []
        for shard in self.manifest.content.shards:
            batches = open_shard(self.path / shard.name, self.vocabulary.num_pieces)
            found = sum(len(batch.bounds) - 1 for batch in batches)
            if found != shard.num_rows:
                raise CorpusError(
                    f"a shard holds {found} rows, its manifest says {shard.num_rows}",
                    value=shard.name,
                    where=str(path),
                    fix="Build it again.",
                )
            self._batches += batches
        paired = {batch.pair_label is not None for batch in self._batches}
        if len(paired) > 1:
            raise CorpusError("only some shards hold sentence pairs", where=str(path), fix="Build the corpus again.")
        self._table = RowTable(self._batches)

    def __reduce__(self) -> tuple[Callable[..., Corpus], tuple[type[Corpus], Path, str]]:
        # Another process opens the files again: memory maps do not travel.
        return _reopened, (type(self), self._home, self.fingerprint)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.generic]]:
        rows = self.rows([index])
        row: dict[str, NDArray[np.generic]] = {"input_ids": rows.input_ids, "word_start": rows.word_start}
        if rows.token_type_ids is not None and rows.pair_label is not None:
            row |= {"token_type_ids": rows.token_type_ids, "pair_label": rows.pair_label[0]}
        return row

    def __iter__(self) -> Iterator[dict[str, NDArray[np.generic]]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Corpus({str(self.path)!r}, {len(self)} rows, {self.fingerprint[:8]})"

    @property
    def fingerprint(self) -> str:
        """sha256 of its rows and vocabulary."""
        return self.manifest.fingerprint

    @property
    def signature(self) -> str:
        """One line to quote: segmenter, tokenizer, length, packing, format, version."""
        return self.manifest.signature

    @property
    def tokenizer_folder(self) -> Path:
        """The tokenizer that made the rows, in Hugging Face's layout."""
        return self.path / TOKENIZER_FOLDER

    @property
    def has_pairs(self) -> bool:
        """Whether its rows are sentence pairs."""
        return self._table.has_pairs

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Pieces per row, (len,) int32."""
        return self.lengths_of(np.arange(len(self)))

    def lengths_of(self, indices: ArrayLike) -> NDArray[np.int32]:
        """Give the pieces of some rows, (num_rows,) int32, without reading the rows.

        Raises:
            IndexError: ``indices`` is no list, or an index no integer in [0, len).
        """
        return self._table.lengths(self._checked(indices))

    def rows(self, indices: ArrayLike) -> Rows:
        """Give the rows at ``indices``, in that order, end to end.

        Raises:
            IndexError: ``indices`` is no list, or an index no integer in [0, len).
        """
        return self._table.gather(self._checked(indices))

    def _checked(self, indices: ArrayLike) -> NDArray[np.int64]:
        found = np.asarray(indices)
        if found.ndim != 1:
            raise IndexError(f"rows are asked for by a list of numbers; this has {found.ndim} dimensions")
        if found.size and found.dtype.kind not in "iu":  # of a mask, numpy would make the rows 0 and 1
            raise IndexError(f"rows are numbered; these indices are of type {found.dtype}")
        wanted = found.astype(np.int64, copy=False)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of a corpus of {len(self)} rows")
        return wanted

    def piece_counts(self) -> NDArray[np.int64]:
        """Count how often each piece occurs in the corpus, (vocabulary.num_pieces,) int64."""
        counts = np.zeros(self.vocabulary.num_pieces, dtype=np.int64)
        for batch in self._batches:
            counts += np.bincount(batch.input_ids[batch.bounds[0] : batch.bounds[-1]], minlength=len(counts))
        return counts

    def _load_vocabulary(self) -> Vocabulary:
        from tokenizers import Tokenizer

        content = self.manifest.content
        path = self.tokenizer_folder / "tokenizer.json"
        if not path.is_file():
            raise CorpusError(
                "the corpus has lost its tokenizer", value=str(path), fix="Copy it back, or build the corpus again."
            )
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust binding raises bare exceptions
            raise CorpusError(
                f"the tokenizer beside the corpus is damaged: {error}",
                value=str(path),
                fix="Copy it back, or build the corpus again.",
            ) from None
        vocabulary = Vocabulary.of_ids(tokenizer.get_vocab(), content.special_ids)
        if vocabulary.sha256 != content.vocabulary_sha256:
            raise CorpusError(
                f"the tokenizer beside the corpus has vocabulary {vocabulary.sha256[:8]}, "
                f"the corpus was built with {content.vocabulary_sha256[:8]}",
                where=str(path),
                fix="Put the right tokenizer back, or build the corpus again.",
            )
        return vocabulary


def _reopened(cls: type[Corpus], path: Path, fingerprint: str) -> Corpus:
    corpus = cls(path)
    if corpus.fingerprint != fingerprint:
        raise CorpusError(
            f"the corpus was changed while it was in use: its fingerprint was {fingerprint[:16]}, "
            f"now {corpus.fingerprint[:16]}",
            where=str(path),
            fix="Put the old corpus back, or open the new one and begin again.",
        )
    return corpus


def open_corpus(path: str | Path, cache: str | Path | None = None) -> Corpus:
    """Open a corpus folder, checking the shards' ends, columns, offsets and row counts.

    Args:
        path: The folder, or its URL: then a checked copy of it is made here, once; one that is found damaged is mended.
        cache: Folder for such copies; None: ``wwmcorpus/corpora`` in the user's cache.

    Raises:
        CorpusError: there is no corpus, or it is damaged.
        SourceError: a URL cannot be read.
    """
    if not is_url(path):
        return Corpus(path)
    place = None if cache is None else Path(cache)
    copy = local_copy(str(path), place)
    try:
        return Corpus(copy)
    except CorpusError:
        reject(copy)
    return Corpus(local_copy(str(path), place))
