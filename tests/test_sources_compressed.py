"""Compressed files: all of what they hold, in bounded memory; and wherever one breaks off, one rejection says so."""

import bz2
import gzip
import importlib
import lzma
import random

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from test_text import files, seen

from wwmcorpus.errors import SourceError
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import SourceOptions, find_sources, plan_slices, read_slice
from wwmcorpus.text.sources import decompress

CHECKED = {zstd.CompressionParameter.checksum_flag: 1}
COMPRESS = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": lambda data: zstd.compress(data, options=CHECKED),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
REASONS = {"gz": "broken_gzip", "zst": "broken_zstd", "bz2": "broken_bzip2", "xz": "broken_xz"}
LINES = [f"第{number}行的内容是独一无二的{number * 7919}" for number in range(16)]
CONTENT = "".join(f"{line}\n" for line in LINES).encode()

every_compression = pytest.mark.parametrize("compression", COMPRESS)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("compressed")


def read(path, stored, **options):
    path.write_bytes(stored)
    parts = plan_slices(find_sources([str(path)]), slice_bytes=10)
    assert len(parts) == 1, "it can only be read from its beginning"
    assert (parts[0].size_bytes, parts[0].is_splittable) == (len(stored), False)
    return list(read_slice(parts[0], SourceOptions(**options)))


def split(items):
    texts = [item.text for item in items if isinstance(item, Document)]
    return texts, [item for item in items if isinstance(item, Rejection)]


@every_compression
@settings(max_examples=20)
@given(data=files, cut=st.integers(0, 300))
def test_members_give_what_the_plain_file_gives(scratch, compression, data, cut):
    (scratch / "plain.txt").write_bytes(data)
    (source,) = find_sources([str(scratch / "plain.txt")])
    plain = [item for part in plan_slices([source], 1 << 30) for item in read_slice(part)]
    compress = COMPRESS[compression]
    for stored in (compress(data), compress(data[:cut]) + bytes(512) + compress(data[cut:]) + bytes(8)):
        assert seen(read(scratch / f"packed.txt.{compression}", stored)) == seen(plain)


@every_compression
def test_every_cut_is_seen(tmp_path, compression):
    stored = COMPRESS[compression](CONTENT)
    for length in range(len(stored)):
        texts, rejections = split(read(tmp_path / f"cut.txt.{compression}", stored[:length]))
        assert texts == LINES[: len(texts)]
        assert [item.reason for item in rejections] == [REASONS[compression]]
        assert rejections[0].offset == len("".join(f"{line}\n" for line in texts).encode())


@every_compression
def test_a_cut_in_the_second_member_keeps_the_first(tmp_path, compression):
    first = COMPRESS[compression](CONTENT)
    stored = first + COMPRESS[compression](CONTENT)
    for length in range(len(first) + 1, len(stored), 23):
        texts, rejections = split(read(tmp_path / f"cut.txt.{compression}", stored[:length]))
        assert texts[: len(LINES)] == LINES
        assert [item.reason for item in rejections] == [REASONS[compression]]
    assert split(read(tmp_path / f"whole.txt.{compression}", first)) == (LINES, [])


@every_compression
def test_a_flipped_bit_never_changes_text_in_silence(tmp_path, compression):
    stored = COMPRESS[compression](CONTENT)
    for bit in random.Random(0).sample(range(8 * len(stored)), 150):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        texts, rejections = split(read(tmp_path / f"flipped.txt.{compression}", bytes(damaged)))
        assert texts == LINES or rejections


@every_compression
@pytest.mark.parametrize("document_break", ["line", "blank_line"])
def test_what_follows_a_whole_stream_costs_no_document(tmp_path, compression, document_break):
    content = "一\n\n二\n三".encode()
    stored = COMPRESS[compression](content)
    path = tmp_path / f"more.txt.{compression}"
    whole = read(path, stored, document_break=document_break)
    *items, rejection = read(path, stored + b"not compressed", document_break=document_break)
    assert items == whole
    assert (rejection.reason, rejection.offset) == (REASONS[compression], len(content))
    *items, rejection = read(path, stored[:-1], document_break=document_break)
    assert len(items) < len(whole), "the last document may go on behind the break"


@every_compression
def test_a_bomb_is_given_up(tmp_path, compression, monkeypatch):
    monkeypatch.setattr(decompress, "_FREE_BYTES", 1 << 20)
    line = "".join(random.Random(0).choices("天地玄黄宇宙洪荒", k=300))
    stored = COMPRESS[compression](f"{line}\n".encode() * 2000)
    path = tmp_path / f"bomb.txt.{compression}"
    texts, (rejection,) = split(read(path, stored, max_expansion=20))
    assert texts == [line] * len(texts)
    assert 0 < len(texts) < 2000
    assert (rejection.reason, rejection.offset) == ("expansion_cap", len(texts) * 901)
    assert split(read(path, stored, max_expansion=1 << 20)) == ([line] * 2000, [])
    (rejection,) = read(path, COMPRESS[compression](bytes(2 << 20)))
    assert (rejection.reason, rejection.offset) == ("expansion_cap", 0)


@every_compression
def test_ordinary_text_is_not_taken_for_a_bomb(tmp_path, compression, monkeypatch):
    monkeypatch.setattr(decompress, "_FREE_BYTES", 0)
    words = ["研究", "生命", "的", "起源", "，", "北京", "大学", "在", "。"]
    rng = random.Random(1)
    lines = ["".join(rng.choices(words, k=200)) for _ in range(600)]
    content = "\n".join(lines).encode()
    assert split(read(tmp_path / f"text.txt.{compression}", COMPRESS[compression](content))) == (lines, [])


@every_compression
def test_what_is_not_compressed_is_rejected(tmp_path, compression):
    path = tmp_path / f"plain.jsonl.{compression}"
    for stored in (b"", b"plain text", '{"text": "好"}\n'.encode()):
        (rejection,) = read(path, stored)
        assert (rejection.reason, rejection.offset) == (REASONS[compression], 0)


def test_zstd_that_is_not_installed_is_one_error(tmp_path, monkeypatch):
    stored = zstd.compress(CONTENT)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SourceError, match=r"pip install backports\.zstd"):
        read(tmp_path / "some.txt.zst", stored)
