"""Files that a scheme names: what they hold decides masks, so it is part of what a stream and a run are."""

import logging
import pickle

import numpy as np
import pytest
import torch
from masking_rows import PIECES, REAL, VOCABULARY, make_rows

from wwmcorpus.align import Vocabulary
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import (
    RatioSchedule,
    SimilarWordMasking,
    WholeWordMaskCollator,
    WholeWordMasking,
    WordWeights,
    mask_rows,
)
from wwmcorpus.masking.similar import similar_words
from wwmcorpus.masking.spell import spell
from wwmcorpus.records import Rows
from wwmcorpus.stream import Stream

ROWS = make_rows([[1] * 200])
FIELDS = ("never_file", "stop_words_file", "counts_file")


def masked_with(path):
    """The ids that are masked where every word is but those in a file."""
    masking = WholeWordMasking(probability=0.99, weights=WordWeights(never_file=str(path)))
    return masking, set(ROWS.input_ids[mask_rows(ROWS, VOCABULARY, masking, 0, 0).masked].tolist())


def scheme_of(field, path):
    if field == "table":
        return SimilarWordMasking(table=str(path))
    return WholeWordMasking(weights=WordWeights(**{field: str(path)}))


def lines_of(field, corpus, number):
    words = [piece for piece in corpus.vocabulary.pieces if len(piece) == 1][number : number + 4]
    return {"table": "\t".join(words), "counts_file": "\n".join(f"{word}\t3" for word in words)}.get(
        field, "\n".join(words)
    )


@pytest.mark.parametrize("field", [*FIELDS, "table"])
def test_a_stream_is_resumed_with_the_same_content_under_any_name_and_with_no_other(small_corpus, tmp_path, field):
    for name, number in (("one", 0), ("copy", 0), ("other", 5)):
        (tmp_path / name).write_text(lines_of(field, small_corpus, number) + "\n", "utf-8")
    streams = {
        name: Stream(small_corpus, 16, masking=scheme_of(field, tmp_path / name)) for name in ("one", "copy", "other")
    }
    state = streams["one"].state_dict()
    streams["copy"].load_state_dict(state)
    whole, copied = streams["one"].batch(0, 1), streams["copy"].batch(0, 1)
    assert all(torch.equal(whole[name], copied[name]) for name in whole)
    with pytest.raises(CorpusError, match=rf"{field} sha256:\w+, this one sha256:"):
        streams["other"].load_state_dict(state)
    assert str(tmp_path) not in str(state)


def test_a_file_that_is_not_there_is_found_when_the_stream_is_made(small_corpus, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the file.*SimilarWordMasking\.table"):
        Stream(small_corpus, masking=SimilarWordMasking(table=str(tmp_path / "none")))


@pytest.mark.parametrize("field", [*FIELDS, "table"])
def test_a_collator_takes_the_content_that_is_there_when_it_is_made(tmp_path, field):
    path = tmp_path / "file"
    with pytest.raises(ConfigError, match=rf"cannot read the file.*\.{field}"):
        WholeWordMaskCollator(VOCABULARY, masking=scheme_of(field, path))
    path.write_text("一\t3\n", "utf-8")
    collator = WholeWordMaskCollator(VOCABULARY, masking=scheme_of(field, path))
    path.write_text("二\t3\n", "utf-8")
    with pytest.raises(ConfigError, match="changed while it was in use"):
        collator([{"input_ids": ROWS.input_ids, "word_start": ROWS.word_start}])


def test_a_scheme_keeps_the_content_that_it_began_with_and_a_new_one_reads_anew(tmp_path):
    path = tmp_path / "never.txt"
    path.write_text("".join(f"{PIECES[i]}\n" for i in REAL[:100]), "utf-8")
    begun, found = masked_with(path)
    path.write_text("".join(f"{PIECES[i]}\n" for i in REAL[100:]), "utf-8")
    assert set(ROWS.input_ids[mask_rows(ROWS, VOCABULARY, begun, 0, 0).masked].tolist()) == found
    assert found <= set(REAL[100:])
    anew, other = masked_with(path)
    assert other <= set(REAL[:100])
    assert anew == begun, "the same settings"
    assert anew.identity() != begun.identity()


def test_a_file_that_changes_before_it_is_read_is_an_error_in_another_process_too(tmp_path):
    path = tmp_path / "never.txt"
    path.write_text(f"{PIECES[REAL[3]]}\n", "utf-8")
    masking = WholeWordMasking(weights=WordWeights(never_file=str(path)))
    masking.identity()
    path.write_text(f"{PIECES[REAL[4]]}\n", "utf-8")
    for each in (masking, pickle.loads(pickle.dumps(masking))):
        with pytest.raises(ConfigError, match=r"changed while it was in use.*WordWeights\.never_file"):
            mask_rows(ROWS, VOCABULARY, each, 0, 0)


def test_a_schedule_reads_no_file_again(small_corpus, tmp_path, monkeypatch):
    path = tmp_path / "similar.tsv"
    path.write_text(lines_of("table", small_corpus, 0) + "\n", "utf-8")
    schedule = RatioSchedule(final_probability=0.5, num_rows=1000)
    stream = Stream(small_corpus, 16, masking=SimilarWordMasking(table=str(path), schedule=schedule))
    first = stream.batch(0, 0)
    path.unlink()
    assert not torch.equal(first["labels"], stream.batch(0, 1)["labels"])


def test_one_line_more_of_a_word_adds_to_its_similar_words(tmp_path):
    path = tmp_path / "similar.tsv"
    a, b, c = (PIECES[i] for i in REAL[:3])
    path.write_text(f"{a}\t{b}\n{b}\t{c}\n{a}\t{c}\n", "utf-8")
    found = similar_words(str(path), VOCABULARY)
    assert sorted(found.num_similar.tolist()) == [1, 2]
    assert sorted(found.ids.tolist()) == sorted([REAL[1], REAL[2], REAL[2]])


def test_a_word_that_cannot_be_spelled_takes_no_other_with_it(caplog):
    """It would become [UNK], and so would every piece that the vocabulary lacks."""
    rows = make_rows([[1] * 50])
    rows.input_ids[1:26] = VOCABULARY.unk_id
    masking = WholeWordMasking(probability=0.99, weights=WordWeights(never=("☃", PIECES[REAL[40]])))
    with caplog.at_level(logging.WARNING):
        found = mask_rows(rows, VOCABULARY, masking, 0, 0)
    assert found.masked[1:26].any()
    assert "cannot spell 1 of the listed words; without a weight: ['☃']" in caplog.text


@pytest.mark.parametrize(("never", "stop"), [(("THE",), ("THE", "the")), (("the",), ("The",)), (("The",), ("the",))])
def test_a_word_that_is_never_masked_is_none_however_else_it_is_listed(never, stop):
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    lower = Vocabulary((*special, "the", "外"), 0, 1, 2, 3, 4)
    ids = np.array([2, *[5, 6] * 20, 3], dtype=np.int32)
    rows = Rows(ids, np.ones(len(ids), dtype=bool), np.array([0, len(ids)]), np.array([0]))
    masking = WholeWordMasking(probability=0.9, weights=WordWeights(never=never, stop_words=stop))
    found = {seed: mask_rows(rows, lower, masking, seed, 0).masked for seed in range(20)}
    assert not any(masked[ids == 5].any() for masked in found.values())
    assert all(masked[ids == 6].any() for masked in found.values())


def test_letters_are_lowered_for_a_vocabulary_with_marks_in_capitals():
    """Google's Chinese vocabulary has <S> and <T>, and no capital letter."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<S>", "<T>")
    lower = Vocabulary((*special, "c", "##pu", "外"), 0, 1, 2, 3, 4)
    assert spell(["CPU", "外"], lower) == [[7, 8], [9]]
    cased = Vocabulary((*special, "C", "##PU", "c", "##pu"), 0, 1, 2, 3, 4)
    assert spell(["CPU", "cpu"], cased) == [[7, 8], [9, 10]]
