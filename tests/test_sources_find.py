"""What a user names, and the sources that it stands for: the same names on every machine, and clear errors."""

import gzip
import hashlib
import json
import os
import subprocess
import sys

import datasets
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_hub import COMMIT, fake_hub
from fsspec.registry import known_implementations
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.errors import SourceError
from wwmcorpus.records import Document
from wwmcorpus.text import Source, SourceOptions, find_sources, plan_slices, read_slice, read_sources, source_digest
from wwmcorpus.text.sources.find import _distinct_names


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\n", "utf-8")


def names(*inputs, **options):
    return [source.name for source in find_sources(map(str, inputs), SourceOptions(**options))]


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


class TestNames:
    def test_they_are_paths_inside_what_was_named(self, tmp_path):
        write(tmp_path, "a/x.txt", "a/b/y.txt", "c/z.txt", "c/n.md")
        assert names(tmp_path / "a", tmp_path / "c/z.txt") == ["b/y.txt", "x.txt", "z.txt"]
        assert names(tmp_path / "*/*.txt") == ["a/x.txt", "c/z.txt"]
        assert names(tmp_path / "**/*.txt") == ["a/b/y.txt", "a/x.txt", "c/z.txt"]
        assert names(f"{tmp_path}/a/") == ["b/y.txt", "x.txt"]

    def test_equal_ones_take_as_much_more_of_their_paths_as_makes_them_distinct(self, tmp_path):
        write(tmp_path, "one/data/x.txt", "two/data/x.txt", "two/data/y.txt")
        assert names(tmp_path / "one/data", tmp_path / "two/data") == ["one/data/x.txt", "two/data/x.txt", "y.txt"]

    @given(
        st.lists(
            st.lists(st.sampled_from("ab"), min_size=1, max_size=5).map("/".join).map(lambda path: f"/{path}"),
            unique=True,
            max_size=12,
        )
    )
    def test_distinct_files_get_distinct_names(self, locations):
        found = _distinct_names([(location, location.rpartition("/")[2]) for location in locations])
        assert len(set(found)) == len(locations)
        assert all(location.endswith(f"/{name}") for location, name in zip(locations, found, strict=True))

    def test_a_file_named_twice_is_an_error(self, tmp_path):
        write(tmp_path, "x.txt")
        with pytest.raises(SourceError, match="a file is named twice"):
            find_sources([str(tmp_path), str(tmp_path / "x.txt")])

    def test_bytes_that_are_not_utf8_are_shown(self, tmp_path):
        path = os.fsencode(tmp_path) + "/语料.txt".encode("gbk")
        with open(path, "wb") as file:
            file.write("好\n".encode())
        (source,) = find_sources([str(tmp_path)])
        assert source.name.encode().decode("utf-8") == "\\udcd3\\udcef\\udcc1\\udccf.txt"
        assert [item.text for item in read_sources([source])] == ["好"]
        assert names(os.fsdecode(path)) == [source.name]


class TestFolders:
    def test_hidden_names_are_not_found(self, tmp_path):
        write(tmp_path, "a.txt", ".b.txt", "._a.txt", ".cache/c.txt", "d/.e/f.txt")
        assert names(tmp_path) == names(tmp_path / "*.txt") == names(tmp_path / "**/*.txt") == ["a.txt"]
        assert names(tmp_path / ".b.txt") == [".b.txt"]
        assert names(tmp_path / ".cache") == ["c.txt"]

    def test_links_to_files_are_followed_and_loops_are_not(self, tmp_path):
        write(tmp_path, "blobs/1.txt")
        (tmp_path / "data").mkdir()
        (tmp_path / "data/x.txt").symlink_to(tmp_path / "blobs/1.txt")
        (tmp_path / "data/gone.txt").symlink_to(tmp_path / "absent.txt")
        (tmp_path / "data/loop").symlink_to(tmp_path / "data")
        (tmp_path / "data/folder.txt").symlink_to(tmp_path / "blobs")
        os.mkfifo(tmp_path / "data/pipe.txt")
        (source,) = find_sources([str(tmp_path / "data")])
        assert (source.name, source.size_bytes) == ("x.txt", len("blobs/1.txt\n"))

    def test_a_name_with_signs_of_a_pattern_is_a_file_first(self, tmp_path):
        write(tmp_path, "a[1].txt", "a1.txt")
        assert names(tmp_path / "a[1].txt") == ["a[1].txt"]
        assert names(tmp_path / "a[12].txt") == ["a1.txt"]

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            ("a.txt", ("txt", "")),
            ("a.TXT.GZ", ("txt", "gz")),
            ("a.b.jsonl.zst", ("jsonl", "zst")),
            ("a.json.bz2", ("jsonl", "bz2")),
            ("a.json", ("jsonl", "")),
            ("a.txt.xz", ("txt", "xz")),
            ("a.parquet", ("parquet", "")),
            ("a.arrow", ("arrow", "")),
            ("a.parquet.gz", None),
            ("a.gz", None),
            ("txt", None),
            ("wiki_00", None),
        ],
    )
    def test_endings_tell_what_a_file_is(self, tmp_path, name, wanted):
        write(tmp_path, name)
        if wanted is None:
            with pytest.raises(SourceError, match="ending that cannot be read"):
                find_sources([str(tmp_path / name)])
        else:
            (source,) = find_sources([str(tmp_path / name)])
            assert (source.kind, source.compression) == wanted


ROWS = {"text": [f"第{number}行" for number in range(50)], "id": list(range(50))}


class TestSavedDatasets:
    def save(self, folder, num_shards=3):
        datasets.Dataset.from_dict(ROWS).save_to_disk(folder, num_shards=num_shards)

    def test_their_data_files_are_read_and_nothing_else(self, tmp_path):
        self.save(tmp_path / "saved")
        loaded = datasets.load_from_disk(str(tmp_path / "saved"))
        loaded.map(lambda row: {"text": row["text"] * 2}, cache_file_name=str(tmp_path / "saved/cache-1.arrow"))
        sources = find_sources([str(tmp_path / "saved")])
        assert [source.name for source in sources] == [f"data-0000{number}-of-00003.arrow" for number in range(3)]
        items = list(read_sources(sources, SourceOptions(id_field="id")))
        assert [item.text for item in items] == ROWS["text"]
        assert [item.id for item in items] == [str(number) for number in range(50)]
        assert [source.name.partition("/")[0] for source in find_sources([str(tmp_path)])] == ["saved"] * 3

    def test_one_split_of_a_dictionary_is_read(self, tmp_path):
        both = {"train": datasets.Dataset.from_dict(ROWS), "test": datasets.Dataset.from_dict({"text": ["好"]})}
        datasets.DatasetDict(both).save_to_disk(str(tmp_path / "both"))
        write(tmp_path, "other.txt")
        assert names(tmp_path / "both") == ["train/data-00000-of-00001.arrow"]
        assert names(tmp_path, hub_split="test") == ["both/test/data-00000-of-00001.arrow", "other.txt"]
        with pytest.raises(SourceError, match=r"no such split: 'dev' \(.*both\)\. Choose one of: test, train"):
            find_sources([str(tmp_path / "both")], SourceOptions(hub_split="dev"))

    def test_a_file_of_that_name_that_is_another_thing_hides_nothing(self, tmp_path):
        write(tmp_path, "a.txt")
        for text in ("no json", "[]", "{}", '{"_data_files": 1}'):
            (tmp_path / "state.json").write_text(text)
            assert names(tmp_path) == ["a.txt", "state.json"]


class TestUrls:
    def test_files_folders_and_patterns(self, memory):
        lines = "".join(f"第{number}行\n" for number in range(200)).encode()
        memory.pipe(
            {"/data/b.txt": lines, "/data/sub/a.txt.gz": gzip.compress(lines), "/data/.c.txt": b"", "/x.md": b""}
        )
        wanted = [f"第{number}行" for number in range(200)]
        for inputs, found in (
            (["memory://data/b.txt"], ["b.txt"]),
            (["memory://data"], ["b.txt", "sub/a.txt.gz"]),
            (["memory://data/*.txt"], ["b.txt"]),
            (["memory://data/**/*.gz"], ["sub/a.txt.gz"]),
        ):
            sources = find_sources(inputs)
            assert [source.name for source in sources] == found
            parts = plan_slices(sources, 700)
            assert [item.text for part in parts for item in read_slice(part)] == wanted * len(found)
            assert [source.size_bytes for source in sources] == [memory.size(source.location) for source in sources]
        assert source_digest(find_sources(["memory://data/b.txt"])[0]) == hashlib.sha256(lines).hexdigest()

    def test_tables(self, memory, tmp_path):
        datasets.Dataset.from_dict({"text": ["一", "二"]}).to_parquet(tmp_path / "rows.parquet")
        datasets.Dataset.from_dict({"text": ["三"]}).save_to_disk(str(tmp_path / "saved"))
        memory.put(str(tmp_path), "/tables", recursive=True)
        sources = find_sources(["memory://tables"])
        assert [source.name for source in sources] == ["rows.parquet", "saved/data-00000-of-00001.arrow"]
        assert [item.text for item in read_sources(sources)] == ["一", "二", "三"]

    def test_a_file_url_is_a_file_of_this_machine(self, tmp_path):
        write(tmp_path, "a.txt")
        assert find_sources([f"file://{tmp_path}/a.txt"]) == find_sources([str(tmp_path / "a.txt")])

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("memory://absent.txt", "no such file"),
            ("memory://absent/*.txt", "no such file"),
            ("nonsense://a.txt", "a URL cannot be read: .*nonsense.* Name a path"),
            ("zip://a.txt::memory://b.zip", "a chain of URLs"),
            ("absentfs://data/a.txt", "a package for absentfs:// is not installed.* Run: pip install absentpackage"),
        ],
    )
    def test_one_that_cannot_be_read_is_an_error(self, memory, url, problem, monkeypatch):
        known = {"class": "absentpackage.FileSystem", "err": "Install absentpackage to access it"}
        monkeypatch.setitem(known_implementations, "absentfs", known)
        with pytest.raises(SourceError, match=problem):
            find_sources([url])

    def test_a_backend_that_fails_is_an_error_and_no_rejection(self, memory, monkeypatch):
        memory.pipe({"/a.txt": b"1\n" * 10, "/b.parquet": b"PAR1" * 10, "/c.txt.gz": gzip.compress(b"1")})
        sources = find_sources(["memory://a.txt", "memory://b.parquet", "memory://c.txt.gz"])

        class Failing:
            closed = False

            def read(self, size):
                raise TimeoutError("no answer")

            def seek(self, offset, whence=0):
                return 40

            def tell(self):
                return 40

            def close(self):
                pass

            def seekable(self):
                return True

        monkeypatch.setattr(type(memory), "open", lambda self, path, mode: Failing())
        for source in sources:
            with pytest.raises(SourceError, match="TimeoutError: no answer"):
                list(read_sources([source]))

    def test_a_file_that_is_gone_is_an_error(self, tmp_path):
        write(tmp_path, "a.txt")
        (source,) = find_sources([str(tmp_path / "a.txt")])
        (tmp_path / "a.txt").unlink()
        for reads in (source_digest, lambda source: list(read_sources([source]))):
            with pytest.raises(SourceError, match="no such file"):
                reads(source)


HUB_SCRIPT = """
import json, sys
from wwmcorpus.errors import SourceError
from wwmcorpus.text import SourceOptions, find_sources, plan_slices, read_slice, source_digest

for address, split in json.loads(sys.stdin.read()):
    try:
        sources = find_sources([address], SourceOptions(hub_split=split))
        items = [item for part in plan_slices(sources, 2000) for item in read_slice(part)]
        found = {
            "names": [source.name for source in sources],
            "locations": [source.location for source in sources],
            "digests": [source_digest(source) for source in sources],
            "texts": [item.text for item in items],
        }
    except SourceError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
"""
CARD = """---
configs:
- config_name: zh
  data_files:
  - {split: train, path: zh/train-*.parquet}
  - {split: test, path: zh/test.parquet}
- config_name: table
  data_files: rows.csv
---
"""
ASKED = [
    ("hf:who/what:zh", "train"),
    ("hf:who/what@v1:zh", "test"),
    ("hf:who/what@refs/convert/parquet:zh", "train"),
    ("hf://datasets/who/what@v1/zh/*.parquet", "train"),
    ("hf:who/what", "train"),
    ("hf:who/what:table", "train"),
    ("hf:who/what:zh", "dev"),
    ("hf:who/what@v2", "train"),
    ("hf:no/body", "train"),
    ("hf:a@b@c", "train"),
]


class TestHub:
    @pytest.fixture(scope="class")
    def answers(self, tmp_path_factory):
        """What each question gives, asked of a hub on this machine by the real libraries."""
        home = tmp_path_factory.mktemp("hub")
        files = {"README.md": CARD.encode(), "rows.csv": b"text\n1\n"}
        for name, number in (("train-0", 0), ("train-1", 100), ("test", 200)):
            table = pa.table({"text": [f"第{row}行" for row in range(number, number + 100)]})
            pq.write_table(table, home / "rows.parquet", row_group_size=30)
            files[f"zh/{name}.parquet"] = (home / "rows.parquet").read_bytes()
        with fake_hub(files, {"main": COMMIT, "v1": "1" * 40, "refs/convert/parquet": "2" * 40}) as address:
            done = subprocess.run(
                [sys.executable, "-c", HUB_SCRIPT],
                input=json.dumps(ASKED),
                env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        found = dict(zip(ASKED, map(json.loads, done.stdout.splitlines()), strict=True))
        return found | {"sha256": {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}}

    @pytest.mark.parametrize(
        ("asked", "names", "rows", "commit"),
        [
            (ASKED[0], ["zh/train-0.parquet", "zh/train-1.parquet"], range(200), COMMIT),
            (ASKED[1], ["zh/test.parquet"], range(200, 300), "1" * 40),
            (ASKED[2], ["zh/train-0.parquet", "zh/train-1.parquet"], range(200), "2" * 40),
        ],
    )
    def test_a_split_is_read_at_one_commit(self, answers, asked, names, rows, commit):
        answer = answers[asked]
        assert answer["names"] == names
        assert answer["texts"] == [f"第{row}行" for row in rows]
        assert answer["locations"] == [f"hf://datasets/who/what@{commit}/{name}" for name in names]
        assert answer["digests"] == [answers["sha256"][name] for name in names]

    def test_files_of_the_hub_can_be_named_by_url(self, answers):
        assert answers[ASKED[3]]["names"] == ["test.parquet", "train-0.parquet", "train-1.parquet"]
        assert len(answers[ASKED[3]]["texts"]) == 300

    @pytest.mark.parametrize(
        ("asked", "problem"),
        [
            (ASKED[4], "Please pick one among the available configs: ['zh', 'table']"),
            (ASKED[5], "Or name the parquet copy that the hub made: hf:NAME@refs/convert/parquet."),
            (ASKED[6], "no such split: 'dev' (hf:who/what:zh). Choose one of: test, train."),
            (ASKED[7], "cannot be found: RevisionNotFoundError"),
            (ASKED[8], "cannot be found: RepositoryNotFoundError"),
            (ASKED[9], "not the address of a hub data set"),
        ],
    )
    def test_what_is_not_there_is_an_error(self, answers, asked, problem):
        assert problem in answers[asked]["error"]
        assert "\n" not in answers[asked]["error"]


def test_a_path_or_a_source_can_be_read_alike(tmp_path):
    write(tmp_path, "a.txt")
    (source,) = find_sources([str(tmp_path / "a.txt")])
    assert isinstance(source, Source)
    for one in (source, tmp_path / "a.txt", str(tmp_path / "a.txt")):
        assert list(read_sources([one])) == [Document("a.txt", 0, "a.txt", 0)]
        assert [part.source for part in plan_slices([one], 100)] == [source]
