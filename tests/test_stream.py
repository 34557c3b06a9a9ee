"""Law 5, the same stream: order and masks are pure functions; ranks, workers and resume points change nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wwmcorpus.corpus import open_corpus
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import IGNORED_LABEL, WholeWordMasking
from wwmcorpus.stream import Stream, StreamOptions, shuffled

FINGERPRINT = "0123456789abcdef" * 4


def same(batch, other):
    return batch.keys() == other.keys() and all(torch.equal(batch[name], other[name]) for name in batch)


def run(stream, num_batches):
    """The next batches, over as many epochs as it takes."""
    batches = []
    while len(batches) < num_batches:
        for batch in stream:
            batches.append(batch)
            if len(batches) == num_batches:
                break
    return batches


class TestOrder:
    @pytest.mark.parametrize(
        "num_rows", [*range(1, 70), 255, 256, 257, 1023, 1025, 4096, 4097, 65_536, 65_537, 100_003]
    )
    def test_every_row_comes_once(self, num_rows):
        rows = shuffled(np.arange(num_rows), num_rows, seed=5, epoch=1, fingerprint=FINGERPRINT)
        assert rows.dtype == np.int64
        assert np.array_equal(np.sort(rows), np.arange(num_rows))

    @given(num_rows=st.integers(1, 10**15), seed=st.integers(0, 2**64), epoch=st.integers(0, 10**6), data=st.data())
    def test_any_position_is_reached_alone(self, num_rows, seed, epoch, data):
        positions = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=5))
        together = shuffled(positions, num_rows, seed, epoch, FINGERPRINT)
        assert ((together >= 0) & (together < num_rows)).all()
        assert len(set(together.tolist())) == len(set(positions))
        alone = [int(shuffled(position, num_rows, seed, epoch, FINGERPRINT)) for position in positions]
        assert together.tolist() == alone

    def test_seed_epoch_and_corpus_each_give_another_order(self):
        orders = {
            tuple(shuffled(np.arange(50), 50, seed, epoch, fingerprint).tolist())
            for seed in (0, 1)
            for epoch in (0, 1)
            for fingerprint in (FINGERPRINT, "f" * 64)
        }
        assert len(orders) == 8

    def test_neighbours_part(self):
        rows = shuffled(np.arange(10_000), 10_000, 0, 0, FINGERPRINT)
        # Of a random permutation about two neighbours in 10,000 stay neighbours; 15 would be a chance of 1e-9.
        assert int((np.abs(np.diff(rows)) == 1).sum()) < 15
        assert abs(float(np.corrcoef(np.arange(10_000), rows)[0, 1])) < 0.05

    def test_golden_order(self):
        assert shuffled(np.arange(12), 12, seed=1, epoch=2, fingerprint=FINGERPRINT).tolist() == [
            11,
            3,
            1,
            2,
            0,
            7,
            5,
            9,
            10,
            6,
            8,
            4,
        ]


class TestStream:
    def test_a_batch_is_a_rectangle_of_masked_rows(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=16, seed=3)
        batch = stream.batch(epoch=0, index=1)
        assert {name: values.dtype for name, values in batch.items()} == {
            "input_ids": torch.int64,
            "attention_mask": torch.int64,
            "labels": torch.int64,
            "word_start": torch.bool,
            "row_ids": torch.int64,
        }
        vocabulary = small_corpus.vocabulary
        for number, row_id in enumerate(batch["row_ids"].tolist()):
            row = small_corpus[row_id]
            size = len(row["input_ids"])
            assert batch["attention_mask"][number].tolist() == [1] * size + [0] * (batch["input_ids"].shape[1] - size)
            assert (batch["input_ids"][number, size:] == vocabulary.pad_id).all()
            labels = batch["labels"][number, :size].numpy()
            asked = labels != IGNORED_LABEL
            assert (labels[asked] == row["input_ids"][asked]).all()
            assert (batch["input_ids"][number, :size].numpy()[~asked] == row["input_ids"][~asked]).all()
            assert (batch["labels"][number, size:] == IGNORED_LABEL).all()
            assert asked.any()

    def test_an_epoch_holds_every_row_once_but_the_tail(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=64)
        ids = torch.cat([batch["row_ids"] for batch in stream]).tolist()
        assert len(ids) == len(set(ids)) == len(small_corpus) // 64 * 64 == stream.batches_per_epoch * 64
        again = torch.cat([batch["row_ids"] for batch in stream]).tolist()
        assert (stream.epoch, stream.batch_index) == (2, 0)
        assert again != ids

    @pytest.mark.parametrize("world_size", [2, 3, 4, 12])
    def test_ranks_end_to_end_are_the_global_batch(self, small_corpus, world_size):
        options = {"global_batch_size": 12, "seed": 9, "options": StreamOptions(pad_to_multiple_of=8)}
        alone = run(Stream(small_corpus, **options), 4)
        ranks = [
            run(Stream(small_corpus, rank=rank, world_size=world_size, **options), 4) for rank in range(world_size)
        ]
        for whole, parts in zip(alone, zip(*ranks, strict=True), strict=True):
            assert same(whole, {name: torch.cat([part[name] for part in parts]) for name in whole})

    def test_resuming_at_every_step_goes_on_as_if_nothing_had_happened(self, small_corpus):
        options = {"global_batch_size": len(small_corpus) // 5, "seed": 2}
        stream = Stream(small_corpus, **options)
        states, batches = [stream.state_dict()], []
        for _ in range(3):
            for batch in stream:
                batches.append(batch)
                states.append(stream.state_dict())
        assert len(batches) == 15
        for step, state in enumerate(states[:-1]):
            resumed = Stream(small_corpus, **options)
            resumed.load_state_dict(state)
            tail = run(resumed, len(batches) - step)
            assert all(same(a, b) for a, b in zip(tail, batches[step:], strict=True))
            assert resumed.state_dict() == states[-1]

    def test_a_state_goes_from_one_world_size_to_another(self, small_corpus):
        state = {}
        stream = Stream(small_corpus, global_batch_size=8, rank=1, world_size=2)
        run(stream, 3)
        state = stream.state_dict()
        resumed = Stream(small_corpus, global_batch_size=8)
        resumed.load_state_dict(state)
        (batch,) = run(resumed, 1)
        assert same(batch, Stream(small_corpus, global_batch_size=8).batch(0, 3))

    def test_leaving_a_loop_loses_nothing(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=8)
        first = next(iter(stream))
        second = next(iter(stream))
        assert same(first, stream.batch(0, 0))
        assert same(second, stream.batch(0, 1))

    def test_no_word_of_ten_thousand_rows_is_masked_in_part(self, small_corpus):
        rows = partial = 0
        for masking in (WholeWordMasking(), WholeWordMasking(budget="bernoulli")):
            stream = Stream(small_corpus, global_batch_size=256, masking=masking)
            while stream.epoch < 2:
                for batch in stream:
                    asked = (batch["labels"] != IGNORED_LABEL).numpy()
                    groups = np.cumsum(batch["word_start"].numpy().ravel()) - 1
                    masked, sizes = np.bincount(groups, asked.ravel()), np.bincount(groups)
                    partial += int(((masked > 0) & (masked < sizes)).sum())
                    assert asked.any(axis=1).all()
                    rows += len(asked)
        assert rows >= 10_000
        assert partial == 0

    def test_the_masks_of_a_row_change_from_epoch_to_epoch_only(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=len(small_corpus), seed=1)
        masks = []
        for epoch in range(2):
            batch = stream.batch(epoch, 0)
            masks.append(dict(zip(batch["row_ids"].tolist(), batch["labels"].tolist(), strict=True)))
        other = Stream(small_corpus, global_batch_size=10, seed=1).batch(0, 0)
        for row, labels in zip(other["row_ids"].tolist(), other["labels"].tolist(), strict=True):
            assert masks[0][row][: len(labels)] == labels
        assert sum(masks[0][row] != masks[1][row] for row in masks[0]) > len(small_corpus) * 0.8

    @pytest.mark.parametrize(
        ("options", "error", "problem"),
        [
            ({"global_batch_size": 12, "world_size": 5}, ConfigError, r"Use one of \[1, 2, 3, 4, 6, 12\]"),
            ({"global_batch_size": 0}, ConfigError, "at least 1"),
            ({"global_batch_size": 4, "world_size": 2, "rank": 2}, ConfigError, "Ranks run from 0 to 1"),
            ({"global_batch_size": 4, "rank": -1}, ConfigError, "no such rank: -1"),
            ({"global_batch_size": 10**6}, CorpusError, "fewer than one global batch"),
        ],
    )
    def test_what_does_not_fit_is_an_error(self, small_corpus, options, error, problem):
        with pytest.raises(error, match=problem):
            Stream(small_corpus, **options)

    @pytest.mark.parametrize("change", [{"seed": 1}, {"global_batch_size": 16}, {"fingerprint": "00"}])
    def test_a_position_in_another_stream_is_refused(self, small_corpus, change):
        stream = Stream(small_corpus, global_batch_size=8)
        (key, value), *_ = change.items()
        with pytest.raises(CorpusError, match=f"{key} {value}"):
            stream.load_state_dict(stream.state_dict() | change)

    def test_an_opened_corpus_streams_like_itself(self, small_corpus):
        again = Stream(open_corpus(small_corpus.path), global_batch_size=8)
        assert same(again.batch(1, 2), Stream(small_corpus, global_batch_size=8).batch(1, 2))
