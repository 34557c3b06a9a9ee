"""Numbers and text of others in, what people read out."""

from __future__ import annotations

import unicodedata

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
#: Categories of characters that do not show, or that change how others show.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"))


def visible(text: str) -> str:
    r"""Give a text whose every character shows: what would not, or would steer a terminal, as an escape.

    ``"a\x1b[31m"`` -> ``"a\\x1b[31m"``; a mark without a letter before it gets a dotted circle to stand on.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(_escape(character) if _is_unseen(character) else character for character in text)
    first = shown[:1]
    if first and ("VARIATION SELECTOR" in (name := unicodedata.name(first, "")) or name.startswith("EMOJI MODIFIER")):
        return _escape(first) + shown[1:]
    return f"◌{shown}" if first and unicodedata.category(first).startswith("M") else shown


def shortened(text: str, longest: int = 200) -> str:
    """Give a text as ``visible`` does, cut where it has more than ``longest`` characters."""
    return visible(text if len(text) <= longest else f"{text[:longest]}…")


def _is_unseen(character: str) -> bool:
    return character != " " and unicodedata.category(character) in _UNSEEN


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def count(number: int) -> str:
    """Give a count with separators: ``1,234,567``."""
    return f"{number:,}"


def plain(key: str) -> str:
    """Give the name of a count or a reason as words: ``invalid_utf8`` -> ``invalid utf8``."""
    return visible(key.replace("_", " "))


def percent(share: float | None) -> str:
    """Give a share of 1 as a percentage with one decimal, or two digits where that says nothing: ``0.0042%``."""
    if share is None:
        return ""
    value, rest = 100 * share, 100 * (1 - share)
    if value in (0, 100):
        return f"{value:.0f}%"
    if value < 0.1:
        return f"{value:.2g}%" if value >= 1e-4 else "<0.0001%"
    if rest < 0.05:  # what is not all does not become all by rounding
        return f"{100 - float(f'{rest:.1g}'):g}%" if rest >= 1e-4 else ">99.9999%"
    return f"{value:.1f}%"


def size(num_bytes: float) -> str:
    """Give a size in decimal units: ``20.1 MB``."""
    power = 0
    while num_bytes >= 999.5 and power < len(_UNITS) - 1:
        num_bytes, power = num_bytes / 1000, power + 1
    digits = 0 if power == 0 or num_bytes >= 99.95 else 1
    return f"{num_bytes:.{digits}f} {_UNITS[power]}"


def duration(seconds: float) -> str:
    """Give a time: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 9.995 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
