"""Words and pieces by position: a word is what masking will see, whole; what is not one to one is counted."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_alignment import naive_word_starts, touched_words
from strategies import texts
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from wwmcorpus.align import Aligner, Vocabulary, load_tokenizer, tokenizer_signature
from wwmcorpus.align.wordpiece import LinePieces
from wwmcorpus.align.words import WordsOnLine, align_words
from wwmcorpus.errors import AlignmentError, ConfigError
from wwmcorpus.segment import load_segmenter
from wwmcorpus.text.line import TextLine


def spans_array(pairs):
    return np.array(list(pairs), dtype=np.int32).reshape(-1, 2)


def aligned(text, offsets, spans):
    """The alignment of one text."""
    line = TextLine.of([text])
    starts, ends = spans_array(offsets).T
    pieces = LinePieces(np.zeros(len(offsets), np.int32), starts, ends, np.array([0, len(offsets)]))
    return align_words(pieces, WordsOnLine.of(spans_array(spans), line))


@st.composite
def words_and_pieces(draw, always_sorted):
    """A text, spans that cover what is not whitespace, and pieces that may share characters, skip some, hold none."""
    text = draw(st.text("好 ", max_size=14))
    cuts = {i for i, c in enumerate(text) if c != " " and (text[:i][-1:] in ("", " ") or draw(st.booleans()))}
    spans = []
    for start in sorted(cuts):
        end = next((i for i in range(start + 1, len(text)) if i in cuts or text[i] == " "), len(text))
        spans.append((start, end))
    ends = st.integers(0, len(text))
    offsets = draw(st.lists(st.tuples(ends, ends).map(sorted).map(tuple), max_size=8))
    if always_sorted or draw(st.booleans()):
        starts, stops = (sorted(column) for column in zip(*offsets, strict=True)) if offsets else ([], [])
        offsets = list(zip(starts, stops, strict=True))
    return text, offsets, spans


class TestWordStarts:
    @given(case=words_and_pieces(always_sorted=True))
    def test_it_equals_the_quadratic_rewrite(self, case):
        text, offsets, spans = case
        found = aligned(text, offsets, spans).word_start
        assert found.tolist() == naive_word_starts(offsets, spans)

    @given(case=words_and_pieces(always_sorted=False))
    def test_no_word_is_in_two_groups(self, case):
        text, offsets, spans = case
        group = np.cumsum(aligned(text, offsets, spans).word_start)
        for word in range(len(spans)):
            assert len({group[i] for i, held in enumerate(touched_words(offsets, spans)) if word in held}) <= 1

    @given(case=words_and_pieces(always_sorted=True))
    def test_words_and_groups_are_counted(self, case):
        text, offsets, spans = case
        found = aligned(text, offsets, spans)
        group = np.cumsum(found.word_start)
        words_of_group = {number: set() for number in group.tolist()}
        for number, held in zip(group.tolist(), touched_words(offsets, spans), strict=True):
            words_of_group[number] |= held
        sizes = [len(words) for words in words_of_group.values()]
        assert found.num_words_held == sum(sizes)
        assert found.num_word_groups == sum(size > 0 for size in sizes)
        assert found.num_one_to_one == sizes.count(1)

    def test_words_that_share_a_piece_are_one(self):
        # 20|24|年 against the pieces 2024 and 年; then against 202, ##4 and 年
        words = [(0, 2), (2, 4), (4, 5)]
        assert aligned("2024年", [(0, 4), (4, 5)], words).word_start.tolist() == [True, True]
        assert aligned("2024年", [(0, 3), (3, 4), (4, 5)], words).word_start.tolist() == [True, False, True]

    def test_whitespace_joins_no_word(self):
        # "a  好 b": ▁a ▁ ▁ 好 ▁b, then with the whitespace after 好 as a piece of its own
        words = [(0, 1), (3, 4), (5, 6)]
        found = aligned("a  好 b", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6)], words).word_start.tolist()
        assert found == [True, True, False, True, True]
        found = aligned("a  好 b", [(0, 1), (1, 4), (4, 5), (5, 6)], words).word_start.tolist()
        assert found == [True, True, True, True]

    def test_pieces_of_whitespace_do_not_join_across_texts(self):
        line = TextLine.of([" ", "", "  "])
        starts, ends = spans_array([(0, 1), (3, 4), (4, 5)]).T
        pieces = LinePieces(np.zeros(3, np.int32), starts, ends, np.array([0, 1, 1, 3]))
        found = align_words(pieces, WordsOnLine.of(spans_array([]), line))
        assert found.word_start.tolist() == [True, True, False]

    @pytest.mark.parametrize(
        "spans",
        [
            [],
            [(1, 2)],
            [(0, 1)],
            [(0, 2), (2, 3)],
            [(0, 3)],
            [(1, 2), (0, 1)],
            [(0, 1), (0, 2)],
            [(0, 1), (1, 1), (1, 2)],
            [(-1, 1), (1, 2)],
            [(0, 2), (3, 4)],
            [(0, 2), (2, 9)],
        ],
    )
    def test_words_of_another_text_are_an_error(self, spans):
        with pytest.raises(AlignmentError, match="same normalised text"):
            aligned("好好 ", [(0, 1), (1, 2)], spans)


@pytest.fixture(scope="module", params=["bert", "keeps-accents", "cased"])
def backend(request, tokenizer):
    """BERT's tokenizer configured in several ways."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if request.param == "keeps-accents":
        backend.normalizer = normalizers.BertNormalizer(strip_accents=False)
    elif request.param == "cased":
        backend.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    return backend


@pytest.fixture(scope="module")
def aligner_of():
    """Aligners that were used before: what they remember must change nothing."""
    return functools.cache(Aligner)


class TestAligner:
    @given(batch=st.lists(texts, max_size=3), segmenter=st.sampled_from(["given", "jieba"]))
    def test_groups_are_unions_of_words_and_counts_add_up(self, backend, aligner_of, batch, segmenter):
        spans = load_segmenter(segmenter).segment(batch)
        aligner = aligner_of(backend)
        aligner.counts.clear()
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

    def test_flat_is_the_same_end_to_end(self, tokenizer):
        batch = ["他来了。", "", " ", "GitHub 10万"]
        spans = load_segmenter("jieba").segment(batch)
        flat, rows = Aligner(tokenizer).align_flat(batch, spans), Aligner(tokenizer).align(batch, spans)
        assert flat.bounds.tolist() == np.cumsum([0, *(len(row.piece_ids) for row in rows)]).tolist()
        for name in ("piece_ids", "word_start", "offsets"):
            assert np.array_equal(getattr(flat, name), np.concatenate([getattr(row, name) for row in rows]))
        dtypes = (flat.piece_ids.dtype, flat.word_start.dtype, flat.offsets.dtype, flat.bounds.dtype)
        assert dtypes == (np.int32, np.bool_, np.int32, np.int64)
        nothing = Aligner(tokenizer).align_flat([], [])
        assert (nothing.offsets.shape, nothing.bounds.tolist()) == ((0, 2), [0])

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
        with pytest.raises(AlignmentError, match="text 1 of its batch"):
            aligner.align(batch, [good[0], spans_array([(0, 1)])])
        with pytest.raises(AlignmentError, match=r"surrogate pair in a text: '.ud83d' \(text 1 of"):
            aligner.align(["好", "a\ud83d"], [spans_array([(0, 1)]), spans_array([(0, 2)])])
        assert not aligner.counts
        with pytest.raises(AlignmentError, match="2 texts but 1 span"):
            aligner.align(batch, good[:1])

    @given(text=texts)
    def test_a_text_does_not_depend_on_its_batch(self, tokenizer, aligner_of, text):
        batch = [text, "他来了" * 30, text]
        rows = aligner_of(tokenizer).align(batch, load_segmenter("given").segment(batch))
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

    def test_what_only_python_knows_is_an_error(self, tokenizer):
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(object())
        for unsuitable in (backend, object()):
            with pytest.raises(ConfigError, match="fast tokenizer"):
                Aligner(unsuitable)

    def test_replacements_are_real_pieces(self, vocabulary):
        names = {vocabulary.pieces[i] for i in vocabulary.replacement_ids}
        assert not {name for name in names if name.startswith("[") and len(name) > 1}
        assert len(names) == vocabulary.num_pieces - 7
