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

    A word that is all letters (Chinese characters are letters to Unicode), that is no stop word, and that touches
    nothing which must stay. Numbers, marks and mixtures such as 10万 stay: they often decide a label.

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
    """Leave out candidates that are no words: those that the segmenter cuts in two, and stop words.

    Where none of a list is one word to the segmenter, it stays as it is but for stop words.
    """
    lists = [[word for word in words if word.lower() not in stop_words] for words in candidates]
    distinct = list(dict.fromkeys(word for words in lists for word in words))
    spans = segmenter.segment(distinct) if distinct else []
    is_word = {word: len(own) == 1 for word, own in zip(distinct, spans, strict=True)}
    return [[word for word in words if is_word[word]] or words for words in lists]


def is_replaceable(word: str, stop_words: frozenset[str]) -> bool:
    """Say whether a word is all letters and no stop word: such a one may be replaced, and stand for another."""
    return word.isalpha() and word.lower() not in stop_words
