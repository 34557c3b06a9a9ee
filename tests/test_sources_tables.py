"""Parquet and Arrow files: a document per row in any slices, and damage that is counted, never a crash."""

import json
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import SourceOptions, find_sources, plan_slices, read_slice

LINES = [f"第{number}行的内容是独一无二的{number * 7919}" for number in range(100)]
TABLE = pa.table({"id": list(range(100)), "text": LINES, "other": [[1, 2]] * 100})


def write_stream(table, path, options=None):
    with pa.ipc.new_stream(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=30)


def write_file(table, path):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=30)


def write_parquet(table, path):
    pq.write_table(table, path, row_group_size=30)


WRITE = {
    "parquet.parquet": write_parquet,
    "stream.arrow": write_stream,
    "file.arrow": write_file,
    "zstd.arrow": lambda table, path: write_stream(table, path, pa.ipc.IpcWriteOptions(compression="zstd")),
}
every_format = pytest.mark.parametrize("name", WRITE)


def read(path, slice_bytes=1 << 30, **options):
    parts = plan_slices(find_sources([str(path)]), slice_bytes)
    return [item for part in parts for item in read_slice(part, SourceOptions(**options))]


def seen(items):
    return [
        (item.offset, "text", item.text) if isinstance(item, Document) else (item.offset, item.reason) for item in items
    ]


@settings(max_examples=25)
@given(
    rows=st.lists(st.one_of(texts, st.none()), max_size=30),
    group=st.integers(1, 12),
    slice_bytes=st.integers(1, 2000),
    compression=st.sampled_from(["none", "snappy", "zstd"]),
)
def test_any_slices_of_a_parquet_file_give_each_row_once(tmp_path_factory, rows, group, slice_bytes, compression):
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    table = pa.table({"text": pa.array(rows, pa.string()), "id": list(range(len(rows)))})
    pq.write_table(table, path, row_group_size=group, compression=compression)
    wanted = []
    for number, text in enumerate(rows):
        if text is None:
            wanted.append((number, "text_not_a_string"))
        else:
            wanted.append((number, "text", text) if text.strip() else (number, "blank"))
    assert seen(read(path)) == wanted
    parts = plan_slices(find_sources([str(path)]), slice_bytes)
    assert [parts[0].start, *(part.end for part in parts)] == [part.start for part in parts] + [path.stat().st_size]
    assert seen(read(path, slice_bytes)) == wanted


@every_format
def test_rows_are_documents_with_ids(tmp_path, name):
    WRITE[name](TABLE, tmp_path / name)
    items = read(tmp_path / name, id_field="id")
    assert items == [Document(line, 0, name, number, str(number)) for number, line in enumerate(LINES)]


@every_format
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()]
)
def test_text_of_every_type_is_read_and_bad_utf8_costs_a_row(tmp_path, name, kind):
    if kind == pa.string_view() and name == "parquet.parquet":
        pytest.skip("not written")
    raw = pa.array([b"a", "好".encode(), b"\xff\xfe", b"", "末".encode()])
    if pa.types.is_dictionary(kind):
        column = pa.DictionaryArray.from_arrays(pa.array(range(5), pa.int32()), raw.view(pa.string()))
    else:
        column = (
            raw.view(pa.string()).cast(pa.string_view()) if kind == pa.string_view() else raw.cast(kind, safe=False)
        )
    WRITE[name](pa.table({"text": column}), tmp_path / name)
    wanted = [(0, "text", "a"), (1, "text", "好"), (2, "invalid_utf8"), (3, "blank"), (4, "text", "末")]
    assert seen(read(tmp_path / name)) == wanted
    assert seen(read(tmp_path / name, invalid_utf8="replace"))[2] == (2, "text", "\ufffd\ufffd")


@every_format
def test_lists_of_words_and_wrong_types(tmp_path, name):
    WRITE[name](pa.table({"text": [["他", "叫"], [], None, ["a b", "", "好"]]}), tmp_path / name)
    wanted = [(0, "text", "他 叫"), (1, "blank"), (2, "text_not_a_string"), (3, "text", "a b  好")]
    assert seen(read(tmp_path / name)) == wanted
    for column in ([1, 2], [{"a": 1}, None], [[1], [2]], [True, False]):
        WRITE[name](pa.table({"text": column}), tmp_path / name)
        assert seen(read(tmp_path / name)) == [(0, "text_not_a_string"), (1, "text_not_a_string")]


@every_format
def test_every_row_without_text_or_id_is_counted(tmp_path, name):
    WRITE[name](TABLE, tmp_path / name)
    items = read(tmp_path / name, slice_bytes=500, text_field="body")
    assert seen(items) == [(number, "no_text_field") for number in range(100)]
    assert "['id', 'text', 'other']" in items[0].detail
    items = read(tmp_path / name, id_field="key")
    assert seen(items) == [(number, "no_id") for number in range(100)]
    WRITE[name](pa.table({"text": ["好"] * 3, "id": pa.array([1.5, None, 7.0])}), tmp_path / name)
    found = read(tmp_path / name, id_field="id")
    assert [getattr(item, "id", None) for item in found] == ["1.5", None, "7.0"]
    assert found[1].reason == "no_id"


@every_format
def test_long_texts_are_rejected(tmp_path, name):
    WRITE[name](pa.table({"text": ["12345678", "123456789", "好好", "好好好"]}), tmp_path / name)
    found = seen(read(tmp_path / name, max_document_bytes=8))
    assert found == [(0, "text", "12345678"), (1, "document_too_long"), (2, "text", "好好"), (3, "document_too_long")]


@every_format
def test_every_cut_is_one_rejection_behind_what_could_be_read(tmp_path, name):
    WRITE[name](TABLE, tmp_path / name)
    stored = (tmp_path / name).read_bytes()
    for length in [*range(0, len(stored), 97), *range(len(stored) - 20, len(stored))]:
        (tmp_path / name).write_bytes(stored[:length])
        *documents, rejection = read(tmp_path / name, slice_bytes=1000)
        assert [document.text for document in documents] == LINES[: len(documents)]
        assert isinstance(rejection, Rejection)
        assert (rejection.reason, rejection.offset) == (f"broken_{name.split('.')[1]}", len(documents))


def test_a_stream_cut_between_batches_or_followed_by_zeros_is_seen(tmp_path):
    path = tmp_path / "rows.arrow"
    write_stream(TABLE, path)
    stored = path.read_bytes()
    end = bytes.fromhex("ffffffff00000000")
    assert stored.endswith(end)
    for damaged, num_rows in ((stored[: -len(end)], 100), (stored + bytes(64), 100), (stored[:-8] + bytes(8), 100)):
        path.write_bytes(damaged)
        *documents, rejection = read(path)
        assert (len(documents), rejection.reason, rejection.offset) == (num_rows, "broken_arrow", num_rows)


FLIPS_SCRIPT = """
import json, sys
from pathlib import Path
from wwmcorpus.records import Rejection
from wwmcorpus.text import read_sources

for name, bits in json.loads(sys.stdin.read()).items():
    path = Path(name)
    stored = path.read_bytes()
    for bit in bits:
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        items = list(read_sources([path]))
        assert len(items) == 100 or any(isinstance(item, Rejection) for item in items), (name, bit)
"""


def test_flipped_bits_crash_nothing_and_lose_no_row_in_silence(tmp_path):
    """In a process of its own: a crash is no exception."""
    rng = random.Random(0)
    bits = {}
    for name, write in WRITE.items():
        write(TABLE, tmp_path / name)
        bits[str(tmp_path / name)] = rng.sample(range(8 * (tmp_path / name).stat().st_size), 120)
    path = tmp_path / "footer.parquet"
    write_parquet(TABLE.select(["text"]), path)
    num_bytes = path.stat().st_size
    footer = num_bytes - 8 - int.from_bytes(path.read_bytes()[-8:-4], "little")
    bits[str(path)] = rng.sample(range(8 * footer, 8 * num_bytes), 400)
    done = subprocess.run(
        [sys.executable, "-c", FLIPS_SCRIPT], input=json.dumps(bits), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
