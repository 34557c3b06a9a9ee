"""Law 6, nothing silent: damage is found when a corpus is opened, and a manifest cannot point outside its folder."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.manifest import STATE_FILE
from wwmcorpus.corpus.shards import ShardWriter, open_shard, shard_schema
from wwmcorpus.errors import CorpusError
from wwmcorpus.records import Sequence


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, vocabulary_file):
    """A corpus of three rows."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "a.txt").write_text("他 来 了。\n他们 走 了。\n我们 也 走 吧。\n", "utf-8")
    inputs = (str(folder / "a.txt"),)
    build(BuildConfig(inputs=inputs, output=str(folder / "corpus"), segmenter="given", tokenizer=str(vocabulary_file)))
    return folder / "corpus"


@pytest.fixture
def corpus(tiny, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(tiny, tmp_path / "corpus")


@pytest.fixture
def shard(corpus):
    (path,) = corpus.glob("*.arrow")
    return path


def edit_state(corpus, change):
    state = json.loads((corpus / STATE_FILE).read_text("utf-8"))
    change(state["wwmcorpus"]["content"])
    (corpus / STATE_FILE).write_text(json.dumps(state), "utf-8")


def write_table(path, table):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def read_table(path):
    with path.open("rb") as file:
        return pa.ipc.open_stream(file).read_all()


class TestShards:
    def test_a_shard_cut_anywhere_is_found(self, corpus, shard):
        data = shard.read_bytes()
        for size in [*range(64), *range(64, len(data) - 64, 37), *range(len(data) - 64, len(data))]:
            shard.write_bytes(data[:size])
            with pytest.raises(CorpusError, match=shard.name):
                open_corpus(corpus)
        shard.write_bytes(data)
        assert len(open_corpus(corpus)) == 3

    def test_a_zero_tail_is_found(self, corpus, shard):
        data = shard.read_bytes()
        shard.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
        with pytest.raises(CorpusError, match="cut short"):
            open_corpus(corpus)

    def test_fewer_rows_than_the_manifest_says_are_found(self, corpus, shard):
        write_table(shard, read_table(shard).slice(0, 2))
        with pytest.raises(CorpusError, match="holds 2 rows, its manifest says 3"):
            open_corpus(corpus)

    def test_a_missing_shard_is_found(self, corpus, shard):
        shard.unlink()
        with pytest.raises(CorpusError, match=shard.name):
            open_corpus(corpus)

    @pytest.mark.parametrize("offset", [2**30, -5])
    def test_offsets_that_would_read_foreign_memory_are_found(self, corpus, shard, offset):
        lengths = np.diff(open_shard(shard, open_corpus(corpus).vocabulary.num_pieces)[0].bounds)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        data = shard.read_bytes()
        assert data.count(offsets.tobytes()) == 2
        offsets[2] = offset
        at = data.index(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32).tobytes())
        shard.write_bytes(data[:at] + offsets.tobytes() + data[at + offsets.nbytes :])
        with pytest.raises(CorpusError, match="does not open"):
            open_corpus(corpus)

    @pytest.mark.parametrize(
        "change", ["fewer columns", "other type", "another table", "null row", "null piece", "lengths"]
    )
    def test_a_foreign_shard_is_found(self, corpus, shard, change):
        table = read_table(shard)
        ids, starts = table["input_ids"].to_pylist(), table["word_start"].to_pylist()
        schema = table.schema
        if change == "fewer columns":
            table = table.drop_columns(["source_index"])
        elif change == "other type":
            table = table.set_column(0, "input_ids", pa.array(ids, pa.list_(pa.int64())))
        elif change == "another table":
            table = pa.table({"text": ["他来了", None, "好"]})
        elif change == "null row":
            table = table.set_column(0, schema.field(0), pa.array([ids[0], None, ids[2]], schema.field(0).type))
        elif change == "null piece":
            table = table.set_column(
                0, schema.field(0), pa.array([[None, *ids[0][1:]], *ids[1:]], schema.field(0).type)
            )
        else:
            table = table.set_column(1, schema.field(1), pa.array([starts[0][:-1], *starts[1:]], schema.field(1).type))
        write_table(shard, table)
        with pytest.raises(CorpusError, match=r"columns|null|differ in length"):
            open_corpus(corpus)

    def test_a_file_that_is_no_arrow_at_all_is_found(self, corpus, shard):
        shard.write_bytes(b"not arrow" * 100 + b"\xff\xff\xff\xff\x00\x00\x00\x00")
        with pytest.raises(CorpusError, match="does not open"):
            open_corpus(corpus)

    @pytest.mark.parametrize(
        ("num_pieces", "kind"), [(21_128, pa.uint16()), (65_535, pa.uint16()), (65_536, pa.int32())]
    )
    def test_ids_take_the_smallest_type_that_holds_them(self, tmp_path, num_pieces, kind):
        writer = ShardWriter(tmp_path / "shard", num_pieces)
        ids = np.array([0, num_pieces - 1, 1], np.int32)
        writer.write([Sequence(ids, np.array([True, False, True]), 0, 0)])
        writer.close()
        (batch,) = open_shard(tmp_path / "shard", num_pieces)
        assert shard_schema(num_pieces).field("input_ids").type.value_type == kind
        assert batch.input_ids.tolist() == ids.tolist()
        assert batch.word_start(1, 3).tolist() == [False, True]


class TestManifest:
    @pytest.mark.parametrize(
        "name", ["../corpus/x.arrow", "/etc/passwd", "..", ".", "", "a/b.arrow", ".hidden", "x\x00y"]
    )
    def test_unsafe_shard_names_are_refused(self, corpus, name):
        edit_state(corpus, lambda content: content["shards"][0].update(name=name))
        with pytest.raises(CorpusError):
            open_corpus(corpus)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "no manifest of ours"),
            ("[]", "no manifest of ours"),
            ("{}", "no manifest of ours"),
            ('{"wwmcorpus": 5}', "no manifest of ours"),
            ('{"wwmcorpus": {"content": []}}', "no manifest of ours"),
            ('{"wwmcorpus": {"content": {"format_version": 99}}}', "a corpus of format 99, this version reads 1"),
            ('{"wwmcorpus": {"content": {"format_version": 1}}}', "the manifest is damaged"),
        ],
    )
    def test_a_damaged_manifest_is_an_error(self, corpus, text, problem):
        (corpus / STATE_FILE).write_text(text)
        with pytest.raises(CorpusError, match=problem):
            open_corpus(corpus)

    def test_an_unknown_or_wrong_field_is_damage(self, corpus):
        edit_state(corpus, lambda content: content["shards"][0].update(num_rows="3"))
        with pytest.raises(CorpusError, match="the manifest is damaged"):
            open_corpus(corpus)

    def test_what_is_no_corpus_is_an_error(self, tmp_path):
        (tmp_path / "file").touch()
        for place in (tmp_path, tmp_path / "absent", tmp_path / "file"):
            with pytest.raises(CorpusError, match="no corpus there"):
                open_corpus(place)

    def test_another_vocabulary_beside_the_rows_is_an_error(self, corpus):
        path = corpus / "tokenizer" / "tokenizer.json"
        text = path.read_text("utf-8")
        path.write_text(text.replace('"[unused1]"', '"[unused9]"'), "utf-8")
        with pytest.raises(CorpusError, match="the corpus was built with"):
            open_corpus(corpus)
        path.unlink()
        with pytest.raises(CorpusError, match="has lost its tokenizer"):
            open_corpus(corpus)

    def test_a_signature_says_what_decided_the_rows(self, corpus):
        signature = open_corpus(corpus).signature
        assert signature.startswith("wwm|seg:given:spaces|tok:wordpiece@")
        assert "|len:512|pack:document|fmt:1|v:" in signature


class TestRows:
    def test_rows_come_as_asked(self, corpus):
        opened = open_corpus(corpus)
        rows = opened.rows([2, 0, 2])
        assert rows.row_ids.tolist() == [2, 0, 2]
        assert rows.lengths.tolist() == [len(opened[index]["input_ids"]) for index in (2, 0, 2)]
        assert opened.lengths.tolist() == [len(row["input_ids"]) for row in opened]
        assert len(opened.rows([]).input_ids) == 0

    @pytest.mark.parametrize("index", [-1, 3, 10**12])
    def test_rows_that_are_not_there_are_an_error(self, corpus, index):
        opened = open_corpus(corpus)
        with pytest.raises(IndexError, match="a corpus of 3 rows"):
            opened[index]
        with pytest.raises(IndexError, match="a corpus of 3 rows"):
            opened.rows([0, index])

    def test_word_starts_survive_the_bitmap(self, small_corpus):
        for path in sorted(small_corpus.path.glob("*.arrow")):
            (batch, *_) = open_shard(path, small_corpus.vocabulary.num_pieces)
            wanted = read_table(path)["word_start"].combine_chunks().values.to_numpy(zero_copy_only=False)
            for begin in range(40):
                for end in (begin + 1, begin + 8, begin + 13):
                    assert batch.word_start(begin, end).tolist() == wanted[begin:end].tolist()
