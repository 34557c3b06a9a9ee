"""``chinese_ref``: exact from positions, and as the published script made it from a set of words."""

import re

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from wwmcorpus.align import Aligner, Vocabulary, chinese_ref
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


def published_ref(words, pieces):
    """What run_chinese_ref.py lists for one line, from its description: a set of words, longest match first.

    The pieces include [CLS] and [SEP]. Wherever pieces from here on spell a Chinese word of the line, all but the first
    continue it; the positions of single Han characters that continue are listed.
    """
    vocabulary = {word for word in words if len(word) > 1 and _HAN.fullmatch(word)}
    continues, at = set(), 0
    longest = max(map(len, vocabulary), default=0)
    while at < len(pieces):
        reach = min(longest, len(pieces) - at)
        spelled = [n for n in range(2, reach + 1) if "".join(pieces[at : at + n]) in vocabulary]
        step = max(spelled, default=1)
        continues |= set(range(at + 1, at + step))
        at += step
    return sorted(i for i in continues if len(pieces[i]) == 1)


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
        assert ref == published_ref([line[start:end] for start, end in words.tolist()], ["[CLS]", *pieces, "[SEP]"])
        assert exact_ref == naive_exact_ref(pieces, encoding.offsets[:126], words.tolist())
        differing += ref != exact_ref
    assert len(lines) > 400
    assert 0 < differing < len(lines) // 2, "mixed words such as 10万, and wrong matches"


@given(text=texts, name=st.sampled_from(["given", "jieba"]))
def test_exact_follows_from_positions(tokenizer, text, name):
    segmenter = load_segmenter(name)
    words = segmenter.segment([text])
    (row,) = Aligner(tokenizer).align([text], words)
    pieces = [Vocabulary.of(tokenizer).pieces[i] for i in row.piece_ids]
    (found,) = chinese_ref([text], segmenter, tokenizer)
    assert found == naive_exact_ref(pieces, row.offsets.tolist(), words[0].tolist())


@given(text=texts)
def test_truncation_only_cuts_off_the_end(tokenizer, text):
    segmenter = load_segmenter("given")
    (whole,) = chinese_ref([text], segmenter, tokenizer)
    (short,) = chinese_ref([text], segmenter, tokenizer, max_length=8)
    assert short == [position for position in whole if position <= 6]


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


def test_an_unknown_mode_is_an_error(tokenizer):
    with pytest.raises(ConfigError, match="compat, exact"):
        chinese_ref(["好"], load_segmenter("given"), tokenizer, mode="fast")
