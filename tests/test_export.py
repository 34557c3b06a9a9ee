"""What leaves a corpus is what was in it: Parquet for the hub, text and chinese_ref for scripts of old."""

import gzip
import json
import shutil

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.align.refs import word_start_of_ref
from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.export_parquet import export_parquet
from wwmcorpus.corpus.export_text import export_text_ref
from wwmcorpus.corpus.manifest import Manifest, RejectedDocument
from wwmcorpus.corpus.merge import MergeConfig, merge
from wwmcorpus.errors import ConfigError, CorpusError, SourceError
from wwmcorpus.segment.spans import spans_from_lengths

LINES = [
    "他 叫 汤姆 ， 昨天 买 了 外衣 。",
    "研究 生命 的 起源 。 很 难 ！ 也 很 有 意思 。",
    "hello 世界 123 。 第二 句 。",
]


@pytest.fixture
def make(tmp_path, vocabulary_file):
    """Builds a corpus of the lines of one file; keyword arguments change the build."""

    def build_one(lines, name="corpus", **changes):
        path = tmp_path / f"{name}.txt"
        path.write_bytes("\n".join([*lines, ""]).encode())
        values = {
            "inputs": (str(path),),
            "output": str(tmp_path / name),
            "segmenter": "given",
            "tokenizer": str(vocabulary_file),
            "max_length": 16,
            "num_workers": 0,
        }
        build(BuildConfig(**values | changes))
        return tmp_path / name

    return build_one


@pytest.fixture
def load(tmp_path):
    """Opens an exported folder as a user of the hub does."""
    return lambda folder, **options: datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), **options)


class TestParquet:
    @pytest.mark.parametrize("changes", [{}, {"pairs": "sop"}], ids=["document", "pairs"])
    def test_every_split_comes_back(self, make, load, tmp_path, changes):
        corpus = make([f"{line} {index}" for index in range(20) for line in LINES], validation_fraction=0.3, **changes)
        made = export_parquet(corpus, tmp_path / "out")
        before, after = datasets.load_from_disk(str(corpus)), load(tmp_path / "out")
        assert list(after) == list(before) == list(made.splits) == ["train", "validation"]
        for split in before:
            assert after[split].data.schema.remove_metadata() == before[split].data.schema.remove_metadata()
            assert after[split].to_list() == before[split].to_list()
        with_files = load("parquet", data_files={"train": str(tmp_path / "out" / "data" / "train-*")})
        assert with_files["train"].to_list() == before["train"].to_list()

    def test_files_have_the_hub_s_names_and_a_largest_size(self, small_corpus, load, tmp_path):
        made = export_parquet(small_corpus.path, tmp_path / "out", max_shard_bytes=30_000).splits["train"]
        paths = sorted((tmp_path / "out" / "data").iterdir())
        assert len(paths) == made.num_files > 2
        assert [path.name for path in paths] == [
            f"train-{index:05d}-of-{len(paths):05d}.parquet" for index in range(len(paths))
        ]
        assert made.file_bytes == sum(path.stat().st_size for path in paths)
        tables = [pq.read_table(path) for path in paths]
        assert sum(map(len, tables)) == made.num_rows == len(small_corpus)
        ids = [ids for table in tables for ids in table["input_ids"].to_pylist()]
        assert ids == [row["input_ids"].tolist() for row in small_corpus]
        assert pq.ParquetFile(paths[0]).metadata.row_group(0).column(0).compression == "ZSTD"
        assert len(load(tmp_path / "out", split="train")) == len(small_corpus)

    def test_the_same_bytes_come_out_twice(self, small_corpus, tmp_path):
        for name in ("one", "two"):
            export_parquet(small_corpus.path, tmp_path / name)
        files = [
            {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name / "data").iterdir()}
            for name in ("one", "two")
        ]
        assert files[0] == files[1]

    def test_a_split_without_rows_is_named_and_has_no_files(self, make, load, tmp_path):
        corpus = make(LINES, test_fraction=1e-9)  # datasets opens no split without rows
        made = export_parquet(corpus, tmp_path / "out").splits
        assert (made["test"].num_rows, made["test"].num_files) == (0, 0)
        assert {name: len(split) for name, split in load(tmp_path / "out").items()} == {"train": made["train"].num_rows}
        assert "| test | 0 |" in (tmp_path / "out" / "README.md").read_text("utf-8")
        with pytest.raises(CorpusError, match="without rows"):
            export_parquet(corpus / "test", tmp_path / "empty")

    def test_ids_of_a_large_vocabulary_stay_whole(self, make, load, tmp_path, vocabulary_file):
        pieces = vocabulary_file.read_text("utf-8").split()
        rest = [f"[unused{number}]" for number in range(10, 66_000)]
        path = tmp_path / "large.txt"
        path.write_text("\n".join([*pieces, *rest, "贔", ""]), "utf-8")
        corpus = make(["贔 贔 好"], tokenizer=str(path))
        export_parquet(corpus, tmp_path / "out")
        (row,) = load(tmp_path / "out", split="train")
        assert row["input_ids"][1] == row["input_ids"][2] == len(pieces) + len(rest) > 65_535

    def test_the_card_is_one_that_the_hub_reads(self, make, tmp_path):
        corpus = make([*LINES * 5, ""], validation_fraction=0.4)
        made = export_parquet(corpus, tmp_path / "out: 'a' #1")
        card = DatasetCard.load(tmp_path / "out: 'a' #1" / "README.md")
        (config,) = MetadataConfigs.from_dataset_card_data(card.data).values()
        assert config["data_files"] == [
            {"split": split, "path": f"data/{split}-*"} for split in ("train", "validation")
        ]
        info = DatasetInfosDict.from_dataset_card_data(card.data)["default"]
        assert {name: split.num_examples for name, split in info.splits.items()} == {
            name: split.num_rows for name, split in made.splits.items()
        }
        assert info.features == datasets.load_from_disk(str(corpus))["train"].features
        manifest = Manifest.read(corpus / "train")
        for expected in (manifest.signature, manifest.fingerprint, "| rejected: blank | 1 |", "# out: 'a' #1"):
            assert expected in card.text
        assert str(tmp_path) not in (tmp_path / "out: 'a' #1" / "manifest.json").read_text("utf-8") + card.content

    def test_the_tokenizer_goes_with_it(self, make, tmp_path):
        corpus = make(LINES)
        export_parquet(corpus, tmp_path / "out")
        vocabulary = Vocabulary.of(load_tokenizer(str(tmp_path / "out" / "tokenizer")))
        assert vocabulary.sha256 == open_corpus(corpus).vocabulary.sha256


class TestFolder:
    @pytest.fixture(params=[export_parquet, export_text_ref])
    def export(self, request):
        return request.param

    def test_what_is_there_is_left_alone(self, make, export, tmp_path):
        corpus = make(LINES)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.md").write_text("mine")
        with pytest.raises(CorpusError, match="exists already"):
            export(corpus, tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.md"]

    def test_an_empty_folder_is_taken(self, make, export, tmp_path):
        corpus = make(LINES)
        (tmp_path / "out").mkdir()
        export(corpus, tmp_path / "out")
        assert (tmp_path / "out" / "tokenizer").is_dir()

    def test_a_damaged_corpus_leaves_nothing(self, make, export, tmp_path):
        corpus = make(LINES)
        shard = next(corpus.glob("data-*.arrow"))
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(CorpusError):
            export(corpus, tmp_path / "out")
        assert sorted(tmp_path.iterdir()) == before

    def test_a_full_disk_leaves_nothing(self, make, export, tmp_path, monkeypatch):
        def refuse(*_args):
            raise OSError(28, "No space left on device")

        corpus = make(LINES)
        before = sorted(tmp_path.iterdir())
        monkeypatch.setattr("wwmcorpus.corpus.export_folder.shutil.copytree", refuse)
        with pytest.raises(CorpusError, match="No space left on device"):
            export(corpus, tmp_path / "out")
        assert sorted(tmp_path.iterdir()) == before

    def test_what_a_killed_export_left_does_not_come_through(self, make, export, tmp_path):
        corpus = make(LINES)
        (tmp_path / ".out.part" / "out").mkdir(parents=True)
        (tmp_path / ".out.part" / "out" / "half.parquet").touch()
        export(corpus, tmp_path / "out")
        assert not list((tmp_path / "out").rglob("half.parquet"))
        assert not (tmp_path / ".out.part").exists()

    def test_progress_comes_to_the_end(self, make, export, tmp_path):
        corpus = make(LINES * 20)
        told = []
        export(corpus, tmp_path / "out", advance=told.append)
        assert sum(told) == 2 * sum(shard.size_bytes for shard in Manifest.read(corpus).content.shards)

    def test_a_size_of_nothing_is_an_error(self, make, tmp_path):
        with pytest.raises(ConfigError, match="max_shard_bytes"):
            export_parquet(make(LINES), tmp_path / "out", max_shard_bytes=0)


def old_script(folder, split="train"):
    """Give what the published training script makes of the files: ids by the tokenizer, and refs."""
    lines = (folder / f"{split}.txt").read_text("utf-8").splitlines()
    refs = [json.loads(line) for line in (folder / f"{split}_ref.txt").read_text("utf-8").splitlines()]
    rows = datasets.Dataset.from_text(str(folder / f"{split}.txt"), cache_dir=str(folder.parent / "cache"))
    assert len(rows) == len(refs) == len(lines)
    assert all(line == line.strip() != "" for line in lines)
    tokenizer = load_tokenizer(str(folder / "tokenizer"))
    return [tokenizer(row["text"])["input_ids"] for row in rows], refs


def check_rows(corpus, folder, made, split="train"):
    """Check that the lines are rows of the corpus, in order and without those that were left out, words included."""
    vocabulary, left = corpus.vocabulary, iter(corpus)
    joined = 0
    for ids, ref in zip(*old_script(folder, split), strict=True):
        row = next(row for row in left if row["input_ids"].tolist() == ids)
        continues = vocabulary.continues[row["input_ids"]]
        starts = word_start_of_ref(row["input_ids"], ref, vocabulary)
        assert np.array_equal(starts, row["word_start"] & ~continues)
        joined += int((row["word_start"] & continues).sum())
    assert made.num_joined_words == joined
    assert made.num_rows + made.left_out.total() == len(corpus)


class TestText:
    def test_a_line_is_the_text_between_the_row_s_first_piece_and_its_last(self, make, tmp_path):
        lines = [
            "  Straße 与 研究生 \u3000",
            "",
            "第一 行 。\u2028第二 行",
            "甲 乙 丙 丁 戊 己 庚 辛 壬 癸 子 丑 寅 卯 辰 巳",
        ]
        made = export_text_ref(make(lines), tmp_path / "out").splits["train"]
        assert (tmp_path / "out" / "train.txt").read_text("utf-8") == (
            "Straße 与 研究生\n第一 行 。 第二 行\n甲 乙 丙 丁 戊 己 庚 辛 壬 癸 子 丑 寅 卯\n辰 巳\n"
        )
        # S ##t ##r ##a ##s(ß unknown) makes one word; 研 究 生 another: its second and third piece continue.
        refs = [json.loads(line) for line in (tmp_path / "out" / "train_ref.txt").read_text().splitlines()]
        assert refs[1:] == [[2, 6], [], []]
        assert (made.num_rows, dict(made.left_out), made.num_joined_words) == (4, {}, 0)

    @pytest.mark.parametrize("pack", ["document", "line", "stream"])
    @settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(documents=st.lists(texts.map(lambda text: text.replace("\n", " ")), min_size=5, max_size=12))
    def test_any_row_comes_back_or_is_counted(self, make, tmp_path, pack, documents):
        for name in ("corpus", "out"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        corpus = make([*LINES, "", *documents], pack=pack, source={"document_break": "blank_line"})
        made = export_text_ref(corpus, tmp_path / "out").splits["train"]
        check_rows(open_corpus(corpus), tmp_path / "out", made)

    def test_all_of_the_sample_comes_back(self, small_corpus, tmp_path):
        made = export_text_ref(small_corpus.path, tmp_path / "out").splits["train"]
        check_rows(small_corpus, tmp_path / "out", made)
        assert made.num_rows == len(small_corpus)

    def test_documents_that_share_a_row_have_the_letters_sep_between_them(self, make, tmp_path):
        made = export_text_ref(make(["甲 乙", "丙", "丁"], pack="stream"), tmp_path / "out").splits["train"]
        assert (tmp_path / "out" / "train.txt").read_text("utf-8") == "甲 乙 [SEP] 丙 [SEP] 丁\n"
        assert made.num_rows == 1

    def test_each_split_has_its_files(self, make, tmp_path):
        corpus = make([f"第 {index} 篇 ， 不 一样 。" for index in range(40)], validation_fraction=0.3)
        made = export_text_ref(corpus, tmp_path / "out").splits
        assert list(made) == ["train", "validation"]
        for split, written in made.items():
            check_rows(open_corpus(corpus / split), tmp_path / "out", written, split)
            assert written.num_rows == len(open_corpus(corpus / split)) > 0

    @pytest.mark.parametrize("kind", ["txt.gz", "jsonl", "parquet"])
    def test_any_kind_of_source_is_read_again(self, make, tmp_path, kind):
        path = tmp_path / f"source.{kind}"
        table = datasets.Dataset.from_dict({"text": [LINES[0], "第一 段\n第二 段", "", LINES[2]]})
        if kind == "parquet":
            table.to_parquet(path)
        elif kind == "jsonl":
            table.to_json(path, force_ascii=False)
        else:
            path.write_bytes(gzip.compress("\n".join(table["text"]).encode()))
        corpus = make([], inputs=(str(path),))
        made = export_text_ref(corpus, tmp_path / "out").splits["train"]
        assert made.num_rows == len(open_corpus(corpus))
        check_rows(open_corpus(corpus), tmp_path / "out", made)

    def test_merged_corpora_are_read_and_cleaned_each_in_its_own_way(self, make, tmp_path):
        one = make(["第 一 篇", "", "第 二 ＡＢ 篇"], "one", source={"document_break": "blank_line"})
        two = make(["第 三 ＡＢ 篇", "第 四 篇"], "two", clean={"narrow_letters": True})
        merge(MergeConfig(corpora=(str(one), str(two)), output=str(tmp_path / "both")))
        export_text_ref(tmp_path / "both", tmp_path / "out")
        lines = (tmp_path / "out" / "train.txt").read_text("utf-8").splitlines()
        assert lines == ["第 一 篇", "第 二 ＡＢ 篇", "第 三 AB 篇", "第 四 篇"]


class TestRowsLeftOut:
    @pytest.fixture
    def left_out(self, tmp_path):
        """Exports a corpus and gives the rows left out by reason, and the lines that were written."""

        def export(corpus):
            made = export_text_ref(corpus, tmp_path / "out").splits["train"]
            check_rows(open_corpus(corpus), tmp_path / "out", made)
            report = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))["train"]
            assert report["left_out"] == dict(made.left_out)
            assert {reason: len(rows) for reason, rows in report["examples"].items()} == report["left_out"]
            return dict(made.left_out), (tmp_path / "out" / "train.txt").read_text("utf-8").splitlines()

        return export

    def test_letters_of_special_pieces(self, make, left_out):
        corpus = make(["前 [MASK] 后", "好 的", "甲 [SEP] 乙"])
        assert left_out(corpus) == ({"special_in_text": 2}, ["好 的"])

    def test_letters_of_special_pieces_in_a_row_of_several_documents(self, make, left_out):
        corpus = make(["前", "甲 [SEP] 乙", "后"], pack="stream", max_length=32)
        with pytest.raises(CorpusError, match=r"no row can be written as text: \{'special_in_text': 1\}"):
            left_out(corpus)

    def test_a_row_that_lost_a_long_word(self, make, left_out):
        corpus = make(["好 的 " + "x" * 40 + " 再 来", "完 了"])
        assert left_out(corpus) == ({"not_in_document": 1}, ["完 了"])

    def test_a_row_behind_a_lost_long_word_is_found(self, make, left_out):
        corpus = make(["x" * 40 + " 再 来", "完 了"])
        assert left_out(corpus) == ({}, ["再 来", "完 了"])

    def test_a_row_that_ends_inside_a_run_of_letters(self, make, left_out, monkeypatch):
        class Halves:
            """Cuts everything into words of two characters, Latin letters too."""

            signature = "halves"

            def segment(self, texts):
                return [_halves(text) for text in texts]

        monkeypatch.setattr("wwmcorpus.corpus.runner.load_segmenter", lambda *_: Halves())
        corpus = make(["abcdefghij" * 2, "完了"])
        rows = [row["input_ids"].tolist() for row in open_corpus(corpus)]
        assert len(rows) == 3
        assert left_out(corpus) == ({"cut_inside_run": 1}, ["abcdefghijabcd", "完了"])

    def test_a_document_that_is_not_found(self, make, left_out):
        corpus = make(LINES, max_length=32)
        manifest = Manifest.read(corpus)
        gone = RejectedDocument(reason="quarantined", source="corpus.txt", source_index=0, offset=0, detail="killed")
        content = manifest.content.model_copy(update={"quarantine": (gone,)})
        manifest.model_copy(update={"content": content}).commit(corpus)
        reasons, lines = left_out(corpus)
        assert reasons == {"no_document": 1}
        assert lines == [line.strip() for line in LINES[1:]]

    def test_pairs_have_no_line(self, make, tmp_path):
        corpus = make(LINES * 3, pairs="sop")
        with pytest.raises(CorpusError, match="cannot stand for a pair"):
            export_text_ref(corpus, tmp_path / "out")


def _halves(text):
    positions = np.flatnonzero([not character.isspace() for character in text])
    return spans_from_lengths(positions, np.diff([*range(0, len(positions), 2), len(positions)]))


class TestSources:
    def test_a_changed_source_is_shown_with_both_hashes(self, make, tmp_path):
        corpus = make(LINES)
        before = Manifest.read(corpus).content.inputs[0].sha256[:16]
        (tmp_path / "corpus.txt").write_text("别的\n", "utf-8")
        with pytest.raises(CorpusError, match=rf"sha256 (?!{before})\w{{16}} now, it had {before} .*corpus\.txt"):
            export_text_ref(corpus, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_moved_source_is_found_by_its_content(self, make, tmp_path):
        corpus = make(LINES)
        (tmp_path / "moved").mkdir()
        (tmp_path / "corpus.txt").rename(tmp_path / "moved" / "renamed.txt")
        (tmp_path / "moved" / "another.txt").write_text("别的\n", "utf-8")
        with pytest.raises(CorpusError, match=r"no such file: 'corpus\.txt'.*--input"):
            export_text_ref(corpus, tmp_path / "out")
        made = export_text_ref(corpus, tmp_path / "out", [str(tmp_path / "moved")])
        assert made.splits["train"].num_rows == len(open_corpus(corpus))

    def test_a_place_without_it_is_an_error(self, make, tmp_path):
        corpus = make(LINES)
        wanted = Manifest.read(corpus).content.inputs[0].sha256[:16]
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "corpus.txt").write_text("别的\n", "utf-8")
        with pytest.raises(CorpusError, match=rf"none of the 1 files has sha256 {wanted}.*corpus\.txt has \w{{16}}"):
            export_text_ref(corpus, tmp_path / "out", [str(tmp_path / "elsewhere")])
        with pytest.raises(SourceError, match="no such file"):
            export_text_ref(corpus, tmp_path / "out", [str(tmp_path / "absent.txt")])

    def test_a_corpus_that_forgot_where_its_inputs_lay(self, make, tmp_path):
        corpus = make(LINES)
        manifest = Manifest.read(corpus)
        manifest.model_copy(update={"run": {}}).commit(corpus)
        with pytest.raises(CorpusError, match="where 0 of its 1 inputs lay"):
            export_text_ref(corpus, tmp_path / "out")
        assert export_text_ref(corpus, tmp_path / "out", [str(tmp_path / "corpus.txt")]).splits["train"].num_rows

    def test_rows_that_were_added_are_found_in_their_own_inputs(self, make, tmp_path):
        corpus = make(LINES[:1])
        (tmp_path / "more.txt").write_text("新 的 一 行\n", "utf-8")
        build(
            BuildConfig(
                inputs=(str(tmp_path / "more.txt"),),
                output=str(corpus),
                segmenter="given",
                tokenizer=str(corpus / "tokenizer"),
                max_length=16,
                num_workers=0,
                append=True,
            )
        )
        inputs = [str(tmp_path / "more.txt"), str(tmp_path / "corpus.txt")]
        export_text_ref(corpus, tmp_path / "out", inputs)
        assert (tmp_path / "out" / "train.txt").read_text("utf-8").splitlines() == [LINES[0], "新 的 一 行"]
