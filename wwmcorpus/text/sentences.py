"""Texts in, their sentences out; every character lies in exactly one of them.

A sentence runs up to its closing marks (。！？!?… and the like, in any number), with the quotes and brackets that close
behind them and the spaces behind these; or to the end of its line. Where it is in doubt:

    他说：“好。”|然后走了。|             a quotation that ends like a sentence ends one, as in LTP's splitter,
    “走吧！”，他说。|                    but not where a comma, a colon or a semicolon follows
    他说。"|好。"|                       a straight quote behind a mark closes, as it mostly does
    圆周率是3.14。|Mr. Liu left. |然后   a full stop counts behind two small letters or Chinese characters and before a
                                         space and a capital or a Chinese character
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.text.line import ends_of
from wwmcorpus.text.spaces import SPACES

_MARKS = "。！？!?…⋯｡‼⁇⁈⁉"
_CLOSERS = "”’」』）)]】》〉〕｝}＂＇﹂﹄\"'"
_GOES_ON = "，、；：,;:"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANKS = re.compile(r"[^\S\n]+")
#: A full stop that ends a sentence. Time is linear in the text whatever it holds: what is read is not given back.
_FULL_STOP = re.compile(
    rf"\.(?<=[^\W\d_A-Z][^\W\d_A-Z]\.)[{re.escape(_CLOSERS)}]*+[^\S\n]++(?=[A-Z\u3400-\u9fff“‘「『《（(\"'])"
)
_MARK, _CLOSER, _GO_ON, _BLANK, _LINE_END = 1, 2, 4, 8, 16


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Give [start, end) of each sentence, in code points: they follow one another and cover the whole text.

    ``"他来了。“好！”她说"`` -> ``[(0, 4), (4, 8), (8, 10)]``
    """
    ends = _ends(text).tolist()
    if text and (not ends or ends[-1] < len(text)):
        ends.append(len(text))
    return list(zip([0, *ends], ends, strict=False))


def split_sentences(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Split several texts at once: much faster than one by one where they are short.

    ``["好。走吧", "", "行"]`` -> ``(["好。", "走吧", "行"], [0, 0, 2])``

    Returns:
        The sentences that ``sentence_spans`` finds in each text, in order, and the number of the text of each, int64.
    """
    joined = "\n".join(texts)
    text_ends = ends_of(texts)
    # A line end ends a sentence, so none goes on into the next text; what holds the line end is cut before it.
    ends = np.union1d(_ends(joined), text_ends)
    home = np.searchsorted(text_ends, ends)
    begins = np.maximum(np.append(0, ends)[:-1], np.append(0, text_ends + 1)[home])
    real = ends > begins
    bounds = zip(begins[real].tolist(), ends[real].tolist(), strict=True)
    return [joined[begin:end] for begin, end in bounds], home[real]


def split_lines(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    r"""Do the same where each line of a text is a sentence already.

    ``["好。走吧\n行", ""]`` -> ``(["好。走吧\n", "行"], [0, 0])``
    """
    lines = [_LINE.findall(text) for text in texts]
    return [line for own in lines for line in own], np.repeat(np.arange(len(texts)), [len(own) for own in lines])


def _ends(text: str) -> NDArray[np.int64]:
    """Give where sentences end, rising: the text is read as an array, since most of it decides nothing."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds().take(codes, mode="clip")
    line_ends = np.flatnonzero(kinds == _LINE_END) + 1
    full_stops = [match.end() for match in _FULL_STOP.finditer(text)] if "." in text else []
    return np.unique(np.concatenate([line_ends, _ends_behind_marks(text, kinds), np.array(full_stops, np.int64)]))


def _ends_behind_marks(text: str, kinds: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Give where sentences end that a mark closes; those that end with their line as well may be missing."""
    in_run = np.zeros(len(kinds) + 2, dtype=np.int8)
    in_run[1:-1] = (kinds & (_MARK | _CLOSER)) > 0
    steps = np.diff(in_run)
    begins, ends = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)
    marks = np.append(np.flatnonzero(kinds == _MARK), len(kinds))
    ends = ends[marks.take(np.searchsorted(marks, begins)) < ends]
    following = np.append(kinds, 0).take(ends)
    spaced = [_BLANKS.match(text, end).end() for end in ends[following == _BLANK].tolist()]  # type: ignore[union-attr]
    # A line end behind the blanks ends the sentence itself, one character later.
    spaced = [end for end in spaced if text[end : end + 1] != "\n"]
    return np.append(ends[following == 0], np.array(spaced, dtype=np.int64))


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    """Give the kind of every code point below 2**16; what lies above has none, like the last of these."""
    kinds = np.zeros(0x10000, dtype=np.uint8)
    for kind, characters in ((_MARK, _MARKS), (_CLOSER, _CLOSERS), (_GO_ON, _GOES_ON), (_LINE_END, "\n")):
        kinds[[ord(character) for character in characters]] = kind
    kinds[[code for code in SPACES if chr(code) != "\n"]] = _BLANK
    return kinds
