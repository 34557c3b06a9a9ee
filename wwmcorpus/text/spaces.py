"""The code points that ``str.isspace`` takes for whitespace."""

from __future__ import annotations

#: None lies above U+3000: asking every code point would take a third of a second in each worker.
SPACES = tuple(code for code in range(0x3001) if chr(code).isspace())
