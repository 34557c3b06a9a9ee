"""Bytes to documents, documents to sentences: nothing is lost, and any cut of a file gives the same documents."""

import gzip
import json
import tracemalloc
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import any_strings, texts

from wwmcorpus.errors import SourceError
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import (
    Slice,
    SourceOptions,
    find_sources,
    is_han,
    normalise,
    plan_slices,
    read_slice,
    sentence_spans,
)

BOM = b"\xef\xbb\xbf"

_lines = st.one_of(
    st.sampled_from(
        [
            "第一篇",
            "he said",
            "",
            " ",
            "\t",
            "\u3000",
            "\u3000" * 100,
            "\u3000 正文",
            "\x00",
            "一行\r里",
            "诗\u2028行\x85行",
            '{"text": "好"}',
        ]
    ).map(str.encode),
    st.sampled_from([b"\xff\xfe", "半个字".encode()[:-1], BOM, b"\x85", b"\xe3\x80", b"\r"]),
    texts.map(lambda text: text.replace("\n", "").encode()),
)
#: The bytes of a file: lines of every kind with either line end, a byte order mark, perhaps no line end at the end.
files = st.builds(
    lambda bom, lines, last: (BOM if bom else b"") + b"".join(line + end for line, end in lines) + last,
    st.booleans(),
    st.lists(st.tuples(_lines, st.sampled_from([b"\n", b"\r\n"])), max_size=12),
    _lines,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("sources")


def read(path, cuts=(), **options):
    size = path.stat().st_size
    bounds = [0, *sorted(cut for cut in set(cuts) if 0 < cut < size), size]
    (source,) = find_sources([str(path)])
    parts = [Slice(0, source, start, end) for start, end in pairwise(bounds)]
    return [item for part in parts for item in read_slice(part, SourceOptions(**options))]


def naive_lines(data):
    """Each line's offset and bytes, without its end and without the file's byte order mark."""
    offset = 0
    for number, line in enumerate(data.split(b"\n")):
        if number < data.count(b"\n") or line:
            yield offset, (line.removeprefix(BOM) if offset == 0 else line).removesuffix(b"\r")
        offset += len(line) + 1


def naive_blocks(data):
    """Runs of lines that are not blank."""
    block = []
    for offset, line in [*naive_lines(data), (len(data), b"")]:
        if not line.decode("utf-8", "replace").strip():
            if block:
                yield block[0][0], b"\n".join(line for _, line in block)
            block = []
        else:
            block.append((offset, line))


def naive_document(offset, raw):
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return offset, "invalid_utf8"
    return (offset, "text", text) if text.strip() else (offset, "blank")


def seen(items):
    return [
        (item.offset, "text", item.text) if isinstance(item, Document) else (item.offset, item.reason) for item in items
    ]


class TestReading:
    @given(data=files)
    @example(BOM)
    @example(BOM + "好".encode())
    def test_lines_are_documents(self, scratch, data):
        path = scratch / "lines.txt"
        path.write_bytes(data)
        assert seen(read(path)) == [naive_document(*line) for line in naive_lines(data)]

    @given(data=files)
    @example(BOM + b"\n" + "好".encode())
    def test_blank_lines_separate_documents(self, scratch, data):
        path = scratch / "blocks.txt"
        path.write_bytes(data)
        found = seen(read(path, document_break="blank_line"))
        assert found == [naive_document(*block) for block in naive_blocks(data)]

    @given(
        data=files,
        cuts=st.lists(st.integers(1, 300), max_size=6),
        document_break=st.sampled_from(["line", "blank_line", "sentence_line"]),
        invalid_utf8=st.sampled_from(["reject", "skip_line", "replace"]),
    )
    def test_any_cut_gives_the_same_documents(self, scratch, data, cuts, document_break, invalid_utf8):
        path = scratch / "cut.txt"
        path.write_bytes(data)
        options = {"document_break": document_break, "invalid_utf8": invalid_utf8}
        whole = read(path, **options)
        assert read(path, cuts, **options) == whole
        assert len({item.offset for item in whole if isinstance(item, Document)}) == sum(
            isinstance(item, Document) for item in whole
        ), "a document is known by where it begins"

    @given(data=files, slice_bytes=st.integers(1, 400))
    def test_planned_slices_give_what_a_naive_reader_gives(self, scratch, data, slice_bytes):
        path = scratch / "planned.txt"
        path.write_bytes(data)
        parts = plan_slices(find_sources([str(path)]), slice_bytes)
        for document_break, units in (("line", naive_lines), ("sentence_line", naive_blocks)):
            options = SourceOptions(document_break=document_break)
            found = seen(item for part in parts for item in read_slice(part, options))
            assert found == [naive_document(*unit) for unit in units(data)]

    @given(data=files)
    def test_skipped_lines_cost_no_document(self, scratch, data):
        path = scratch / "skipped.txt"
        path.write_bytes(data)
        wanted = []
        for offset, raw in naive_blocks(data):
            good = []
            place = offset
            for line in (BOM + raw if data.startswith(BOM) and offset == 0 else raw).split(b"\n"):
                end = data.find(b"\n", place)
                text = line.removeprefix(BOM) if place == 0 else line
                if text.decode("utf-8", "ignore").encode() == text:
                    good.append(text)
                else:
                    wanted.append((place, "invalid_utf8_line"))
                place = end + 1
            if good:
                wanted.append((offset, "text", b"\n".join(good).decode()))
        assert seen(read(path, document_break="blank_line", invalid_utf8="skip_line")) == wanted

    @given(
        rows=st.lists(
            st.one_of(
                any_strings.map(lambda text: json.dumps({"text": text})),
                any_strings.map(lambda text: json.dumps({"text": text}, ensure_ascii=False)),
                st.sampled_from(["", "{", "[]", '{"text": 1}', '{"title": "x"}', "\u3000", "1" * 5000, "[" * 100_000]),
            ),
            max_size=8,
        ),
        end=st.sampled_from(["\n", "\r\n"]),
        cuts=st.lists(st.integers(1, 400), max_size=6),
    )
    def test_any_cut_of_a_jsonl_file_gives_the_same_documents(self, scratch, rows, end, cuts):
        path = scratch / "rows.jsonl"
        path.write_bytes("".join(row + end for row in rows).encode("utf-8", "surrogatepass"))
        whole = read(path)
        assert len(whole) == len(rows)
        assert read(path, cuts) == whole

    @given(data=files, limit=st.integers(1, 40), document_break=st.sampled_from(["line", "blank_line"]))
    def test_long_documents_are_rejected_and_no_others(self, scratch, data, limit, document_break):
        path = scratch / "long.txt"
        path.write_bytes(data)
        blank = [line for _, line in naive_lines(data) if not line.decode("utf-8", "replace").strip()]
        assume(document_break == "line" or all(len(line) <= limit for line in blank))
        units = naive_lines(data) if document_break == "line" else naive_blocks(data)
        wanted = [
            (offset, "document_too_long") if len(raw) > limit else naive_document(offset, raw) for offset, raw in units
        ]
        found = seen(read(path, document_break=document_break, max_document_bytes=limit))
        assert [place for place, *_ in found] == [place for place, *_ in wanted]
        for got, want in zip(found, wanted, strict=True):
            assert got == want or (got[1], want[1]) == ("invalid_utf8", "document_too_long"), "either is true of it"

    def test_a_line_of_exactly_the_limit_fits(self, tmp_path):
        path = tmp_path / "limit.txt"
        path.write_bytes(b"12345678\r\n123456789\n12345678")
        found = seen(read(path, max_document_bytes=8))
        assert found == [(0, "text", "12345678"), (10, "document_too_long"), (20, "text", "12345678")]
        path.write_bytes(b"12345678\r\n\n1234\n567\n\n1234\n5678\n")
        found = seen(read(path, max_document_bytes=8, document_break="blank_line"))
        assert found == [(0, "text", "12345678"), (11, "text", "1234\n567"), (21, "document_too_long")]
        path.write_bytes(b"123456789\n\n1\n123456789\n2\n\n12345678\r\n")
        found = seen(read(path, max_document_bytes=8, document_break="blank_line"))
        assert found == [(0, "document_too_long"), (11, "document_too_long"), (26, "text", "12345678")]

    @pytest.mark.parametrize("document_break", ["line", "blank_line", "wikiextractor"])
    def test_a_line_without_end_takes_no_memory(self, tmp_path, document_break):
        path = tmp_path / "endless.txt"
        with path.open("wb") as file:
            file.write("好\n\n".encode())
            file.truncate(100 << 20)
        tracemalloc.start()
        (*_, last) = read(path, cuts=[30 << 20], document_break=document_break, max_document_bytes=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        reason = "outside_of_article" if document_break == "wikiextractor" else "document_too_long"
        assert (last.reason, last.offset) == (reason, 5)
        assert peak < 16 << 20

    def test_bad_bytes_are_located_to_the_byte(self, tmp_path):
        path = tmp_path / "bad.txt"
        data = BOM + "好\r\n很".encode() + b"\xff\r\n\r\n" + "下一篇".encode()
        path.write_bytes(data)
        first = read(path, document_break="blank_line")[0]
        assert (first.reason, first.source, first.offset) == ("invalid_utf8", "bad.txt", 0)
        assert f"byte {data.index(0xFF)}:" in first.detail
        second = read(path)[1]
        assert (second.reason, second.offset) == ("invalid_utf8", data.index("很".encode()))
        assert f"byte {data.index(0xFF)}:" in second.detail
        assert read(path, invalid_utf8="replace")[1].text == "很\ufffd"

    @pytest.mark.parametrize("name", ["broken.txt.gz", "BROKEN.TXT.GZ"])
    def test_a_gzip_that_breaks_off_gives_what_stands_before(self, tmp_path, name):
        lines = [f"第{number}行的内容是独一无二的{number * 7919}".encode() for number in range(2000)]
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"\n".join(lines))[:-500])
        (part,) = plan_slices([path], slice_bytes=100)
        *documents, rejection = read_slice(part, SourceOptions())
        assert len(documents) > 1000
        assert [document.text.encode() for document in documents] == lines[: len(documents)]
        assert isinstance(rejection, Rejection)
        assert (rejection.reason, rejection.source) == ("broken_gzip", name)
        assert rejection.offset == len(b"\n".join(lines[: len(documents)])) + 1

    def test_what_breaks_off_with_a_gzip_is_located_at_its_beginning(self, tmp_path):
        path = tmp_path / "broken.txt.gz"
        content = "好\n\n一\n二\n三\n".encode() * 3
        path.write_bytes(gzip.compress(content)[:-9])
        *_, rejection = read(path, document_break="blank_line")
        assert rejection.reason == "broken_gzip"
        assert content[: rejection.offset].endswith(b"\n")
        path.write_bytes(b"this is no gzip file")
        assert seen(read(path)) == [(0, "broken_gzip")]

    @given(data=files)
    def test_a_compressed_file_gives_the_same_documents(self, scratch, data):
        plain, packed = scratch / "same.txt", scratch / "same.txt.gz"
        plain.write_bytes(data)
        packed.write_bytes(gzip.compress(data, 1))
        assert seen(read(packed)) == seen(read(plain))

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ('{"text": "好"', "broken_json"),
            ('{"body": "好"}', "no_text_field"),
            ('["好"]', "no_text_field"),
            ('{"text": 5}', "text_not_a_string"),
            ('{"text": null}', "text_not_a_string"),
            ('{"text": ["好", 5]}', "text_not_a_string"),
            ('{"text": []}', "blank"),
            ('{"text": " \\u3000"}', "blank"),
            ("", "blank"),
            ('{"text": "\\ud83d"}', "lone_surrogate"),
            ("[" * 100_000, "broken_json"),
        ],
        ids=lambda value: value[:20],
    )
    def test_bad_rows_are_rejected_by_reason_and_place(self, tmp_path, row, reason):
        path = tmp_path / "rows.jsonl"
        first = '{"text": "好"}\n'
        path.write_text(f'{first}{row}\n{{"text": "末"}}\n', "utf-8")
        good, bad, last = read(path)
        assert (good.text, last.text) == ("好", "末")
        assert (bad.reason, bad.source, bad.offset) == (reason, "rows.jsonl", len(first.encode()))

    def test_a_list_of_words_becomes_text_with_spaces(self, tmp_path):
        path = tmp_path / "rows.jsonl"
        path.write_text('{"text": ["他", "叫", "汤姆"]}\n{"text": ["a b", "", "好"]}\n', "utf-8")
        assert [document.text for document in read(path)] == ["他 叫 汤姆", "a b  好"]

    def test_the_field_of_the_text_can_be_chosen(self, tmp_path):
        path = tmp_path / "rows.jsonl"
        path.write_text('{"content": "好", "text": 1}\n')
        assert [document.text for document in read(path, text_field="content")] == ["好"]


class TestFindingSources:
    def test_folders_and_patterns_are_sorted_and_files_stand_as_given(self, tmp_path):
        for name in ("b.txt", "a.jsonl", "c.TXT.GZ", "notes.md", "sub/d.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        found = find_sources([str(tmp_path)])
        assert [source.name for source in found] == ["a.jsonl", "b.txt", "c.TXT.GZ", "sub/d.txt"]
        assert [(source.kind, source.compression) for source in found[1:3]] == [("txt", ""), ("txt", "gz")]
        found = find_sources([str(tmp_path / "b.txt"), str(tmp_path / "*.jsonl")])
        assert [source.name for source in found] == ["b.txt", "a.jsonl"]

    @pytest.mark.parametrize(
        ("names", "problem"),
        [([], "no input"), (["absent.txt"], "no such file"), (["notes.md"], "ending"), (["empty"], "no readable file")],
    )
    def test_an_input_that_cannot_be_read_is_an_error(self, tmp_path, names, problem):
        (tmp_path / "notes.md").touch()
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match=problem):
            find_sources([str(tmp_path / name) for name in names])

    @given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=5), slice_bytes=st.integers(1, 60))
    def test_slices_cover_every_file_once(self, scratch, sizes, slice_bytes):
        paths = [scratch / f"{index}.txt" for index in range(len(sizes))]
        for path, size in zip(paths, sizes, strict=True):
            path.write_bytes(b"x" * size)
        parts = plan_slices(find_sources(map(str, paths)), slice_bytes)
        assert sum(part.size_bytes for part in parts) == sum(sizes)
        for index, size in enumerate(sizes):
            own = [part for part in parts if part.source_index == index]
            assert [own[0].start, *(part.end for part in own)] == [part.start for part in own] + [size]


class TestNormalise:
    @given(text=any_strings)
    def test_only_controls_that_are_not_whitespace_go(self, text):
        kept = [
            character
            for character in text
            if character.isspace() or not (unicodedata.category(character) == "Cc" or character == "\ufeff")
        ]
        assert normalise(text) == ("".join(kept), len(text) - len(kept))

    @given(text=any_strings)
    def test_twice_is_once(self, text):
        once, _ = normalise(text)
        assert normalise(once) == (once, 0)


class TestSentences:
    @given(text=any_strings)
    def test_spans_cover_the_text(self, text):
        spans = sentence_spans(text)
        assert "".join(text[start:end] for start, end in spans) == text
        assert all(start < end for start, end in spans)

    @given(text=any_strings)
    def test_no_sentence_goes_on_behind_a_line_end(self, text):
        for start, end in sentence_spans(text):
            assert "\n" not in text[start : end - 1]

    @pytest.mark.parametrize(
        ("text", "sentences"),
        [
            ("他来了。“好！”她说", ["他来了。", "“好！”", "她说"]),
            ("真的吗？！……是。", ["真的吗？！……", "是。"]),
            ("第一行\n第二行。\n\n第三行", ["第一行\n", "第二行。\n", "\n", "第三行"]),
            ("圆周率是3.14。", ["圆周率是3.14。"]),
            ("（他走了。）我也走。", ["（他走了。）", "我也走。"]),
            ("", []),
        ],
    )
    def test_examples(self, text, sentences):
        assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_han_is_what_bert_cuts_around():
    assert all(is_han(ord(character)) for character in "研㐀豈𠀀𪚥𫝀")
    assert not any(is_han(ord(character)) for character in "aＡ，。3〇ㄅあ한😀⿰")
