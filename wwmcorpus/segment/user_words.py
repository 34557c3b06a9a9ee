"""The words that a user adds to a segmenter: a file in jieba's format in, pairs (word, frequency) and a hash out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from wwmcorpus.errors import SegmenterError

_LINE = re.compile(r"(?P<word>.+?)(?:[ \t]+(?P<frequency>[0-9]+))?(?:[ \t]+[a-z]+)?")
#: Far above any count of a word, far below what the engines' integers hold.
_MAX_FREQUENCY = 10**12
_FIX = "Give a UTF-8 file with one `word [frequency] [tag]` per line."


@dataclass(frozen=True, slots=True)
class UserWords:
    """Words that a user added.

    Attributes:
        words: (word, frequency) in the order of the file; None: a frequency that makes the word win.
        forbidden: Words whose last frequency is 0: no dictionary word any more, and the HMM may not find them either.
        digest: First 8 hex digits of the file's sha256; empty where there is no file.
    """

    words: tuple[tuple[str, int | None], ...] = ()
    forbidden: frozenset[str] = frozenset()
    digest: str = ""


def read_user_words(path: str | Path) -> UserWords:
    """Read a dictionary in jieba's format; blank lines and a byte order mark are left out.

    ``"云计算 5 n"`` -> ``("云计算", 5)``; ``"云计算"`` -> ``("云计算", None)``

    Raises:
        SegmenterError: the file is absent or not UTF-8, or a frequency is too large.
    """
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SegmenterError(f"cannot read the user dictionary ({error.strerror})", value=str(path), fix=_FIX) from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise SegmenterError("the user dictionary is not UTF-8", value=str(path), where=where, fix=_FIX) from None
    words = tuple(
        _entry(line, f"{path}, line {number}")
        for number, raw in enumerate(text.split("\n"), 1)
        if (line := raw.strip())
    )
    forbidden = frozenset(word for word, frequency in dict(words).items() if frequency == 0)
    return UserWords(words, forbidden, hashlib.sha256(content).hexdigest()[:8])


def _entry(line: str, where: str) -> tuple[str, int | None]:
    found = _LINE.fullmatch(line)
    if found is None or found["frequency"] is None:
        # Without a match a line end of another kind stands inside the line: one word that no text holds.
        return line if found is None else found["word"], None
    frequency = found["frequency"].lstrip("0") or "0"
    if len(frequency) > len(str(_MAX_FREQUENCY)) or int(frequency) > _MAX_FREQUENCY:
        raise SegmenterError(
            "a frequency is too large", value=frequency[:40], where=where, fix=f"Give {_MAX_FREQUENCY} or less."
        )
    return found["word"], int(frequency)
