"""Compressed bytes in, blocks of what they hold out: in bounded memory, and never silent about a broken end.

The decompressors are those of the standard library (zstd: that of Python 3.14, or its backport), driven one step at a
time, because the file objects made for them either lose a truncated tail without a word or lose what stood before it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, cast

from wwmcorpus.errors import SourceError
from wwmcorpus.text.sources.source import Compression

#: Most bytes that one block holds.
BLOCK_BYTES = 1 << 20
#: Stored bytes that are decompressed at a step. What a corrupt step would have given before it broke is lost.
_STEP_BYTES = 1 << 15
#: So much may come out of any file before ``max_expansion`` is asked.
_FREE_BYTES = 1 << 24
#: Largest window of zstd (2 to that power), and memory of xz: enough for every setting of either tool.
_WINDOW_LOG = 31

_TITLES: dict[Compression, str] = {"gz": "gzip", "zst": "zstd", "bz2": "bzip2", "xz": "xz"}
_MAGIC: dict[Compression, tuple[bytes, ...]] = {
    "gz": (b"\x1f\x8b",),
    "zst": (b"\x28\xb5\x2f\xfd", *(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
}


class BrokenStreamError(Exception):
    """A compressed stream cannot be read on.

    Attributes:
        reason: For the rejection: ``"broken_gzip"``, ``"broken_zstd"``, ``"broken_bzip2"``, ``"broken_xz"`` or
            ``"expansion_cap"``.
        detail: One line for people.
        is_cut: Whether text was lost at this place; not so where a whole stream is followed by something else.
    """

    def __init__(self, reason: str, detail: str, is_cut: bool = True) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.is_cut = reason, detail, is_cut


class _Decompressor(Protocol):
    """What bz2, lzma and zstd of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def decompressed(read: Callable[[int], bytes], compression: Compression, max_expansion: int) -> Iterator[bytes]:
    """Give the content of a compressed stream in blocks, every member of it; zeros between and behind are padding.

    Args:
        read: Gives the next so many stored bytes, none at the end.
        compression: Of the stream; not empty.
        max_expansion: How many times more may come out than went in.

    Raises:
        BrokenStreamError: after everything that stands before the break was given.
        SourceError: zstd support is not installed.
    """
    stream = _Stream(read, compression, max_expansion)
    waiting = stream.read()
    if not waiting:
        raise stream.broken("the file is empty")
    while True:
        waiting = yield from stream.member(waiting)
        while not (waiting := waiting.lstrip(b"\0")):
            waiting = stream.read()
            if not waiting:
                return
        waiting += stream.read() if len(waiting) < len(_MAGIC[compression][0]) else b""
        if not any(waiting.startswith(magic[: len(waiting)]) for magic in _MAGIC[compression]):
            raise stream.broken("what follows the end of the stream is not compressed", is_cut=False)


class _Stream:
    """A compressed file, and how much of it went in and came out."""

    def __init__(self, read: Callable[[int], bytes], compression: Compression, max_expansion: int) -> None:
        self._read, self._compression, self._max_expansion = read, compression, max_expansion
        self._make, self._errors = _codec(compression)
        self._num_in = self._num_out = 0

    def read(self) -> bytes:
        data = self._read(_STEP_BYTES)
        self._num_in += len(data)
        return data

    def member(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Give the blocks of one member, and return the stored bytes behind it that were read already."""
        decompressor = self._make()
        while True:
            try:
                block = decompressor.decompress(data, BLOCK_BYTES)
            except self._errors as error:
                raise self.broken(str(error)) from None
            if block:
                self._count(len(block))
                yield block
            if decompressor.eof:
                return decompressor.unused_data
            data = b""
            if decompressor.needs_input and not (data := self.read()) and not block:
                raise self.broken("the stream ends before it is complete")

    def _count(self, num_bytes: int) -> None:
        self._num_out += num_bytes
        if self._num_out > max(_FREE_BYTES, self._max_expansion * self._num_in):
            raise BrokenStreamError(
                "expansion_cap", f"{self._num_in} stored bytes grew more than {self._max_expansion} times"
            )

    def broken(self, detail: str, is_cut: bool = True) -> BrokenStreamError:
        title = _TITLES[self._compression]
        return BrokenStreamError(f"broken_{title}", f"after {self._num_in} stored bytes: {detail}", is_cut)


def _codec(compression: Compression) -> tuple[Callable[[], _Decompressor], tuple[type[Exception], ...]]:
    """Give what makes a decompressor, and the errors that it raises."""
    if compression == "gz":
        import zlib

        return _Gzip, (zlib.error,)
    if compression == "bz2":
        import bz2

        return bz2.BZ2Decompressor, (OSError,)
    if compression == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << _WINDOW_LOG), (lzma.LZMAError,)
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return lambda: cast(_Decompressor, zstd.ZstdDecompressor(options=options)), (zstd.ZstdError,)


def _zstd() -> Any:
    import importlib

    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SourceError("a package for .zst files is not installed", fix="Run: pip install backports.zstd")


class _Gzip:
    """zlib's decompressor of gzip members, with the interface of the others."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
