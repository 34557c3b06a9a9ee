"""What segmenters are told beside their names, on the command line and in Python; and lines in, words out."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus import cli, jobs
from wwmcorpus.errors import ConfigError
from wwmcorpus.segment import SegmenterOptions, load_segmenter
from wwmcorpus.segment.batches import batches_of_texts

SENTENCE = "他叫汤姆去拿外衣。"


def words_of(segmenter, text):
    return [text[start:end] for start, end in segmenter.segment([text])[0].tolist()]


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("姆去拿 100000\n", "utf-8")
    return str(path)


class TestOptions:
    @pytest.mark.parametrize("name", ["jieba", "jieba:nohmm", "rjieba", "rjieba:nohmm", "ltp"])
    def test_the_user_s_words_are_followed_and_signed(self, name, words):
        plain, told = load_segmenter(name), load_segmenter(name, options=SegmenterOptions(words=words))
        assert "姆去拿" not in words_of(plain, SENTENCE)
        assert "姆去拿" in words_of(told, SENTENCE)
        assert told.signature != plain.signature
        assert words not in told.signature

    @pytest.mark.parametrize("kind", ["jieba", "rjieba", "jieba:nohmm", "rjieba:nohmm"])
    def test_a_dictionary_in_the_options_is_one_in_the_name(self, kind, words):
        assert load_segmenter(kind, options=SegmenterOptions(words=words)).signature == (
            load_segmenter(f"{kind}:{words}").signature
        )

    @pytest.mark.parametrize("name", ["jieba:a.txt", "rjieba:nohmm:a.txt"])
    def test_two_dictionaries_are_one_too_many(self, name, words):
        with pytest.raises(ConfigError, match="two user dictionaries"):
            load_segmenter(name, options=SegmenterOptions(words=words))

    @pytest.mark.parametrize(
        ("name", "option", "who"),
        [
            ("given", {"words": "words.txt"}, "jieba, rjieba and ltp"),
            ("given", {"device": "cuda"}, "neural LTP models"),
            ("jieba", {"precision": "bf16"}, "neural LTP models"),
            ("rjieba:nohmm", {"compiled": True}, "neural LTP models"),
            ("ltp", {"device": "cuda"}, "neural LTP models"),
            ("ltp", {"precision": "int8"}, "neural LTP models"),
        ],
    )
    def test_an_option_that_cannot_be_followed_names_who_can(self, name, option, who):
        (field,) = option
        with pytest.raises(ConfigError, match=f"cannot follow the option {field}") as caught:
            load_segmenter(name, options=SegmenterOptions(**option))
        assert who in str(caught.value)

    @pytest.mark.parametrize("name", ["given", "jieba", "rjieba", "ltp"])
    def test_what_asks_for_nothing_is_followed_by_all(self, name):
        plain = load_segmenter(name)
        told = load_segmenter(name, 2, SegmenterOptions(device="cpu", precision="fp32"))
        assert told.signature == plain.signature

    @pytest.mark.parametrize("option", [{"device": "tpu"}, {"precision": "fp8"}, {"words": 3}, {"word": "a.txt"}])
    def test_options_that_do_not_exist(self, option):
        with pytest.raises(ConfigError):
            SegmenterOptions(**option)

    @pytest.mark.parametrize("name", ["given", "jieba", "ltp"])
    def test_less_than_one_thread(self, name):
        with pytest.raises(ConfigError, match="too few threads"):
            load_segmenter(name, 0)


class TestBatches:
    @given(texts=st.lists(st.text(max_size=8)), limit=st.integers(1, 20))
    def test_all_texts_in_order_in_batches_that_are_just_full(self, texts, limit):
        batches = list(batches_of_texts(texts, limit))
        assert [text for batch in batches for text in batch] == texts
        sizes = [[max(len(text), 1) for text in batch] for batch in batches]
        assert all(sum(of_batch) >= limit for of_batch in sizes[:-1])
        assert all(sum(of_batch[:-1]) < limit for of_batch in sizes)

    def test_an_endless_source_of_blank_lines(self):
        batches = batches_of_texts(itertools.repeat(""), 10)
        assert next(batches) == [""] * 10


class TestSegmentLines:
    LINES = ("他 叫", "", "汤姆\u2028去", " \u3000", "x" * 100, "拿  外衣")

    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "lines.txt"
        path.write_bytes("\n".join(self.LINES).encode() + b"\n\xff\n" + "好 的\n".encode())
        return str(path)

    @pytest.mark.parametrize("size", [1, 7, 1 << 16])
    def test_lines_stay_in_order_whatever_the_batch(self, file, size, monkeypatch):
        monkeypatch.setattr(batches_of_texts, "__defaults__", (size,))
        assert list(jobs.segment_lines([file], "given", "|")) == [
            *("他|叫", "", "汤姆|去", "", "x" * 100, "拿|外衣", "", "好|的")
        ]

    def test_lines_are_segmented_together_as_they_are_read(self, tmp_path, monkeypatch):
        path = tmp_path / "many.txt"
        path.write_text("他 叫\n" * 50_000, "utf-8")
        calls = []

        class Counting:
            signature = "counting"

            def segment(self, texts):
                calls.append(len(texts))
                return [np.array([[0, 1]], dtype=np.int32) for _ in texts]

        monkeypatch.setattr("wwmcorpus.segment.load_segmenter", lambda *_: Counting())
        lines = jobs.segment_lines([str(path)])
        assert next(lines) == "他"
        assert len(calls) == 1, "the first line is there before the last is read"
        assert sum(1 for _ in lines) == 49_999
        assert len(calls) <= 4
        assert sum(calls) == 50_000


class TestCommands:
    @pytest.fixture
    def call(self, monkeypatch, capsys):
        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["wwmcorpus", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            captured = capsys.readouterr()
            return ended.value.code or 0, captured.out, captured.err

        return run

    @pytest.fixture
    def text(self, tmp_path):
        path = tmp_path / "text.txt"
        path.write_text(f"{SENTENCE}\n", "utf-8")
        return str(path)

    @pytest.mark.parametrize("name", ["ltp", "jieba"])
    def test_segment_with_the_user_s_words(self, call, text, words, name):
        status, out, _ = call("segment", text, "--segmenter", name, "--words", words, "--threads", "2")
        assert (status, out) == (0, "他 叫 汤 姆去拿 外衣 。\n")

    def test_compare_with_the_user_s_words(self, call, text, words):
        status, out, _ = call("compare-segmenters", "ltp", "jieba", "--on", text, "--words", words)
        assert status == 0
        assert "+words:" in out
        assert out.rstrip().endswith("100.00%")

    def test_ref_with_the_user_s_words(self, call, text, words, tmp_path):
        output = tmp_path / "refs"
        assert call("ref", text, "--output", str(output), "--words", words)[0] == 0
        # [CLS] 他 叫 汤 姆 去 拿 外 衣 。: 姆去拿 and 外衣 go on at 5, 6 and 8
        assert output.read_text() == "[5, 6, 8]\n"

    @pytest.mark.parametrize(
        ("command", "problem"),
        [
            (("segment", "--segmenter", "given", "--words", "w.txt"), "cannot follow the option words"),
            (("segment", "--precision", "bf16"), "cannot follow the option precision"),
            (("ref", "--output", "out", "--device", "cuda"), "cannot follow the option device"),
            (("ref", "--output", "out", "--device", "tpu"), "'auto', 'cpu' or 'cuda'"),
            (("segment", "--threads", "0"), "--threads"),
        ],
    )
    def test_bad_usage_ends_with_2(self, call, text, command, problem):
        status, out, err = call(command[0], text, *command[1:])
        assert (status, out) == (2, "")
        assert problem in err
        assert "Traceback" not in err
