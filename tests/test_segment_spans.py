"""Law 1, exact words: every segmenter covers every character that is not whitespace, once, in order."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import WHITESPACE, any_strings, split_words, texts

from wwmcorpus.errors import AlignmentError, ConfigError, SegmenterError
from wwmcorpus.segment import Segmenter, load_segmenter
from wwmcorpus.segment.spans import spans_from_lengths, spans_from_words, word_positions


def assert_exact_words(text, spans):
    """Law 1, character by character."""
    assert spans.shape == (len(spans), 2)
    assert spans.dtype == np.int32
    covered = [position for start, end in spans.tolist() for position in range(start, end)]
    assert covered == [position for position, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in spans.tolist())


@pytest.fixture(scope="module", params=["given", "jieba", "jieba:nohmm", "rjieba", "rjieba:nohmm", "ltp:"])
def segmenter(request, ltp_folder):
    return load_segmenter(request.param + str(ltp_folder) if request.param.endswith(":") else request.param)


class TestSegmenters:
    @given(batch=st.lists(texts, max_size=4))
    def test_words_are_exact(self, segmenter, batch):
        found = segmenter.segment(batch)
        assert len(found) == len(batch)
        for text, spans in zip(batch, found, strict=True):
            assert_exact_words(text, spans)

    def test_words_are_exact_beyond_any_window(self, segmenter):
        text = "  " + "他叫汤姆去拿外衣 hello world\u3000" * 500
        assert_exact_words(text, segmenter.segment([text])[0])

    @pytest.mark.parametrize("space", WHITESPACE, ids=lambda space: f"U+{ord(space):04X}")
    def test_every_whitespace_separates_words(self, segmenter, space):
        text = f"{space}中国{space}{space}hello{space}world{space}"
        spans = segmenter.segment([text])[0].tolist()
        assert_exact_words(text, np.array(spans, dtype=np.int32))
        assert {start for start, _ in spans} >= {1, 5, 11}

    def test_a_text_does_not_depend_on_its_batch(self, segmenter):
        batch = ["研究生命的起源。", "", "他来了", "hello  world"]
        alone = [segmenter.segment([text])[0].tolist() for text in batch]
        assert [spans.tolist() for spans in segmenter.segment(batch)] == alone

    def test_it_follows_the_protocol(self, segmenter):
        assert isinstance(segmenter, Segmenter)
        assert segmenter.signature


class TestJieba:
    @given(text=any_strings)
    def test_halves_of_surrogate_pairs_are_characters(self, text):
        assert_exact_words(text, load_segmenter("jieba").segment([text])[0])

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
