"""A file in, its lines with their numbers out: UTF-8, split at line feeds only, packed or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wwmcorpus.errors import SourceError
from wwmcorpus.segment.spans import replace_lone_surrogates
from wwmcorpus.text.sources import Slice, Source, SourceOptions, shown
from wwmcorpus.text.sources.files import open_stored
from wwmcorpus.text.sources.lines import LineReader
from wwmcorpus.text.sources.source import COMPRESSED

#: A reading comprehension file may be one line; none is as long as this.
_OPTIONS = SourceOptions(max_document_bytes=1 << 30)


def numbered_lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """Give each line of a file, from 1; None for one that is not UTF-8.

    Byte order marks and carriage returns at the ends of lines are left out.

    Raises:
        SourceError: there is no such file, or it breaks off.
    """
    compression = COMPRESSED.get(path.suffix.lower(), "")
    size_bytes = path.stat().st_size if path.is_file() else 0
    source = Source(shown(path.name), str(path), "txt", compression, size_bytes)
    with open_stored(source) as file:
        lines = LineReader(file, Slice(0, source, 0, size_bytes), _OPTIONS)
        for number, (_, line) in enumerate(lines, 1):
            yield number, _decoded(line)
        if lines.broken is not None:
            raise SourceError(
                f"a task file breaks off: {lines.broken}",
                value=lines.broken.reason,
                where=str(path),
                fix="Fetch or pack it again.",
            )


def half_of_a_pair(*texts: str) -> bool:
    """Say whether any text holds half of a surrogate pair, as JSON can spell it and UTF-8 cannot hold it."""
    return any(replace_lone_surrogates(text)[1] for text in texts)


def _decoded(line: bytes | int) -> str | None:
    try:
        return None if isinstance(line, int) else line.decode("utf-8")
    except UnicodeDecodeError:
        return None
