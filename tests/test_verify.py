"""What ``verify`` finds: every changed byte of a small corpus, and what a command line says of it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.verify import verify
from wwmcorpus.errors import CorpusError

#: 1 tries every byte.
STRIDE = int(os.environ.get("VERIFY_STRIDE", "5"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, vocabulary_file):
    """A corpus of four rows and a rejection."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "a.txt").write_bytes("他 叫 汤姆 。\n今天 下雨 了 。\n\n我们 去 看 书 。\n".encode() + b"\xff\n")
    values = {"inputs": (str(folder / "a.txt"),), "output": str(folder / "corpus"), "segmenter": "given"}
    build(BuildConfig(tokenizer=str(vocabulary_file), max_length=16, num_workers=0, **values))
    return folder / "corpus"


@pytest.fixture
def corpus(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "corpus")


def test_what_is_whole_passes(whole):
    (found,) = verify(whole, full=True)
    assert found.num_rows == len(open_corpus(whole)) == 3
    assert found.num_shards == 1


def test_every_byte_of_a_shard_counts(corpus):
    (shard,) = corpus.glob("data-*.arrow")
    data = shard.read_bytes()
    for place in range(0, len(data), STRIDE):
        shard.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        with pytest.raises(CorpusError):
            verify(corpus, full=True)


def test_every_length_of_a_shard_but_its_own_is_found_fast(corpus):
    (shard,) = corpus.glob("data-*.arrow")
    data = shard.read_bytes()
    for length in range(0, len(data), 7):
        shard.write_bytes(data[:length])
        with pytest.raises(CorpusError):
            open_corpus(corpus)


@pytest.mark.parametrize("name", ["rejected-*.jsonl", "tokenizer/tokenizer.json", "tokenizer/vocab.txt"])
def test_a_changed_byte_of_another_file_is_found(corpus, name):
    (path,) = corpus.glob(name)
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 50)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(CorpusError):
            verify(corpus, full=True)


def test_every_byte_of_the_manifest_s_content_counts(corpus):
    path = corpus / "state.json"
    data = path.read_bytes()
    begin, end = data.index(b'"content"'), data.index(b'"run"')
    for place in range(begin, end, 11):
        path.write_bytes(data[:place] + bytes([data[place] ^ 2]) + data[place + 1 :])
        if _content(path) == _content(corpus / "state.json", data):
            continue  # what changed was a blank between two values
        with pytest.raises(CorpusError):
            verify(corpus)


def _content(path, data=None):
    try:
        return json.loads(data or path.read_bytes())["wwmcorpus"]["content"]
    except (ValueError, KeyError):
        return None


def test_splits_that_are_not_of_one_build_are_found(tmp_path, vocabulary_file):
    (tmp_path / "a.txt").write_text("".join(f"第 {number} 行 。\n" for number in range(40)), "utf-8")
    values = {"inputs": (str(tmp_path / "a.txt"),), "segmenter": "given", "tokenizer": str(vocabulary_file)}
    for name, fraction in (("one", 0.5), ("two", 0.3)):
        output = str(tmp_path / name)
        build(BuildConfig(output=output, validation_fraction=fraction, max_length=16, num_workers=0, **values))
        assert [found.folder.name for found in verify(tmp_path / name)] == ["train", "validation"]
    shutil.rmtree(tmp_path / "one" / "validation")
    shutil.copytree(tmp_path / "two" / "validation", tmp_path / "one" / "validation")
    with pytest.raises(CorpusError, match=r"split validation has fingerprint .*, the corpus was committed with"):
        verify(tmp_path / "one")


def test_the_command_line_names_the_first_fault(corpus):
    (shard,) = corpus.glob("data-*.arrow")
    shard.write_bytes(shard.read_bytes()[:-9])
    done = subprocess.run(
        [sys.executable, "-m", "wwmcorpus", "verify", str(corpus)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: a shard is cut short: '{shard.name}'")
