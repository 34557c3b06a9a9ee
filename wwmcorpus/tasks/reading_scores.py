"""Answers in, exact match and F1 out, as CMRC 2018 defines them.

Both sides are lower-cased and lose a fixed set of punctuation. For F1, Chinese characters count one by one and whatever
stands between them as words; what both sides share is their longest common run, not their common bag of words.

Source: Cui et al., arXiv:1810.07366, and the evaluation script of its data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: What the official script removes. Neither an ellipsis nor a left single quote is among it, nor ASCII's full stop,
#: comma, quotes and brackets.
_PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
_REMOVED = str.maketrans("", "", _PUNCTUATION)
_HAN = r"[\u4e00-\u9fa5]"
_LETTERS = rf"(?:(?!{_HAN})[^\W_])+"
#: A Chinese character of the script's range; a word or number, with the marks inside it; any other mark.
_UNIT = re.compile(rf"{_HAN}|{_LETTERS}(?:(?:[.']|,(?=\d)){_LETTERS})*|\S")


def exact_match(answers: Iterable[str], prediction: str) -> float:
    """Give 1.0 if a prediction is one of the answers, punctuation and case aside, else 0.0.

    ``(["1998年"], "《1998年》。")`` -> ``1.0``
    """
    return float(_plain(prediction) in {_plain(answer) for answer in answers})


def overlap_f1(answers: Iterable[str], prediction: str) -> float:
    """Give the F1 of a prediction against the answer that it fits best, in [0, 1]; 0 where nothing is shared.

    ``(["北京大学"], "在北京大学")`` -> ``2 * 4/5 * 4/4 / (4/5 + 4/4) = 0.889``
    """
    found = units(prediction)
    return max((_f1(units(answer), found) for answer in answers), default=0.0)


def units(text: str) -> list[str]:
    """Give what is counted: ``"iPhone 6s于2015年，发布"`` -> ``["iphone", "6s", "于", "2015", "年", "发", "布"]``."""
    return _UNIT.findall(_plain(text))


def _plain(text: str) -> str:
    return text.lower().strip().translate(_REMOVED)


def _f1(answer: Sequence[str], prediction: Sequence[str]) -> float:
    shared = _longest_common_run(answer, prediction)
    # 2PR / (P + R) with P = shared / len(prediction) and R = shared / len(answer).
    return 2 * shared / (len(answer) + len(prediction)) if shared else 0.0


def _longest_common_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Give the length of the longest sequence that stands in both without gaps."""
    best, before = 0, [0] * (len(other) + 1)
    for unit in one:
        row = [0]
        for place, candidate in enumerate(other):
            row.append(before[place] + 1 if unit == candidate else 0)
        best, before = max(best, *row), row
    return best
