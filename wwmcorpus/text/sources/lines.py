r"""Blocks of bytes in, lines with their offsets out: split on ``"\n"`` only, in bounded memory.

``str.splitlines`` would also cut at U+2028, U+0085 and others that stand inside real text.
"""

from __future__ import annotations

from collections.abc import Iterator

from wwmcorpus.text.sources.decompress import BLOCK_BYTES, BrokenStreamError, decompressed
from wwmcorpus.text.sources.files import StoredFile
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.source import Slice

#: Where a line begins in the (decompressed) bytes, and the line without byte order mark and end; or only how many bytes
#: it has, where they are more than are allowed.
Line = tuple[int, bytes | int]
#: The same for lines that follow one another, each up to its ``"\n"``, so that only ``"\r"`` may still stand at its
#: end: the next begins ``len(line) + 1`` bytes later.
Run = tuple[int, list[bytes] | int]

_BOM = b"\xef\xbb\xbf"


class LineReader:
    """Gives every line from the first that begins in a slice to the file's end; the reader stops when it likes.

    Args:
        file: The slice's source.
        part: The slice.
        options: Say how long a line may be.

    Attributes:
        broken: Why the lines ended before the file, once they have; None while they have not.
        bom_bytes: Length of the file's byte order mark, once the first line was given.
        end_offset: Where the lines ended, once they have: the beginning of a line that is cut off.
    """

    def __init__(self, file: StoredFile, part: Slice, options: SourceOptions) -> None:
        self._file, self._part = file, part
        self._limit, self._max_expansion = options.max_document_bytes, options.max_expansion
        self.broken: BrokenStreamError | None = None
        self.bom_bytes = 0
        self.end_offset = 0

    def __iter__(self) -> Iterator[Line]:
        """Give the lines one by one."""
        for offset, run in self.runs():
            if isinstance(run, int):
                yield offset, run
                continue
            for raw in run:
                yield offset, raw[:-1] if raw.endswith(b"\r") else raw
                offset += len(raw) + 1

    def runs(self) -> Iterator[Run]:
        """Give the lines many at a time."""
        offset = max(self._part.start - 1, 0)
        is_inside = self._part.start > 0  # the line that byte start - 1 belongs to begins in an earlier slice
        pending: list[bytes] = []
        num_pending = 0
        try:
            for block in self._blocks(offset):
                first, *others = block.split(b"\n")
                if num_pending + len(first) <= self._limit + len(_BOM + b"\r"):
                    pending.append(first)
                else:
                    pending.clear()  # too long to be kept: from here on its bytes are only counted
                num_pending += len(first)
                if others:
                    if not is_inside:
                        yield offset, self._one(offset, b"".join(pending), num_pending)
                    is_inside = False
                    offset += num_pending + 1
                    pending, num_pending = [others.pop()], 0
                    yield from self._many(offset, others, len(block))
                    offset += sum(map(len, others)) + len(others)
                    num_pending = len(pending[0])
                elif is_inside and offset + num_pending >= self._part.end:
                    return
        except BrokenStreamError as error:
            self.broken = error
        self.end_offset = offset
        if num_pending and not is_inside and not (self.broken and self.broken.is_cut):
            yield offset, self._one(offset, b"".join(pending), num_pending)
            self.end_offset = offset + num_pending

    def _blocks(self, start: int) -> Iterator[bytes]:
        compression = self._part.source.compression
        if compression:
            yield from decompressed(self._file.read, compression, self._max_expansion)
            return
        if start:
            self._file.seek(start)
        while block := self._file.read(BLOCK_BYTES):
            yield block

    def _many(self, offset: int, lines: list[bytes], num_bytes: int) -> Iterator[Run]:
        """Give lines that stand in the middle of a block of so many bytes."""
        if num_bytes <= self._limit:
            if lines:
                yield offset, lines
            return
        for raw in lines:
            yield offset, self._one(offset, raw, len(raw))
            offset += len(raw) + 1

    def _one(self, offset: int, raw: bytes, num_bytes: int) -> list[bytes] | int:
        """Give a line of which so many bytes were read, if all of them were kept."""
        if offset == 0 and raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
            self.bom_bytes = len(_BOM)
        if num_bytes > len(raw) + self.bom_bytes or len(raw) - raw.endswith(b"\r") > self._limit:
            return num_bytes
        return [raw]
