"""Deduplication beside naive ones: dictionaries of texts, all pairs of signatures, sets of n-grams."""

import json
import os
import pickle
import random
from collections import defaultdict
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.records import Document
from wwmcorpus.text import Cleaner, CleanOptions, find_sources, read_sources
from wwmcorpus.text.dedup import DedupConfig, KeepList, KeptPlace, buckets, dedup, duplicates, result, sign
from wwmcorpus.text.dedup.buckets import shared_keys
from wwmcorpus.text.dedup.clusters import Clusters
from wwmcorpus.text.dedup.minhash import MinHasher

WORDS = [
    "今天",
    "图书馆",
    "下雨",
    "的",
    "了",
    "她",
    "读完",
    "三本",
    "书",
    "，",
    "。",
    "地铁",
    "晚点",
    "于是",
    "走路",
    "回家",
]


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    """What a crash would leave is no question here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def some_text(chance, num_words=60):
    return "".join(chance.choices(WORDS, k=num_words))


def near_copy(text, chance, num_edits):
    characters = list(text)
    for place in chance.sample(range(len(characters)), num_edits):
        characters[place] = chance.choice("甲乙丙丁戊己庚辛")
    return "".join(characters)


def some_corpus(seed, number=60):
    """Give texts of which some are the same and some nearly; from very similar to hardly."""
    chance = random.Random(seed)
    found = [some_text(chance, chance.randrange(1, 80)) for _ in range(number)]
    for _ in range(number):
        found.append(
            near_copy(chance.choice(found), chance, chance.choice([0, 0, 1, 1, 2, 5]))
            if chance.random() < 0.7
            else some_text(chance)
        )
    chance.shuffle(found)
    return found


def write(folder, name, found):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(text + "\n" for text in found), "utf-8")
    return str(path)


def options(inputs, output, **more):
    return DedupConfig(inputs=tuple(inputs), output=str(output), **({"task_bytes": 4000} | more))


def documents_of(inputs):
    cleaner = Cleaner()
    items = (cleaner.clean(item) for item in read_sources(find_sources(inputs)) if isinstance(item, Document))
    return [item for item in items if isinstance(item, Document)]


def dropped(keep):
    """Give {place: place kept} of all dropped documents, through the public names."""
    return {
        (index, offset): keep.kept_place(index, offset)
        for index in range(len(keep.content.inputs))
        for offset in keep.drops(index).tolist()
    }


def components(number, pairs):
    """Give the lowest number of the component of each."""
    lowest = list(range(number))
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(lowest[a], lowest[b])
            changed |= (lowest[a], lowest[b]) != (low, low)
            lowest[a] = lowest[b] = low
    return lowest


def naive_near(found, config):
    """Compare every two signatures that share a band; give the lowest number of each document's cluster."""
    hasher = MinHasher(config.num_permutations, config.ngram, config.seed)
    values = np.stack([hasher.signatures([text])[0] for text in found])
    bands = values.reshape(len(found), config.num_bands, config.rows_per_band)
    pairs = [
        (a, b)
        for a, b in combinations(range(len(found)), 2)
        if (bands[a] == bands[b]).all(axis=1).any() and (values[a] == values[b]).mean() >= config.threshold
    ]
    return components(len(found), pairs)


def expected_drops(lowest, documents):
    places = [(document.source_index, document.offset) for document in documents]
    return {places[i]: KeptPlace(0, *places[low]) for i, low in enumerate(lowest) if low != i}


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestMinHash:
    def test_values_beside_plain_python(self):
        """The scheme written out for one text, with Python's integers."""

        def split_mix(key, counter):
            value = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
            value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) % 2**64
            value = ((value ^ value >> 27) * 0x94D049BB133111EB) % 2**64
            return value ^ value >> 31

        def key(*parts):
            found = 0
            for part in parts:
                found = split_mix(found, part)
            return found

        text, seed, ngram, number = "他来了，𠮷😀", 5, 3, 4
        weights = [split_mix(key(seed, 1), i) | 1 for i in range(ngram)]
        sums = [
            sum(weight * ord(c) for weight, c in zip(weights, text[i : i + ngram], strict=True)) % 2**64
            for i in range(len(text) - ngram + 1)
        ]
        hashes = [split_mix(key(seed, 0), value) >> 32 for value in sums]
        expected = []
        for i in range(number):
            factor, addend = split_mix(key(seed, 2), i) % 2**32 | 1, split_mix(key(seed, 3), i) % 2**32
            expected.append(min((factor * value + addend) % 2**32 for value in hashes) % 2**16)
        assert MinHasher(number, ngram, seed).signatures([text]).tolist() == [expected]

    def test_golden_values(self):
        """Signatures on disk are compared with those of later versions."""
        found = MinHasher(4, 5, 0).signatures(["今天下雨，她走路回家。", "雨"])
        assert found.dtype == np.uint16
        assert found.tolist() == [[58392, 63063, 139, 28052], [5070, 13940, 23246, 64268]]

    @given(st.lists(texts, max_size=6))
    def test_neither_neighbours_nor_whitespace_matter(self, found):
        hasher = MinHasher(8, 5, 0)
        together = hasher.signatures(found)
        assert together.shape == (len(found), 8)
        for text, values in zip(found, together, strict=True):
            spaced = "".join(f" {c}\u3000\n" for c in text)
            assert hasher.signatures([spaced])[0].tolist() == values.tolist()

    def test_blocks_do_not_matter(self, monkeypatch):
        chance = random.Random(0)
        found = [some_text(chance, chance.choice([1, 3, 50])) for _ in range(50)]
        hasher = MinHasher(16, 5, 0)
        expected = hasher.signatures(found)
        for block in (1, 7, 64):
            monkeypatch.setattr("wwmcorpus.text.dedup.minhash._BLOCK", block)
            assert np.array_equal(hasher.signatures(found), expected)

    def test_the_estimate_is_that_of_jaccard(self):
        """Over many pairs the error has the mean 0 and the deviation that theory gives."""

        def grams(text):
            return {text[i : i + 5] for i in range(len(text) - 4)}

        chance = random.Random(1)
        hasher = MinHasher(125, 5, 0)
        errors = []
        for _ in range(400):
            text = some_text(chance, 100)
            copy = near_copy(text, chance, chance.randrange(1, 20))
            exact = len(grams(text) & grams(copy)) / len(grams(text) | grams(copy))
            first, second = hasher.signatures([text, copy])
            errors.append(((first == second).mean() - exact) / np.sqrt(exact * (1 - exact) / 125))
        assert abs(np.mean(errors)) < 0.2
        assert 0.85 < np.std(errors) < 1.15


class TestBuckets:
    @settings(max_examples=50)
    @given(
        st.lists(
            st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]), max_size=20), max_size=6
        )
    )
    def test_every_key_that_occurs_twice(self, tmp_path_factory, chunks):
        folder = tmp_path_factory.mktemp("keys")
        owners = defaultdict(list)
        entries, number = [], 0
        for chunk in chunks:
            entries.append((np.array(chunk, dtype=np.uint64), np.arange(number, number + len(chunk))))
            for key in chunk:
                owners[key].append(number)
                number += 1
        expected = {key: found for key, found in owners.items() if len(found) > 1}
        for part_bytes in (1 << 20, 64):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(buckets, "_PART_BYTES", part_bytes)
                found = defaultdict(list)
                for keys, numbers in shared_keys(iter(entries), number, folder):
                    assert not set(keys.tolist()) & set(found), "entries of one key come together"
                    for key, each in zip(keys.tolist(), numbers.tolist(), strict=True):
                        found[key].append(each)
            assert found == expected
            assert list(folder.iterdir()) == []


class TestClusters:
    @settings(max_examples=50)
    @given(st.data())
    def test_beside_naive_components(self, tmp_path_factory, data):
        number = data.draw(st.integers(1, 30))
        nodes = st.integers(0, number - 1)
        rounds = data.draw(st.lists(st.lists(st.tuples(nodes, nodes), max_size=20), max_size=4))
        clusters = Clusters(number, tmp_path_factory.mktemp("clusters") / "clusters.tmp")
        for pairs in rounds:
            first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
            clusters.unite(first, second)
        assert clusters.roots(np.arange(number)).tolist() == components(number, [p for pairs in rounds for p in pairs])

    def test_a_long_chain(self, tmp_path):
        number = 200_000
        clusters = Clusters(number, tmp_path / "clusters.tmp")
        order = np.random.default_rng(0).permutation(number)
        clusters.unite(order[1:], order[:-1])
        assert not clusters.roots(np.arange(number)).any()


class TestFinding:
    @pytest.mark.parametrize("seed", range(2))
    def test_exact_beside_a_dictionary(self, tmp_path, seed):
        found = some_corpus(seed)
        inputs = [write(tmp_path, "a.txt", found[:50]), write(tmp_path, "b.txt", found[50:])]
        documents = documents_of(inputs)
        firsts, lowest = {}, []
        for number, document in enumerate(documents):
            lowest.append(firsts.setdefault(document.text, number))
        keep = dedup(options(inputs, tmp_path / "out", kind="exact", task_bytes=2000))
        assert dropped(keep) == expected_drops(lowest, documents)
        assert keep.num_duplicates == len(documents) - len(firsts) > 10
        assert keep.content.counts["exact_duplicates"] == keep.num_duplicates

    @pytest.mark.parametrize("seed", range(2))
    def test_near_beside_all_pairs_of_signatures(self, tmp_path, seed):
        found = some_corpus(seed)
        inputs = [write(tmp_path, "a.txt", found[:50]), write(tmp_path, "b.txt", found[50:])]
        config = options(inputs, tmp_path / "out", task_bytes=2000, seed=seed)
        documents = documents_of(inputs)
        keep = dedup(config)
        assert keep.content.counts["crowded_buckets"] == 0
        assert dropped(keep) == expected_drops(naive_near([d.text for d in documents], config), documents)
        counts = keep.content.counts
        assert counts["documents"] == keep.num_documents == len(documents)
        assert counts["characters"] == sum(len(d.text) for d in documents)
        assert counts["exact_duplicates"] == len(documents) - len({d.text for d in documents})
        assert counts["exact_duplicates"] + counts["near_duplicates"] == counts["duplicates"] == keep.num_duplicates
        assert counts["near_duplicates"] > 5

    def test_clear_cases(self, tmp_path):
        chance = random.Random(3)
        originals = [some_text(chance, 300) for _ in range(20)]
        close = [near_copy(text, chance, 4) for text in originals]
        far = [near_copy(text, chance, 120) for text in originals]
        keep = dedup(options([write(tmp_path, "a.txt", originals + close + far)], tmp_path / "out"))
        offsets = [document.offset for document in documents_of([str(tmp_path / "a.txt")])]
        assert dropped(keep) == {(0, offsets[20 + i]): KeptPlace(0, 0, offsets[i]) for i in range(20)}

    def test_what_cleaning_takes_away_does_not_matter(self, tmp_path):
        source = write(tmp_path, "a.txt", ["今天下雨。", "今\u200b天下\x00雨。", "今天下雪。", "\x00", "今天下雨。 "])
        keep = dedup(options([source], tmp_path / "out", kind="exact"))
        assert len(dropped(keep)) == 1
        assert keep.content.counts["removed_zero_width_characters"] == 1
        assert keep.content.rejected == {"blank": 1}
        keep = dedup(options([source], tmp_path / "two", kind="exact", clean=CleanOptions(collapse_blanks=True)))
        assert len(dropped(keep)) == 2

    def test_large_buckets_are_counted_where_not_all_is_compared(self, tmp_path, monkeypatch):
        chance = random.Random(4)
        # With one value a band, texts that share a little share some bucket; none is a duplicate.
        found = [some_text(chance, 30) for _ in range(60)]
        config = {"num_bands": 8, "rows_per_band": 1, "threshold": 1.0}
        keep = dedup(options([write(tmp_path, "a.txt", found)], tmp_path / "out", **config))
        whole = keep.content.counts
        monkeypatch.setattr(duplicates, "NEIGHBOURS", 1)
        monkeypatch.setattr(duplicates, "_DISTANCES", (range(1, 2),))
        less = dedup(options([str(tmp_path / "a.txt")], tmp_path / "less", **config)).content.counts
        assert whole["duplicates"] == less["duplicates"] == 0
        assert less["crowded_buckets"] > whole["crowded_buckets"]
        assert less["compared_pairs"] < whole["compared_pairs"]

    def test_awkward_files(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.txt").write_bytes(
            "\ufeff你好，世界。\r\n".encode()
            + b"\xff\xfe\n"
            + "你好，世界。\n\n你好\u2028世界\n𠮷😀\n".encode()
            + b"\0\n"
            + "你好，世界。".encode()
        )
        (tmp_path / "in" / "b.txt").write_bytes(b"")
        keep = dedup(options([str(tmp_path / "in")], tmp_path / "out"))
        assert keep.num_documents == 5
        assert keep.content.rejected == {"blank": 2, "empty_source": 1, "invalid_utf8": 1}
        places = {
            (example["reason"], example["source"], example["offset"]) for example in keep.content.rejected_examples
        }
        assert ("invalid_utf8", "a.txt", 23) in places
        assert set(dropped(keep).values()) == {KeptPlace(0, 0, 0)}
        assert keep.num_duplicates == 2

    def test_no_document_at_all(self, tmp_path):
        keep = dedup(options([write(tmp_path, "a.txt", ["", " "])], tmp_path / "out"))
        assert (keep.num_documents, keep.num_duplicates) == (0, 0)
        assert keep.drops(0).tolist() == []


class TestSameBytes:
    def test_neither_order_nor_processes_matter(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(5)), write(tmp_path, "b.txt", some_corpus(6))]

        def backwards(job, tasks):
            job = pickle.loads(pickle.dumps(job))
            return [pickle.loads(pickle.dumps(job(task))) for task in reversed(pickle.loads(pickle.dumps(tasks)))]

        first = dedup(options(inputs, tmp_path / "one"))
        second = dedup(options(inputs, tmp_path / "two", num_workers=4), run=backwards)
        assert len(first.content.signatures) > 5
        assert first.content == second.content
        one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
        assert one.keys() == two.keys()
        assert {name for name in one if one[name] != two[name]} == {"dedup.json"}, "times stand in it"

    def test_nor_do_tasks(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(5)), write(tmp_path, "b.txt", some_corpus(6))]
        found = [dedup(options(inputs, tmp_path / str(size), task_bytes=size)) for size in (1500, 1 << 20)]
        assert len({keep.sha256 for keep in found}) == 1

    def test_nor_does_the_size_of_what_is_sorted_at_once(self, tmp_path, monkeypatch):
        inputs = [write(tmp_path, "a.txt", some_corpus(5))]
        first = dedup(options(inputs, tmp_path / "one"))
        monkeypatch.setattr(buckets, "_PART_BYTES", 256)
        monkeypatch.setattr(duplicates, "_MAX_ENTRIES", 5)
        monkeypatch.setattr(duplicates, "_MAX_PAIRS", 3)
        monkeypatch.setattr(sign, "_BATCH_ROWS", 7)
        second = dedup(options(inputs, tmp_path / "two"))
        assert first.sha256 == second.sha256

    def test_nothing_is_left_behind(self, tmp_path):
        keep = dedup(options([write(tmp_path, "a.txt", some_corpus(5))], tmp_path / "out"))
        shards = {f"signatures/{each.name}" for each in keep.content.signatures}
        records = {f"signatures/task-{index:05d}.json" for index in range(len(shards))}
        assert set(files_of(tmp_path / "out")) == {"dedup.json", "duplicates.arrow"} | shards | records


class TestGoingOn:
    def test_a_stopped_job_goes_on(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(7)), write(tmp_path, "b.txt", some_corpus(8))]
        expected = dedup(options(inputs, tmp_path / "whole"))

        class StoppedError(Exception):
            pass

        def stop_after_two(job, tasks):
            yield job(tasks[1])
            yield job(tasks[0])
            raise StoppedError

        with pytest.raises(StoppedError):
            dedup(options(inputs, tmp_path / "out"), run=stop_after_two)
        with pytest.raises(CorpusError, match="no result of a deduplication"):
            KeepList.open(tmp_path / "out")
        done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "signatures").iterdir()}
        keep = dedup(options(inputs, tmp_path / "out"))
        assert len(done) == 4
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
        assert keep.content == expected.content

    def test_records_that_lie_are_not_trusted(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(7))]
        first = dedup(options(inputs, tmp_path / "out"))
        shards = first.signature_files
        shards[0].write_bytes(shards[0].read_bytes()[:-16])
        shards[1].unlink()
        (shards[2].parent / "task-00002.json").write_text("{")
        (shards[2].parent / "signatures-99999-deadbeef.arrow").write_bytes(b"left over")
        again = dedup(options(inputs, tmp_path / "out", overwrite=True))
        assert again.content == first.content
        assert len(list(shards[0].parent.iterdir())) == 2 * len(shards)

    def test_another_threshold_uses_the_same_signatures(self, tmp_path, monkeypatch):
        inputs = [write(tmp_path, "a.txt", some_corpus(7))]
        strict = dedup(options(inputs, tmp_path / "out", threshold=0.95))
        monkeypatch.setattr(sign, "read_slice", None)
        loose = dedup(options(inputs, tmp_path / "out", threshold=0.5, overwrite=True))
        assert loose.num_duplicates > strict.num_duplicates
        with pytest.raises(TypeError):  # another seed does not
            dedup(options(inputs, tmp_path / "out", seed=1, overwrite=True))

    def test_tasks_that_were_not_done(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(7))]
        with pytest.raises(CorpusError, match=r"\d+ tasks were not done .*goes on where it stopped"):
            dedup(options(inputs, tmp_path / "out"), run=lambda job, tasks: map(job, tasks[:-1]))

    def test_an_input_that_changes(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(7))]

        def changing(job, tasks):
            yield from map(job, tasks)
            os.utime(inputs[0], ns=(1, 1))

        with pytest.raises(CorpusError, match=r"an input changed while it was read: .*a.txt"):
            dedup(options(inputs, tmp_path / "out"), run=changing)
        assert not (tmp_path / "out" / "signatures").exists()

    def test_progress_hears_of_every_byte(self, tmp_path):
        inputs = [write(tmp_path, "a.txt", some_corpus(7))]
        heard = []

        class Watcher:
            def start(self, total_bytes):
                heard.append(-total_bytes)

            def advance(self, num_bytes):
                heard.append(num_bytes)

        dedup(options(inputs, tmp_path / "out"), progress=Watcher())
        assert heard[0] == -os.path.getsize(inputs[0])
        assert sum(heard) == 0


class TestAgainst:
    @pytest.mark.parametrize(("kind", "seed"), [("exact", 0), ("near", 1), ("near", 2)])
    def test_piece_by_piece_gives_what_the_whole_gives(self, tmp_path, kind, seed):
        """The law of appending: documents are dropped for the same ones as if all had been there at once."""
        found = some_corpus(seed, number=90)
        parts = [write(tmp_path, f"{name}.txt", found[i::3]) for i, name in enumerate("abc")]
        whole = dropped(dedup(options(parts, tmp_path / "whole", kind=kind)))
        pieces, folders = {}, []
        for index, part in enumerate(parts):
            folder = tmp_path / f"part-{index}"
            keep = dedup(options([part], folder, kind=kind, against=tuple(folders)))
            assert [len(keep.content.against), keep.num_documents] == [index, len(found[index::3])]
            for (_, offset), kept in dropped(keep).items():
                pieces[index, offset] = KeptPlace(0, kept.folder - 1 if kept.folder else index, kept.offset)
            folders.append(str(folder))
        assert pieces == whole
        assert len({(index, kept.source_index) for (index, _), kept in whole.items()}) == 6, (
            "every part knows the others"
        )

    def test_what_cannot_be_compared_with(self, tmp_path):
        parts = [write(tmp_path, f"{name}.txt", some_corpus(i)) for i, name in enumerate("abcd")]
        first, second = tmp_path / "first", tmp_path / "second"
        dedup(options(parts[:1], first))
        dedup(options(parts[1:2], second, against=(str(first),)))

        def third(*against, **more):
            return dedup(options(parts[2:3], tmp_path / "third", against=tuple(map(str, against)), **more))

        with pytest.raises(CorpusError, match=r"no result of a deduplication there: .*nowhere"):
            third(tmp_path / "nowhere")
        with pytest.raises(CorpusError, match=r"cannot be compared with ours.*seed 0 there and 1 here"):
            third(first, seed=1)
        with pytest.raises(CorpusError, match=r"compared with 1 that do not stand before it: .*second"):
            third(second)
        with pytest.raises(CorpusError, match="compared with 1 that do not stand before it"):
            third(second, first)
        with pytest.raises(CorpusError, match="two folders are of the same documents"):
            third(first, first)
        with pytest.raises(CorpusError, match="the output is among the folders"):
            third(tmp_path / "third")
        shard = KeepList.open(first).signature_files[0]
        shard.write_bytes(shard.read_bytes()[:-8])
        with pytest.raises(CorpusError, match=f"signatures are absent or damaged: '{shard.name}'"):
            third(first)
        assert not (tmp_path / "third" / "dedup.json").exists()


class TestKeepList:
    @pytest.fixture
    def keep(self, tmp_path):
        inputs = [
            write(tmp_path, "a.txt", ["今天下雨。", "她走路。"]),
            write(tmp_path, "b.txt", ["书", "她走路。", "今天下雨。"]),
        ]
        return dedup(options(inputs, tmp_path / "out"))

    def test_asking(self, keep):
        assert keep.drops(0).tolist() == []
        assert keep.drops(1).tolist() == [4, 17]
        assert keep.drops(1).dtype == np.int64
        places = [(index, offset) for index in (0, 1, 0, 1) for offset in (0, 4, 16, 17, 99)]
        assert [place for place in places if keep.is_dropped(*place)] == [(1, 4), (1, 17)] * 2
        assert keep.kept_place(1, 17) == KeptPlace(folder=0, source_index=0, offset=0)
        with pytest.raises(KeyError):
            keep.kept_place(1, 0)
        with pytest.raises(CorpusError, match=r"no such source: 2.*It has 2 sources"):
            keep.drops(2)

    def test_drops_of_many_batches(self, tmp_path, monkeypatch):
        monkeypatch.setattr(result, "_BATCH_ROWS", 4)
        lines = [f"第{number % 11}天" for number in range(70)]
        inputs = [write(tmp_path, "a.txt", lines), write(tmp_path, "b.txt", ["新"]), write(tmp_path, "c.txt", lines)]
        keep = dedup(options(inputs, tmp_path / "out"))
        offsets = [document.offset for document in documents_of(inputs[:1])]
        assert [keep.drops(index).tolist() for index in range(3)] == [offsets[11:], [], offsets]
        table = pa.ipc.open_file(tmp_path.joinpath("out/duplicates.arrow").read_bytes()).read_all()
        assert table.column("source_index").num_chunks > 2
        assert all(keep.is_dropped(0, offset) == (offset in offsets[11:]) for offset in offsets)

    def test_inputs_must_be_the_same(self, keep):
        inputs = [(each.name, each.size_bytes, each.sha256) for each in keep.content.inputs]
        keep.check_inputs(inputs)
        with pytest.raises(CorpusError, match="of another number of inputs: '2 there, 1 here'"):
            keep.check_inputs(inputs[:1])
        for changed in (("c.txt", *inputs[1][1:]), ("b.txt", 5, inputs[1][2]), ("b.txt", inputs[1][1], "ab" * 32)):
            ours, theirs = (rf"{name} \({size} bytes, sha256 {sha[:12]}\)" for name, size, sha in (inputs[1], changed))
            with pytest.raises(CorpusError, match=f"differ in number 1: '{ours} there, {theirs} here'"):
                keep.check_inputs([inputs[0], changed])

    def test_the_hash_is_of_inputs_and_list(self, keep, tmp_path):
        again = dedup(options([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], tmp_path / "again", threshold=0.9))
        assert again.sha256 == keep.sha256, "another threshold that finds the same"
        other = dedup(options([str(tmp_path / "b.txt"), str(tmp_path / "a.txt")], tmp_path / "other"))
        assert other.sha256 != keep.sha256
        assert json.loads((tmp_path / "out" / "dedup.json").read_text("utf-8"))["keep_list_sha256"] == keep.sha256

    def test_damage_is_noticed(self, keep, tmp_path):
        folder = tmp_path / "out"
        whole = (folder / "duplicates.arrow").read_bytes()
        for broken in (whole[:-8], whole[:-9] + b"\1" + whole[-8:], whole.replace(b"\x11", b"\x12", 1), b""):
            (folder / "duplicates.arrow").write_bytes(broken)
            with pytest.raises(CorpusError, match="the list of duplicates is damaged"):
                KeepList.open(folder)
        (folder / "duplicates.arrow").unlink()
        with pytest.raises(CorpusError, match="the list of duplicates is damaged"):
            KeepList.open(folder)
        values = json.loads((folder / "dedup.json").read_text("utf-8"))
        values["content"]["format_version"] = 99
        (folder / "dedup.json").write_text(json.dumps(values))
        with pytest.raises(CorpusError, match="a result of format 99"):
            KeepList.open(folder)
        (folder / "dedup.json").write_text("[]")
        with pytest.raises(CorpusError, match="no result of ours"):
            KeepList.open(folder)


class TestRefusals:
    def test_folders(self, tmp_path):
        source = write(tmp_path, "a.txt", some_corpus(9))
        dedup(options([source], tmp_path / "out"))
        with pytest.raises(CorpusError, match="a result is already there"):
            dedup(options([source], tmp_path / "out"))
        KeepList.open(tmp_path / "out")
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "notes.md").touch()
        with pytest.raises(CorpusError, match=r"holds other files: \['notes.md'\]"):
            dedup(options([source], tmp_path / "taken", overwrite=True))
        inside = write(tmp_path / "inner", "a.txt", ["书"])
        with pytest.raises(CorpusError, match="an input lies inside the output folder"):
            dedup(options([inside], tmp_path / "inner"))
        with pytest.raises(CorpusError, match=r"the output cannot be written: File exists: .*a\.txt"):
            dedup(options([inside], source))

    def test_a_disk_that_is_full(self, tmp_path, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device", "disk")

        source = write(tmp_path, "a.txt", some_corpus(9))
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(CorpusError, match=r"cannot be written: No space left on device.*goes on where it stopped"):
            dedup(options([source], tmp_path / "out"))
        with pytest.raises(CorpusError, match="no result of a deduplication"):
            KeepList.open(tmp_path / "out")

    def test_bands_that_miss_what_is_looked_for(self, tmp_path, caplog):
        source = write(tmp_path, "a.txt", some_corpus(9))
        config = options([source], tmp_path / "out", threshold=0.5)
        # By hand: no band of 25 agrees, each with probability 0.5 to the 5th.
        assert config.comparison_probability(0.5) == pytest.approx(1 - (31 / 32) ** 25)
        dedup(config)
        assert "at the threshold 0.5 are compared with a probability of 0.55 only" in caplog.text

    @pytest.mark.parametrize(
        ("name", "value"), [("threshold", 0.0), ("threshold", 1.1), ("ngram", 0), ("kind", "fuzzy")]
    )
    def test_values(self, name, value):
        with pytest.raises(ConfigError, match=name):
            DedupConfig(inputs=("a",), output="b", **{name: value})
