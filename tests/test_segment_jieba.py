"""jieba and rjieba: their options, their signatures, and that both find the same words."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.errors import MissingExtraError
from wwmcorpus.segment import load_segmenter
from wwmcorpus.segment.jieba_options import JiebaOptions

LATIN_AND_RARE = ["R", "CNN", "10", "C++", "AT&T", "c#", "T恤", "中国", *"a1+#&._%-，㐀鿿𠀀 "]
BOTH = pytest.mark.parametrize("kind", ["jieba", "rjieba"])


def words(segmenter, text):
    return [text[start:end] for start, end in segmenter.segment([text])[0].tolist()]


@pytest.fixture
def dictionary(tmp_path):
    """One word that wins, one with a frequency, a Latin one, and one taken out."""
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeff汤姆去拿\r\n\n起源于 100000 n\r\nR-CNN 10\n北京大学 0\n".encode())
    return path


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", JiebaOptions()),
            ("nohmm", JiebaOptions(hmm=False)),
            ("words.txt", JiebaOptions(dictionary="words.txt")),
            ("nohmm:a:b.txt", JiebaOptions(hmm=False, dictionary="a:b.txt")),
            ("C:/words.txt", JiebaOptions(dictionary="C:/words.txt")),
        ],
    )
    def test_names_are_read(self, text, expected):
        assert JiebaOptions.parse(text) == expected


@BOTH
class TestWords:
    def test_with_and_without_the_hmm(self, kind):
        assert words(load_segmenter(kind), "他来到了网易杭研大厦") == ["他", "来到", "了", "网易", "杭研", "大厦"]
        assert words(load_segmenter(f"{kind}:nohmm"), "他来到了网易杭研大厦") == [
            *("他", "来到", "了", "网易", "杭", "研", "大厦")
        ]

    def test_the_user_s_words(self, kind, dictionary):
        assert words(load_segmenter(f"{kind}:{dictionary}"), "他叫汤姆去拿R-CNN外衣") == [
            *("他", "叫", "汤姆去拿", "R-CNN", "外衣")
        ]
        assert words(load_segmenter(f"{kind}:nohmm:{dictionary}"), "杭研起源于北京大学") == [
            *("杭", "研", "起源于", "北京", "大学")
        ]

    def test_a_forbidden_word_is_forbidden_to_one_segmenter_only(self, kind, tmp_path):
        (tmp_path / "out.txt").write_text("杭研 0\n", "utf-8")
        without = load_segmenter(f"{kind}:{tmp_path / 'out.txt'}")
        assert words(without, "网易杭研大厦") == ["网易", "杭", "研", "大厦"]
        assert words(load_segmenter(kind), "网易杭研大厦") == ["网易", "杭研", "大厦"]

    def test_signatures_tell_versions_modes_and_dictionaries(self, kind, dictionary):
        names = [kind, f"{kind}:nohmm", f"{kind}:{dictionary}", f"{kind}:nohmm:{dictionary}"]
        signatures = [load_segmenter(name).signature for name in names]
        dictionary.write_text("别的\n", "utf-8")
        signatures.append(load_segmenter(names[2]).signature)
        assert len(set(signatures)) == 5
        assert all(signature.startswith(f"{kind}:0.") for signature in signatures)
        assert not any(str(dictionary) in signature for signature in signatures)


class TestRjiebaIsJieba:
    @pytest.fixture(scope="class")
    def with_hmm(self):
        return load_segmenter("jieba"), load_segmenter("rjieba")

    @pytest.fixture(scope="class")
    def without_hmm(self):
        return load_segmenter("jieba:nohmm"), load_segmenter("rjieba:nohmm")

    @given(text=texts)
    def test_without_the_hmm_on_any_text(self, without_hmm, text):
        jieba, rjieba = without_hmm
        assert words(rjieba, text) == words(jieba, text)

    @given(parts=st.lists(st.sampled_from(LATIN_AND_RARE)))
    def test_with_the_hmm_on_latin_runs_and_rare_characters(self, with_hmm, parts):
        jieba, rjieba = with_hmm
        assert words(rjieba, "".join(parts)) == words(jieba, "".join(parts))

    def test_on_the_gold_sentences(self, with_hmm, sample_sentences):
        jieba, rjieba = ([spans.tolist() for spans in one.segment(sample_sentences)] for one in with_hmm)
        assert rjieba == jieba

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("用R-CNN和batch_size", ["用", "R", "-", "CNN", "和", "batch", "_", "size"]),
            ("127.0.0.1占99.5%", ["127.0", ".", "0.1", "占", "99.5%"]),
            ("学C++和AT&T", ["学", "C++", "和", "AT&T"]),
            ("金日䃅", ["金", "日", "䃅"]),
            ("好\ud83d好", ["好", "\ud83d", "好"]),
        ],
    )
    def test_what_rjieba_alone_would_do_otherwise(self, with_hmm, text, expected):
        assert [words(segmenter, text) for segmenter in with_hmm] == [expected, expected]

    @pytest.fixture(scope="class")
    def sample_sentences(self):
        from conftest import SAMPLE_DATA

        return (SAMPLE_DATA / "segmented" / "gold.txt").read_text("utf-8").replace(" ", "").splitlines()

    def test_a_missing_extra_is_one_error(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "rjieba", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'wwmcorpus\[fast\]'"):
            load_segmenter("rjieba")
