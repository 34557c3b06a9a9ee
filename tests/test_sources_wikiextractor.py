"""WikiExtractor's files: an article per document, whatever the slices, and nothing lost in silence."""

import bz2
import html
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.errors import SourceError
from wwmcorpus.records import Document
from wwmcorpus.text import SourceOptions, find_sources, plan_slices, read_slice

WIKI = SourceOptions(document_break="wikiextractor")

titles = st.sampled_from(["研究", "A&B", "<标题>", "五月"])
bodies = st.lists(st.one_of(texts, st.sampled_from(["", "1 < 2", "R&D", "&lt;"])), max_size=4).map(
    lambda lines: [re.sub(r"[\r\n\x00-\x08]", "", line) for line in lines]
)


@st.composite
def articles(draw):
    """Articles as (title, lines), distinct by their numbers."""
    return [(draw(titles), draw(bodies)) for _ in range(draw(st.integers(0, 5)))]


def block(number, title, lines):
    """One article as WikiExtractor writes it."""
    safe = [html.escape(line, quote=False) for line in [title, "", *lines]]
    body = "\n".join(safe)
    return f'<doc id="{number}" url="https://zh.wikipedia.org/wiki?curid={number}" title="{title}">\n{body}\n\n</doc>\n'


def read(path, slice_bytes=1 << 30, options=WIKI):
    parts = plan_slices(find_sources([str(path)], options), slice_bytes)
    return [item for part in parts for item in read_slice(part, options)]


@settings(max_examples=50)
@given(found=articles(), slice_bytes=st.integers(1, 300))
def test_articles_are_documents_in_any_slices(tmp_path_factory, found, slice_bytes):
    path = tmp_path_factory.mktemp("wiki") / "wiki_00"
    blocks = [block(number, *article) for number, article in enumerate(found)]
    path.write_text("".join(blocks), "utf-8")
    wanted = [
        (str(number), "\n".join([title, "", *lines]).strip("\n"), len("".join(blocks[:number]).encode()))
        for number, (title, lines) in enumerate(found)
    ]
    items = read(path)
    assert [(item.id, item.text, item.offset) for item in items if isinstance(item, Document)] == wanted
    assert len(items) == len(wanted)
    assert read(path, slice_bytes) == items


@given(
    pieces=st.lists(
        st.sampled_from(
            ['<doc id="1">\n', "</doc>\n", "一行\n", "\n", "<doc>\n", "&amp;\n", '{"text": "好"}\n', "尾", " </doc> \n"]
        ),
        max_size=12,
    ),
    slice_bytes=st.integers(1, 60),
)
def test_any_cut_of_a_damaged_file_gives_the_same(tmp_path_factory, pieces, slice_bytes):
    path = tmp_path_factory.mktemp("wiki") / "wiki_00"
    path.write_text("".join(pieces), "utf-8")
    assert read(path, slice_bytes) == read(path)


def test_rows_of_json_are_told_from_blocks(tmp_path):
    path = tmp_path / "wiki_07"
    rows = [{"id": str(n), "revid": "1", "url": "u", "title": "t", "text": f"R&amp;D &lt;{n}&gt;"} for n in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for slice_bytes in (1 << 30, 40):
        items = read(path, slice_bytes, SourceOptions(document_break="wikiextractor", id_field="id"))
        assert [(item.id, item.text) for item in items] == [(str(n), f"R&D <{n}>") for n in range(9)]


def test_a_folder_is_read_as_it_was_written(tmp_path):
    for name in ("AA/wiki_00", "AA/wiki_01", "AB/wiki_00"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(block(1, "标题", [name]), "utf-8")
    (tmp_path / "AB/wiki_01.bz2").write_bytes(bz2.compress(block(2, "标题", ["压缩"]).encode()))
    names = [source.name for source in find_sources([str(tmp_path)], WIKI)]
    assert names == ["AA/wiki_00", "AA/wiki_01", "AB/wiki_00", "AB/wiki_01.bz2"]
    assert [item.text for item in read(tmp_path)][-2:] == ["标题\n\nAB/wiki_00", "标题\n\n压缩"]
    with pytest.raises(SourceError, match="no readable file"):
        find_sources([str(tmp_path)])
    with pytest.raises(SourceError, match="document_break to wikiextractor"):
        find_sources([str(tmp_path / "AA/wiki_00")])


def test_what_is_damaged_is_rejected_where_it_stands(tmp_path):
    path = tmp_path / "wiki_00"
    parts = [
        "前面的字\n",
        '<doc id="1" url="" title="甲">\n没有写完\n',
        '<doc id="2" url="" title="乙">\n好\n</doc>\n',
        "中间的字\n\n",
        '<doc id="3" url="" title="丙">\n\n</doc>\n',
        '<doc id="4" url="" title="丁">\n断在这里',
    ]
    path.write_text("".join(parts), "utf-8")
    begins = [len("".join(parts[:number]).encode()) for number in range(len(parts))]
    found = [(item.offset, item.text if isinstance(item, Document) else item.reason) for item in read(path)]
    reasons = ["outside_of_article", "unclosed_article", "好", "outside_of_article", "blank", "unclosed_article"]
    assert found == list(zip(begins, reasons, strict=True))


def test_a_bad_byte_costs_its_article_or_its_line(tmp_path):
    path = tmp_path / "wiki_00"
    data = '<doc id="1">\n一\n'.encode() + b"\xff\n" + "二\n</doc>\n".encode()
    path.write_bytes(data)
    (rejection,) = read(path)
    assert (rejection.reason, rejection.offset) == ("invalid_utf8", 0)
    assert f"byte {data.index(0xFF)}:" in rejection.detail
    options = SourceOptions(document_break="wikiextractor", invalid_utf8="skip_line")
    line, document = read(path, options=options)
    assert (line.reason, line.offset) == ("invalid_utf8_line", data.index(0xFF))
    assert (document.text, document.id) == ("一\n二", "1")


def test_an_article_that_is_too_long_is_rejected(tmp_path):
    path = tmp_path / "wiki_00"
    long = block(1, "长", ["字" * 50] * 4)
    path.write_text(long + block(2, "短", ["好"]), "utf-8")
    first, second = read(path, options=SourceOptions(document_break="wikiextractor", max_document_bytes=300))
    assert (first.reason, first.offset) == ("document_too_long", 0)
    assert (second.text, second.offset) == ("短\n\n好", len(long.encode()))
