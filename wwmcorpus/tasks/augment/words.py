"""Texts and a segmenter in, the words that may be replaced out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from wwmcorpus.errors import SourceError
from wwmcorpus.resources import stop_words_file
from wwmcorpus.segment import Segmenter
from wwmcorpus.segment.batches import batches_of_texts
from wwmcorpus.tasks.augment.texts import ChangeableText
from wwmcorpus.tasks.lines import numbered_lines

#: A word with one of these says no, or says how many beside Unicode's numerals: a label often hangs on it. Some words
#: that only look so stay too (非常, 莫名, 第一): a variant less costs little, a wrong label much.
_FIXED = frozenset("不没沒无無非未勿莫毫否甭两俩倆半")


def load_stop_words(path: str | None) -> frozenset[str]:
    """Read a list of words, one a line, lower-cased; None: the package's.

    Raises:
        SourceError: there is no such file, it is not UTF-8 or has no word.
    """
    file = stop_words_file() if path is None else Path(path)
    words = set()
    for number, line in numbered_lines(file):
        if line is None:
            raise SourceError("not UTF-8", value=f"line {number}", where=str(file), fix="Convert the file to UTF-8.")
        words.add(line.strip().lower())
    if not words - {""}:
        raise SourceError("a list of stop words is empty", where=str(file), fix="Give one word a line.")
    return frozenset(words - {""})


def eligible_words(
    texts: Sequence[ChangeableText], segmenter: Segmenter, stop_words: frozenset[str]
) -> list[list[tuple[int, int]]]:
    """Give [start, end) of the words of each text that may be replaced, in code points.

    A word that may be replaced, and that touches nothing which must stay.

    Raises:
        AlignmentError: the segmenter's words are not the text's.
    """
    found: list[list[tuple[int, int]]] = []
    spans = (one for batch in batches_of_texts(text.text for text in texts) for one in segmenter.segment(batch))
    for text, words in zip(texts, spans, strict=True):
        found.append(
            [
                (start, end)
                for start, end in words.tolist()
                if is_replaceable(text.text[start:end], stop_words) and text.allows(start, end)
            ]
        )
    return found


def real_words(candidates: Iterable[list[str]], segmenter: Segmenter, stop_words: frozenset[str]) -> list[list[str]]:
    """Leave out candidates that may not stand for a word, and those that the segmenter cuts in two.

    Where none of a list is one word to the segmenter, those that it cuts stay.
    """
    lists = [[word for word in words if is_replaceable(word, stop_words)] for words in candidates]
    distinct = list(dict.fromkeys(word for words in lists for word in words))
    spans = segmenter.segment(distinct) if distinct else []
    is_word = {word: len(own) == 1 for word, own in zip(distinct, spans, strict=True)}
    return [[word for word in words if is_word[word]] or words for words in lists]


def is_replaceable(word: str, stop_words: frozenset[str]) -> bool:
    """Say whether a word may be replaced, and stand for another.

    It is all letters (Chinese characters are letters to Unicode), no stop word, and has no character of a negation or a
    number: 不能, 无法, 三十本, 两次 and mixtures such as 10万 often decide a label.
    """
    is_fixed = any(character in _FIXED or character.isnumeric() for character in word)
    return word.isalpha() and not is_fixed and word.lower() not in stop_words
