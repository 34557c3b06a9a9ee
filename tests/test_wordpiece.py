"""The fast WordPiece gives the ids and offsets of the Hugging Face tokenizer, for every valid Unicode string."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts
from tokenizers import Tokenizer
from transformers import BertTokenizer

from wwmcorpus.align.wordpiece import FastWordPiece, is_bert_wordpiece
from wwmcorpus.resources import embedded_tokenizer_folder
from wwmcorpus.text import TextLine

SHARED_TEXT = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "text"
CONFIGURATIONS = {
    "lower-cased": {},
    "cased": {"do_lower_case": False},
    "lower-cased, accents kept": {"do_lower_case": True, "strip_accents": False},
    "cased, accents stripped": {"do_lower_case": False, "strip_accents": True},
    "Chinese characters not set apart": {"tokenize_chinese_chars": False},
}
# Where normalisation does something: controls, Latin with accents, combining marks, punctuation, kana, full width,
# compatibility characters and ligatures, Hangul, right to left scripts, emoji with joiners, the ends of Han blocks.
RANGES = [
    (0x00, 0x7F), (0x80, 0x2FF), (0x300, 0x36F), (0x590, 0x6FF), (0x1100, 0x11FF), (0x2000, 0x20FF), (0x3000, 0x30FF),
    (0x4E00, 0x4FFF), (0xAC00, 0xAC40), (0xF900, 0xFB10), (0xFE00, 0xFFEF), (0x1F300, 0x1F6FF), (0x2B700, 0x2CEC0),
    (0xE0000, 0xE01EF), (0x0, 0xD7FF), (0xE000, 0x10FFFF),
]  # fmt: skip


@pytest.fixture(scope="module", params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def slow(request: pytest.FixtureRequest) -> Tokenizer:
    """The Hugging Face tokenizer of one configuration, special pieces in texts taken as text."""
    backend = BertTokenizer(vocab=str(embedded_tokenizer_folder() / "vocab.txt"), **request.param).backend_tokenizer
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.encode_special_tokens = True
    return tokenizer


def assert_equal(fast: FastWordPiece, slow: Tokenizer, batch: list[str]) -> None:
    line = TextLine.of(batch)
    found = fast.encode_line(line)
    offsets = found.offsets(line)
    expected = slow.encode_batch(batch, add_special_tokens=False)
    for text, encoding, (begin, end) in zip(batch, expected, pairwise(found.bounds.tolist()), strict=True):
        assert found.piece_ids[begin:end].tolist() == encoding.ids, ascii(text)
        assert [tuple(pair) for pair in offsets[begin:end].tolist()] == encoding.offsets, ascii(text)


def random_text(rng: random.Random) -> str:
    ranges = rng.choices(RANGES, k=rng.randint(1, 3))
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 14)))


def test_random_strings_of_every_plane(slow: Tokenizer) -> None:
    fast, rng = FastWordPiece(slow), random.Random(20)
    for _ in range(20):
        assert_equal(fast, slow, [random_text(rng) for _ in range(500)])


@given(batch=st.lists(texts, max_size=4))
def test_mixed_text(slow: Tokenizer, batch: list[str]) -> None:
    assert_equal(FastWordPiece(slow), slow, batch)


def test_nothing_at_all(slow: Tokenizer) -> None:
    assert_equal(FastWordPiece(slow), slow, [])
    assert_equal(FastWordPiece(slow), slow, ["", "\n", "", " \u3000"])


@pytest.mark.parametrize(
    "text",
    [
        "[MASK]和[SEP]是字",
        "a" * 101 + "好",
        "İstanbul ﬁne ＦＵＬＬ",
        "哆啦A梦买10万部iPhone手机",
        "‍👨‍👩‍👧好",
        "a\x00b\u200dc",
        "1～100 ── ≠",
    ],
)
def test_awkward_strings(slow: Tokenizer, text: str) -> None:
    assert_equal(FastWordPiece(slow), slow, [text, text + text, "好" + text, text + "，"])


def test_a_vocabulary_without_latin_letters(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "好", "人", "，", ""]), "utf-8")
    slow = Tokenizer.from_str(BertTokenizer(vocab=str(path)).backend_tokenizer.to_str())
    slow.encode_special_tokens = True
    fast = FastWordPiece(slow)
    assert_equal(fast, slow, ["好人，好", "𪚥 好！人"])
    assert fast.num_slow_runs == 0, "characters and marks stand alone, known or not"
    assert_equal(fast, slow, ["好a人b", "ab"])
    assert fast.num_slow_runs == 3


def test_runs_are_asked_for_once(slow: Tokenizer) -> None:
    fast = FastWordPiece(slow)
    assert_equal(fast, slow, ["abc abc", "x，abc"])
    assert fast.num_slow_runs == 2
    assert_equal(fast, slow, ["abc y"])
    assert fast.num_slow_runs == 3


def test_the_cache_may_be_emptied_at_any_time(slow: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wwmcorpus.align.wordpiece._MAX_RUN_CHARACTERS", 6)
    fast = FastWordPiece(slow)
    for number in range(8):
        assert_equal(fast, slow, [f"第{number}号 abc{number}", f"x{number} 好 y{number}"])


@pytest.mark.skipif(not SHARED_TEXT.is_dir(), reason="there is no shared text beside this checkout")
def test_real_text(slow: Tokenizer) -> None:
    fast = FastWordPiece(slow)
    for path in sorted(SHARED_TEXT.glob("*.txt")):
        assert_equal(fast, slow, path.read_bytes()[:200_000].decode("utf-8", "ignore").split("\n"))


def test_other_tokenizers_are_told_apart(slow: Tokenizer) -> None:
    from tokenizers import models, normalizers

    assert is_bert_wordpiece(slow)
    other = Tokenizer.from_str(slow.to_str())
    other.normalizer = normalizers.NFKC()
    assert not is_bert_wordpiece(other)
    assert not is_bert_wordpiece(Tokenizer(models.BPE()))
