"""Merging is building at once: the rows, their provenance, counts and hashes are those of one build of all inputs."""

import gzip
import json
import shutil

import datasets
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.corpus import BuildConfig, build, commit, open_corpus
from wwmcorpus.corpus.manifest import STATE_FILE, Manifest, RejectedDocument
from wwmcorpus.corpus.merge import MergeConfig, merge, merge_bytes
from wwmcorpus.corpus.merged_parts import parts_of
from wwmcorpus.corpus.verify import verify
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import WholeWordMaskCollator
from wwmcorpus.stream import Stream

LINES = [
    "他 叫 汤姆 ， 昨天 买 了 外衣 。",
    "研究 生命 的 起源 。 很 难 ！ 也 很 有 意思 。",
    "hello 世界 123 。 第二 句 。",
]


@pytest.fixture
def make(tmp_path, vocabulary_file):
    """Builds the corpus ``name`` of documents given per input; keyword arguments change the build."""

    def build_one(name, files, **changes):
        paths = []
        for file, documents in files.items():
            # Compressed files are never cut: each is a task of its own, whatever stands beside it.
            paths.append(tmp_path / f"{file}.txt.gz")
            paths[-1].write_bytes(gzip.compress("\n".join([*documents, ""]).encode(), mtime=0))
        values = {
            "inputs": tuple(map(str, paths)),
            "output": str(tmp_path / name),
            "segmenter": "given",
            "tokenizer": str(vocabulary_file),
            "max_length": 16,
            "task_bytes": 1,
            "num_workers": 0,
        }
        build(BuildConfig(**values | changes))
        return str(tmp_path / name)

    return build_one


def merged(tmp_path, *corpora, name="merged", **options):
    return merge(MergeConfig(corpora=corpora, output=str(tmp_path / name), **options))


def contents(manifests):
    """Give what the manifests say; a build lists its empty inputs last, a merge those of each corpus."""
    found = {split: manifest.values()["content"] for split, manifest in manifests.items()}
    for values in found.values():
        values["rejected_examples"].sort(key=lambda each: (each["source_index"], each["offset"], each["reason"]))
    return found


def split_manifests(folder):
    return {manifest.content.split: manifest for manifest in commit.committed(folder).values()}


def rows_of(folder):
    return datasets.load_from_disk(str(folder)).to_list()


documents = st.lists(texts.map(lambda text: " ".join(text.split())), min_size=2, max_size=6)


class TestLikeOneBuild:
    @pytest.mark.parametrize(
        "changes",
        [{}, {"pack": "stream"}, {"validation_fraction": 0.4, "test_fraction": 0.2}],
        ids=["document", "stream", "splits"],
    )
    @settings(
        max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
    )  # a build is too slow to look for the smallest failing input
    @given(first=documents, second=documents, third=documents)
    def test_the_content_is_that_of_one_build(self, make, tmp_path, changes, first, second, third):
        files = {"a": [*LINES, *first], "b": second, "c": [*LINES[::-1], *third]}
        for folder in ("one", "two", "all", "merged"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        one = make("one", {name: files[name] for name in "ab"}, **changes)
        two = make("two", {"c": files["c"]}, **changes)
        make("all", files, **changes)
        found = merged(tmp_path, one, two, allow_duplicates=True)
        assert contents(found) == contents(split_manifests(tmp_path / "all"))
        verify(tmp_path / "merged", full=True)

    def test_rows_follow_one_another_and_only_their_sources_are_renumbered(self, make, tmp_path, small_corpus):
        # Thousands of rows, in several batches.
        make("tiny", {"tiny": LINES}, segmenter="jieba", max_length=24)
        self.check_rows(tmp_path, "tiny", small_corpus.path)

    def test_so_do_pairs(self, make, tmp_path):
        # Their draws depend on the number of the source: one build of all inputs would draw others.
        options = {"pairs": "nsp", "short_sequence_probability": 0.5}
        make("a", {"a": LINES * 5, "empty": []}, **options)
        self.check_rows(tmp_path, "a", make("b", {"b": LINES[::-1] * 3}, **options))
        assert set(open_corpus(tmp_path / "merged")[0]) == {"input_ids", "word_start", "token_type_ids", "pair_label"}

    def check_rows(self, tmp_path, first, second):
        merged(tmp_path, str(tmp_path / first), str(second))
        num_sources = len(Manifest.read(tmp_path / first).content.inputs)
        expected = rows_of(second)
        assert expected
        for row in expected:
            row["source_index"] = [index + num_sources for index in row["source_index"]]
        assert rows_of(tmp_path / "merged") == rows_of(tmp_path / first) + expected
        verify(tmp_path / "merged", full=True)

    def test_merging_what_was_merged_changes_nothing(self, make, tmp_path):
        one, two, three = (make(name, {name: [line]}) for name, line in zip("abc", LINES, strict=True))
        merged(tmp_path, one, two, name="first")
        nested = merged(tmp_path, str(tmp_path / "first"), three, name="nested")
        flat = merged(tmp_path, one, two, three, name="flat")
        assert contents(nested) == contents(flat)
        assert nested["train"].run["inputs"] == [str(tmp_path / f"{name}.txt.gz") for name in "abc"]

    def test_a_merged_corpus_can_be_added_to(self, make, tmp_path):
        one, two = make("a", {"a": LINES[:1]}), make("b", {"b": LINES[1:2]})
        merged(tmp_path, one, two)
        make("merged", {"c": LINES[2:]}, append=True)
        make("all", {"a": LINES[:1], "b": LINES[1:2], "c": LINES[2:]})
        assert rows_of(tmp_path / "merged") == rows_of(tmp_path / "all")


class TestItIsACorpus:
    def test_stream_and_masks_work_on_it(self, make, tmp_path, tokenizer):
        one = make("a", {"a": LINES * 4})
        two = make("b", {"b": [*LINES[::-1], "完 了"]})
        merged(tmp_path, one, two)
        corpus = open_corpus(tmp_path / "merged")
        seen = []
        for batch in Stream(corpus, global_batch_size=4, seed=3):
            labels = batch["labels"].numpy()
            assert (labels != -100).any(axis=1).all()
            for row, row_id in enumerate(batch["row_ids"].tolist()):
                seen.append(row_id)
                starts = corpus[row_id]["word_start"]
                masked = labels[row, : len(starts)] != -100
                words = np.cumsum(starts)
                assert not set(words[masked]) & set(words[~masked]), "a word is masked in part"
        assert len(set(seen)) == len(seen) == len(corpus) // 4 * 4
        collate = WholeWordMaskCollator(tokenizer)
        assert collate(datasets.load_from_disk(str(tmp_path / "merged")).to_list())["labels"].shape[0] == len(corpus)

    def test_rejections_quarantine_and_their_sources_are_kept(self, make, tmp_path):
        long_word = "x" * 40
        one = make("a", {"a": [LINES[0], "", long_word], "b": [LINES[1]]})
        two = make("b", {"c": [LINES[2], "\t"], "d": [long_word, "好"]})
        _put_in_quarantine(tmp_path / "b", source_index=1, offset=41)
        found = merged(tmp_path, one, two)["train"].content
        assert found.rejected == {"blank": 2, "long_word": 2}
        lines = [json.loads(line) for line in (tmp_path / "merged" / found.rejections.name).read_text().splitlines()]
        expected = [("blank", "a.txt.gz", 0), ("long_word", "a.txt.gz", 0), ("blank", "c.txt.gz", 2)]
        expected.append(("long_word", "d.txt.gz", 3))
        for listed in (lines, [example.values() for example in found.rejected_examples]):
            assert sorted((each["reason"], each["source"], each["source_index"]) for each in listed) == sorted(expected)
        assert [(each.source_index, each.offset) for each in found.quarantine] == [(3, 41)]
        assert all(found.inputs[each["source_index"]].name == each["source"] for each in lines)

    def test_progress_comes_to_the_end(self, make, tmp_path):
        corpora = [make("a", {"a": [LINES[0], ""]}), make("b", {"b": LINES[1:]})]
        told = []
        merge(MergeConfig(corpora=corpora, output=str(tmp_path / "merged")), told.append)
        assert 0.8 < sum(told) / merge_bytes(corpora) <= 1


def _put_in_quarantine(folder, source_index, offset):
    manifest = Manifest.read(folder)
    convicted = RejectedDocument(
        reason="quarantined", source="d.txt.gz", source_index=source_index, offset=offset, detail="killed"
    )
    content = manifest.content.model_copy(update={"quarantine": (convicted,)})
    manifest.model_copy(update={"content": content}).commit(folder)


class TestWhatDiffers:
    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"max_length": 24}, r"differ in max_length: '.*/a: 16; .*/b: 24'"),
            ({"tokenizer": "embedded"}, r"differ in vocabulary: '.*/a: \d+ pieces, sha256 \w+; .*/b: 8888"),
            ({"pairs": "sop"}, r"differ in pairs: '.*/a: None; .*/b: sop'"),
            ({"validation_fraction": 0.5}, r"differ in splits: '.*/a: train; .*/b: train, validation'"),
            ({"segmenter": "jieba"}, r"differ in segmenter: '.*/a: given:spaces; .*/b: jieba:.*--mixed-segmenters"),
        ],
    )
    def test_both_sides_are_shown(self, make, tmp_path, changes, problem):
        if changes.get("tokenizer") == "embedded":
            from wwmcorpus.align import Vocabulary, load_tokenizer

            problem = problem.replace("8888", str(Vocabulary.of(load_tokenizer()).num_pieces))
        one, two = make("a", {"a": LINES}), make("b", {"b": LINES}, **changes)
        with pytest.raises(CorpusError, match=problem):
            merged(tmp_path, one, two)
        assert not (tmp_path / "merged").exists()

    def test_a_tokenizer_that_reads_otherwise_is_another(self, make, tmp_path, vocabulary_file):
        cased = tmp_path / "cased"
        cased.mkdir()
        shutil.copy(vocabulary_file, cased / "vocab.txt")
        (cased / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        one, two = make("a", {"a": LINES}), make("b", {"b": LINES}, tokenizer=str(cased))
        with pytest.raises(CorpusError, match=r"differ in tokenizer: '.*a: wordpiece@(\w+); .*b: wordpiece@(?!\1)"):
            merged(tmp_path, one, two)

    def test_segmenters_are_mixed_only_when_asked_for(self, make, tmp_path):
        one, two = make("a", {"a": LINES}), make("b", {"b": LINES[:1]}, segmenter="jieba", pack="line", limit=1)
        three = make("c", {"c": LINES[1:]})
        merged(tmp_path, one, two, name="first", mixed_segmenters=True, allow_duplicates=True)
        found = merged(tmp_path, three, str(tmp_path / "first"), mixed_segmenters=True, allow_duplicates=True)["train"]
        assert "|seg:given:spaces+jieba:" in found.signature
        assert "|pack:document+line|" in found.signature
        parts = parts_of(found.content)
        assert [part.num_inputs for part in parts] == [1, 1, 1]
        assert [part.segmenter.partition(":")[0] for part in parts] == ["given", "given", "jieba"]
        for part, folder in zip(parts, (three, one, two), strict=True):
            assert part.config == Manifest.read(tmp_path / folder).content.config
        assert "limit" not in found.content.config
        assert rows_of(tmp_path / "merged")[-1]["source_index"] == [2]
        verify(tmp_path / "merged", full=True)

    def test_the_same_input_twice_is_an_error_unless_it_is_wanted(self, make, tmp_path):
        one, two = make("a", {"a": LINES, "empty": []}), make("b", {"b": LINES, "none": []})
        with pytest.raises(CorpusError, match=r"same input: '.*/a: a\.txt\.gz; .*/b: b\.txt\.gz.*--allow-duplicates"):
            merged(tmp_path, one, two)
        found = merged(tmp_path, one, two, allow_duplicates=True)["train"]
        assert found.num_rows == 2 * len(open_corpus(one))

    def test_one_corpus_is_not_merged(self, tmp_path):
        with pytest.raises(ConfigError, match="corpora"):
            merged(tmp_path, "alone")


class TestOutputFolder:
    @pytest.fixture
    def corpora(self, make):
        return make("a", {"a": LINES}), make("b", {"b": LINES[:2]})

    def test_a_damaged_corpus_is_never_copied(self, corpora, tmp_path):
        shard = next((tmp_path / "b").glob("data-*.arrow"))
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
        with pytest.raises(CorpusError, match=r"sha256|damaged|does not open|differ|no build writes"):
            merged(tmp_path, *corpora)
        assert not (tmp_path / "merged").exists()

    def test_one_split_is_not_taken_for_the_whole(self, make, tmp_path):
        corpora = [make(name, {name: LINES * 3}, validation_fraction=0.5) for name in "ab"]
        with pytest.raises(CorpusError, match=r"one split of a corpus.*all their splits: .*/a\."):
            merged(tmp_path, *(f"{corpus}/train" for corpus in corpora), allow_duplicates=True)

    def test_it_neither_eats_nor_enters_a_corpus(self, corpora, tmp_path):
        before = Manifest.read(tmp_path / "a").fingerprint
        for name in ("a", "a/inside", "."):
            with pytest.raises(CorpusError, match="cannot lie in one another"):
                merged(tmp_path, *corpora, name=name, overwrite=True)
        assert Manifest.read(tmp_path / "a").fingerprint == before

    def test_a_corpus_is_replaced_only_when_told_to(self, corpora, make, tmp_path):
        make("merged", {"old": LINES[1:]}, validation_fraction=0.5)
        with pytest.raises(CorpusError, match=r"already there.*--overwrite"):
            merged(tmp_path, *corpora)
        merged(tmp_path, *corpora, overwrite=True)
        assert {path.name.partition("-")[0] for path in (tmp_path / "merged").iterdir()} == {
            "data",
            STATE_FILE,
            "dataset_info.json",
            "tokenizer",
        }
        assert len(datasets.load_from_disk(str(tmp_path / "merged"))) == len(open_corpus(tmp_path / "merged"))

    @pytest.mark.parametrize("stop", ["place_files", "write_manifests", "remove_leftovers"])
    def test_a_stopped_merge_goes_on(self, corpora, tmp_path, monkeypatch, stop):
        expected = contents(merged(tmp_path, *corpora, name="expected"))
        with monkeypatch.context() as patch:
            patch.setattr(commit, stop, _stumble)
            with pytest.raises(RuntimeError, match="stopped"):
                merged(tmp_path, *corpora)
        assert contents(merged(tmp_path, *corpora)) == expected
        assert verify(tmp_path / "merged", full=True)
        assert not (tmp_path / "merged" / ".work").exists()

    def test_what_was_written_is_not_written_again(self, corpora, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(commit, "place_files", _stumble)
            with pytest.raises(RuntimeError, match="stopped"):
                merged(tmp_path, *corpora)
        monkeypatch.setattr("wwmcorpus.corpus.merge.renumbered", _stumble)
        assert merged(tmp_path, *corpora)["train"].num_rows == sum(len(open_corpus(path)) for path in corpora)

    def test_another_unfinished_merge_is_not_taken_up(self, corpora, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(commit, "place_files", _stumble)
            with pytest.raises(RuntimeError, match="stopped"):
                merged(tmp_path, *corpora)
        with pytest.raises(CorpusError, match="unfinished build of something else"):
            merged(tmp_path, *corpora[::-1])
        swapped = merged(tmp_path, *corpora[::-1], overwrite=True)["train"].content
        assert [each.name for each in swapped.inputs] == ["b.txt.gz", "a.txt.gz"]


def _stumble(*_args):
    raise RuntimeError("stopped")
