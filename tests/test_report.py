"""The report: its figures by hand and against the rows, its lines, and its page, which is safe to open."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from wwmcorpus.corpus import BuildConfig, Manifest, build, open_corpus
from wwmcorpus.corpus.manifest import Content, Input, RejectedDocument, Shard, StoredFile
from wwmcorpus.corpus.statistics import Statistics
from wwmcorpus.errors import CorpusError
from wwmcorpus.report import Report, describe, page, print_report, write_page
from wwmcorpus.report.bars import Chart, row_length_chart
from wwmcorpus.report.formats import duration, percent, size, visible
from wwmcorpus.report.histogram import FLOOR, TOP, Histogram
from wwmcorpus.report.terminal import report_lines

HOSTILE = "<script>alert('1')</script>"
STEERING = "\x1b[31m\u202e\ud800"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def a_manifest(split="train", **changes):
    """A corpus of 3 rows of at most 40 pieces: 90 pieces, 60 words; names and details are hostile."""
    values = {
        "format_version": 2,
        "split": split,
        "config": {
            "max_length": 40,
            "pack": "document",
            "pairs": None,
            "limit": None,
            "source": {"document_break": "line"},
        },
        "segmenter": "given",
        "tokenizer": "wordpiece@00000000",
        "vocabulary_sha256": "0" * 64,
        "num_pieces": 100,
        "special_ids": {"pad": 0},
        "versions": {"wwmcorpus": "0.1.0"},
        "inputs": (
            Input(name="a.txt", size_bytes=3_000, sha256="a" * 64),
            Input(name=f"b{HOSTILE}.txt", size_bytes=1_000, sha256="b" * 64),
        ),
        "shards": (
            Shard(name="data-0.arrow", size_bytes=700, sha256="c" * 64, num_rows=2, num_words=50, num_pieces=70),
            Shard(name="data-1.arrow", size_bytes=300, sha256="d" * 64, num_rows=1, num_words=10, num_pieces=20),
        ),
        "counts": {
            "documents_read": 9,
            "documents": 7,
            "sentences": 8,
            "characters": 130,
            "words": 62,
            "pieces": 84,
            "words_one_to_one": 31,
            "merged_words": 2,
            "mixed_words": 1,
            "words_without_pieces": 0,
            "unk_pieces": 21,
            "groups": 60,
            "literal_specials": 1,
            "dropped_words": 2,
            "dropped_pieces": 80,
            "rows": 3,
            "row_pieces": 90,
            "special_pieces": 6,
            "removed_blanks": 17,
        },
        "rejected": {"blank": 1, "invalid_utf8": 30},
        "rejected_examples": (
            RejectedDocument(reason="invalid_utf8", source="a.txt", source_index=0, offset=12_345, detail=HOSTILE),
            RejectedDocument(reason="blank", source="a.txt", source_index=0, offset=77, detail=f"x{STEERING}"),
        ),
        "rejections": StoredFile(name="rejected-0.jsonl", size_bytes=10, sha256="e" * 64),
        "quarantine": (),
        "keep_list_sha256": None,
        "statistics": Statistics(
            word_lengths=(30, 20, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2),
            row_lengths=(0,) * 9 + (1,) + (0,) * 9 + (2,),
            # A manifest on disk has them in this order.
            words={"一": 3, HOSTILE: 9, "中国": 6, "的": 12},
            unknown_characters={"龘": 20, "\u200d": 1},
        ),
        "num_tasks": 1,
    }
    return Manifest(content=Content(**values | changes), tokenizer_files=(), run=a_run())


def a_run(**changes):
    return {
        "seconds": 8.0,
        "stage_seconds": {"write": 1.0, "segment": 4.0, "read": 3.0},
        "num_workers": 2,
        "engine": "local",
        "inputs": ["/data/a.txt", "/data/b.txt"],
        "built_at": "2026-01-02T03:04:05Z",
    } | changes


def a_report(**changes):
    return Report.of({"train": a_manifest(**changes)}, "corpus")


class TestFigures:
    def test_they_are_those_of_the_manifest(self):
        report = a_report()
        assert report.num_rows == 3
        assert report.fill == 90 / (3 * 40)
        assert report.mean_word_length == (30 + 2 * 20 + 3 * 10 + 12 * 2) / 62
        assert report.has_longest_words
        assert report.unk_rate == 21 / 84
        assert report.source_bytes == 4_000
        assert list(report.words) == ["的", HOSTILE, "中国", "一"]
        assert [(reason.name, reason.num_rejected) for reason in report.reasons] == [("invalid_utf8", 30), ("blank", 1)]
        assert [stage.name for stage in report.stages] == ["read", "segment", "write"]
        assert [stage.share for stage in report.stages] == [3 / 8, 4 / 8, 1 / 8]

    def test_throughput_by_the_clock_and_of_a_worker(self):
        report = a_report()
        assert report.bytes_per_second == 4_000 / 8
        assert report.bytes_per_worker_second == 4_000 / 8

    def test_a_build_that_went_on_has_no_throughput_by_the_clock(self):
        report = replace(a_report(), run=a_run(seconds=3.9))  # two workers spent eight seconds
        assert report.bytes_per_second is None
        assert report.bytes_per_worker_second == 500
        assert "  time: 3.90 s (of the last run alone)" in report_lines(report)

    def test_an_addition_has_the_throughput_of_what_was_added(self):
        report = replace(a_report(), run=a_run(inputs=["/data/b.txt"]))
        assert report.bytes_per_second == 1_000 / 8

    def test_a_try_has_none_as_it_read_only_the_beginning(self):
        report = a_report()
        tried = replace(report, config={**report.config, "limit": 10})
        assert tried.bytes_per_second is tried.bytes_per_worker_second is None

    def test_documents_in_quarantine_tell_what_they_did(self):
        convicted = RejectedDocument(reason="quarantined", source="a.txt", source_index=0, offset=5, detail="SIGSEGV")
        told = convicted.model_copy(update={"detail": "it alone killed two workers"})
        report = a_report(rejected={"quarantined": 1}, rejected_examples=(told,), quarantine=(convicted,))
        assert "  quarantined: a.txt at 5 (SIGSEGV)" in report_lines(report)

    def test_an_empty_corpus_has_a_report(self):
        report = a_report(shards=(), counts={}, statistics=Statistics(), rejected={}, rejected_examples=(), inputs=())
        bare = replace(report, run={}, stages=())
        assert bare.fill is bare.mean_word_length is bare.unk_rate is None
        assert "  rows: 0 (of at most 40 pieces)" in report_lines(bare)
        assert "Nothing was." in page(bare)
        print_report(bare, Console(file=io.StringIO(), force_terminal=True, width=60))

    def test_a_corpus_and_its_report_agree(self, small_corpus):
        report = describe(small_corpus.path)
        lengths = small_corpus.lengths
        assert report.num_rows == len(small_corpus)
        assert report.fill == pytest.approx(lengths.sum() / (len(small_corpus) * 24))
        chart = row_length_chart(report)
        for bar in chart.bars:
            begin, _, end = bar.label.partition("-")
            within = np.count_nonzero((lengths >= int(begin)) & (lengths <= int(end or begin)))
            assert bar.value == f"{within:,}"
        assert sum(int(bar.value.replace(",", "")) for bar in chart.bars) == len(small_corpus)
        assert sum(report.word_lengths) == report.counts["words"]
        assert max(report.words, key=report.words.__getitem__) == next(iter(report.words))

    def test_all_splits_are_in_one_report(self, tmp_path, vocabulary_file):
        config = BuildConfig(
            inputs=(str(SAMPLE_DATA / "corpus" / "news.txt"),),
            output=str(tmp_path / "corpus"),
            segmenter="jieba",
            tokenizer=str(vocabulary_file),
            source={"document_break": "blank_line"},
            validation_fraction=0.4,
            num_workers=0,
        )
        build(config)
        report = describe(tmp_path / "corpus")
        assert report.name == "corpus"
        rows = {split: len(open_corpus(tmp_path / "corpus" / split)) for split in ("train", "validation")}
        assert {split.name: split.num_rows for split in report.splits} == rows
        assert report.num_rows == sum(rows.values()) == report.counts["rows"]
        found = page(report)
        assert all(split.fingerprint in found for split in report.splits)

    def test_no_corpus_no_report(self, tmp_path):
        with pytest.raises(CorpusError, match="no corpus there"):
            describe(tmp_path)


class TestTerminal:
    def test_lines_have_every_figure(self):
        lines = list(report_lines(a_report()))
        for line in (
            f"signature {a_manifest().signature}",
            f"fingerprint {a_manifest().fingerprint}",
            "split train: 3 rows, 60 words, 90 pieces, 75.0% full, 1.0 kB in 2 shards",
            "  documents: 7 (of 9 read)",
            "  mean word length: 2.00 (characters, 12 or more taken for 12)",
            "  pieces in rows: 90 (6.7% special)",
            "  dropped words: 2 (longer than a row)",
            "  one to one: 50.0% (31 words: share a piece with no other word)",
            "  [UNK]: 25.0% (21 pieces)",
            "  removed blanks: 17",
            "  throughput: 500 B/s (of source bytes)",
            "  2: 20 (32.3%) █████████████████████▍",
            "  39-40: 2 (66.7%) ████████████████████████████████",
            "  的: 12 (19.4%) ████████████████████████████████",
            "  中国: 6 (9.7%) █████████████████████▍",
            "  segment: 4.00 s (50.0%, 1.0 kB/s) ████████████████████████████████",
            "  invalid utf8: 30 (96.8%) ████████████████████████████████",
            f"  invalid utf8: a.txt at 12345 ({HOSTILE})",
            "  all of it: rejected-0.jsonl",
        ):
            assert line in lines

    def test_nothing_steers_the_terminal(self):
        report = replace(a_report(), name=STEERING, words={f"[red]{STEERING}": 1})
        lines = "\n".join(report_lines(report))
        assert "x\\x1b[31m\\u202e\\ud800" in lines
        console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
        print_report(report, console)
        for text in (lines, console.file.getvalue()):
            assert "[red]\\x1b[31m\\u202e\\ud800" in text
            assert not re.search("[\x1b\u202e\ud800]", text)

    @pytest.mark.parametrize("width", [30, 60, 100, 140])
    def test_it_fits_terminals(self, width):
        console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
        print_report(a_report(), console)
        shown = console.file.getvalue()
        assert max(map(cell_len, shown.split("\n"))) <= width
        assert "中国" in shown
        assert "one to one" in shown

    def test_without_a_terminal_lines_are_whole(self):
        console = Console(file=io.StringIO(), width=20)
        print_report(a_report(), console)
        assert console.file.getvalue().split("\n")[:-1] == "\n".join(report_lines(a_report())).split("\n")


class Reader(HTMLParser):
    """Reads a page: checks that tags are balanced, keeps text, attributes and the tags seen."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


class TestPage:
    def test_it_is_whole_and_loads_nothing(self):
        html = page(a_report())
        reader = read(html)
        assert html.startswith("<!DOCTYPE html>")
        assert "script" not in reader.tags
        assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
        names = {name for _, name, _ in reader.attributes}
        assert not {"src", "href", "xlink:href", "srcset", "action", "data"} & names
        assert not any(name.startswith("on") for name in names)
        assert not re.search(r"https?:|url\(|@import|//", html)

    def test_hostile_text_is_text(self):
        html = page(replace(a_report(), name=HOSTILE))
        reader = read(html)
        assert "script" not in reader.tags
        assert reader.text.count(HOSTILE) >= 4  # title, heading, word, detail
        assert "x\\x1b[31m\\u202e\\ud800" in reader.text
        html.encode("utf-8")

    def test_every_figure_is_there(self):
        text = re.sub(r"\s+", " ", read(page(a_report())).text)
        for figure in (
            *(a_manifest().signature, a_manifest().fingerprint, "of 9 read", "75.0%", "2.00", "25.0%", "50.0%"),
            *(
                "removed blanks",
                "500 B/s",
                "U+9F98",
                "\\u200d",
                "中国",
                "19.4%",
                "4.00 s",
                "12,345",
                "rejected-0.jsonl",
            ),
            *("a.txt", "3.0 kB", "a" * 16, "source.document_break", "2026-01-02T03:04:05Z"),
        ):
            assert figure in text

    def test_it_can_be_read_aloud(self):
        html = page(a_report())
        reader = read(html)
        attributes = reader.attributes
        assert ("html", "lang", "en") in attributes
        assert all(tag == "th" for tag, name, _ in attributes if name == "scope")
        assert reader.tags.count("th") == sum(name == "scope" for _, name, _ in attributes)
        ids = [value for _, name, value in attributes if name == "id"]
        assert len(ids) == len(set(ids))
        for _, name, value in attributes:
            if name == "aria-labelledby":
                assert set(value.split()) <= set(ids)
        drawings = re.findall(r"<svg[^>]*role=\"img\".*?</svg>", html, re.DOTALL)
        assert len(drawings) == 2
        assert all("<title id=" in drawing and "<desc id=" in drawing for drawing in drawings)
        assert reader.tags.count("svg") == 2 + sum(name == "aria-hidden" for _, name, _ in attributes)
        assert "prefers-color-scheme: dark" in html

    def test_bars_are_as_long_as_their_numbers(self):
        html = page(a_report())
        first = html.index("Most frequent words")
        widths = re.findall(r'<rect width="([\d.]+)" height="10"/>', html[first : html.index("</table>", first)])
        assert list(map(float, widths)) == [100, 75, 50, 25]

    def test_it_is_written_whole(self, tmp_path):
        path = tmp_path / "report.html"
        write_page(a_report(), path)
        write_page(a_report(), path)
        assert path.read_text("utf-8") == page(a_report())
        assert list(tmp_path.iterdir()) == [path]
        with pytest.raises(CorpusError, match="the page cannot be written"):
            write_page(a_report(), tmp_path / "no folder" / "report.html")


class TestHistogram:
    @given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
    def test_bars_stand_on_the_floor_in_proportion(self, counts):
        drawing = Histogram.of(Chart.of("t", "l", "u", ((str(i), number, "") for i, number in enumerate(counts))))
        total = sum(counts) or 1
        highest = max(float(line.label.rstrip("%")) for line in drawing.lines) / 100
        assert max(counts) / total <= highest * (1 + 1e-6)
        assert 2 <= len(drawing.lines) <= 7
        for rect, number in zip(drawing.rects, counts, strict=True):
            assert rect.y + rect.height == pytest.approx(FLOOR, abs=0.02)
            assert rect.height == pytest.approx((FLOOR - TOP) * number / total / highest, abs=0.5)
            assert 0 <= rect.x < rect.x + rect.width <= 100
        ends = [(rect.x, rect.x + rect.width) for rect in drawing.rects]
        assert all(end < begin for (_, end), (begin, _) in pairwise(ends))


class TestFormats:
    @pytest.mark.parametrize(
        ("share", "shown"),
        [
            (None, ""),
            (0.0, "0%"),
            (1.0, "100%"),
            (0.5, "50.0%"),
            (0.00042, "0.042%"),
            (0.0009999, "0.1%"),
            (1e-9, "<0.0001%"),
            (0.9999, "99.99%"),
            (1 - 1e-9, ">99.9999%"),
        ],
    )
    def test_percent(self, share, shown):
        assert percent(share) == shown

    @given(st.floats(0, 1))
    def test_only_nothing_is_0_and_only_all_is_100(self, share):
        value = float(percent(share).strip("<>%"))
        assert (value == 0) == (share == 0)
        assert value < 100 or share * 100 == 100
        assert value == pytest.approx(100 * share, abs=0.0501)

    @pytest.mark.parametrize(
        ("number", "shown"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (999_500, "1.0 MB"), (10**18, "1000 PB")]
    )
    def test_size(self, number, shown):
        assert size(number) == shown

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [(0, "0.00 s"), (12.34, "12.3 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"), (7_620, "2 h 07 min")],
    )
    def test_duration(self, seconds, shown):
        assert duration(seconds) == shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("他们 abc", "他们 abc"),
            ("\x1b[31m", "\\x1b[31m"),
            ("\ud800", "\\ud800"),
            ("a\u202eb\u2028", "a\\u202eb\\u2028"),
            ("\u3000", "\\u3000"),
            ("\u0301", "◌\u0301"),
            ("e\u0301", "e\u0301"),
            ("\ufe0f", "\\ufe0f"),
            ("𠀀", "𠀀"),
        ],
    )
    def test_visible(self, text, shown):
        assert visible(text) == shown

    @given(st.text(alphabet=st.characters()))
    def test_what_is_visible_can_be_written_and_stays(self, text):
        shown = visible(text)
        shown.encode("utf-8")
        assert not re.search("[\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3000\ud800-\udfff]", shown)
        assert visible(shown) == shown
