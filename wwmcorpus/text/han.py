"""Which code points are Chinese characters: the one table of the project."""

from __future__ import annotations

#: [first, last] of the blocks that BERT's tokenizer takes for Chinese characters: it cuts around each of them.
HAN_BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def is_han(code: int) -> bool:
    """Say whether BERT's tokenizer takes a code point for a Chinese character."""
    return any(first <= code <= last for first, last in HAN_BLOCKS)
