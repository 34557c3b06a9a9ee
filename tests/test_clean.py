"""Cleaning: every step beside a naive one written another way; counts that add up; documents left out with a reason."""

import re
import sys
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.records import Document, Rejection
from wwmcorpus.text import Cleaner, CleanOptions, is_han, normalise
from wwmcorpus.text.normalise import han_ratio, narrowed, without_extra_blanks, without_zero_width

NOTHING = {"remove_control": False, "remove_zero_width": False}
EVERYTHING = CleanOptions(
    narrow_letters=True, collapse_blanks=True, boilerplate=("阅读全文", r"^第\d+页$"), drop_repeated_lines=True
)
#: Lines of which some repeat, some are blank and some are boilerplate.
lines = st.lists(
    st.one_of(st.sampled_from(["", " ", "他来了。", " 他来了。", "点此阅读全文", "第3页", "第3页。"]), texts),
    max_size=8,
).map("\n".join)


def document(text):
    return Document(text, 3, "a.txt", 70)


def cleaned(text, **options):
    """Give what becomes of a text, and the counts."""
    cleaner = Cleaner(CleanOptions(**options))
    result = cleaner.clean(document(text))
    return (result.text if isinstance(result, Document) else result.reason), dict(cleaner.counts)


class TestSteps:
    @given(texts)
    def test_control_characters(self, text):
        kept = [c for c in text if c != "\ufeff" and (c.isspace() or unicodedata.category(c) != "Cc")]
        assert normalise(text) == ("".join(kept), len(text) - len(kept))

    @given(texts)
    def test_zero_width_characters_go_but_for_joiners_that_join(self, text):
        # Naive: character by character. Visible signs of other scripts and tag characters are no zero-width characters.
        removable = {c for c in text if unicodedata.category(c) == "Cf" and c != "\u06dd" and ord(c) < 0x10000}
        removable = {
            c for c in removable if not 0x600 <= ord(c) <= 0x605 and ord(c) not in (0x70F, 0x890, 0x891, 0x8E2)
        }
        kept = []
        for place, c in enumerate(text):
            before = next((b for b in reversed(text[:place]) if b not in removable), " ")
            after = next((a for a in text[place:] if a not in removable), " ")
            joins = all(unicodedata.category(x)[0] in "LMS" and not is_han(ord(x)) for x in (before, after))
            if c not in removable or (c in "\u200c\u200d" and joins):
                kept.append(c)
        assert without_zero_width(text) == ("".join(kept), len(text) - len(kept))

    def test_zero_width_characters_one_by_one(self):
        assert without_zero_width("研\u200b究\u2060生\u00ad") == ("研究生", 3)
        assert without_zero_width("研\u200d究。\u200d") == ("研究。", 2)
        family = "👨\u200d👩\u200d👧"
        assert without_zero_width(family) == (family, 0)
        assert without_zero_width("👨\u200d\u200b👩\u200d") == ("👨\u200d👩", 2)
        rainbow, persian, flag = "🏳\ufe0f\u200d🌈", "می\u200cخواهم", "🏴\U000e0067\U000e0062\U000e007f"
        for text in (rainbow, persian, flag):
            assert without_zero_width(text) == (text, 0)

    @given(texts)
    def test_full_width_letters(self, text):
        # NFKC of a full-width letter or digit is its ASCII; of nothing else is it asked.
        expected = "".join(
            unicodedata.normalize("NFKC", c) if "FULLWIDTH" in unicodedata.name(c, "") and c.isalnum() else c
            for c in text
        )
        assert narrowed(text) == (expected, sum(a != b for a, b in zip(text, expected, strict=True)))

    @given(texts)
    def test_blanks(self, text):
        # Naive: line by line; what stands between words that str.split finds is a single blank or becomes a space.
        expected = []
        for line in text.split("\n"):
            words = re.split(r"(\s+)", line.strip())
            expected.append("".join(" " if word.isspace() and len(word) > 1 else word for word in words))
        joined = "\n".join(expected)
        assert without_extra_blanks(text) == (joined, len(text) - len(joined))

    def test_a_long_run_of_blanks_takes_no_long_time(self):
        text = " " * 2_000_000 + "好"
        assert without_extra_blanks(text) == ("好", 2_000_000)
        assert without_extra_blanks("好" + text) == ("好 好", 1_999_999)

    @given(texts)
    def test_share_of_chinese(self, text):
        visible = [c for c in text if not c.isspace()]
        expected = sum(is_han(ord(c)) for c in visible) / len(visible) if visible else 0
        assert han_ratio(text) == pytest.approx(expected)

    @given(lines)
    def test_boilerplate_lines(self, text):
        kept = [line for line in text.split("\n") if "全文" not in line and line != "第3页"]
        result, counts = cleaned(text, **NOTHING, boilerplate=("阅读全文|读全文$", r"^第\d页$"))
        kept_text = "\n".join(kept)
        assert result == (kept_text if kept_text.strip() else "blank")
        assert counts.get("removed_boilerplate_lines", 0) == text.count("\n") + 1 - len(kept)

    @given(lines)
    def test_repeated_lines(self, text):
        kept = []
        for place, line in enumerate(text.split("\n")):
            earlier = [other.strip() for other in text.split("\n")[:place]]
            if not line.strip() or line.strip() not in earlier:
                kept.append(line)
        result, counts = cleaned(text, **NOTHING, drop_repeated_lines=True)
        kept_text = "\n".join(kept)
        assert result == (kept_text if kept_text.strip() else "blank")
        assert counts.get("removed_repeated_lines", 0) == text.count("\n") + 1 - len(kept)


class TestLaws:
    @given(lines)
    def test_cleaning_what_is_clean_changes_nothing(self, text):
        once = Cleaner(EVERYTHING).clean(document(text))
        cleaner = Cleaner(EVERYTHING)
        if isinstance(once, Document):
            assert cleaner.clean(once) is once
            assert not cleaner.counts

    @given(lines)
    def test_counts_add_up(self, text):
        cleaner = Cleaner(EVERYTHING)
        result = cleaner.clean(document(text))
        removed = sum(
            number
            for name, number in cleaner.counts.items()
            if name == "removed_blanks" or name.endswith("_characters")
        )
        removed -= cleaner.counts["narrowed_characters"]
        if isinstance(result, Document):
            assert len(text) - len(result.text) == removed
        else:
            assert result.reason == "blank"

    @given(texts)
    def test_punctuation_never_changes(self, text):
        def punctuation(string):
            return [c for c in string if unicodedata.category(c).startswith("P")]

        result = Cleaner(CleanOptions(narrow_letters=True, collapse_blanks=True)).clean(document(text))
        if isinstance(result, Document):
            assert punctuation(result.text) == punctuation(text)

    @given(texts)
    def test_defaults_leave_what_they_should(self, text):
        """The quick way of most documents gives what the steps give."""
        expected = without_zero_width(normalise(text)[0])[0]
        assert cleaned(text)[0] == (expected if expected.strip() else "blank")

    def test_a_clean_document_comes_back_as_it_is(self):
        plain = Document("他来了，带着ＡＢＣ。", 0, "a.txt", 0, "id 1")
        assert Cleaner().clean(plain) is plain
        assert Cleaner().clean(plain._replace(text="他\x00来了")) == plain._replace(text="他来了")

    def test_steps_come_in_the_order_that_is_told(self):
        # The control character goes first, so that the blanks around it are one run; then the line is a repeated one.
        text = "第１ \x00 章\n第1 章\n完"
        assert cleaned(text, narrow_letters=True, collapse_blanks=True, drop_repeated_lines=True) == (
            "第1 章\n完",
            {
                "removed_control_characters": 1,
                "narrowed_characters": 1,
                "removed_blanks": 1,
                "removed_repeated_lines": 1,
                "removed_repeated_characters": 5,
            },
        )


class TestLeftOut:
    @pytest.mark.parametrize(
        ("text", "options", "reason"),
        [
            ("", {}, "blank"),
            ("\u3000 \n", {}, "blank"),
            ("\ufeff\x00", {}, "blank"),
            ("广告", {"boilerplate": ("广告",)}, "blank"),
            ("你好", {"min_characters": 3}, "too_short"),
            ("你好吗？", {"max_characters": 3}, "too_long"),
            ("hello 你好", {"min_han_ratio": 0.3}, "too_little_chinese"),
            ("来\n来\n来\n走", {"max_repeated_lines": 0.4}, "repeated_lines"),
        ],
    )
    def test_reasons(self, text, options, reason):
        result = Cleaner(CleanOptions(**options)).clean(document(text))
        assert isinstance(result, Rejection)
        assert (result.reason, result.source, result.offset, result.source_index) == (reason, "a.txt", 70, 3)
        assert reason == "blank" or reason in CleanOptions(**options).reasons

    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("你好吗", {"min_characters": 3, "max_characters": 3}),
            ("hell 你好", {"min_han_ratio": 0.33}),
            ("来\n来\n\n\n来\n走", {"max_repeated_lines": 0.5}),
        ],
    )
    def test_the_bounds_belong_to_what_stays(self, text, options):
        assert cleaned(text, **options)[0] == text

    def test_repeated_lines_are_judged_before_they_are_removed(self):
        text = "来\n来\n来\n走"
        assert cleaned(text, max_repeated_lines=0.4, drop_repeated_lines=True)[0] == "repeated_lines"
        assert cleaned(text, max_repeated_lines=0.5, drop_repeated_lines=True)[0] == "来\n走"


class TestOptions:
    def test_a_broken_expression(self):
        with pytest.raises(ConfigError, match=r"not a regular expression: .*: '\(' \(boilerplate\)"):
            CleanOptions(boilerplate=("(",))

    def test_an_unknown_conversion_lists_what_there_is(self):
        with pytest.raises(ConfigError, match=r"'t2x' .*convert.*'t2s'"):
            CleanOptions(convert="t2x")

    def test_opencc_is_an_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "opencc", None)
        with pytest.raises(MissingExtraError, match=r"opencc.*clean.convert = 't2s'.*wwmcorpus\[convert\]"):
            Cleaner(CleanOptions(convert="t2s"))


class TestConversion:
    @pytest.fixture(autouse=True)
    def _opencc(self):
        pytest.importorskip("opencc")

    def test_traditional_to_simplified(self):
        text = "圖書館裡，颱風「過後」！頭髮與發展。"
        assert cleaned(text, convert="t2s") == ("图书馆里，台风「过后」！头发与发展。", {"converted_characters": 12})

    def test_phrases_of_another_length(self):
        before = "他用滑鼠點選了網際網路。"
        after, counts = cleaned(before, convert="tw2sp")
        assert "鼠标" in after
        assert len(after) != len(before)
        assert counts == {"converted_characters": (Counter(before) - Counter(after)).total()}

    @given(texts)
    def test_twice_is_once_and_punctuation_stays(self, text):
        text = text.replace("薴", "")
        once, _ = cleaned(text, convert="t2s")
        if once != "blank":
            assert cleaned(once, convert="t2s") == (once, {})
            marks = [c for c in text if unicodedata.category(c)[0] == "P"]
            assert [c for c in once if unicodedata.category(c)[0] == "P"] == marks
