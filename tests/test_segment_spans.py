"""Law 1, exact words: every segmenter covers every character that is not whitespace, once, in order."""

import json

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from ltp_models import ltp_config, write_model
from strategies import WHITESPACE, any_strings, split_words, texts

from wwmcorpus.errors import AlignmentError, ConfigError, SegmenterError
from wwmcorpus.segment import Segmenter, SegmenterOptions, load_segmenter
from wwmcorpus.segment.spans import (
    replace_lone_surrogates,
    spans_from_lengths,
    spans_from_words,
    spans_of_cuts,
    spans_of_texts,
    word_positions,
)

#: Words in front of anything, whitespace of every kind included; and some that run across the bounds of words.
USERS_WORDS = ["们", "的研", "生命的", "hello", "a", "é", "한국", "𠀀", "👍🏽", "R-CNN", "[MASK]和"]
SEGMENTERS = ["given", "jieba", "jieba:nohmm", "rjieba", "rjieba:nohmm", "ltp:PERCEPTRON", "ltp:NEURAL"]
WITH_WORDS = [f"{name} +words" for name in ("jieba", "rjieba", "ltp:PERCEPTRON", "ltp:NEURAL")]
UGLY = [
    "",
    " \u3000\n",
    "\u3000 他叫 汤姆\u3000",
    "\x00\x07",
    "\ufeff他\x00们\x00 \x00的",
    "一\u2028二\u2029三\x85四",
    "他们\u3000们\u2028们\xa0们\t\u2003",
    "👨\u200d👩\u200d👧\u200d👦很好👍🏽",
    "𠀀𠀁研究𪛖",
    "e\u0301e\u0301 中\u0301国\u0338",
    "hello world this is latin " * 3,
    "İstanbul ﬁrst straße ㎏",
    "x" * 150 + "好",
    "[MASK]和 [SEP]、[PAD]",
    "한단한단和단",
    "한국말他 한국말",
]


def assert_exact_words(text, spans):
    """Law 1, character by character."""
    assert spans.shape == (len(spans), 2)
    assert spans.dtype == np.int32
    covered = [position for start, end in spans.tolist() for position in range(start, end)]
    assert covered == [position for position, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in spans.tolist())


@pytest.fixture(scope="module")
def places(tmp_path_factory, ltp_folder, vocabulary_file):
    """Where models and the user's words lie."""
    root = tmp_path_factory.mktemp("segmenters")
    (root / "words.txt").write_text("".join(f"{word}\n" for word in USERS_WORDS), "utf-8")
    vocab_size = len(vocabulary_file.read_text("utf-8").split("\n")) - 1
    neural = write_model(root / "neural", vocabulary_file, ltp_config(vocab_size, ["I-W", "B-W"]))
    return {"PERCEPTRON": ltp_folder, "NEURAL": neural, "words": root / "words.txt"}


@pytest.fixture(scope="module", params=SEGMENTERS + WITH_WORDS)
def segmenter(request, places):
    name, _, words = request.param.partition(" +")
    kind, _, place = name.partition(":")
    options = SegmenterOptions(words=str(places["words"]) if words else None, device="cpu")
    return load_segmenter(f"{kind}:{places[place]}" if place in places else name, options=options)


class TestSegmenters:
    @given(batch=st.lists(any_strings, max_size=4))
    def test_words_are_exact(self, segmenter, batch):
        found = segmenter.segment(batch)
        assert len(found) == len(batch)
        for text, spans in zip(batch, found, strict=True):
            assert_exact_words(text, spans)

    @settings(max_examples=40)
    @given(parts=st.lists(st.sampled_from([*USERS_WORDS, *WHITESPACE, "他", "\x00", "研究"])))
    def test_words_are_exact_where_the_user_s_words_meet_whitespace(self, segmenter, parts):
        text = "".join(parts)
        assert_exact_words(text, segmenter.segment([text])[0])

    def test_words_of_ugly_texts_are_exact(self, segmenter):
        for text, spans in zip(UGLY, segmenter.segment(UGLY), strict=True):
            assert_exact_words(text, spans)

    def test_words_are_exact_beyond_any_window(self, segmenter):
        text = "  " + "他叫汤姆去拿外衣 hello world\u3000" * 500
        assert_exact_words(text, segmenter.segment([text])[0])

    def test_ten_thousand_characters_without_punctuation(self, segmenter):
        whole = "".join(path.read_text("utf-8") for path in sorted((SAMPLE_DATA / "corpus").glob("*.txt")))
        text = ("".join(character for character in whole if "\u4e00" <= character <= "\u9fff") * 2)[:10_000]
        assert len(text) == 10_000
        spans = segmenter.segment([text])[0]
        assert_exact_words(text, spans)
        if segmenter.signature != "given:spaces":
            assert np.diff(spans).max() < 200, "no tail is glued to the last word"

    @pytest.mark.parametrize("space", WHITESPACE, ids=lambda space: f"U+{ord(space):04X}")
    def test_every_whitespace_separates_words(self, segmenter, space):
        text = f"{space}中国{space}{space}hello{space}world{space}"
        spans = segmenter.segment([text])[0].tolist()
        assert_exact_words(text, np.array(spans, dtype=np.int32))
        assert {start for start, _ in spans} >= {1, 5, 11}

    def test_a_text_does_not_depend_on_its_batch(self, segmenter):
        batch = ["研究生命的起源。", "", "他来了", "hello  world", "好\ud83d好"]
        alone = [segmenter.segment([text])[0].tolist() for text in batch]
        assert [spans.tolist() for spans in segmenter.segment(batch)] == alone

    def test_no_texts(self, segmenter):
        assert segmenter.segment([]) == []

    def test_it_follows_the_protocol(self, segmenter):
        assert isinstance(segmenter, Segmenter)
        assert segmenter.signature


class TestLoneSurrogates:
    @pytest.mark.parametrize("place", ["PERCEPTRON", "NEURAL"])
    def test_ltp_reads_them_as_the_replacement_character(self, places, place):
        segmenter = load_segmenter(f"ltp:{places[place]}")
        broken, replaced = "他们\ud83d的研究\ude00生命", "他们\ufffd的研究\ufffd生命"
        assert segmenter.segment([broken])[0].tolist() == segmenter.segment([replaced])[0].tolist()
        assert segmenter.counts["lone_surrogates"] == 2

    @given(text=any_strings)
    def test_every_half_and_nothing_else_is_replaced(self, text):
        halves = [0xD800 <= ord(character) <= 0xDFFF for character in text]
        expected = "".join("\ufffd" if half else character for half, character in zip(halves, text, strict=True))
        assert replace_lone_surrogates(text) == (expected, sum(halves))


class TestJieba:
    def test_words_do_not_depend_on_the_cache_in_the_temp_folder(self, tmp_path, monkeypatch):
        import marshal
        import tempfile

        from wwmcorpus.segment import jieba

        (tmp_path / "jieba.cache").write_bytes(marshal.dumps(({"京大": 10**6}, 10**6)))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        jieba._default_tokenizer.cache_clear()
        assert jieba.JiebaSegmenter().segment(["北京大学"])[0].tolist() == [[0, 4]]


class TestGiven:
    @given(text=any_strings)
    def test_words_are_what_split_gives(self, text):
        spans = load_segmenter("given").segment([text])[0]
        assert [text[start:end] for start, end in spans.tolist()] == text.split()


class TestSpans:
    @given(text=any_strings)
    def test_positions_are_those_of_isspace(self, text):
        assert word_positions(text).tolist() == [i for i, character in enumerate(text) if not character.isspace()]

    @given(case=split_words())
    def test_words_become_spans(self, case):
        text, words = case
        spans = spans_from_words(text, words)
        assert_exact_words(text, spans)
        boundaries = {len("".join("".join(words[:i]).split())) for i in range(len(words) + 1)}
        positions = word_positions(text).tolist()
        for (_, end), (start, _) in zip(spans[:-1].tolist(), spans[1:].tolist(), strict=True):
            assert end < start or positions.index(start) in boundaries, "a cut that no word and no space asked for"
        starts = set(spans[:, 0].tolist())
        assert {positions[at] for at in boundaries if at < len(positions)} <= starts

    def test_the_example_of_the_docstring(self):
        assert spans_from_words("  他 叫汤姆", ["他 叫", "汤姆"]).tolist() == [[2, 3], [4, 5], [5, 7]]

    @given(case=split_words(texts.filter(lambda text: not text.isspace() and text)), data=st.data())
    def test_words_of_another_text_are_refused(self, case, data):
        text, words = case
        place = data.draw(st.integers(0, len(words)))
        with pytest.raises(AlignmentError, match="do not spell the text"):
            spans_from_words(text, [*words[:place], "多", *words[place:]])

    @given(batch=st.lists(split_words(), max_size=4))
    def test_many_texts_at_once_are_many_texts(self, batch):
        batch_texts, words = [text for text, _ in batch], [found for _, found in batch]
        expected = [spans_from_words(text, found).tolist() for text, found in batch]
        assert [spans.tolist() for spans in spans_of_texts(batch_texts, words)] == expected

    @given(batch=st.lists(any_strings, max_size=4), data=st.data())
    def test_cuts_become_spans(self, batch, data):
        cuts = [data.draw(st.lists(st.integers(0, max(len(text) - 1, 0)), max_size=8)) for text in batch]
        cuts = [[cut for cut in of_text if cut < len(text)] for text, of_text in zip(batch, cuts, strict=True)]
        found = spans_of_cuts(batch, [np.array(of_text, dtype=np.int64) for of_text in cuts])
        for text, of_text, spans in zip(batch, cuts, found, strict=True):
            # Character by character: a word ends before whitespace, before a cut, and at the end.
            expected, begin = [], None
            for at, character in enumerate(f"{text} "):
                if begin is not None and (character.isspace() or at in of_text):
                    expected.append([begin, at])
                    begin = None
                if begin is None and not character.isspace():
                    begin = at
            assert spans.tolist() == expected
            assert spans.dtype == np.int32

    def test_no_characters_no_spans(self):
        assert spans_from_lengths(np.empty(0, np.int32), np.empty(0, np.int64)).shape == (0, 2)


class TestLoading:
    @pytest.mark.parametrize(
        ("name", "hint"), [("jeiba", "Did you mean 'jieba'"), ("", "Choose one of"), ("ltp:", "Choose one of")]
    )
    def test_an_unknown_name_is_answered_with_the_known_ones(self, name, hint):
        with pytest.raises(ConfigError, match=hint) as caught:
            load_segmenter(name)
        assert "given, jieba, jieba:DICT, jieba:nohmm, ltp, " in str(caught.value)

    @pytest.mark.parametrize(
        ("config", "problem"),
        [
            (None, "not an LTP folder"),
            ("{", "not an LTP folder"),
            ("[]", "not an LTP folder"),
            ('{"tasks": 3}', "not an LTP folder"),
            ('{"nerual": true}', "a neural LTP model"),
            ("{}", "names no cws model"),
            ('{"tasks": {"cws": "absent.bin"}}', "names no cws model"),
            ('{"tasks": {"cws": "../config.json"}}', "names no cws model"),
            ('{"tasks": {"cws": 3}}', "names no cws model"),
        ],
    )
    def test_a_folder_that_is_no_ltp_model(self, tmp_path, config, problem):
        if config is not None:
            (tmp_path / "config.json").write_text(config)
        with pytest.raises(SegmenterError, match=problem):
            load_segmenter(f"ltp:{tmp_path}")

    @pytest.mark.parametrize("kept", [0, 10, 200, 0.5, -1], ids=str)
    def test_a_model_that_is_cut_short(self, tmp_path, ltp_folder, kept):
        model = (ltp_folder / "cws_model.bin").read_bytes()
        (tmp_path / "config.json").write_text(json.dumps({"nerual": False, "tasks": {"cws": "cws.bin"}}))
        (tmp_path / "cws.bin").write_bytes(model[: int(len(model) * kept) if isinstance(kept, float) else kept])
        with pytest.raises(SegmenterError, match="does not load") as caught:
            load_segmenter(f"ltp:{tmp_path}")
        assert "\n" not in str(caught.value)

    def test_a_signature_tells_models_apart(self, ltp_folder):
        assert load_segmenter(f"ltp:{ltp_folder}").signature.startswith("ltp-perceptron:model@")
        assert load_segmenter("jieba").signature.startswith("jieba:0.42")
