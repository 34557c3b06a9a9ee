"""Any fast tokenizer keeps words whole: byte-level, SentencePiece's kind, characters, whole words."""

from itertools import pairwise

import numpy as np
import pytest
from conftest import SAMPLE_DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_alignment import naive_word_starts, touched_words
from strategies import split_words, texts
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from wwmcorpus.align import Aligner
from wwmcorpus.segment.spans import spans_of_texts

SPECIALS = ["<unk>", "<s>", "[MASK]"]
WORDS = ["hello", " hello", "世界", "你好", "GitHub"]


def byte_level(trim_offsets: bool | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=trim_offsets is not None)
    if trim_offsets is not None:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return learned(tokenizer, trainers.BpeTrainer, vocab_size=900, initial_alphabet=alphabet)


def byte_level_across_words() -> Tokenizer:
    """Pieces may hold several words, and the last byte of one character with the first of the next."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return learned(tokenizer, trainers.BpeTrainer, vocab_size=900)


def metaspace_unigram(prepend_scheme: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    return learned(tokenizer, trainers.UnigramTrainer, vocab_size=2500, unk_token="<unk>")


def metaspace_bpe() -> Tokenizer:
    """As Llama's: no pre-tokenizer, whitespace marked by the normaliser, bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    num_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    return learned(tokenizer, trainers.BpeTrainer, vocab_size=2500, special_tokens=[*SPECIALS, *num_bytes])


def rewriting() -> Tokenizer:
    """Characters become several, several become one, and runs of spaces shrink, before anything is looked up."""
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return learned(tokenizer, trainers.UnigramTrainer, vocab_size=2500, unk_token="<unk>")


def characters() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return learned(tokenizer, trainers.BpeTrainer, vocab_size=2500)


def whole_words() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return learned(tokenizer, trainers.WordLevelTrainer, vocab_size=500)


def greedy_added_words() -> Tokenizer:
    """Added words swallow the whitespace beside them."""
    tokenizer = byte_level()
    tokenizer.add_tokens([AddedToken("世界", lstrip=True, rstrip=True), AddedToken("的", lstrip=True)])
    return tokenizer


def learned(tokenizer: Tokenizer, trainer: type, **settings: object) -> Tokenizer:
    lines = (SAMPLE_DATA / "corpus" / SAMPLE).read_text("utf-8").split("\n")
    trained = trainer(**{"special_tokens": SPECIALS, "show_progress": False, **settings})
    tokenizer.train_from_iterator([*lines[:150], *WORDS * 20], trained)
    return tokenizer


SAMPLE = sorted(path.name for path in (SAMPLE_DATA / "corpus").glob("*.txt"))[0]
TOKENIZERS = {
    "byte-level": byte_level,
    "byte-level, offsets without spaces": lambda: byte_level(trim_offsets=True),
    "byte-level, offsets with spaces": lambda: byte_level(trim_offsets=False),
    "byte-level, across words": byte_level_across_words,
    "Metaspace unigram, prefix always": lambda: metaspace_unigram("always"),
    "Metaspace unigram, no prefix": lambda: metaspace_unigram("never"),
    "Metaspace BPE with bytes": metaspace_bpe,
    "rewriting": rewriting,
    "characters": characters,
    "whole words": whole_words,
    "greedy added words": greedy_added_words,
}


@pytest.fixture(scope="module", params=TOKENIZERS.values(), ids=TOKENIZERS)
def other(request: pytest.FixtureRequest) -> Tokenizer:
    return request.param()


@settings(max_examples=25)
@given(batch=st.lists(split_words(texts), max_size=2))
def test_words_stay_whole(other: Tokenizer, batch: list[tuple[str, list[str]]]) -> None:
    batch_texts = [text for text, _ in batch]
    spans = spans_of_texts(batch_texts, [words for _, words in batch])
    aligner = Aligner(other)
    reference = Tokenizer.from_str(other.to_str())
    reference.encode_special_tokens = True
    num_groups = num_word_groups = 0
    for text, words, row in zip(batch_texts, spans, aligner.align(batch_texts, spans), strict=True):
        encoding = reference.encode(text, add_special_tokens=False)
        offsets = [tuple(pair) for pair in row.offsets.tolist()]
        assert (row.piece_ids.tolist(), offsets) == (encoding.ids, encoding.offsets)
        assert row.word_start.tolist() == naive_word_starts(offsets, words.tolist())
        groups = words_of_groups(touched_words(offsets, words.tolist()), row.word_start)
        assert sum(map(len, groups)) == len(set().union(*groups)), "no word is in two groups"
        num_groups += len(groups)
        num_word_groups += sum(map(bool, groups))
    counts = aligner.counts
    assert counts["groups"] == num_word_groups
    assert counts["whitespace_groups"] == num_groups - num_word_groups
    assert counts["words"] == counts["groups"] + counts["merged_words"] + counts["words_without_pieces"]


def words_of_groups(touched: list[set[int]], word_start: np.ndarray) -> list[set[int]]:
    bounds = [*np.flatnonzero(word_start).tolist(), len(touched)]
    return [set().union(*touched[begin:end]) for begin, end in pairwise(bounds)]


@pytest.fixture(scope="module")
def by_name() -> dict[str, Tokenizer]:
    return {name: TOKENIZERS[name]() for name in ("byte-level", "Metaspace BPE with bytes", "characters")}


def groups_of(tokenizer: Tokenizer, text: str, words: list[str]) -> list[str]:
    """Give the text of each group, from the first character of its pieces to the last."""
    (row,) = Aligner(tokenizer).align([text], spans_of_texts([text], [words]))
    begins = np.flatnonzero(row.word_start).tolist()
    return [text[row.offsets[a, 0] : row.offsets[b - 1, 1]] for a, b in pairwise([*begins, len(row.word_start)])]


def test_groups_by_hand(by_name: dict[str, Tokenizer]) -> None:
    text, words = "你好 hello  龘𪚥", ["你好", "hello", "龘", "𪚥"]
    # Ġhello is one piece with its space; two spaces have pieces of their own, which are one group.
    assert groups_of(by_name["byte-level"], text, words) == ["你好", " hello", "  ", "龘", "𪚥"]
    assert groups_of(by_name["Metaspace BPE with bytes"], text, words) == ["你好", " hello", "  ", "龘", "𪚥"]
    assert groups_of(by_name["characters"], text, words) == ["你好", " ", "hello", "  ", "龘", "𪚥"]
    assert groups_of(by_name["characters"], " \u3000", []) == [" \u3000"]


def test_several_pieces_of_one_character_are_one_word(by_name: dict[str, Tokenizer]) -> None:
    for name in ("byte-level", "Metaspace BPE with bytes"):
        (row,) = Aligner(by_name[name]).align(["龘𪚥"], spans_of_texts(["龘𪚥"], [["龘", "𪚥"]]))
        offsets = row.offsets[-7:].tolist()
        assert offsets == [[0, 1]] * 3 + [[1, 2]] * 4
        assert row.word_start[-7:].tolist() == [len(row.offsets) == 7, False, False, True, False, False, False]


def test_unknown_pieces_are_counted(by_name: dict[str, Tokenizer]) -> None:
    for tokenizer in (by_name["characters"], metaspace_unigram("never")):
        aligner = Aligner(tokenizer)
        aligner.align(["𪚥"], spans_of_texts(["𪚥"], [["𪚥"]]))
        assert aligner.counts["unk_pieces"] == aligner.counts["pieces"] == 1
