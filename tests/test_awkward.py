"""Every awkward file gives rows or a counted, located rejection: never a traceback, never silence.

What must come of each stands in sample_data/awkward/README.md, and here as places that are computed from its bytes.
"""

import gzip
import json
import re

import datasets
import pytest
from conftest import SAMPLE_DATA
from make_awkward_files import FOLDER, awkward_files

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.errors import CorpusError

FILES = awkward_files()
BOM = b"\xef\xbb\xbf"
GZIP_LINE_BYTES = len("压缩文件的第一行，后面还有。\n".encode())
SEGMENTERS = ("given", "jieba", "ltp")


def lines(name):
    """Each line's offset and bytes, without line feed."""
    data, found, offset = FILES[name], [], 0
    for line in data.split(b"\n"):
        found.append((offset, line))
        offset += len(line) + 1
    return found if found[-1][1] else found[:-1]


def offsets(name, *numbers):
    """Where the lines of these numbers begin; all of them where none is named."""
    places = [offset for offset, _ in lines(name)]
    return [places[number] for number in numbers] if numbers else places


def rejections(reason, name, *numbers):
    return [(reason, offset) for offset in offsets(name, *numbers)]


#: File -> (where its documents begin, [(reason, where)] of what is rejected), one document per line.
OUTCOMES = {
    "blank_lines.txt": ([], rejections("blank", "blank_lines.txt")),
    "bom.txt": (offsets("bom.txt"), []),
    "broken.jsonl": (
        offsets("broken.jsonl", 0, 8, 10),
        [
            *rejections("broken_json", "broken.jsonl", 1),
            *rejections("no_text_field", "broken.jsonl", 2),
            *rejections("text_not_a_string", "broken.jsonl", 3),
            *rejections("lone_surrogate", "broken.jsonl", 4),
            *rejections("blank", "broken.jsonl", 5),
            *rejections("no_text_field", "broken.jsonl", 6),
            *rejections("blank", "broken.jsonl", 7),
            *rejections("text_not_a_string", "broken.jsonl", 9),
        ],
    ),
    "combining.txt": (offsets("combining.txt"), []),
    "crlf.txt": (offsets("crlf.txt", 0, 1, 3), rejections("blank", "crlf.txt", 2)),
    "emoji.txt": (offsets("emoji.txt"), []),
    "empty.txt": ([], [("empty_source", 0)]),
    "extension_b.txt": (offsets("extension_b.txt"), []),
    "invalid_utf8.txt": (offsets("invalid_utf8.txt", 0, 2), rejections("invalid_utf8", "invalid_utf8.txt", 1)),
    "line_separators.txt": (offsets("line_separators.txt"), []),
    "literal_specials.txt": (offsets("literal_specials.txt"), []),
    "lone_cr.txt": ([0], []),
    "nul.txt": (offsets("nul.txt", 0, 2), rejections("blank", "nul.txt", 1)),
    "only_latin.txt": (offsets("only_latin.txt"), []),
    "only_spaces.txt": ([], [("blank", 0)]),
    "traditional.txt": (offsets("traditional.txt"), []),
    "truncated.txt.gz": ([0, GZIP_LINE_BYTES], [("broken_gzip", 2 * GZIP_LINE_BYTES)]),
    "very_long_line.txt": ([0], []),
}
#: A line without spaces is one word to "given": longer than any row, so that the document has no piece that fits.
OUTCOMES_GIVEN = {"very_long_line.txt": ([], [("long_word", 0)])}


def run(name, segmenter, output, **changes):
    values = {"inputs": (str(FOLDER / name),), "output": str(output), "segmenter": segmenter, "tokenizer": "embedded"}
    values["num_workers"] = 0
    return build(BuildConfig(**values | changes))["train"]


def documents(output):
    """Where the documents of a corpus's rows begin, each once, in order."""
    return list(
        dict.fromkeys(offset for row in datasets.load_from_disk(str(output)) for offset in row["document_offset"])
    )


def pieces(output):
    corpus = open_corpus(output)
    return [[corpus.vocabulary.pieces[piece] for piece in row["input_ids"]] for row in corpus]


def test_the_committed_files_are_what_the_script_writes():
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name != "README.md"} == FILES
    assert "sample_data/awkward/* -text" in (SAMPLE_DATA.parent / ".gitattributes").read_text()


def test_the_readme_says_what_must_come_of_each_file():
    text = (FOLDER / "README.md").read_text("utf-8")
    assert re.findall(r"^\| `([^`]+)`", text, re.MULTILINE) == sorted(FILES)
    assert set(OUTCOMES) == set(FILES)
    for name, (_, rejected) in OUTCOMES.items():
        row = next(line for line in text.split("\n") if line.startswith(f"| `{name}`"))
        for reason, _ in [*rejected, *OUTCOMES_GIVEN.get(name, ((), ()))[1]]:
            assert f"`{reason}`" in row


@pytest.mark.parametrize("segmenter", SEGMENTERS)
@pytest.mark.parametrize("name", sorted(FILES))
def test_it_gives_rows_or_located_rejections(name, segmenter, tmp_path):
    wanted = OUTCOMES_GIVEN.get(name, OUTCOMES[name]) if segmenter == "given" else OUTCOMES[name]
    begins, rejected = wanted
    if not begins:
        with pytest.raises(CorpusError, match="no document gave a row") as caught:
            run(name, segmenter, tmp_path / "corpus")
        found = re.findall(rf"(\w+): {re.escape(name)} at (\d+) \(", str(caught.value))
        assert [(reason, int(place)) for reason, place in found] == rejected[:5]
        return
    content = run(name, segmenter, tmp_path / "corpus").content
    assert [(example.reason, example.offset) for example in content.rejected_examples] == rejected
    assert {example.source for example in content.rejected_examples} <= {name}
    assert all(example.detail for example in content.rejected_examples)
    counted = {reason: [found for found, _ in rejected].count(reason) for reason, _ in rejected}
    assert content.rejected == counted
    assert documents(tmp_path / "corpus") == begins


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_all_files_at_once_give_what_each_gives_alone(segmenter, tmp_path):
    content = run("", segmenter, tmp_path / "corpus").content
    wanted = OUTCOMES | (OUTCOMES_GIVEN if segmenter == "given" else {})
    expected = sorted((name, *rejection) for name, (_, rejected) in wanted.items() for rejection in rejected)
    assert sorted((item.source, item.reason, item.offset) for item in content.rejected_examples) == expected
    names = [source.name for source in content.inputs]
    found = {(name, offset) for name, offset in _sources(tmp_path / "corpus", names)}
    assert found == {(name, offset) for name, (begins, _) in wanted.items() for offset in begins}


def _sources(output, names):
    for row in datasets.load_from_disk(str(output)):
        for source, offset in zip(row["source_index"], row["document_offset"], strict=True):
            yield names[source], offset


class TestWhatIsInTheRows:
    """What the README says of the files' rows, beyond where they come from."""

    @pytest.fixture
    def built(self, tmp_path):
        def make(name, segmenter="jieba", **changes):
            content = run(name, segmenter, tmp_path / "corpus", **changes).content
            return content, pieces(tmp_path / "corpus")

        return make

    def test_byte_order_marks_leave_no_trace(self, built):
        content, rows = built("bom.txt")
        assert content.counts["removed_control_characters"] == 1, "the one inside the text; the file's own is no text"
        assert rows[0][:3] == ["[CLS]", "文", "件"]
        assert all("\ufeff" not in piece for row in rows for piece in row)

    def test_lines_of_two_characters_end_alike(self, built):
        _, rows = built("crlf.txt", source={"document_break": "blank_line"})
        assert len(rows) == 2
        assert "".join(rows[0][1:-1]) == "这一行来自另一种系统。那里的行尾有两个字符。"

    def test_blank_lines_alone_hold_no_document(self, tmp_path):
        with pytest.raises(CorpusError, match=r"empty_source: blank_lines\.txt at 0"):
            run("blank_lines.txt", "jieba", tmp_path / "corpus", source={"document_break": "blank_line"})

    def test_other_line_ends_stay_inside_their_document_and_separate_words(self, built):
        for name, number, text in (
            ("line_separators.txt", 0, "诗的第一行诗的第二行新的一段下一行还在同一篇里。"),
            ("lone_cr.txt", 0, "很老的机器只用一个回车来结束一行所以整个文件是一行"),
        ):
            _, rows = built(name, overwrite=True)
            assert "".join(rows[number][1:-1]) == text

    def test_controls_are_removed_and_counted(self, built):
        content, rows = built("nul.txt")
        assert content.counts["removed_control_characters"] == FILES["nul.txt"].count(b"\x00") == 5
        assert "".join(rows[0][1:-1]) == "数据库导出时多了几个空字符。"

    def test_a_bad_byte_is_named(self, built):
        content, _ = built("invalid_utf8.txt")
        assert f"byte {FILES['invalid_utf8.txt'].index(0xFF)}" in content.rejected_examples[0].detail
        replaced, rows = built("invalid_utf8.txt", overwrite=True, source={"invalid_utf8": "replace"})
        assert replaced.rejected == {}
        assert len(rows) == 3

    def test_a_long_line_fills_rows(self, built):
        content, rows = built("very_long_line.txt")
        text = FILES["very_long_line.txt"].decode().strip()
        assert content.counts["characters"] == len(text) > 60_000
        assert "".join(piece for row in rows for piece in row[1:-1]) == text
        assert min(map(len, rows[:-1])) > 500

    def test_unknown_characters_are_counted_and_keep_their_place(self, built):
        content, rows = built("extension_b.txt")
        rare = sum(ord(character) > 0xFFFF for character in FILES["extension_b.txt"].decode())
        assert content.counts["unk_pieces"] == rare == sum(row.count("[UNK]") for row in rows)

    def test_special_pieces_in_a_text_are_letters(self, built):
        content, rows = built("literal_specials.txt")
        assert content.counts["literal_specials"] == 5
        assert not {"[MASK]", "[PAD]", "[UNK]"} & {piece for row in rows for piece in row}
        assert all(row.count("[SEP]") == row.count("[CLS]") == 1 for row in rows)
        assert "".join(piece.removeprefix("##") for piece in rows[0]).startswith("[CLS]模型把[mask]看成一个空位")

    def test_what_stands_before_the_break_of_a_gzip_is_kept(self, built):
        content, rows = built("truncated.txt.gz")
        with pytest.raises(EOFError):
            gzip.decompress(FILES["truncated.txt.gz"])
        assert ["".join(row[1:-1]) for row in rows] == ["压缩文件的第一行，后面还有。", "压缩文件的第二行，后面还有。"]
        assert "ends before it is complete" in content.rejected_examples[0].detail

    def test_good_rows_among_bad_ones_are_kept(self, built):
        _, rows = built("broken.jsonl")
        texts = [
            json.loads(line)["text"] for number, (_, line) in enumerate(lines("broken.jsonl")) if number in (0, 8, 10)
        ]
        spelled = ["".join(row[1:-1]) for row in rows]
        assert spelled[0] == texts[0]
        assert spelled[1].replace("[UNK]", "😀") == texts[1].replace("\n", "")
        assert spelled[2] == texts[2]

    def test_letters_and_their_marks_are_one_word(self, built):
        _, rows = built("combining.txt")
        assert rows[3][:3] == ["[CLS]", "z", "一"]
        assert "".join(piece.removeprefix("##") for piece in rows[0]).startswith("[CLS]她在cafe点了")

    def test_what_cannot_be_spelled_is_counted(self, built):
        content, rows = built("emoji.txt")
        assert content.counts["unk_pieces"] == sum(row.count("[UNK]") for row in rows) > 0

    def test_marks_and_joiners_stop_nothing(self, built):
        for name in ("combining.txt", "emoji.txt", "only_latin.txt", "traditional.txt"):
            content, rows = built(name, overwrite=True)
            assert len(rows) == FILES[name].count(b"\n")
            assert content.counts["words"] == (
                content.counts["groups"] + content.counts["words_without_pieces"] + content.counts["merged_words"]
            )
