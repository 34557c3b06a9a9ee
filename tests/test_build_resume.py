"""Builds that are stopped, go on, are added to, fail: each gives the corpus of a calm build, or one message."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import SAMPLE_DATA

from wwmcorpus.corpus import BuildConfig, Manifest, build, engines, open_corpus
from wwmcorpus.corpus.supervisor import Conviction
from wwmcorpus.corpus.verify import verify
from wwmcorpus.corpus.workspace import WORK_FOLDER
from wwmcorpus.errors import ConfigError, CorpusError, InterruptedJobError
from wwmcorpus.files import folder_lock

FILES = ("news.txt", "dialogue.txt", "verse.txt", "social.txt")


@pytest.fixture
def values(tmp_path, vocabulary_file):
    """The options of a build of four sample files in some twenty tasks."""
    (tmp_path / "texts").mkdir()
    for name in FILES:
        shutil.copy(SAMPLE_DATA / "corpus" / name, tmp_path / "texts")
    return {
        "inputs": (str(tmp_path / "texts"),),
        "output": str(tmp_path / "corpus"),
        "segmenter": "rjieba",
        "tokenizer": str(vocabulary_file),
        "max_length": 64,
        "source": {"document_break": "blank_line"},
        "task_bytes": 3_000,
        "num_workers": 0,
    }


@pytest.fixture
def expected(values, tmp_path):
    """The manifest's content of the build that nothing stops."""
    return build(BuildConfig(**values | {"output": str(tmp_path / "calm")}))["train"].content


def command(values, *more):
    """The command line of a build, two workers."""
    sets = [
        f"source.document_break={values['source']['document_break']}",
        f"task_bytes={values['task_bytes']}",
    ]
    return [
        *(sys.executable, "-m", "wwmcorpus", "build", *values["inputs"], "--output", values["output"]),
        *("--segmenter", values["segmenter"], "--tokenizer", values["tokenizer"], "--max-length", "64"),
        *("--workers", "2", *(word for each in sets for word in ("--set", each)), *more),
    ]


def wait_for_records(output, process, number=2):
    """Wait until some tasks are done."""
    while process.poll() is None and len(list((output / WORK_FOLDER / "records").glob("*.json"))) < number:
        time.sleep(0.01)


class StopAfter:
    """Interrupts a build in this process after some of its tasks."""

    def __init__(self, num_bytes):
        self._left = num_bytes

    def start(self, total_bytes):
        pass

    def advance(self, num_bytes):
        self._left -= num_bytes
        if self._left < 0:
            raise KeyboardInterrupt


class TestResume:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    def test_a_build_goes_on_where_a_signal_stopped_it(self, values, expected, tmp_path, number):
        output = tmp_path / "corpus"
        process = subprocess.Popen(command(values), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_for_records(output, process)
        process.send_signal(number)
        message = process.communicate(timeout=60)[1]
        if number != signal.SIGKILL:
            assert process.returncode == 128 + number
            assert f"stopped by a signal: '{number.name}'" in message
            assert "Run the same command again" in message
        done = len(list((output / WORK_FOLDER / "records").glob("*.json")))
        assert 2 <= done < expected.num_tasks
        with pytest.raises(CorpusError, match="no corpus there"):
            open_corpus(output)
        found = build(BuildConfig(**values))["train"].content
        assert found == expected
        assert verify(output, full=True)
        assert sorted(path.name for path in output.iterdir() if path.name.startswith(".")) == []

    def test_finished_tasks_are_not_done_again(self, values, expected, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        records = tmp_path / "corpus" / WORK_FOLDER / "records"
        before = {path.name: path.stat().st_mtime_ns for path in records.glob("*.json")}
        assert before
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(20_000))
        after = {path.name: path.stat().st_mtime_ns for path in records.glob("*.json")}
        assert before.items() < after.items()
        assert build(BuildConfig(**values))["train"].content == expected

    @pytest.mark.parametrize("damage", ["record", "shard gone", "shard short"])
    def test_what_was_damaged_meanwhile_is_done_again(self, values, expected, tmp_path, damage):
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        work = tmp_path / "corpus" / WORK_FOLDER
        shard = sorted((work / "shards").glob("*.arrow"))[0]
        if damage == "record":
            (work / "records" / "00000.json").write_text("{")
        elif damage == "shard gone":
            shard.unlink()
        else:
            shard.write_bytes(shard.read_bytes()[:-20])
        assert build(BuildConfig(**values))["train"].content == expected

    def test_another_plan_is_refused_and_both_are_shown(self, values, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        with pytest.raises(CorpusError, match=r"config\.max_length was 64, now 32.*--overwrite"):
            build(BuildConfig(**values | {"max_length": 32}))
        changed = build(BuildConfig(**values | {"max_length": 32, "overwrite": True}))["train"]
        assert changed.content.config["max_length"] == 32

    def test_inputs_that_changed_between_attempts_are_refused(self, values, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        path = tmp_path / "texts" / "news.txt"
        path.write_bytes(path.read_bytes().replace("。".encode(), "！".encode(), 1))
        with pytest.raises(CorpusError, match=r"inputs\[1\]\.sha256 was \"[0-9a-f]{64}\", now \"[0-9a-f]{64}\""):
            build(BuildConfig(**values))

    def test_inputs_that_change_while_they_are_read_are_found(self, values, tmp_path):
        class Meddler(StopAfter):
            def advance(self, num_bytes):
                with (tmp_path / "texts" / "verse.txt").open("a") as file:
                    file.write("\n\n多了一行。\n")

        with pytest.raises(CorpusError, match=r"an input changed while the build read it: .*verse\.txt"):
            build(BuildConfig(**values), Meddler(0))

    def test_the_same_build_again_finds_it_built(self, values, expected, tmp_path):
        build(BuildConfig(**values))
        before = (tmp_path / "corpus" / "state.json").stat().st_mtime_ns
        assert build(BuildConfig(**values))["train"].content == expected
        assert (tmp_path / "corpus" / "state.json").stat().st_mtime_ns == before


class TestWhatStopsABuild:
    def test_two_at_once(self, values, tmp_path):
        (tmp_path / "corpus").mkdir()
        with folder_lock(tmp_path / "corpus", "another build"):
            other = subprocess.run(command(values), capture_output=True, text=True, timeout=60)
        assert other.returncode == 1
        assert f"another process works in the folder: another build, process {os.getpid()}" in other.stderr
        assert build(BuildConfig(**values))

    def test_a_full_disk(self, values, expected):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        found = subprocess.run(command(values), capture_output=True, text=True, preexec_fn=small_files, timeout=120)
        assert found.returncode == 1
        assert found.stderr.count("error:") == 1
        assert "File too large" in found.stderr
        assert build(BuildConfig(**values))["train"].content == expected

    def test_a_folder_that_cannot_be_made(self, values, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(CorpusError, match="cannot be made"):
            build(BuildConfig(**values | {"output": str(tmp_path / "file" / "corpus")}))

    def test_too_many_rejections(self, values, tmp_path):
        (tmp_path / "texts" / "bad.txt").write_bytes("好。\n\n\xff\n\n坏\n\n\xfe\n\n".encode("latin-1", "replace"))
        (tmp_path / "texts" / "bad.txt").write_bytes(b"\xff\n\n\xfe\n\n\xfd\n")
        with pytest.raises(CorpusError, match="3 documents were rejected, more than max_rejects = 2"):
            build(BuildConfig(**values | {"max_rejects": 2}))
        found = build(BuildConfig(**values | {"max_rejects": 3}))["train"].content
        assert found.rejected["invalid_utf8"] == 3
        lines = (tmp_path / "corpus" / found.rejections.name).read_text("utf-8").split("\n")
        assert sum('"invalid_utf8"' in line for line in lines) == 3

    def test_one_bad_byte_costs_one_document(self, values, expected, tmp_path):
        path = tmp_path / "texts" / "news.txt"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] = 0xFF
        path.write_bytes(bytes(data))
        found = build(BuildConfig(**values))["train"].content
        assert found.rejected["invalid_utf8"] == 1
        assert found.counts["documents"] == expected.counts["documents"] - 1


class TestQuarantine:
    def test_a_convicted_document_is_left_out_listed_and_remembered(self, values, expected, tmp_path, monkeypatch):
        class Convicting:
            """Convicts one document, then does the tasks here."""

            def __init__(self, blueprint, limits, convict):
                self._blueprint, self._convict = blueprint, convict

            def run(self, tasks, quarantine, advance, stop):
                place = (1, 0)
                if place not in quarantine:
                    task = next(task for task in tasks if any(part.source_index == 1 for part in task.slices))
                    self._convict(Conviction(task, place, "exit code -11"))
                runner = self._blueprint.open()
                for task in tasks:
                    yield runner.run(task, frozenset([place]))

        monkeypatch.setattr(engines, "Supervisor", Convicting)
        found = build(BuildConfig(**values | {"num_workers": 1}))["train"].content
        (document,) = found.quarantine
        assert (document.source, document.source_index, document.offset) == ("news.txt", 1, 0)
        assert document.detail == "it alone killed two workers"
        assert found.rejected["quarantined"] == 1
        assert found.counts["documents"] == expected.counts["documents"] - 1
        assert found.shards != expected.shards


class TestAppend:
    def parts(self, values, tmp_path, **changes):
        first = build(
            BuildConfig(**values | changes | {"inputs": tuple(str(tmp_path / "texts" / n) for n in FILES[:2])})
        )
        more = values | changes | {"inputs": tuple(str(tmp_path / "texts" / n) for n in FILES[2:]), "append": True}
        return first, more

    @pytest.mark.parametrize("changes", [{}, {"validation_fraction": 0.2, "test_fraction": 0.1}])
    def test_rows_of_both_are_there_and_lead_to_their_sources(self, values, tmp_path, changes):
        first, more = self.parts(values, tmp_path, **changes)
        both = build(BuildConfig(**more))
        verify(tmp_path / "corpus", full=True)
        names = tuple(str(tmp_path / "texts" / name) for name in FILES)
        whole = build(BuildConfig(**values | changes | {"inputs": names, "output": str(tmp_path / "whole")}))
        assert list(both) == list(whole)
        for split in whole:
            folder = split if changes else "."
            ours, theirs = open_corpus(tmp_path / "corpus" / folder), open_corpus(tmp_path / "whole" / folder)
            assert [row["input_ids"].tolist() for row in ours] == [row["input_ids"].tolist() for row in theirs]
            assert both[split].content.counts == whole[split].content.counts
            assert both[split].content.inputs == whole[split].content.inputs
            assert both[split].content.shards[: len(first[split].content.shards)] == first[split].content.shards

    def test_it_goes_on_where_it_was_stopped(self, values, tmp_path):
        first, more = self.parts(values, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**more), StopAfter(5_000))
        assert open_corpus(tmp_path / "corpus").fingerprint == first["train"].fingerprint
        shutil.copytree(tmp_path / "corpus", tmp_path / "other")
        stopped = build(BuildConfig(**more))["train"]
        shutil.rmtree(tmp_path / "other" / WORK_FOLDER)
        calm = build(BuildConfig(**more | {"output": str(tmp_path / "other")}))["train"]
        assert stopped.content == calm.content

    def test_what_does_not_fit_is_refused(self, values, tmp_path):
        with pytest.raises(CorpusError, match="no corpus with the splits train to add to"):
            build(BuildConfig(**values | {"append": True}))
        _, more = self.parts(values, tmp_path)
        with pytest.raises(CorpusError, match=r"built otherwise.*config\.max_length was 64, now 32"):
            build(BuildConfig(**more | {"max_length": 32}))
        with pytest.raises(CorpusError, match=r"in the corpus already, as news\.txt"):
            build(BuildConfig(**more | {"inputs": (str(tmp_path / "texts" / "news.txt"),)}))
        with pytest.raises(ConfigError, match="either added to or replaced"):
            BuildConfig(**more | {"overwrite": True})
        assert build(BuildConfig(**more))


class TestLimit:
    @pytest.mark.parametrize("limit", [1, 7, 20])
    def test_the_first_documents_are_read(self, values, tmp_path, limit):
        found = build(BuildConfig(**values | {"limit": limit}))["train"].content
        assert found.counts["documents_read"] == limit
        rows = [row["input_ids"].tolist() for row in open_corpus(tmp_path / "corpus")]
        build(BuildConfig(**values | {"output": str(tmp_path / "all")}))
        everything = [row["input_ids"].tolist() for row in open_corpus(tmp_path / "all")]
        assert rows == everything[: len(rows)]


SCRIPT = """
import wwmcorpus as wc
manifest = wc.build_corpus(inputs=[{texts!r}], output={output!r}, segmenter="rjieba", tokenizer={tokenizer!r},
                           max_length=64, task_bytes=3000, num_workers=2, source={{"document_break": "blank_line"}})
print(manifest.content_sha256)
"""


@pytest.mark.parametrize("how", ["script", "stdin"])
def test_a_script_without_a_main_guard_and_a_prompt_can_build(values, expected, tmp_path, how):
    text = SCRIPT.format(texts=values["inputs"][0], output=values["output"], tokenizer=values["tokenizer"])
    (tmp_path / "script.py").write_text(text)
    arguments = [sys.executable, str(tmp_path / "script.py")] if how == "script" else [sys.executable, "-i", "-"]
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=120)
    assert Manifest.read(tmp_path / "corpus").content == expected, done.stderr
    assert Manifest.read(tmp_path / "corpus").content_sha256 in done.stdout


def test_a_signal_while_one_task_runs_here_ends_after_it(values):
    class Interrupting(StopAfter):
        def advance(self, num_bytes):
            if num_bytes and self._left:
                os.kill(os.getpid(), signal.SIGINT)
                self._left = 0

    with pytest.raises(InterruptedJobError, match="SIGINT"):
        build(BuildConfig(**values), Interrupting(1))
    assert build(BuildConfig(**values))


class TestWhatARerunMayTrust:
    def test_rows_of_inputs_that_were_changed_and_put_back_are_made_again(self, values, expected, tmp_path):
        path = tmp_path / "texts" / "verse.txt"
        before = path.read_bytes()

        class Meddler(StopAfter):
            def advance(self, num_bytes):
                if num_bytes:
                    path.write_bytes(before.replace("。".encode(), "！".encode()))

        with pytest.raises(CorpusError, match="an input changed"):
            build(BuildConfig(**values), Meddler(0))
        path.write_bytes(before)
        assert build(BuildConfig(**values))["train"].content == expected

    def test_other_words_of_the_user_are_another_plan(self, values, tmp_path):
        words = tmp_path / "words.txt"
        words.write_text("今天天气\n", "utf-8")
        values["segmenter_options"] = {"words": str(words)}
        first = build(BuildConfig(**values))["train"]
        words.write_text("天气预报\n", "utf-8")
        with pytest.raises(CorpusError, match="a corpus is already there"):
            build(BuildConfig(**values))
        second = build(BuildConfig(**values | {"overwrite": True}))["train"]
        assert second.content.segmenter != first.content.segmenter

    def test_an_addition_by_another_segmenter_is_refused_and_the_right_one_goes_on(self, values, tmp_path):
        build(BuildConfig(**values | {"inputs": (str(tmp_path / "texts" / "news.txt"),)}))
        more = values | {"inputs": (str(tmp_path / "texts" / "verse.txt"),), "append": True}
        with pytest.raises(CorpusError, match=r"the segmenter is given:spaces, but rjieba:.* found the other words"):
            build(BuildConfig(**more | {"segmenter": "given"}))
        assert build(BuildConfig(**more))["train"].num_rows > 1

    def test_a_merged_corpus_is_in_the_way_like_any_other(self, values, tmp_path):
        from wwmcorpus.corpus.merge import MergeConfig, merge

        for name in FILES[:2]:
            one = {"inputs": (str(tmp_path / "texts" / name),), "output": str(tmp_path / name)}
            build(BuildConfig(**values | one))
        merge(MergeConfig(corpora=tuple(str(tmp_path / name) for name in FILES[:2]), output=values["output"]))
        with pytest.raises(CorpusError, match="a corpus is already there"):
            build(BuildConfig(**values))

    def test_finished_tasks_count_once_against_the_limit(self, values, tmp_path):
        (tmp_path / "texts" / "bad.txt").write_bytes(b"\xff\n\n" + "好。\n".encode())
        values["max_rejects"] = 1
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        for shard in (tmp_path / "corpus" / WORK_FOLDER / "shards").glob("*.arrow"):
            shard.unlink()
        assert build(BuildConfig(**values))["train"].content.rejected["invalid_utf8"] == 1

    def test_a_cut_short_commit_of_another_plan_can_be_thrown_away(self, values, tmp_path):
        with pytest.raises(KeyboardInterrupt):
            build(BuildConfig(**values), StopAfter(10_000))
        output = tmp_path / "corpus"
        shard = sorted((output / WORK_FOLDER / "shards").glob("train-*.arrow"))[0]
        shutil.copy(shard, output / shard.name.replace("train", "data"))
        with pytest.raises(CorpusError, match=r"config\.max_length was 64, now 32"):
            build(BuildConfig(**values | {"max_length": 32}))
        build(BuildConfig(**values | {"max_length": 32, "overwrite": True}))
        assert verify(output, full=True)
        assert not (output / shard.name.replace("train", "data")).exists()

    def test_empty_files_are_counted_and_some_are_shown(self, values, tmp_path):
        for number in range(30):
            (tmp_path / "texts" / f"empty-{number:02d}.txt").touch()
        found = build(BuildConfig(**values))["train"].content
        assert found.rejected["empty_source"] == 30
        assert sum(example.reason == "empty_source" for example in found.rejected_examples) == 20
