"""What stands behind ``jieba:`` and ``rjieba:`` in a segmenter's name, read the same way for both.

Nothing behind it: exact mode with the HMM for unseen words. ``nohmm``: without. A path: a user dictionary, one
``word [frequency] [tag]`` per line. ``nohmm:PATH``: both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wwmcorpus.errors import ConfigError
from wwmcorpus.segment.user_words import UserWords, read_user_words


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

    @classmethod
    def of_name(cls, text: str, words: str | None) -> JiebaOptions:
        """Read what stands behind the colon, and take a user dictionary that was named beside it.

        Raises:
            ConfigError: a dictionary is named in both places.
        """
        options = cls.parse(text)
        if words is None:
            return options
        if options.dictionary is not None:
            raise ConfigError(
                "two user dictionaries",
                value=(options.dictionary, words),
                where="SegmenterOptions.words",
                fix="Name it behind the segmenter's colon or in its options, not both.",
            )
        return cls(options.hmm, words)

    def signature(self, name: str, digests: Iterable[str]) -> str:
        """Give ``name:mode@digest+digest``, without the digests that are empty."""
        found = "+".join(digest for digest in digests if digest)
        return f"{name}:{'hmm' if self.hmm else 'nohmm'}" + (f"@{found}" if found else "")

    def read(self) -> UserWords:
        """Read the user dictionary; an empty one where none was named.

        Raises:
            SegmenterError: the file is absent or not UTF-8.
        """
        return UserWords() if self.dictionary is None else read_user_words(self.dictionary)


def without_forbidden(words: list[str], forbidden: frozenset[str]) -> list[str]:
    """Cut the words that a user forbade into characters."""
    if forbidden.isdisjoint(words):
        return words
    return [part for word in words for part in (word if word in forbidden else (word,))]
