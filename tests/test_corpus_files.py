"""Law 6, nothing silent: damage is found when a corpus is opened, and a manifest cannot point outside its folder."""

import hashlib
import json
import pickle
import shutil
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch

from wwmcorpus.align import load_tokenizer
from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.batches import PackedRows
from wwmcorpus.corpus.manifest import FORMAT_VERSION, STATE_FILE
from wwmcorpus.corpus.shards import BATCH_ROWS, ShardWriter, open_shard, shard_schema
from wwmcorpus.errors import CorpusError
from wwmcorpus.masking import WholeWordMaskCollator
from wwmcorpus.stream import Stream, StreamOptions


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, vocabulary_file):
    """A corpus of three rows."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "a.txt").write_text("他 来 了。\n他们 走 了。\n我们 也 走 吧。\n", "utf-8")
    inputs = (str(folder / "a.txt"),)
    values = {"inputs": inputs, "output": str(folder / "corpus"), "segmenter": "given", "num_workers": 0}
    build(BuildConfig(tokenizer=str(vocabulary_file), **values))
    return folder / "corpus"


@pytest.fixture
def corpus(tiny, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(tiny, tmp_path / "corpus")


@pytest.fixture
def shard(corpus):
    (path,) = corpus.glob("*.arrow")
    return path


def edit_state(corpus, change, sign=True):
    """Change the content of a manifest; sign it, as somebody would who means it."""
    state = json.loads((corpus / STATE_FILE).read_text("utf-8"))
    content = state["wwmcorpus"]["content"]
    change(content)
    if sign:
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        state["wwmcorpus"]["content_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (corpus / STATE_FILE).write_text(json.dumps(state), "utf-8")


def write_table(path, table):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def read_table(path):
    with path.open("rb") as file:
        return pa.ipc.open_stream(file).read_all()


def rows_of(ids, pairs=False):
    """Rows of given pieces, in which every other piece begins a word."""
    bounds = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    flat = np.concatenate(ids).astype(np.int32)
    return PackedRows(
        input_ids=flat,
        word_start=np.arange(len(flat)) % 2 == 0,
        bounds=bounds,
        source_index=np.arange(len(ids), dtype=np.int32),
        document_offset=np.arange(len(ids)) * 1000,
        provenance_bounds=np.arange(len(ids) + 1),
        token_type_ids=(np.arange(len(flat)) % 3 == 0).astype(np.int8) if pairs else None,
        pair_label=(np.arange(len(ids)) % 2).astype(np.int8) if pairs else None,
    )


def listed(values, bounds):
    return [values[begin:end].tolist() for begin, end in pairwise(bounds)]


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
        writer.write(rows_of([ids.tolist()]))
        writer.close()
        (batch,) = open_shard(tmp_path / "shard", num_pieces)
        assert shard_schema(num_pieces).field("input_ids").type.value_type == kind
        assert batch.input_ids.tolist() == ids.tolist()
        assert batch.word_start(1, 3).tolist() == [False, True]

    @pytest.mark.parametrize("pairs", [False, True])
    def test_bytes_depend_on_the_rows_alone(self, tmp_path, pairs):
        numbers = np.random.default_rng(0)
        ids = [numbers.integers(0, 99, numbers.integers(3, 20)).tolist() for _ in range(2 * BATCH_ROWS + 77)]
        rows = rows_of(ids, pairs)
        written = {}
        for step in (1, 100, BATCH_ROWS, BATCH_ROWS + 1, rows.num_rows):
            writer = ShardWriter(tmp_path / f"by {step}", 100, pairs=pairs)
            for begin in range(0, rows.num_rows, step):
                writer.write(rows.between(begin, min(begin + step, rows.num_rows)))
            writer.close()
            written[step] = writer.path.read_bytes()
            assert writer.size_bytes == len(written[step])
            assert (writer.num_rows, writer.num_pieces) == (rows.num_rows, len(rows.input_ids))
            assert writer.num_words == int(rows.word_start.sum()) - (3 if pairs else 2) * rows.num_rows
        assert len(set(written.values())) == 1
        with pa.ipc.open_stream(tmp_path / "by 1") as stream:
            batches = list(stream)
        assert [len(batch) for batch in batches] == [BATCH_ROWS, BATCH_ROWS, 77]
        table = pa.Table.from_batches(batches)
        assert table.schema == shard_schema(100, pairs)
        assert table["input_ids"].to_pylist() == listed(rows.input_ids, rows.bounds)
        assert table["word_start"].to_pylist() == listed(rows.word_start, rows.bounds)
        assert table["source_index"].to_pylist() == listed(rows.source_index, rows.provenance_bounds)
        assert table["document_offset"].to_pylist() == listed(rows.document_offset, rows.provenance_bounds)
        if pairs:
            assert table["token_type_ids"].to_pylist() == listed(rows.token_type_ids, rows.bounds)
            assert table["pair_label"].to_pylist() == rows.pair_label.tolist()

    def test_size_grows_while_rows_wait(self, tmp_path):
        writer = ShardWriter(tmp_path / "shard", 100)
        sizes = [writer.size_bytes]
        for _ in range(50):
            writer.write(rows_of([[5] * 100] * 30))
            sizes.append(writer.size_bytes)
        writer.close()
        assert sizes == sorted(set(sizes))
        assert abs(sizes[-1] - writer.size_bytes) < 0.2 * writer.size_bytes

    def test_words_of_joined_documents_leave_every_separator_out(self, tmp_path):
        rows = PackedRows(
            input_ids=np.array([2, 5, 6, 3, 7, 3], np.int32),
            word_start=np.array([1, 1, 0, 1, 1, 1], bool),
            bounds=np.array([0, 6]),
            source_index=np.array([0, 0], np.int32),
            document_offset=np.array([0, 9]),
            provenance_bounds=np.array([0, 2]),
        )
        writer = ShardWriter(tmp_path / "shard", 100)
        writer.write(rows)
        writer.close()
        assert writer.num_words == 2

    def test_a_disk_without_room_is_an_error(self):
        with pytest.raises(CorpusError, match=r"a shard cannot be written: .*No space left"):
            ShardWriter(Path("/dev/full"), 100).write(rows_of([[5] * 1000] * BATCH_ROWS))

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path):
        with pytest.raises(CorpusError, match="a shard cannot be written"):
            ShardWriter(tmp_path / "absent" / "shard", 100)

    def test_a_shard_of_pairs_is_checked_too(self, tmp_path):
        rows = rows_of([[2, 5, 3, 6, 3]] * 3, pairs=True)
        writer = ShardWriter(tmp_path / "shard", 100, pairs=True)
        writer.write(rows)
        writer.close()
        (batch,) = open_shard(tmp_path / "shard", 100)
        assert batch.token_type_ids.tolist() == rows.token_type_ids.tolist()
        assert batch.pair_label.tolist() == rows.pair_label.tolist()
        table = read_table(tmp_path / "shard")
        types, labels = table.schema.field("token_type_ids"), table.schema.field("pair_label")
        for place, changed in (
            (4, pa.array([[0], [0] * 5, [0] * 9], types.type)),
            (4, pa.array([[0] * 5, [None] * 5, [0] * 5], types.type)),
            (5, pa.array([0, None, 1], labels.type)),
        ):
            write_table(tmp_path / "shard", table.set_column(place, table.schema.field(place), changed))
            with pytest.raises(CorpusError, match=r"null|differ in length"):
                open_shard(tmp_path / "shard", 100)


class TestManifest:
    @pytest.mark.parametrize(
        "name", ["../corpus/x.arrow", "/etc/passwd", "..", ".", "", "a/b.arrow", ".hidden", "x\x00y"]
    )
    def test_unsafe_shard_names_are_refused(self, corpus, name):
        edit_state(corpus, lambda content: content["shards"][0].update(name=name))
        with pytest.raises(CorpusError, match=r"a file's name leaves the corpus folder|does not open"):
            open_corpus(corpus)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "no manifest of ours"),
            ("[]", "no manifest of ours"),
            ("{}", "no manifest of ours"),
            ('{"wwmcorpus": 5}', "no manifest of ours"),
            ('{"wwmcorpus": {"content": []}}', "no manifest of ours"),
            (
                '{"wwmcorpus": {"content": {"format_version": 99}}}',
                f"a corpus of format 99, this version reads {FORMAT_VERSION}",
            ),
            (f'{{"wwmcorpus": {{"content": {{"format_version": {FORMAT_VERSION}}}}}}}', "the manifest is damaged"),
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

    def test_a_changed_manifest_is_damage(self, corpus):
        edit_state(corpus, lambda content: content["shards"][0].update(num_words=1), sign=False)
        with pytest.raises(CorpusError, match="the manifest is damaged: its content has sha256"):
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
        assert f"|len:512|pack:document|fmt:{FORMAT_VERSION}|v:" in signature


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

    @pytest.mark.parametrize("indices", [[True, False, True], [1.0], np.ones(3, dtype=bool)])
    def test_a_mask_is_no_list_of_rows(self, corpus, indices):
        for ask in (open_corpus(corpus).rows, open_corpus(corpus).lengths_of):
            with pytest.raises(IndexError, match=r"rows are numbered; these indices are of type (bool|float64)"):
                ask(indices)

    @pytest.mark.parametrize("indices", [1, np.int64(1), [[0, 1]]])
    def test_what_is_no_list_is_no_list_of_rows(self, corpus, indices):
        opened = open_corpus(corpus)
        for ask in (opened.rows, opened.lengths_of):
            with pytest.raises(IndexError, match="asked for by a list of numbers"):
                ask(indices)

    def test_another_process_finds_the_corpus_from_wherever_it_works(self, corpus, tmp_path, monkeypatch):
        monkeypatch.chdir(corpus.parent)
        opened = open_corpus(corpus.name)
        assert str(opened.path) == corpus.name
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert pickle.loads(pickle.dumps(opened)).fingerprint == opened.fingerprint

    def test_another_process_reads_no_other_corpus(self, corpus, small_corpus):
        sent = pickle.dumps(open_corpus(corpus))
        shutil.rmtree(corpus)
        shutil.copytree(small_corpus.path, corpus)
        with pytest.raises(CorpusError, match="changed while it was in use"):
            pickle.loads(sent)

    def test_word_starts_survive_the_bitmap(self, small_corpus):
        for path in sorted(small_corpus.path.glob("data-*.arrow")):
            (batch, *_) = open_shard(path, small_corpus.vocabulary.num_pieces)
            wanted = read_table(path)["word_start"].combine_chunks().values.to_numpy(zero_copy_only=False)
            for begin in range(40):
                for end in (begin + 1, begin + 8, begin + 13):
                    assert batch.word_start(begin, end).tolist() == wanted[begin:end].tolist()


class TestPairs:
    @pytest.fixture(scope="class")
    def paired(self, tmp_path_factory, vocabulary_file):
        folder = tmp_path_factory.mktemp("pairs")
        lines = [" ".join(f"他们{sign} 来 了。" * 6) + "\n" for sign in "我他的人上山外衣"]
        (folder / "a.txt").write_text("\n".join(line * 3 for line in lines), "utf-8")
        build(
            BuildConfig(
                inputs=(str(folder / "a.txt"),),
                output=str(folder / "corpus"),
                segmenter="given",
                tokenizer=str(vocabulary_file),
                max_length=32,
                pairs="nsp",
                source={"document_break": "blank_line"},
                num_workers=0,
            )
        )
        return open_corpus(folder / "corpus")

    def test_rows_carry_types_and_labels(self, paired):
        vocabulary = paired.vocabulary
        assert paired.has_pairs
        assert {int(row["pair_label"]) for row in paired} == {0, 1}
        for row in paired:
            separators = np.flatnonzero(row["input_ids"] == vocabulary.sep_id)
            assert separators.tolist() == [separators[0], len(row["input_ids"]) - 1]
            assert row["token_type_ids"].tolist() == (np.arange(len(row["input_ids"])) > separators[0]).tolist()
        wanted = [3, 0, 3]
        rows = paired.rows(wanted)
        assert rows.pair_label.tolist() == [paired[index]["pair_label"] for index in wanted]
        assert rows.token_type_ids.tolist() == [n for index in wanted for n in paired[index]["token_type_ids"]]

    def test_datasets_opens_them(self, paired):
        dataset = datasets.load_from_disk(str(paired.path))
        assert dataset["pair_label"][:] == [int(row["pair_label"]) for row in paired]
        assert dataset["token_type_ids"][:] == [row["token_type_ids"].tolist() for row in paired]

    def test_stream_and_collator_carry_them(self, paired):
        stream = Stream(paired, global_batch_size=4, options=StreamOptions(pad_to_multiple_of=8))
        batch = next(iter(stream))
        rows = [paired[index] for index in batch["row_ids"].tolist()]
        assert batch["pair_label"].tolist() == [int(row["pair_label"]) for row in rows]
        for found, row in zip(batch["token_type_ids"], rows, strict=True):
            assert found[: len(row["input_ids"])].tolist() == row["token_type_ids"].tolist()
            assert not found[len(row["input_ids"]) :].any()
        collator = WholeWordMaskCollator(load_tokenizer(str(paired.tokenizer_folder)), pad_to_multiple_of=8)
        collated = collator([row | {"row_ids": index} for row, index in zip(rows, batch["row_ids"], strict=True)])
        assert set(collated) == set(batch) - {"row_ids", "word_start"}
        assert all(torch.equal(collated[name], batch[name]) for name in collated)

    def test_rows_without_pairs_carry_none(self, small_corpus):
        assert not small_corpus.has_pairs
        assert set(small_corpus[0]) == {"input_ids", "word_start"}
        rows = small_corpus.rows([0, 1])
        assert rows.token_type_ids is rows.pair_label is None

    def test_shards_of_both_kinds_are_no_corpus(self, corpus, paired):
        (shard,), (other,) = corpus.glob("*.arrow"), paired.path.glob("*.arrow")
        edit_state(corpus, lambda content: content["shards"].append(content["shards"][0] | {"name": "b.arrow"}))
        table = read_table(shard)
        types = pa.array([[0] * len(ids) for ids in table["input_ids"].to_pylist()], pa.list_(pa.int8()))
        labels = pa.array([0] * len(table), pa.int8())
        paired_table = table.append_column("token_type_ids", types).append_column("pair_label", labels)
        assert paired_table.schema == read_table(other).schema
        write_table(corpus / "b.arrow", paired_table)
        with pytest.raises(CorpusError, match="only some shards hold sentence pairs"):
            open_corpus(corpus)
