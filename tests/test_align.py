"""Words and pieces by position: a word is what masking will see, whole; what is not one to one is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts
from tokenizers import Tokenizer, normalizers

from wwmcorpus.align import Aligner, Vocabulary, load_tokenizer, tokenizer_signature
from wwmcorpus.align.words import align_words
from wwmcorpus.errors import AlignmentError, ConfigError
from wwmcorpus.segment import load_segmenter


def spans_array(pairs):
    return np.array(list(pairs), dtype=np.int32).reshape(-1, 2)


def touched_words(offsets, spans):
    """For each piece the set of words that hold a character of it."""
    return [{i for i, (a, b) in enumerate(spans) if a < end and start < b} for start, end in offsets]


def aligned(offsets, spans):
    """The alignment of one text."""
    bounds = (np.array([0, len(values)]) for values in (offsets, spans))
    return align_words(spans_array(offsets).astype(np.int32), spans_array(spans).astype(np.int32), *bounds)


def naive_word_starts(offsets, spans):
    """A piece continues a word where any piece before it and any from it on hold characters of one word."""
    touched = touched_words(offsets, spans)
    return [
        not any(touched[i] & touched[j] for i in range(at) for j in range(at, len(touched)))
        for at in range(len(touched))
    ]


@st.composite
def words_and_pieces(draw):
    """Spans that cover what is not whitespace, and pieces in text order that may share characters or skip some."""
    is_space = draw(st.lists(st.booleans(), max_size=14))
    positions = [i for i, space in enumerate(is_space) if not space]
    cuts = {i for i in positions if i - 1 not in positions or draw(st.booleans())}
    spans = []
    for start in sorted(cuts):
        end = next((i for i in range(start + 1, len(is_space)) if i in cuts or is_space[i]), len(is_space))
        spans.append((start, end))
    offsets, first = [], 0
    for _ in range(draw(st.integers(0, 8)) if positions else 0):
        first = draw(st.integers(first, len(positions) - 1))
        last = draw(st.integers(first, len(positions) - 1))
        offsets.append((positions[first], positions[last] + 1))
    return offsets, spans


class TestWordStarts:
    @given(case=words_and_pieces())
    def test_it_equals_the_quadratic_rewrite(self, case):
        offsets, spans = case
        found = aligned(offsets, spans).word_start
        assert found.tolist() == naive_word_starts(offsets, spans)

    @given(case=words_and_pieces())
    def test_words_without_pieces_are_those_that_no_piece_touches(self, case):
        offsets, spans = case
        lost = set(range(len(spans))).difference(*touched_words(offsets, spans))
        assert np.flatnonzero(~aligned(offsets, spans).has_piece).tolist() == sorted(lost)

    def test_words_that_share_a_piece_are_one(self):
        # 20|24|年 against the pieces 2024 and 年; then against 202, ##4 and 年
        words = [(0, 2), (2, 4), (4, 5)]
        assert aligned([(0, 4), (4, 5)], words).word_start.tolist() == [True, True]
        assert aligned([(0, 3), (3, 4), (4, 5)], words).word_start.tolist() == [True, False, True]

    @pytest.mark.parametrize("spans", [[], [(1, 2)], [(0, 1)]], ids=["none", "late", "early"])
    def test_words_of_another_text_are_an_error(self, spans):
        with pytest.raises(AlignmentError, match="same normalised text"):
            aligned([(0, 1), (1, 2)], spans)


@pytest.fixture(scope="module", params=["bert", "keeps-accents", "cased"])
def backend(request, tokenizer):
    """BERT's tokenizer configured in several ways."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if request.param == "keeps-accents":
        backend.normalizer = normalizers.BertNormalizer(strip_accents=False)
    elif request.param == "cased":
        backend.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    return backend


class TestAligner:
    @given(batch=st.lists(texts, max_size=3), segmenter=st.sampled_from(["given", "jieba"]))
    def test_groups_are_unions_of_words_and_counts_add_up(self, backend, batch, segmenter):
        spans = load_segmenter(segmenter).segment(batch)
        aligner = Aligner(backend)
        rows = aligner.align(batch, spans)
        lost = 0
        for text, words, row in zip(batch, spans, rows, strict=True):
            encoding = backend.encode(text, add_special_tokens=False)
            if not any(special in text for special in ("[MASK]", "[SEP]", "[CLS]", "[UNK]")):
                assert row.piece_ids.tolist() == encoding.ids
                assert row.offsets.tolist() == [list(pair) for pair in encoding.offsets]
            assert row.word_start.tolist() == naive_word_starts(row.offsets.tolist(), words.tolist())
            touched = touched_words(row.offsets.tolist(), words.tolist())
            lost += len(set(range(len(words))).difference(*touched))
        counts = aligner.counts
        assert counts["words"] == sum(map(len, spans))
        assert counts["pieces"] == sum(len(row.piece_ids) for row in rows)
        assert counts["groups"] == sum(int(row.word_start.sum()) for row in rows)
        assert counts["words_without_pieces"] == lost
        assert counts["merged_words"] == counts["words"] - lost - counts["groups"] >= 0

    def test_special_pieces_spelled_in_a_text_are_text(self, tokenizer, vocabulary):
        text = "把[MASK]和[SEP]看成字"
        aligner = Aligner(tokenizer)
        (row,) = aligner.align([text], load_segmenter("given").segment([text]))
        assert not set(row.piece_ids.tolist()) & set(vocabulary.frame_ids.tolist())
        assert aligner.counts["literal_specials"] == 2
        assert vocabulary.mask_id in tokenizer(text)["input_ids"], "the tokenizer itself is not changed"

    def test_unknown_characters_are_counted(self, tokenizer, vocabulary):
        text = "他写𪚥字"
        aligner = Aligner(tokenizer)
        (row,) = aligner.align([text], load_segmenter("given").segment([text]))
        assert row.piece_ids.tolist().count(vocabulary.unk_id) == aligner.counts["unk_pieces"] == 1

    def test_a_call_that_raises_counts_nothing(self, tokenizer):
        aligner = Aligner(tokenizer)
        batch = ["他来了", "他来了"]
        good = load_segmenter("given").segment(batch)
        with pytest.raises(AlignmentError):
            aligner.align(batch, [good[0], spans_array([(0, 1)])])
        assert not aligner.counts
        with pytest.raises(AlignmentError, match="2 texts but 1 span"):
            aligner.align(batch, good[:1])

    @given(text=texts)
    def test_a_text_does_not_depend_on_its_batch(self, tokenizer, text):
        batch = [text, "他来了" * 30, text]
        rows = Aligner(tokenizer).align(batch, load_segmenter("given").segment(batch))
        (alone,) = Aligner(tokenizer).align([text], load_segmenter("given").segment([text]))
        for row in (rows[0], rows[2]):
            assert row.piece_ids.tolist() == alone.piece_ids.tolist()
            assert row.word_start.tolist() == alone.word_start.tolist()


class TestTokenizers:
    def test_the_embedded_tokenizer_is_a_chinese_bert(self):
        tokenizer = load_tokenizer("embedded")
        vocabulary = Vocabulary.of(tokenizer)
        special = vocabulary.special
        assert special == {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
        ids = tokenizer("他说Hello，世界")["input_ids"]
        pieces = [vocabulary.pieces[i] for i in ids]
        assert pieces[:3] == ["[CLS]", "他", "说"]
        assert pieces[-4:] == ["，", "世", "界", "[SEP]"]
        assert "[UNK]" not in pieces

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_a_bare_vocabulary_is_lower_cased_whatever_its_line_ends(self, tmp_path, end):
        path = tmp_path / "vocab.txt"
        path.write_bytes(end.join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "他", "a", "##b", ""]).encode())
        tokenizer = load_tokenizer(str(path))
        assert tokenizer("他AB")["input_ids"] == [2, 5, 6, 7, 3]
        assert load_tokenizer(str(tmp_path))("他AB")["input_ids"] == [2, 5, 6, 7, 3]

    @pytest.mark.parametrize(
        ("name", "data", "problem"),
        [
            ("vocab.txt", "[PAD]\n[UNK]\n他\n".encode(), "lacks \\[CLS\\], \\[SEP\\], \\[MASK\\]"),
            ("vocab.txt", b"[PAD]\n\xff\n", "not a BERT vocabulary"),
            ("empty", None, "a folder without a tokenizer"),
        ],
    )
    def test_what_is_no_tokenizer_is_an_error(self, tmp_path, name, data, problem):
        path = tmp_path / name
        path.mkdir() if data is None else path.write_bytes(data)
        with pytest.raises(ConfigError, match=problem):
            load_tokenizer(str(path))

    def test_a_signature_tells_configurations_apart(self, vocabulary_file, tokenizer, tmp_path):
        (tmp_path / "vocab.txt").write_bytes(vocabulary_file.read_bytes())
        assert tokenizer_signature(load_tokenizer(str(tmp_path))) == tokenizer_signature(tokenizer)
        (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        assert tokenizer_signature(load_tokenizer(str(tmp_path))) != tokenizer_signature(tokenizer)

    def test_replacements_are_real_pieces(self, vocabulary):
        names = {vocabulary.pieces[i] for i in vocabulary.replacement_ids}
        assert not {name for name in names if name.startswith("[") and len(name) > 1}
        assert len(names) == vocabulary.num_pieces - 7
