"""The collator for other loaders: rows with ``word_start`` or ``chinese_ref`` in, the same batch out."""

import datasets
import numpy as np
import pytest
import torch

from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import (
    IGNORED_LABEL,
    NgramMasking,
    PermutationMasking,
    SpanMasking,
    WholeWordMaskCollator,
    WholeWordMasking,
)


@pytest.fixture
def rows(small_corpus):
    """Rows as a map-style data set gives them, and what a chinese_ref file says of each."""
    pieces = small_corpus.vocabulary.pieces
    found = []
    for row_id in range(0, 400, 7):
        row = small_corpus[row_id]
        ids, starts = row["input_ids"].tolist(), row["word_start"].tolist()
        ref = [at for at, piece in enumerate(ids) if not starts[at] and not pieces[piece].startswith("##")]
        found.append({"input_ids": ids, "word_start": starts, "chinese_ref": ref, "row_ids": row_id})
    return found


@pytest.fixture
def collator(tokenizer):
    return WholeWordMaskCollator(tokenizer, seed=4)


def without(rows, *names):
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def same(batch, other):
    return batch.keys() == other.keys() and all(torch.equal(batch[name], other[name]) for name in batch)


def test_chinese_ref_and_word_start_give_the_same_batch(collator, rows):
    assert any("##" in collator.vocabulary.pieces[piece] for row in rows for piece in row["input_ids"])
    batch = collator(without(rows, "chinese_ref"))
    assert same(batch, collator(without(rows, "word_start")))
    asked = batch["labels"] != IGNORED_LABEL
    assert asked.any(dim=1).all()
    for number, row in enumerate(rows):
        groups = np.cumsum(row["word_start"])
        masked = asked[number, : len(groups)].numpy()
        assert all(len(set(masked[groups == group].tolist())) == 1 for group in set(groups.tolist()))
        assert batch["attention_mask"][number].sum() == len(groups)


@pytest.mark.parametrize(
    "masking",
    [WholeWordMasking(), WholeWordMasking(budget="bernoulli"), NgramMasking(), SpanMasking(), PermutationMasking()],
    ids=lambda masking: f"{masking.scheme}-{masking.budget}",
)
def test_it_masks_as_the_stream_does(tokenizer, small_corpus, masking):
    from wwmcorpus.stream import Stream

    stream = Stream(small_corpus, global_batch_size=32, seed=4, masking=masking).batch(epoch=3, index=1)
    collator = WholeWordMaskCollator(tokenizer, masking=masking, seed=4)
    collator.set_epoch(3)
    chosen = [dict(small_corpus[row_id]) | {"row_ids": row_id} for row_id in stream["row_ids"].tolist()]
    batch = collator(chosen)
    for name in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(batch[name], stream[name])


def test_the_row_id_decides_and_the_place_in_the_batch_does_not(collator, rows):
    batch, turned = collator(rows), collator(rows[::-1])
    assert torch.equal(batch["labels"].flip(0), turned["labels"])
    other = collator([row | {"row_ids": row["row_ids"] + 1} for row in rows])
    assert not torch.equal(batch["labels"], other["labels"])


def test_without_row_ids_the_content_decides(collator, rows):
    plain = without(rows, "row_ids", "chinese_ref")
    assert same(collator(plain), collator(plain))
    assert torch.equal(collator(plain)["labels"].flip(0), collator(plain[::-1])["labels"])
    twice = collator([plain[0], plain[0]])
    assert torch.equal(twice["labels"][0], twice["labels"][1])
    first = collator(plain)["labels"]
    collator.set_epoch(1)
    assert not torch.equal(first, collator(plain)["labels"])


def test_any_kind_of_row_will_do(collator, rows):
    as_arrays = [{name: np.asarray(value) for name, value in row.items()} for row in without(rows, "chinese_ref")]
    as_tensors = [{name: torch.tensor(value) for name, value in row.items()} for row in without(rows, "chinese_ref")]
    assert same(collator(rows), collator(as_arrays))
    assert same(collator(rows), collator(as_tensors))


def test_rows_of_load_from_disk(collator, small_corpus):
    dataset = datasets.load_from_disk(str(small_corpus.path))
    batch = collator([dataset[index] for index in range(8)])
    assert same(batch, collator([small_corpus[index] for index in range(8)]))


def test_token_type_ids_and_width(tokenizer, rows):
    collator = WholeWordMaskCollator(tokenizer, pad_to_multiple_of=16)
    batch = collator([row | {"token_type_ids": [1] * len(row["input_ids"])} for row in rows])
    assert batch["input_ids"].shape[1] % 16 == 0
    assert torch.equal(batch["token_type_ids"], batch["attention_mask"])


@pytest.mark.parametrize("budget", ["exact", "bernoulli"])
def test_a_loader_with_workers_gives_what_one_process_gives(tokenizer, rows, budget):
    collator = WholeWordMaskCollator(tokenizer, masking=WholeWordMasking(budget=budget), seed=1)
    loader = torch.utils.data.DataLoader(rows, batch_size=8, collate_fn=collator, num_workers=2)
    batches = list(loader)
    assert len(batches) == -(-len(rows) // 8)
    assert all(same(batch, collator(rows[at * 8 : at * 8 + 8])) for at, batch in enumerate(batches))


@pytest.mark.parametrize("number", [1.7, "1", None])
def test_a_seed_or_epoch_that_is_no_integer_is_refused(tokenizer, collator, number):
    with pytest.raises(ConfigError, match="not a whole number"):
        WholeWordMaskCollator(tokenizer, seed=number)
    with pytest.raises(ConfigError, match="not a whole number"):
        collator.set_epoch(number)


def test_no_multiple_is_a_multiple_of_one(tokenizer, rows):
    wanted = WholeWordMaskCollator(tokenizer, seed=np.int64(4))(rows[:5])
    assert same(WholeWordMaskCollator(tokenizer, seed=4, pad_to_multiple_of=None)(rows[:5]), wanted)
    assert wanted["input_ids"].shape[1] == max(len(row["input_ids"]) for row in rows[:5])


class TestErrors:
    def test_rows_without_words(self, collator, rows):
        with pytest.raises(CorpusError, match=r"rows without words.*remove_unused_columns=False"):
            collator(without(rows, "word_start", "chinese_ref"))

    def test_lengths_that_differ(self, collator, rows):
        with pytest.raises(CorpusError, match="Truncate both alike"):
            collator([rows[0] | {"word_start": rows[0]["word_start"][:-1]}])

    @pytest.mark.parametrize("position", [-1, 1000])
    def test_references_outside_the_row(self, collator, rows, position):
        with pytest.raises(CorpusError, match=r"points outside a row.*Truncate both alike"):
            collator(without([rows[0] | {"chinese_ref": [position]}], "word_start"))

    @pytest.mark.parametrize("piece", [-1, 10**6])
    def test_pieces_of_another_vocabulary(self, collator, rows, piece):
        bad = rows[0] | {"input_ids": [*rows[0]["input_ids"][:-1], piece]}
        with pytest.raises(CorpusError, match=f"outside the vocabulary: {piece} .*the tokenizer that made the rows"):
            collator([bad])

    def test_a_first_piece_that_continues_a_word(self, collator, rows):
        with pytest.raises(CorpusError, match=r"a special piece and another into one word: 0 \(row 0"):
            collator([rows[0] | {"word_start": [False, *rows[0]["word_start"][1:]]}])
