"""A document's text in, the spans of its sentences out; every character lies in exactly one of them."""

from __future__ import annotations

import re

# A sentence runs up to its closing marks and the quotes or brackets that close after them, or to a line end.
_SENTENCE = re.compile(r"""[^。！？!?…\n]*(?:[。！？!?…]+[”’」』）)\]】》〉"']*\n?|\n|$)""")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Give [start, end) of each sentence, in code points: they follow one another and cover the whole text.

    ``"他来了。“好！”她说"`` -> ``[(0, 4), (4, 8), (8, 10)]``

    A full stop of Latin text does not end a sentence: it may stand inside a number, a name or code.
    """
    return [match.span() for match in _SENTENCE.finditer(text) if match.end() > match.start()]
