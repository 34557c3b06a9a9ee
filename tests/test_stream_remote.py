"""A corpus behind a URL: copied once, checked as it arrives, then a corpus like any other."""

import errno
import multiprocessing
import os

import fsspec
import pytest
import torch

from wwmcorpus.corpus import open_corpus
from wwmcorpus.errors import CorpusError, SourceError
from wwmcorpus.stream import Stream


@pytest.fixture
def remote(small_corpus):
    """The small corpus in a file system that lives in memory: its root, and the URL of it."""
    system = fsspec.filesystem("memory")
    for path in sorted(small_corpus.path.rglob("*")):
        if path.is_file() and not path.name.startswith("cache-"):  # what datasets leaves there is no part of it
            system.pipe_file(f"/bucket/corpus/{path.relative_to(small_corpus.path).as_posix()}", path.read_bytes())
    yield system
    system.rm("/bucket", recursive=True)


URL = "memory://bucket/corpus"


def test_a_remote_corpus_is_a_corpus(remote, small_corpus, tmp_path):
    copy = open_corpus(URL, cache=tmp_path)
    assert copy.fingerprint == small_corpus.fingerprint
    assert copy.path.parent == tmp_path
    found, wanted = Stream(copy, 16).batch(1, 2), Stream(small_corpus, 16).batch(1, 2)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_what_is_there_is_not_fetched_again_and_what_is_broken_is(remote, small_corpus, tmp_path):
    copy = open_corpus(URL, cache=tmp_path).path
    shard = next(copy.glob("data-*.arrow"))
    for path in (name for name in remote.ls("/bucket/corpus", detail=False) if name.endswith(".arrow")):
        remote.rm(path)
    assert open_corpus(URL, cache=tmp_path).path == copy, "a whole copy asks for the manifest alone"
    (copy / "state.json").unlink()
    assert len(open_corpus(URL, cache=tmp_path)) == len(small_corpus), (
        "whole files of a copy that was not ended are kept"
    )
    (copy / "state.json").unlink()
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(SourceError, match="no such file"):
        open_corpus(URL, cache=tmp_path)


def test_a_file_that_arrives_damaged_is_no_part_of_a_copy(remote, tmp_path):
    path = next(name for name in remote.ls("/bucket/corpus", detail=False) if name.endswith(".arrow"))
    content = bytearray(remote.cat_file(path))
    content[len(content) // 2] ^= 1
    remote.pipe_file(path, bytes(content))
    with pytest.raises(CorpusError, match="arrived with sha256"):
        open_corpus(URL, cache=tmp_path)
    assert not list(tmp_path.rglob("state.json"))


@pytest.mark.parametrize("name", ["data-*.arrow", "state.json", "tokenizer/tokenizer.json"])
def test_a_copy_that_is_found_damaged_is_mended(remote, small_corpus, tmp_path, name):
    copy = open_corpus(URL, cache=tmp_path).path
    damaged = next(copy.glob(name))
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorpusError):
        open_corpus(copy)
    assert open_corpus(URL, cache=tmp_path).fingerprint == small_corpus.fingerprint
    assert damaged.read_bytes() == content


def test_what_a_killed_process_left_goes_and_nothing_else_does(remote, tmp_path):
    copy = open_corpus(URL, cache=tmp_path).path
    files = sorted(copy.rglob("*"))
    (copy / "state.json").unlink()
    for left in (copy / ".data-00000.arrow.17.tmp", copy / "tokenizer" / ".tokenizer.json.17.tmp"):
        left.write_bytes(b"half")
    open_corpus(URL, cache=tmp_path)
    assert sorted(copy.rglob("*")) == files
    assert list(tmp_path.iterdir()) == [copy]


def test_a_disk_that_refuses_is_not_blamed_on_the_source(remote, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(CorpusError, match=r"cannot be written: (File exists|Not a directory).*another folder as cache"):
        open_corpus(URL, cache=tmp_path / "file")


def test_a_full_disk_is_not_blamed_on_the_source(remote, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CorpusError, match="cannot be written: No space left on device"):
        open_corpus(URL, cache=tmp_path)


def test_a_whole_copy_is_opened_without_writing(remote, tmp_path, monkeypatch):
    copy = open_corpus(URL, cache=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
    for path in (tmp_path, copy.path):
        path.chmod(0o555)
    try:
        again = open_corpus(URL, cache=tmp_path)
    finally:
        for path in (tmp_path, copy.path):
            path.chmod(0o755)
    assert again.fingerprint == copy.fingerprint
    assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before


@pytest.mark.parametrize(("url", "problem"), [("memory://nowhere", "no such file"), ("nothing://x", "cannot be read")])
def test_what_is_no_corpus_is_one_error(tmp_path, url, problem):
    with pytest.raises(SourceError, match=problem):
        open_corpus(url, cache=tmp_path)


def test_a_manifest_that_is_none_of_ours_is_named_by_its_url(remote, tmp_path):
    remote.pipe_file("/bucket/corpus/state.json", b"{}")
    with pytest.raises(CorpusError, match=f"no manifest of ours: '{URL}'"):
        open_corpus(URL, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_processes_that_ask_at_once_get_one_copy(small_corpus, tmp_path):
    url = f"file://{small_corpus.path}"
    with multiprocessing.get_context("fork").Pool(3) as pool:
        paths = pool.starmap(_path_of, [(url, tmp_path)] * 3)
    assert len(set(paths)) == 1
    assert len(open_corpus(paths[0])) == len(small_corpus)


def _path_of(url, cache):
    return open_corpus(url, cache=cache).path
