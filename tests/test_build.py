"""Law 4, the same bytes: a build is a pure function of input bytes and content configuration; and what stops one."""

import os
import shutil
import signal
import threading
from pathlib import Path

import datasets
import multiprocess
import numpy as np
import pytest
from conftest import SAMPLE_DATA

from wwmcorpus.align import Vocabulary
from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.corpus.manifest import STATE_FILE
from wwmcorpus.corpus.runner import Blueprint
from wwmcorpus.corpus.tasks import plan_tasks
from wwmcorpus.errors import AlignmentError, ConfigError, CorpusError, SegmenterError, SourceError
from wwmcorpus.files import file_sha256
from wwmcorpus.segment.given import GivenSegmenter
from wwmcorpus.text import find_sources, plan_slices


@pytest.fixture
def config(tmp_path, vocabulary_file):
    """A build of four sample files in several tasks; keyword arguments change it."""

    def make(**changes):
        names = ("news.txt", "dialogue.txt", "verse.txt", "social.txt")
        values = {
            "inputs": tuple(str(SAMPLE_DATA / "corpus" / name) for name in names),
            "output": str(tmp_path / "corpus"),
            "segmenter": "jieba",
            "tokenizer": str(vocabulary_file),
            "max_length": 64,
            "source": {"document_break": "blank_line"},
            "task_bytes": 12_000,
            "num_workers": 0,
        }
        return BuildConfig(**values | changes)

    return make


def content(manifest):
    return manifest.values()["content"]


class TestSameBytes:
    def test_one_worker_and_two_give_the_same_corpus(self, config, tmp_path):
        one = build(config(segmenter="ltp"))["train"]
        two = build(config(segmenter="ltp", output=str(tmp_path / "two"), num_workers=2))["train"]
        assert len(one.content.shards) > 4
        assert content(one) == content(two)
        assert one.content_sha256 == two.content_sha256
        assert one.fingerprint == two.fingerprint
        for shard in one.content.shards:
            for folder in ("corpus", "two"):
                assert file_sha256(tmp_path / folder / shard.name) == shard.sha256

    def test_the_order_of_running_changes_nothing(self, config, tmp_path, tokenizer):
        settings = config()
        tokenizer.save_pretrained(str(tmp_path / "tokenizer"))
        special = tuple(Vocabulary.of(tokenizer).special.items())
        tasks = plan_tasks(plan_slices(find_sources(settings.inputs), settings.task_bytes), settings.task_bytes)
        records = []
        for name, order in (("forward", tasks), ("backward", tasks[::-1])):
            (tmp_path / name).mkdir()
            runner = Blueprint(
                settings, str(tmp_path / "tokenizer" / "tokenizer.json"), special, str(tmp_path / name)
            ).open()
            done = {task.index: runner.run(task).model_copy(update={"stage_seconds": {}}) for task in order}
            records.append([done[task.index] for task in tasks])
        assert records[0] == records[1]
        assert len({record.shards["train"][0].sha256 for record in records[0]}) == len(tasks) > 4

    def test_rows_do_not_depend_on_how_files_are_cut(self, config, tmp_path):
        rows = []
        for task_bytes in (3_000, 1 << 30):
            build(config(output=str(tmp_path / str(task_bytes)), task_bytes=task_bytes))
            corpus = open_corpus(tmp_path / str(task_bytes))
            rows.append([row["input_ids"].tolist() + row["word_start"].tolist() for row in corpus])
        assert rows[0] == rows[1]

    def test_content_configuration_decides_the_fingerprint_and_nothing_else_does(self, config, tmp_path):
        changes = {
            "same": {},
            "threads": {"segmenter_threads": 2},
            "length": {"max_length": 32},
            "segmenter": {"segmenter": "given"},
            "packing": {"pack": "line"},
            "documents": {"source": {"document_break": "line"}},
            "cleaning": {"clean": {"min_characters": 200}},
            "start": {"limit": 10},
            "fewer": {"inputs": config().inputs[:3]},
            "order": {"inputs": config().inputs[::-1]},
        }
        fingerprints = {
            name: build(config(output=str(tmp_path / name), **change))["train"].fingerprint
            for name, change in changes.items()
        }
        assert fingerprints.pop("same") == fingerprints["threads"]
        assert len(set(fingerprints.values())) == len(fingerprints)

    def test_equal_documents_never_lie_in_both_splits(self, config, tmp_path):
        path = tmp_path / "twice.txt"
        text = "".join((SAMPLE_DATA / "corpus" / name).read_text("utf-8") for name in ("reviews.txt", "recipes.txt"))
        path.write_text(text + "\n" + text, "utf-8")
        manifests = build(config(inputs=(str(path),), source={}, validation_fraction=0.2))
        assert set(manifests) == {"train", "validation"}
        rows = [
            {tuple(row["input_ids"].tolist()) for row in open_corpus(tmp_path / "corpus" / split)}
            for split in manifests
        ]
        assert rows[0]
        assert rows[1]
        assert not rows[0] & rows[1]
        assert 0.1 < len(rows[1]) / (len(rows[0]) + len(rows[1])) < 0.3


class TestOnDisk:
    def test_datasets_opens_it(self, config, tmp_path):
        manifest = build(config())["train"]
        dataset = datasets.load_from_disk(str(tmp_path / "corpus"))
        assert len(dataset) == manifest.num_rows == len(open_corpus(tmp_path / "corpus"))
        assert dataset.column_names == ["input_ids", "word_start", "source_index", "document_offset"]
        assert str(dataset.data.schema.field("input_ids").type) == "list<item: uint16>"
        row, ours = dataset[7], open_corpus(tmp_path / "corpus")[7]
        assert row["input_ids"] == ours["input_ids"].tolist()
        assert row["word_start"] == ours["word_start"].tolist()
        assert sum(map(len, dataset["input_ids"])) == sum(shard.num_pieces for shard in manifest.content.shards)
        assert sum(sum(starts) - 2 for starts in dataset["word_start"]) == sum(
            shard.num_words for shard in manifest.content.shards
        )

    def test_datasets_opens_splits(self, config, tmp_path):
        manifests = build(config(validation_fraction=0.3))
        splits = datasets.load_from_disk(str(tmp_path / "corpus"))
        assert {name: len(split) for name, split in splits.items()} == {
            name: manifest.num_rows for name, manifest in manifests.items()
        }
        with pytest.raises(CorpusError, match=r"It has splits; open one of: .*train, .*validation"):
            open_corpus(tmp_path / "corpus")
        assert len(open_corpus(tmp_path / "corpus" / "validation")) == manifests["validation"].num_rows

    def test_provenance_leads_back_to_the_document(self, config, tmp_path):
        settings = config()
        manifest = build(settings)["train"]
        vocabulary = open_corpus(tmp_path / "corpus").vocabulary
        spelled = {}
        for row in datasets.load_from_disk(str(tmp_path / "corpus")):
            (source,), (offset,) = row["source_index"], row["document_offset"]
            pieces = [vocabulary.pieces[piece].removeprefix("##") for piece in row["input_ids"][1:-1]]
            spelled[source, offset] = spelled.get((source, offset), "") + "".join(pieces)
        assert len(spelled) == manifest.content.counts["documents"]
        for (source, offset), text in spelled.items():
            data = Path(settings.inputs[source]).read_bytes()
            assert offset == 0 or data[:offset].endswith(b"\n\n")
            document = data[offset:].split(b"\n\n")[0].decode()
            if "[UNK]" not in text:
                assert text == "".join(document.lower().replace("\ufe0f", "").replace("\u200d", "").split())

    def test_counts_add_up(self, config):
        counts = build(config())["train"].content.counts
        assert counts["words"] == counts["groups"] + counts["words_without_pieces"] + counts["merged_words"]
        assert counts["row_pieces"] == counts["pieces"] - counts.get("dropped_pieces", 0) + 2 * counts["rows"]

    def test_names_that_are_not_unicode_are_shown_escaped(self, config, tmp_path):
        name = os.fsdecode("新闻.txt".encode("gbk"))
        (tmp_path / name).write_text("他来了。\n\n他走了。\n", "utf-8")
        manifest = build(config(inputs=(str(tmp_path / name),), source={}))["train"]
        assert manifest.content.inputs[0].name == r"\udcd0\udcc2\udcce\udcc5.txt"
        assert manifest.content.rejected_examples[0].source == manifest.content.inputs[0].name


class TestOutputFolder:
    def test_a_taken_folder_is_left_alone(self, config, tmp_path):
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / "notes.md").write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(CorpusError, match=r"holds other files.*notes\.md"):
                build(config(overwrite=overwrite))
        assert [path.name for path in (tmp_path / "corpus").iterdir()] == ["notes.md"]

    def test_a_corpus_is_replaced_only_when_told_to(self, config, tmp_path):
        before = build(config())["train"]
        with pytest.raises(CorpusError, match=r"already there.*--overwrite"):
            build(config(max_length=32))
        assert open_corpus(tmp_path / "corpus").fingerprint == before.fingerprint
        after = build(config(max_length=32, overwrite=True))["train"]
        assert open_corpus(tmp_path / "corpus").fingerprint == after.fingerprint != before.fingerprint
        names = {path.name for path in (tmp_path / "corpus").iterdir()}
        assert names == {STATE_FILE, "dataset_info.json", "tokenizer", *(shard.name for shard in after.content.shards)}

    def test_splits_are_replaced_whole_and_neighbours_stay(self, config, tmp_path):
        build(config(validation_fraction=0.3))
        build(config(output=str(tmp_path / "corpus" / "neighbour")))
        build(config(overwrite=True))
        assert {path.name for path in (tmp_path / "corpus").iterdir() if path.is_dir()} == {"tokenizer", "neighbour"}
        assert len(datasets.load_from_disk(str(tmp_path / "corpus"))) == len(open_corpus(tmp_path / "corpus"))
        assert len(open_corpus(tmp_path / "corpus" / "neighbour"))

    @pytest.mark.parametrize("state", ["{}", "not json", '{"wwmcorpus": {"content": {"format_version": 0}}}'])
    def test_what_is_no_corpus_of_ours_is_not_replaced(self, config, tmp_path, state):
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / STATE_FILE).write_text(state)
        with pytest.raises(CorpusError, match="cannot be replaced"):
            build(config(overwrite=True))
        assert (tmp_path / "corpus" / STATE_FILE).read_text() == state

    def test_a_corpus_inside_its_inputs_does_not_read_itself(self, config, tmp_path):
        shutil.copy(SAMPLE_DATA / "corpus" / "verse.txt", tmp_path)
        build(config(inputs=(str(tmp_path),)))
        with pytest.raises(CorpusError, match=r"an input lies inside the output folder"):
            build(config(inputs=(str(tmp_path),), overwrite=True))
        assert len(open_corpus(tmp_path / "corpus"))

    def test_a_build_that_fails_leaves_no_work_behind(self, config, tmp_path):
        empty = tmp_path / "empty.txt"
        empty.touch()
        with pytest.raises(CorpusError, match=r"no document gave a row: 'empty_source: empty.txt at 0"):
            build(config(inputs=(str(empty),)))
        assert list((tmp_path / "corpus").iterdir()) == []
        build(config())


class TestWhatStopsABuild:
    @pytest.mark.parametrize(
        ("changes", "error", "problem"),
        [
            ({"inputs": ("absent.txt",)}, SourceError, "no such file"),
            ({"segmenter": "jeiba"}, ConfigError, "Did you mean 'jieba'"),
            ({"segmenter": "ltp:/nowhere/at/all"}, SegmenterError, "no LTP folder"),
            ({"tokenizer": "README.md"}, ConfigError, "not a BERT vocabulary"),
        ],
    )
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_it_is_one_clear_error_whoever_meets_it(self, config, changes, error, problem, num_workers, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.chdir(SAMPLE_DATA.parent)
        with pytest.raises(error, match=problem):
            build(config(num_workers=num_workers, **changes))

    def test_killed_workers_change_nothing(self, config, tmp_path):
        class Killer:
            """Kills the workers when the first of them reports."""

            killed = False

            def start(self, total_bytes):
                assert total_bytes > 0

            def advance(self, num_bytes):
                for process in multiprocess.active_children() if not self.killed else ():
                    os.kill(process.pid, signal.SIGKILL)
                self.killed = True

        killer = Killer()
        changes = {"segmenter": "given", "task_bytes": 2_000}
        found = finish_soon(lambda: build(config(num_workers=2, **changes), killer))["train"]
        assert killer.killed
        assert multiprocess.active_children() == []
        assert found.content == build(config(output=str(tmp_path / "calm"), **changes))["train"].content

    def test_a_model_that_kills_over_every_document_is_blamed(self, config, tmp_path, ltp_folder, capfd):
        # A whole-looking model with half its content: LTP's engine panics and takes its process with it.
        model = (ltp_folder / "cws_model.bin").read_bytes()
        shutil.copytree(ltp_folder, tmp_path / "hollow")
        (tmp_path / "hollow" / "cws_model.bin").write_bytes(model[: len(model) // 2] + model[-16:])
        with pytest.raises(CorpusError, match=r"exit code -6"):
            finish_soon(lambda: build(config(segmenter=f"ltp:{tmp_path / 'hollow'}", num_workers=1)))
        assert "panicked" in capfd.readouterr().err

    def test_a_document_whose_words_do_not_fit_is_rejected_alone(self, config, tmp_path, monkeypatch):
        class Stumbling(GivenSegmenter):
            def segment(self, texts):
                if any("绊" in text for text in texts):
                    raise AlignmentError("the segmenter's words do not spell the text", fix="Report it.")
                return super().segment(texts)

        path = tmp_path / "three.txt"
        lines = ["第一篇 没有 问题。", "这里 绊 了 一下。", "第三篇 也 没有。"]
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        monkeypatch.setattr("wwmcorpus.corpus.runner.load_segmenter", lambda *_: Stumbling())
        found = build(config(inputs=(str(path),), segmenter="given", source={}))["train"].content
        assert found.rejected == {"words_misaligned": 1}
        (example,) = found.rejected_examples
        assert (example.source, example.offset) == ("three.txt", len(f"{lines[0]}\n".encode()))
        path.write_text("".join(f"{line}\n" for line in lines if "绊" not in line), "utf-8")
        smooth = build(config(inputs=(str(path),), segmenter="given", source={}, overwrite=True))["train"].content
        for name in ("words", "groups", "pieces", "rows", "unk_pieces"):
            assert found.counts[name] == smooth.counts[name], f"{name} counted twice"


def finish_soon(work, seconds=60):
    """Run ``work`` in a thread and give what it gives; fail instead of hanging where it does not end."""
    outcome = {}

    def target():
        try:
            outcome["value"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def test_piece_counts_count_pieces(small_corpus):
    flat = np.concatenate([row["input_ids"] for row in small_corpus])
    expected = np.bincount(flat, minlength=small_corpus.vocabulary.num_pieces)
    assert np.array_equal(small_corpus.piece_counts(), expected)


def test_where_each_line_is_a_sentence_lines_are_the_sentences(config, tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("他来了。好！\n走吧\n\n第二篇。\n", "utf-8")
    changes = {"inputs": (str(path),), "source": {"document_break": "sentence_line"}}
    counts = build(config(**changes))["train"].content.counts
    assert (counts["documents"], counts["sentences"]) == (2, 3)


def test_a_signal_to_the_process_group_leaves_the_workers_alone(config):
    class Looker:
        """Looks at the workers' groups when the first of them reports."""

        groups: frozenset[int] = frozenset()

        def start(self, total_bytes):
            assert total_bytes > 0

        def advance(self, num_bytes):
            if num_bytes and not self.groups:
                self.groups = frozenset(os.getpgid(process.pid) for process in multiprocess.active_children())

    looker = Looker()
    build(config(segmenter="given", num_workers=2, task_bytes=4_000), looker)
    assert looker.groups
    assert os.getpgid(0) not in looker.groups
