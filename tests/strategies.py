"""Texts as they come: every script and trouble that a corpus holds, mixed in one string."""

from __future__ import annotations

import sys
from itertools import pairwise

from hypothesis import strategies as st

#: Every character that separates words to ``str.isspace``.
WHITESPACE = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]

_WORDS = [
    "研究",
    "研究生",
    "生命",
    "起源",
    "的",
    "他叫汤姆",
    "拿外衣",
    "北京大学",
    "中华人民共和国",
    "10万",
    "哆啦A梦",
    "T恤",
    "3月",
]
_TRADITIONAL = ["臺灣", "圖書館", "颱風", "麵店", "鬱"]
_LATIN = ["hello", "world", "GitHub", "wwm", "x", "a1", "İstanbul", "ﬁrst", "straße", "ǅ", "don't", "3.14", "2026"]
_EMOJI = ["😀", "👍🏽", "👨\u200d👩\u200d👧\u200d👦", "🇨🇳", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "1\ufe0f\u20e3"]
_SPECIALS = ["[MASK]", "[SEP]", "[CLS]", "[UNK]", "[unused1]", "##a"]

han = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
extension_b = st.characters(min_codepoint=0x20000, max_codepoint=0x2A6DF)
compatibility_han = st.characters(min_codepoint=0xF900, max_codepoint=0xFAFF)
full_width = st.characters(min_codepoint=0xFF01, max_codepoint=0xFF5E)
punctuation = st.sampled_from("。，！？…；：“”‘’（）《》、——.,!?;:\"'()[]<>-_/%")
combining = st.characters(min_codepoint=0x300, max_codepoint=0x36F)
hangul = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
#: Controls, format characters and the replacement character: what tokenizers remove.
invisible = st.sampled_from(
    ["\x00", "\x07", "\x1b", "\x7f", "\x84", "\ufeff", "\u200b", "\u200d", "\u00ad", "\ufffd", "\u180e"]
)
whitespace = st.sampled_from(WHITESPACE)

_fragments = st.one_of(
    st.sampled_from(_WORDS),
    st.sampled_from(_TRADITIONAL),
    st.sampled_from(_LATIN),
    st.sampled_from(_EMOJI),
    st.sampled_from(_SPECIALS),
    han,
    extension_b,
    compatibility_han,
    full_width,
    punctuation,
    combining,
    hangul,
    invisible,
    whitespace,
    st.characters(exclude_categories=["Cs"]),
)

#: Any valid Unicode text, the empty one included.
texts = st.lists(_fragments, max_size=16).map("".join)
#: The same with halves of surrogate pairs, which Python strings can hold but UTF-8 cannot.
any_strings = st.lists(st.one_of(_fragments, st.characters(categories=["Cs"])), max_size=16).map("".join)


@st.composite
def split_words(draw: st.DrawFn, strings: st.SearchStrategy[str] = any_strings) -> tuple[str, list[str]]:
    """A string and the words that a segmenter may give for it: any cuts, some whitespace dropped, as LTP drops it."""
    text = draw(strings)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    return text, [piece.strip() if draw(st.booleans()) else piece for piece in pieces]
