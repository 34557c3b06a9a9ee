"""Words in, the pieces that a vocabulary spells them with out, and tables that find words by their pieces."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.hashing import mix


@dataclass(frozen=True)
class Known:
    """A vocabulary that is hashed and compared by its content, as a cache wants it."""

    sha256: str
    vocabulary: Vocabulary = field(compare=False)

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Known:
        """Give the vocabulary with its hash."""
        return cls(vocabulary.sha256, vocabulary)


def spell(words: Sequence[str], vocabulary: Vocabulary) -> list[list[int]]:
    """Cut words into pieces as BERT does; letters are lowered where the vocabulary has no capital ones.

    ``["外衣"]`` -> the ids of 外 and 衣. What the vocabulary cannot spell has [UNK] among its pieces.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = {piece: number for number, piece in enumerate(vocabulary.pieces) if piece}
    tokenizer = Tokenizer(models.WordPiece(vocab=pieces, unk_token=vocabulary.pieces[vocabulary.unk_id]))
    lowered = pieces.keys().isdisjoint(string.ascii_uppercase)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowered)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return [found.ids for found in tokenizer.encode_batch(list(words), add_special_tokens=False)]


def read_bytes(path: str, where: str) -> bytes:
    """Give the content of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(error, path, where) from None


def iterate_lines(path: str, where: str) -> Iterator[str]:
    r"""Give the lines of a UTF-8 file that hold something, reading no further than is asked; only "\n" ends a line.

    Raises:
        ConfigError: the file cannot be read, or the line is not UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            for line in filter(bytes.strip, file):
                yield line.decode("utf-8").removesuffix("\n")
    except OSError as error:
        raise _unreadable(error, path, where) from None
    except UnicodeDecodeError as error:
        raise _no_utf8(error, path, where) from None


def _unreadable(error: OSError, path: str, where: str) -> ConfigError:
    return ConfigError(f"cannot read the file: {error.strerror}", value=path, where=where, fix="Check it.")


def _no_utf8(error: UnicodeDecodeError, path: str, where: str) -> ConfigError:
    return ConfigError(f"not UTF-8: {error}", value=path, where=where, fix="Store it as UTF-8.")


def read_lines(path: str, where: str, sha256: str | None = None) -> list[str]:
    r"""Give the lines of a UTF-8 file that hold something; only "\n" ends a line.

    Raises:
        ConfigError: there is no such file, it is not UTF-8, or its content is not the one with ``sha256``.
    """
    content = read_bytes(path, where)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ConfigError(
            f"the file was changed while it was in use: its sha256 was {sha256[:16]}, now {found[:16]}",
            value=path,
            where=where,
            fix="Put the old content back, or make the scheme anew.",
        )
    try:
        return [line for line in content.decode("utf-8").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise _no_utf8(error, path, where) from None


def word_hashes(ids: NDArray[np.int32], begins: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give words, end to end in ``ids``, one number each that their pieces and the order of these decide."""
    if not len(begins):
        return np.empty(0, dtype=np.uint64)
    places = np.arange(len(ids)) - np.repeat(begins, np.diff(begins, append=len(ids)))
    return np.add.reduceat(mix(places, ids), begins)


def hashes_of(words: Iterable[Sequence[int]]) -> NDArray[np.uint64]:
    """Give the same numbers for words given as lists of ids, none of them empty."""
    spelled = list(words)
    begins = np.cumsum([0, *map(len, spelled)])[:-1]
    return word_hashes(np.array([i for word in spelled for i in word], dtype=np.int32), begins)


def find(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Say which of the wanted numbers are among rising ``keys``, and where; of the others the place means nothing."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=bool), np.zeros(len(wanted), dtype=np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return keys[places] == wanted, places
