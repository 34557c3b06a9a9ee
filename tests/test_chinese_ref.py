"""``chinese_ref``: exact from positions, and as the published script made it from a set of words."""

import functools
import re

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texts
from transformers import BertTokenizer

from wwmcorpus.align import RefMaker, Vocabulary, chinese_ref
from wwmcorpus.errors import ConfigError
from wwmcorpus.segment import load_segmenter

# The blocks of BERT's tokenizer, written down again.
_HAN = re.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b820-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]+"
)


class Words:
    """A segmenter that gives the words it was made with."""

    signature = "words:test"

    def __init__(self, *words):
        self.words = words

    def segment(self, batch):
        assert list(batch) == ["".join(self.words)]
        ends = np.cumsum([len(word) for word in self.words])
        return [np.stack([ends - [len(word) for word in self.words], ends], axis=1).astype(np.int32)]


def published_ref(line, words, tokenizer, max_length):
    """What run_chinese_ref.py lists for one line, from its description: a set of words, longest match first.

    Wherever the tokens spell a Chinese word of the line, all but the first get ## in front. Then the positions of ##
    with one Chinese character are listed, whether the mark is new or the vocabulary's.
    """
    ids = tokenizer(line, add_special_tokens=True, truncation=True, max_length=max_length)["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    chinese = {word for word in words if len(word) > 1 and _HAN.fullmatch(word)}
    longest, at = max(map(len, chinese), default=0), 0
    while at < len(tokens):
        reach = min(longest, len(tokens) - at)
        step = max((n for n in range(2, reach + 1) if "".join(tokens[at : at + n]) in chinese), default=1)
        tokens[at + 1 : at + step] = ["##" + token for token in tokens[at + 1 : at + step]]
        at += step
    return [i for i, token in enumerate(tokens) if token[:2] == "##" and len(token) == 3 and _HAN.fullmatch(token[2])]


def naive_exact_ref(pieces, offsets, words):
    """Positions of pieces without ## whose first character lies in a word that an earlier piece already reached."""
    ref, reached = [], set()
    for position, (piece, (start, end)) in enumerate(zip(pieces, offsets, strict=True), start=1):
        touched = {i for i, (a, b) in enumerate(words) if a < end and start < b}
        if touched & reached and not piece.startswith("##"):
            ref.append(position)
        reached |= touched
    return ref


def sample_lines():
    lines = [
        line for path in sorted((SAMPLE_DATA / "corpus").glob("*.txt")) for line in path.read_text("utf-8").split("\n")
    ]
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize("name", ["jieba", "ltp"])
def test_compat_equals_the_published_algorithm_on_real_text(name, tokenizer, ltp_folder):
    segmenter = load_segmenter(f"ltp:{ltp_folder}" if name == "ltp" else name)
    lines = sample_lines()
    found = chinese_ref(lines, segmenter, tokenizer, max_length=128, mode="compat")
    exact = chinese_ref(lines, segmenter, tokenizer, max_length=128)
    encodings = tokenizer.backend_tokenizer.encode_batch(lines, add_special_tokens=False)
    differing = 0
    for line, words, encoding, ref, exact_ref in zip(
        lines, segmenter.segment(lines), encodings, found, exact, strict=True
    ):
        pieces = encoding.tokens[:126]
        assert ref == published_ref(line, [line[start:end] for start, end in words.tolist()], tokenizer, 128)
        assert exact_ref == naive_exact_ref(pieces, encoding.offsets[:126], words.tolist())
        differing += ref != exact_ref
    assert len(lines) > 400
    assert 0 < differing < len(lines) // 2, "mixed words such as 10万, and wrong matches"


@functools.cache
def maker(segmenter, tokenizer, max_length=512):
    return RefMaker(load_segmenter(segmenter), tokenizer, max_length)


@given(text=texts, name=st.sampled_from(["given", "jieba"]))
def test_exact_follows_from_positions(tokenizer, text, name):
    words = load_segmenter(name).segment([text])
    (row,) = maker(name, tokenizer).aligner.align([text], words)
    pieces = tokenizer.convert_ids_to_tokens(row.piece_ids.tolist())
    (found,) = maker(name, tokenizer).refs([text])
    assert found.exact == naive_exact_ref(pieces, row.offsets.tolist(), words[0].tolist())


@pytest.fixture(scope="module", params=["Chinese characters set apart", "Chinese characters in runs"])
def any_tokenizer(request, tokenizer, vocabulary_file, tmp_path_factory):
    """The usual tokenizer, and one whose vocabulary has ##研 and 研究 and reads both."""
    if request.param == "Chinese characters set apart":
        return tokenizer
    path = tmp_path_factory.mktemp("runs") / "vocab.txt"
    continuing = ["##研", "##究", "##生", "##命", "##起", "##源", "##的", "研究"]
    path.write_text(vocabulary_file.read_text("utf-8") + "\n".join([*continuing, ""]), "utf-8")
    return BertTokenizer(vocab=str(path), tokenize_chinese_chars=False)


@given(text=st.one_of(texts, st.text("研究生命起源的 [MASK]", max_size=20)), name=st.sampled_from(["given", "jieba"]))
@example("研究[MASK]研究生的[UNK]研究", "jieba")
@example("研究生研究", "given")
def test_compat_equals_the_published_algorithm_on_any_text(any_tokenizer, text, name):
    words = [text[start:end] for start, end in load_segmenter(name).segment([text])[0].tolist()]
    for max_length in (512, 9):
        (found,) = maker(name, any_tokenizer, max_length).refs([text])
        assert found.compat == published_ref(text, words, any_tokenizer, max_length)


def test_a_special_piece_spelled_out_shifts_compat_only(tokenizer):
    words = ["研究", "[MASK]", "生命"]
    assert chinese_ref(["".join(words)], Words(*words), tokenizer, mode="compat") == [[2, 5]]
    # [CLS] 研 究 [ m a s k ] 生 命: the letters are one word, and the continuing ones of them have ##
    assert chinese_ref(["".join(words)], Words(*words), tokenizer) == [[2, 4, 8, 10]]


@given(text=texts)
def test_truncation_only_cuts_off_the_end(tokenizer, text):
    (whole,) = maker("given", tokenizer).refs([text])
    (short,) = maker("given", tokenizer, 8).refs([text])
    assert short.exact == [position for position in whole.exact if position <= 6]


def test_the_published_script_gets_the_first_boundary_wrong(tokenizer):
    words = ["研究", "生命", "起源", "的", "研究生"]
    texts = ["".join(words)]
    assert chinese_ref(texts, Words(*words), tokenizer) == [[2, 4, 6, 9, 10]]
    assert chinese_ref(texts, Words(*words), tokenizer, mode="compat") == [[2, 3, 6, 9, 10]]


def test_mixed_words_and_pieces_with_hashes(tokenizer):
    words = ["花", "10万", "买", "wwm", "和", "A班"]
    vocabulary = Vocabulary.of(tokenizer)
    texts = ["".join(words)]
    pieces = [vocabulary.pieces[i] for i in tokenizer(texts[0])["input_ids"]]
    assert pieces == ["[CLS]", "花", "1", "##0", "万", "买", "w", "##w", "##m", "和", "a", "班", "[SEP]"]
    assert chinese_ref(texts, Words(*words), tokenizer) == [[4, 11]]
    assert chinese_ref(texts, Words(*words), tokenizer, mode="compat") == [[]]


def test_too_short_rows_are_an_error(tokenizer):
    with pytest.raises(ConfigError, match="max_length"):
        chinese_ref(["好"], load_segmenter("given"), tokenizer, max_length=2)


def test_an_unknown_mode_is_an_error(tokenizer):
    with pytest.raises(ConfigError, match="compat, exact"):
        chinese_ref(["好"], load_segmenter("given"), tokenizer, mode="fast")
