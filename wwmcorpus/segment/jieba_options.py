"""What stands behind ``jieba:`` and ``rjieba:`` in a segmenter's name, read the same way for both.

Nothing behind it: exact mode with the HMM for unseen words. ``nohmm``: without. A path: a user dictionary, one
``word [frequency] [tag]`` per line. ``nohmm:PATH``: both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wwmcorpus.errors import SegmenterError

_LINE = re.compile(r"(?P<word>.+?)(?: (?P<frequency>[0-9]+))?(?: [a-z]+)?")


@dataclass(frozen=True, slots=True)
class UserDictionary:
    """Words that a user added.

    Attributes:
        words: (word, frequency) in the order of the file; None: a frequency that makes the word win.
        forbidden: Words whose last frequency is 0: no dictionary word any more, and the HMM may not find them either.
        digest: First 8 hex digits of the file's sha256; empty where there is no file.
    """

    words: tuple[tuple[str, int | None], ...] = ()
    forbidden: frozenset[str] = frozenset()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class JiebaOptions:
    """How to cut: with the HMM or without, and the file of a user dictionary or None."""

    hmm: bool = True
    dictionary: str | None = None

    @classmethod
    def parse(cls, text: str) -> JiebaOptions:
        """Read what stands behind the colon: ``"nohmm:words.txt"`` -> ``JiebaOptions(False, "words.txt")``."""
        first, _, rest = text.partition(":")
        return cls(False, rest or None) if first == "nohmm" else cls(True, text or None)

    def signature(self, name: str, digests: Iterable[str]) -> str:
        """Give ``name:mode@digest+digest``, without the digests that are empty."""
        found = "+".join(digest for digest in digests if digest)
        return f"{name}:{'hmm' if self.hmm else 'nohmm'}" + (f"@{found}" if found else "")

    def read(self) -> UserDictionary:
        """Read the user dictionary; an empty one where none was named.

        Raises:
            SegmenterError: the file is absent or not UTF-8.
        """
        return UserDictionary() if self.dictionary is None else read_user_dictionary(self.dictionary)


def read_user_dictionary(path: str | Path) -> UserDictionary:
    """Read a dictionary in jieba's format; blank lines and a byte order mark are left out.

    ``"云计算 5 n"`` -> ``("云计算", 5)``; ``"云计算"`` -> ``("云计算", None)``

    Raises:
        SegmenterError: the file is absent or not UTF-8.
    """
    fix = "Give a file with one `word [frequency] [tag]` per line, or nohmm."
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SegmenterError(f"cannot read the user dictionary ({error.strerror})", value=str(path), fix=fix) from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise SegmenterError("the user dictionary is not UTF-8", value=str(path), where=where, fix=fix) from None
    words = tuple(_entry(line) for raw in text.split("\n") if (line := raw.strip()))
    forbidden = frozenset(word for word, frequency in dict(words).items() if frequency == 0)
    return UserDictionary(words, forbidden, hashlib.sha256(content).hexdigest()[:8])


def _entry(line: str) -> tuple[str, int | None]:
    found = _LINE.fullmatch(line)
    if found is None:  # a line feed of another kind inside the line: one word that no text holds
        return line, None
    frequency = found["frequency"]
    return found["word"], None if frequency is None else int(frequency)


def without_forbidden(words: list[str], forbidden: frozenset[str]) -> list[str]:
    """Cut the words that a user forbade into characters."""
    if forbidden.isdisjoint(words):
        return words
    return [part for word in words for part in (word if word in forbidden else (word,))]
