r"""Text in, the same text without what no reader sees and no model should learn, and how many characters changed, out.

Punctuation stays as it was written: a full-width comma never becomes a narrow one. Each function looks before it
replaces: most texts have nothing to change, and looking is cheap. What is printable to Python has no whitespace but the
space, no control and no format characters. Done twice, each function changes nothing more.
"""

from __future__ import annotations

import re
import unicodedata

from wwmcorpus.text.han import HAN_BLOCKS, is_han

# Control characters (category Cc) that are not whitespace to str.isspace: whitespace separates words and stays.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
# Format characters (category Cf) that nobody sees. Signs of other scripts that show, and the tags of flags, stay.
_ZERO_WIDTH = re.compile("[\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]+")
_JOINERS = "\u200c\u200d"
_FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ]+")
_TO_ASCII = {code: code - 0xFEE0 for ends in ("０９", "ＡＺ", "ａｚ") for code in range(ord(ends[0]), ord(ends[1]) + 1)}
# A blank is whitespace that ends no line. To be changed: two of them or more, and one at an end of a line.
_BLANKS = re.compile(r"[^\S\n]{2,}|^[^\S\n]|[^\S\n]$", re.MULTILINE)
_RUN = re.compile(r"[^\S\n]+")
_HAN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in HAN_BLOCKS) + "]+")


def normalise(text: str) -> tuple[str, int]:
    r"""Give ``text`` without control characters and byte order marks, and how many were removed.

    ``"\ufeff你\x00好"`` -> ``("你好", 2)``
    """
    return (text, 0) if text.isprintable() or _CONTROL.search(text) is None else _CONTROL.subn("", text)


def without_zero_width(text: str) -> tuple[str, int]:
    r"""Give ``text`` without zero-width characters, and how many were removed.

    The two joiners stay between emoji or letters of other scripts, which they change, and nowhere else.

    ``"研\u200b究👨\u200d👩"`` -> ``("研究👨\u200d👩", 1)``
    """
    if text.isprintable() or _ZERO_WIDTH.search(text) is None:
        return text, 0
    clean = _ZERO_WIDTH.sub(_joiners_that_join, text)
    return (clean, len(text) - len(clean)) if clean != text else (text, 0)


def narrowed(text: str) -> tuple[str, int]:
    """Give ``text`` with full-width Latin letters and digits as ASCII, and how many there were.

    ``"Ｔ恤，１００％"`` -> ``("T恤，100％", 4)``
    """
    if _FULL_WIDTH.search(text) is None:
        return text, 0
    count = sum(map(len, _FULL_WIDTH.findall(text)))
    return _FULL_WIDTH.sub(lambda match: match[0].translate(_TO_ASCII), text), count


def without_extra_blanks(text: str) -> tuple[str, int]:
    r"""Give ``text`` with runs of blanks as one space and no blanks at the ends of lines; and how many were removed.

    Line ends are no blanks, and stay.

    ``"\u3000\u3000你  好 \n"`` -> ``("你 好\n", 4)``
    """
    if text.isprintable() and "  " not in text and not text.startswith(" ") and not text.endswith(" "):
        return text, 0
    if _BLANKS.search(text) is None:
        return text, 0
    clean = _RUN.sub(_one_blank, text)
    return clean, len(text) - len(clean)


def han_ratio(text: str) -> float:
    """Give the share of Chinese characters among those that are not whitespace, in [0, 1]; 0 where there are none."""
    visible = sum(map(len, text.split()))
    return (len(text) - len(_HAN.sub("", text))) / visible if visible else 0.0


def _joiners_that_join(match: re.Match[str]) -> str:
    """Give what stays of a run of zero-width characters."""
    text, (start, end) = match.string, match.span()
    if start == 0 or end == len(text) or not (_can_be_joined(text[start - 1]) and _can_be_joined(text[end])):
        return ""
    return "".join(character for character in match[0] if character in _JOINERS)


def _can_be_joined(character: str) -> bool:
    """Say whether a character is a letter, a mark or a symbol, and no Chinese character."""
    return unicodedata.category(character)[0] in "LMS" and not is_han(ord(character))


def _one_blank(match: re.Match[str]) -> str:
    """Give what stays of a run of blanks: nothing at the ends of a line, a blank alone, else one space."""
    text, (start, end) = match.string, match.span()
    if start == 0 or end == len(text) or "\n" in (text[start - 1], text[end]):
        return ""
    return match[0] if end - start == 1 else " "
