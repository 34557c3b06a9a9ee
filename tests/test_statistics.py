"""What a build counts for its report, beside plain counting of strings."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texts as mixed_texts

from wwmcorpus.align import Aligner
from wwmcorpus.corpus.statistics import (
    LONGEST_WORD,
    NUM_LENGTH_BINS,
    Statistics,
    StatisticsCounter,
    merge_statistics,
    most_frequent,
)
from wwmcorpus.segment import load_segmenter
from wwmcorpus.text import TextLine


def aligned(aligner, texts, spans):
    line = TextLine.of(texts)
    return aligner.align_line(line, line.place(spans))


def plain(texts, spans, vocabulary):
    """Count words, their lengths and unknown characters one by one."""
    words, lengths = Counter(), [0] * LONGEST_WORD
    for text, found in zip(texts, spans, strict=True):
        for start, end in found.tolist():
            words[text[start:end]] += 1
            lengths[min(end - start, LONGEST_WORD) - 1] += 1
    return words, lengths


@given(st.lists(mixed_texts, min_size=1, max_size=8))
@settings(max_examples=60)
def test_words_are_counted_as_strings_are(tokenizer, vocabulary, texts):
    segmenter = load_segmenter("jieba:nohmm")
    spans = segmenter.segment(texts)
    counter = StatisticsCounter(vocabulary.unk_id, 64)
    aligner = Aligner(tokenizer)
    for begin in range(0, len(texts), 3):  # several batches count as one
        counter.add_texts(aligned(aligner, texts[begin : begin + 3], spans[begin : begin + 3]))
    words, lengths = plain(texts, spans, vocabulary)
    found = counter.statistics()
    assert found.words == dict(words)
    assert list(found.word_lengths) == lengths
    assert list(found.words) == sorted(words, key=lambda word: (-words[word], word))


def test_unknown_characters_are_those_that_became_unk(tokenizer, vocabulary):
    texts = ["𠀀𠀀野家", "他说𪚥好", "来"]
    aligner = Aligner(tokenizer)
    counter = StatisticsCounter(vocabulary.unk_id, 64)
    counter.add_texts(aligned(aligner, texts, load_segmenter("jieba").segment(texts)))
    unknown = Counter(c for text in texts for c in text if c not in vocabulary.pieces)
    assert {"𠀀", "𪚥"} <= set(unknown)
    assert counter.statistics().unknown_characters == dict(unknown)


def test_rows_fall_into_twentieths_of_the_longest(vocabulary):
    counter = StatisticsCounter(vocabulary.unk_id, 100)
    counter.add_rows(np.array([1, 5, 6, 99, 100]))
    expected = [0] * NUM_LENGTH_BINS
    expected[0], expected[1], expected[-1] = 2, 1, 2
    assert list(counter.statistics().row_lengths) == expected


def test_parts_add_up():
    one = Statistics(words={"的": 3, "是": 1}, unknown_characters={"𠮷": 1})
    two = Statistics(words={"的": 1, "在": 2}, word_lengths=(1,) * LONGEST_WORD)
    both = merge_statistics([one, two])
    assert both.words == {"的": 4, "在": 2, "是": 1}
    assert list(both.words) == ["的", "在", "是"]
    assert both.unknown_characters == {"𠮷": 1}
    assert both.word_lengths == (1,) * LONGEST_WORD


def test_the_most_frequent_come_first_and_ties_by_code_point():
    assert list(most_frequent(Counter({"b": 1, "a": 1, "c": 2}), 2)) == ["c", "a"]


def test_many_distinct_words_keep_memory_bounded_and_the_frequent_ones(vocabulary, tokenizer, monkeypatch):
    monkeypatch.setattr("wwmcorpus.corpus.statistics._MAX_DISTINCT", 64)
    monkeypatch.setattr("wwmcorpus.corpus.statistics._MAX_DISTINCT_LONG", 64)
    monkeypatch.setattr("wwmcorpus.corpus.statistics._MAX_WAITING", 100)
    counter = StatisticsCounter(vocabulary.unk_id, 64)
    aligner, segmenter = Aligner(tokenizer), load_segmenter("given")
    for number in range(300):
        text = f"的 的 w{number} long{number:05d}"
        counter.add_texts(aligned(aligner, [text], segmenter.segment([text])))
    assert counter.statistics().words["的"] == 600
    assert len(counter._long_words._counts) <= 65
    assert len(counter._short_words._numbers) <= 164
