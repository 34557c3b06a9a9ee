"""The user's own words in LTP's models: words of a model in, words that know the user's out.

It is what the released package's ``add_words`` does: a lattice of the model's words and the user's is cut along its
best path, by the engine of ``ltp_extension``. That engine ends the whole process where a user's word stands before
whitespace of more than one byte (U+3000, say), or where it cannot store a word: it never gets to see either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from wwmcorpus.errors import ConfigError
from wwmcorpus.segment.spans import replace_lone_surrogates
from wwmcorpus.segment.user_words import read_user_words

#: What LTP's add_words takes unless it is told otherwise.
_FREQUENCY = 2
#: Whitespace that is not ASCII. The engine counts its characters and takes the count for bytes.
_WIDE_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


class LtpWords:
    """The user's own words.

    Args:
        words: (word, frequency) pairs, in any order; None: 2. Of a word that comes twice the last one counts.
        source: Where they come from, for messages.

    Attributes:
        signature: ``"+words:1a2b3c4d"``, a hash of words and frequencies; empty where there are none.

    Raises:
        ConfigError: one is blank, or holds what no text can hold, or has the frequency 0.
    """

    def __init__(self, words: Iterable[tuple[str, int | None]] = (), source: str = "words") -> None:
        from ltp_extension.algorithms import Hook

        self._hook = Hook()
        frequencies = {word: _FREQUENCY if frequency is None else frequency for word, frequency in words}
        for word, frequency in sorted(frequencies.items()):
            _check(word, frequency, source)
            self._hook.add_word(word, frequency)
        lines = "\n".join(f"{word} {frequency}" for word, frequency in sorted(frequencies.items()))
        self.signature = f"+words:{hashlib.sha256(lines.encode()).hexdigest()[:8]}" if frequencies else ""

    @classmethod
    def of_file(cls, path: str | Path | None) -> LtpWords:
        """Read a user dictionary; None is one without words.

        Raises:
            SegmenterError: the file is absent or not UTF-8.
            ConfigError: LTP cannot take one of its words.
        """
        return cls() if path is None else cls(read_user_words(path).words, str(path))

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.signature)

    def cut(self, words: Sequence[str]) -> list[str]:
        """Give the words of the same text once the user's own are known; of whitespace, only the length is kept.

        With 姆去拿: ``["他", "叫", "汤姆", "去", "拿"]`` -> ``["他", "叫", "汤", "姆去拿"]``

        Args:
            words: None of them empty, without halves of surrogate pairs.
        """
        text = "".join(words)
        if _WIDE_SPACE.search(text):
            text, words = _WIDE_SPACE.sub(" ", text), [_WIDE_SPACE.sub(" ", word) for word in words]
        found: list[str] = self._hook.hook(text, list(words))
        return found


def _check(word: str, frequency: int, source: str) -> None:
    if not word.strip() or "\0" in word or replace_lone_surrogates(word)[1]:
        raise ConfigError("not a word", value=word, where=source, fix="Give words as they stand in text.")
    if frequency < 1:
        raise ConfigError(
            "LTP cannot take a word out (frequency 0)",
            value=word,
            where=source,
            fix="Give a frequency of 1 or more, leave the word out, or use jieba or rjieba.",
        )
