"""Text in, the same text without the characters that no reader sees and no model should learn.

Segmenter and tokenizer both read what comes out of here, so that word spans and piece offsets count in one string.
Letters, punctuation and widths stay as they were written: a full-width comma never becomes a narrow one.
"""

from __future__ import annotations

import re

# Control characters (category Cc) that are not whitespace to str.isspace: whitespace separates words and stays.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")


def normalise(text: str) -> tuple[str, int]:
    r"""Give ``text`` without control characters and byte order marks, and how many were removed.

    ``"\ufeff你\x00好"`` -> ``("你好", 2)``
    """
    return _CONTROL.subn("", text)
