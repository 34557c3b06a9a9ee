"""The user's own words: the file they stand in, and LTP's models that follow them as LTP's add_words does."""

import subprocess
import sys

import pytest
from conftest import SAMPLE_DATA
from strategies import WHITESPACE

from wwmcorpus.errors import ConfigError, SegmenterError
from wwmcorpus.segment import SegmenterOptions, load_segmenter
from wwmcorpus.segment.ltp_words import LtpWords
from wwmcorpus.segment.user_words import read_user_words


def words_of(segmenter, texts):
    found = segmenter.segment(texts)
    return [[text[i:j] for i, j in spans.tolist()] for text, spans in zip(texts, found, strict=True)]


def sample_lines():
    lines = [line for path in sorted((SAMPLE_DATA / "corpus").glob("*.txt")) for line in path.open(encoding="utf-8")]
    return [line.strip() for line in lines if line.strip()][:80]


class TestFile:
    def test_it_is_read_as_jieba_reads_it(self, tmp_path):
        path = tmp_path / "words.txt"
        path.write_bytes("\ufeff汤姆去拿\r\n\n \t\n起源于 100000 n\r\nR-CNN\t10\nNew York 5\n北京大学 0\n云 n".encode())
        found = read_user_words(path)
        assert found.words == (
            *(("汤姆去拿", None), ("起源于", 100000), ("R-CNN", 10), ("New York", 5), ("北京大学", 0), ("云", None)),
        )
        assert found.forbidden == {"北京大学"}

    def test_of_a_word_that_comes_twice_the_last_line_counts(self, tmp_path):
        (tmp_path / "words.txt").write_text("好 0\n坏\n好 3\n坏 0\n", "utf-8")
        assert read_user_words(tmp_path / "words.txt").forbidden == {"坏"}

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "No such file"),
            ("云计算".encode("gbk"), "not UTF-8"),
            ("好\n云计算 9999999999999\n".encode(), r"frequency is too large.*line 2"),
            (b"a " + b"9" * 10_000, "frequency is too large"),
        ],
        ids=["absent", "gbk", "large", "huge"],
    )
    def test_one_that_cannot_be_read(self, tmp_path, content, problem):
        path = tmp_path / "words.txt"
        if content is not None:
            path.write_bytes(content)
        for kind in ("jieba", "rjieba", "ltp"):
            with pytest.raises(SegmenterError, match=problem):
                load_segmenter(kind, options=SegmenterOptions(words=str(path)))


class TestPerceptron:
    @pytest.fixture
    def published(self, ltp_folder):
        from ltp.legacy import LTP

        return LTP(cws=str(ltp_folder / "cws_model.bin"))

    @pytest.mark.parametrize("frequencies", [(None, None, None), (1, 1, 1), (5, 2, 100)])
    def test_words_are_those_of_ltp(self, tmp_path, ltp_folder, published, frequencies):
        lines = [*sample_lines(), "汤姆去拿外衣，云计算helloworld"]
        plain = words_of(load_segmenter(f"ltp:{ltp_folder}"), lines)
        # Two words that run across a bound that the model sees, and one that joins two of its words.
        users = [plain[0][0][-1] + plain[0][1][0], plain[1][1] + plain[1][2], "姆去拿"]
        path = tmp_path / "words.txt"
        path.write_text(
            "".join(
                f"{word}\n" if frequency is None else f"{word} {frequency}\n"
                for word, frequency in zip(users, frequencies, strict=True)
            ),
            "utf-8",
        )
        for word, frequency in zip(users, frequencies, strict=True):
            published.add_words([word], 2 if frequency is None else frequency)
        expected = published.pipeline(lines, tasks=["cws"]).cws
        found = words_of(load_segmenter(f"ltp:{ltp_folder}", options=SegmenterOptions(words=str(path))), lines)
        assert found == [[part for word in words for part in word.split()] for words in expected]
        assert found != plain

    def test_threads_change_nothing(self, tmp_path, ltp_folder):
        (tmp_path / "words.txt").write_text("姆去拿\n", "utf-8")
        options = SegmenterOptions(words=str(tmp_path / "words.txt"))
        one, two = (load_segmenter(f"ltp:{ltp_folder}", threads, options) for threads in (1, 2))
        assert words_of(one, sample_lines()) == words_of(two, sample_lines())
        assert one.signature == two.signature


class TestLtpWords:
    def test_the_example_of_the_docstring(self):
        assert LtpWords([("姆去拿", None)]).cut(["他", "叫", "汤姆", "去", "拿"]) == ["他", "叫", "汤", "姆去拿"]

    def test_no_words_change_nothing(self):
        assert not LtpWords()
        assert not LtpWords.of_file(None)
        assert LtpWords().signature == ""

    def test_the_signature_tells_words_and_frequencies_but_not_their_order(self):
        one = [("组成", None), ("研究", 5)]
        signatures = [
            LtpWords(words).signature
            for words in ([], one, [("组成", 2), ("研究", 5)], [("组成", 3), ("研究", 5)], [("组成研究", 5)])
        ]
        assert LtpWords(one[::-1]).signature == LtpWords([("研究", 1), *one]).signature == signatures[1]
        assert signatures[1] == signatures[2], "2 is what None stands for"
        assert len(set(signatures)) == 4
        assert signatures[1].startswith("+words:")

    @pytest.mark.parametrize(
        ("word", "frequency", "problem"),
        [
            ("", None, "not a word"),
            (" \u3000", None, "not a word"),
            ("好\0", None, "not a word"),
            ("\ud800", None, "not a word"),
            ("好", 0, "cannot take a word out"),
        ],
    )
    def test_words_that_ltp_cannot_take(self, word, frequency, problem):
        with pytest.raises(ConfigError, match=problem):
            LtpWords([("研究", None), (word, frequency)])

    def test_the_message_names_the_file(self, tmp_path):
        (tmp_path / "words.txt").write_text("研究 0\n", "utf-8")
        with pytest.raises(ConfigError, match=r"words\.txt"):
            load_segmenter("ltp", options=SegmenterOptions(words=str(tmp_path / "words.txt")))

    def test_no_whitespace_ends_the_process(self):
        """In a process of its own: the engine would end this one, and the tests with it."""
        script = f"""
from wwmcorpus.segment.ltp_words import LtpWords
users = LtpWords([("们", None), ("他们", 5)])
for space in {WHITESPACE!r}:
    for words in (["他们" + space], ["他", "们", space + space, "的"], [space, "们" + space + "们"]):
        found = users.cut(words)
        assert "".join("".join(found).split()) == "".join("".join(words).split()), found
        assert sum(map(len, found)) == sum(map(len, words)), found
print("whole")
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.stdout == "whole\n", done.stderr
