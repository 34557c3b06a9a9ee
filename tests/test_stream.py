"""Law 5, the same stream: order and masks are pure functions; ranks, workers and resume points change nothing."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import IGNORED_LABEL, WholeWordMasking
from wwmcorpus.stream import Stream, StreamOptions, shuffled, shuffled_in_windows
from wwmcorpus.stream.mixture import TOTAL_SHARES, served, shares_of

FINGERPRINT = "0123456789abcdef" * 4
#: Blocks 1 and 3 (the short one), then 2 and 0; of a mixture of weights 1, 2, 1.
GOLDEN_WINDOWS = [4, 7, 5, 6, 12, 13, 10, 1, 9, 0, 2, 3, 8, 11]
GOLDEN_MIXTURE = [2, 1, 1, 0, 2, 1, 1, 0, 2, 1, 1, 0]


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


ORDERS = (shuffled, lambda *given: shuffled_in_windows(*given, block_rows=4, window_blocks=2))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("positions", "num_rows"), [([-1], 10), ([10], 10), ([3, 10], 10), ([0], 0), ([0.5], 10)])
def test_positions_outside_the_epoch_are_an_error(order, positions, num_rows):
    with pytest.raises(IndexError, match=f"of an epoch of {num_rows} rows"):
        order(positions, num_rows, 0, 0, FINGERPRINT)


@pytest.mark.parametrize("order", ORDERS)
def test_no_positions_are_no_rows(order):
    found = order([], 10, 0, 0, FINGERPRINT)
    assert (found.shape, found.dtype) == ((0,), np.int64)


class TestWindowOrder:
    def order(self, num_rows, block_rows, window_blocks, seed=3, epoch=0):
        return shuffled_in_windows(np.arange(num_rows), num_rows, seed, epoch, FINGERPRINT, block_rows, window_blocks)

    @settings(max_examples=40)
    @given(num_rows=st.integers(1, 400), block_rows=st.integers(1, 50), window_blocks=st.integers(1, 9))
    def test_every_row_comes_once_and_a_window_holds_whole_blocks(self, num_rows, block_rows, window_blocks):
        rows = self.order(num_rows, block_rows, window_blocks)
        assert np.array_equal(np.sort(rows), np.arange(num_rows))
        # Walk along the epoch: a block that has begun is used up before window_blocks others have begun behind it.
        sizes = np.bincount(np.arange(num_rows) // block_rows)
        seen: dict[int, int] = {}
        opened: list[int] = []
        for block in (rows // block_rows).tolist():
            if block not in seen:
                opened.append(block)
            seen[block] = seen.get(block, 0) + 1
            whole_windows = (len(opened) - 1) // window_blocks * window_blocks
            assert all(seen[other] == sizes[other] for other in opened[:whole_windows])

    @given(num_rows=st.integers(1, 10**13), data=st.data())
    def test_any_position_is_reached_alone(self, num_rows, data):
        positions = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=5))
        sizes = {"block_rows": data.draw(st.integers(1, 5000)), "window_blocks": data.draw(st.integers(1, 300))}
        together = shuffled_in_windows(positions, num_rows, 1, 2, FINGERPRINT, **sizes)
        assert ((together >= 0) & (together < num_rows)).all()
        assert len(set(together.tolist())) == len(set(positions))
        alone = [int(shuffled_in_windows(position, num_rows, 1, 2, FINGERPRINT, **sizes)) for position in positions]
        assert together.tolist() == alone

    def test_seed_and_epoch_each_give_another_order(self):
        orders = {tuple(self.order(60, 7, 2, seed, epoch).tolist()) for seed in (0, 1) for epoch in (0, 1)}
        assert len(orders) == 4

    def test_golden_order(self):
        assert self.order(14, 4, 2).tolist() == GOLDEN_WINDOWS


class TestMixture:
    @given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=6), begin=st.integers(0, 10**11))
    @example(weights=[1.0] * 5 + [33.0], begin=107)
    def test_shares_hold_over_any_window_and_counts_are_those_of_walking(self, weights, begin):
        shares = shares_of(weights)
        assert sum(shares) == TOTAL_SHARES
        assert np.abs(np.array(shares) / TOTAL_SHARES - np.array(weights) / sum(weights)).max() <= 1 / TOTAL_SHARES
        corpora, counts = served(begin + np.arange(3000), shares)
        for number, share in enumerate(shares):
            mine = counts[corpora == number]
            assert np.array_equal(mine, np.arange(len(mine)) + (mine[0] if len(mine) else 0))
            # Each corpus before it leaves, by rounding down, less than one position too many.
            if len(mine):
                assert abs(int(mine[0]) - begin * share / TOTAL_SHARES) < len(shares)
            assert abs(len(mine) - 3000 * share / TOTAL_SHARES) < len(shares)

    def test_counts_from_the_beginning(self):
        shares = shares_of([5, 2, 1])
        corpora, counts = served(np.arange(5000), shares)
        walked = [0, 0, 0]
        for corpus, count in zip(corpora.tolist(), counts.tolist(), strict=True):
            assert count == walked[corpus]
            walked[corpus] += 1
        assert walked == [3125, 1250, 625]

    def test_golden_mixture(self):
        assert served(np.arange(12), shares_of([1, 2, 1]))[0].tolist() == GOLDEN_MIXTURE

    def test_a_weight_without_a_share_is_an_error(self):
        with pytest.raises(ConfigError, match="too small beside the others: 1e-09"):
            shares_of([1, 1e-9])


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
            ({"options": StreamOptions(weights=(1, 2))}, ConfigError, "2 weights for 1 corpora"),
        ],
    )
    def test_what_does_not_fit_is_an_error(self, small_corpus, options, error, problem):
        with pytest.raises(error, match=problem):
            Stream(small_corpus, **options)

    def test_options_that_cannot_be_are_an_error(self):
        for values, problem in (
            ({"pad_to_multiple_of": 0}, "pad_to_multiple_of"),
            ({"weights": (1, 0)}, "weights"),
            ({"prefetch": 3}, "Did you mean 'prefetch_batches'"),
        ):
            with pytest.raises(ConfigError, match=problem):
                StreamOptions(**values)

    def test_a_batch_that_is_not_there_is_an_error(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=64)
        for epoch, index in ((0, stream.batches_per_epoch), (0, -1), (-1, 0)):
            with pytest.raises(IndexError, match=f"batch {index} of epoch {epoch}"):
                stream.batch(epoch, index)

    @pytest.mark.parametrize("change", [{"seed": 1}, {"global_batch_size": 16}, {"fingerprint": "00"}])
    def test_a_position_in_another_stream_is_refused(self, small_corpus, change):
        stream = Stream(small_corpus, global_batch_size=8)
        (key, value), *_ = change.items()
        with pytest.raises(CorpusError, match=f"{key} {value}"):
            stream.load_state_dict(stream.state_dict() | change)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"masking": WholeWordMasking(budget="bernoulli")}, "masking.budget exact, this one bernoulli"),
            ({"options": StreamOptions(pad_to_multiple_of=4)}, "options.pad_to_multiple_of 1, this one 4"),
            ({"options": StreamOptions(order="window")}, "options.order global, this one window"),
        ],
    )
    def test_a_position_with_another_masking_or_option_is_refused(self, small_corpus, change, problem):
        state = Stream(small_corpus, global_batch_size=8).state_dict()
        with pytest.raises(CorpusError, match=problem):
            Stream(small_corpus, global_batch_size=8, **change).load_state_dict(state)

    def test_what_changes_no_batch_may_change_at_a_resume(self, small_corpus):
        state = Stream(small_corpus, global_batch_size=8).state_dict()
        options = StreamOptions(num_workers=3, prefetch_batches=0, endless=True, pin_memory=True, worker_batches=1)
        Stream(small_corpus, global_batch_size=8, world_size=2, rank=1, options=options).load_state_dict(state)

    def test_what_is_no_state_is_refused(self, small_corpus):
        with pytest.raises(CorpusError, match="no state of a stream"):
            Stream(small_corpus).load_state_dict({"epoch": 1})

    @pytest.mark.parametrize("state", [None, 3, ["epoch", "batch_index"]])
    def test_what_is_no_table_is_no_state(self, small_corpus, state):
        with pytest.raises(CorpusError, match="no state of a stream"):
            Stream(small_corpus).load_state_dict(state)

    @pytest.mark.parametrize(
        "change",
        [
            {"batch_index": -1},
            {"batch_index": 10**9},
            {"batch_index": 2.9},
            {"batch_index": "3"},
            {"batch_index": True},
            {"epoch": -3},
            {"epoch": None},
        ],
    )
    def test_a_position_that_does_not_exist_is_refused_and_the_stream_stays(self, small_corpus, change):
        stream = Stream(small_corpus, global_batch_size=8)
        run(stream, 2)
        with pytest.raises(CorpusError, match="the saved position does not exist"):
            stream.load_state_dict(stream.state_dict() | change)
        assert (stream.epoch, stream.batch_index) == (0, 2)

    def test_the_last_position_exists_and_the_one_behind_it_does_not(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=8)
        num_batches = len(small_corpus) // 8
        stream.load_state_dict(stream.state_dict() | {"epoch": 7, "batch_index": num_batches - 1})
        assert (stream.epoch, stream.batch_index) == (7, num_batches - 1)
        with pytest.raises(CorpusError, match=f"epochs from 0 on, of {num_batches} batches"):
            stream.load_state_dict(stream.state_dict() | {"batch_index": num_batches})

    def test_a_state_with_more_in_it_is_refused(self, small_corpus):
        stream = Stream(small_corpus)
        with pytest.raises(CorpusError, match=r"what no stream wrote: \['curriculum'\]"):
            stream.load_state_dict(stream.state_dict() | {"curriculum": 1})

    @pytest.mark.parametrize("number", [1.7, 1.0, "1", None])
    def test_a_seed_or_epoch_that_is_no_integer_is_refused(self, small_corpus, number):
        with pytest.raises(ConfigError, match=r"not a whole number.*\(seed\)"):
            Stream(small_corpus, seed=number)
        with pytest.raises(ConfigError, match="not a whole number"):
            Stream(small_corpus).set_epoch(number)

    def test_numpys_integers_are_integers(self, small_corpus):
        stream, plain = Stream(small_corpus, seed=np.int64(1)), Stream(small_corpus, seed=1)
        stream.set_epoch(np.int32(2))
        plain.set_epoch(2)
        assert json.loads(json.dumps(stream.state_dict())) == plain.state_dict()
        assert same(stream.batch(0, 0), plain.batch(0, 0))

    def test_set_epoch_goes_to_its_beginning_unless_one_is_in_it(self, small_corpus):
        stream = Stream(small_corpus, global_batch_size=8)
        run(stream, 3)
        stream.set_epoch(0)
        assert (stream.epoch, stream.batch_index) == (0, 3)
        stream.set_epoch(5)
        assert same(next(iter(stream)), stream.batch(5, 0))
        with pytest.raises(ConfigError, match="no such epoch: -1"):
            stream.set_epoch(-1)

    def test_errors_of_the_thread_reach_the_loop(self, small_corpus, monkeypatch):
        stream = Stream(small_corpus, global_batch_size=8)
        monkeypatch.setattr(type(small_corpus), "rows", lambda self, indices: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(iter(stream))

    def test_masks_follow_the_global_position(self, small_corpus):
        class Growing(WholeWordMasking):
            def at(self, position):
                return WholeWordMasking(probability=0.1 if position < first + 16 else 0.6)

        plain = Stream(small_corpus, global_batch_size=16)
        first = plain.batches_per_epoch * 16
        stream = Stream(small_corpus, global_batch_size=16, masking=Growing())
        for place, probability in (((0, 3), 0.1), ((1, 0), 0.1), ((1, 1), 0.6), ((2, 0), 0.6)):
            fixed = Stream(small_corpus, global_batch_size=16, masking=WholeWordMasking(probability=probability))
            assert same(stream.batch(*place), fixed.batch(*place))

    def test_an_opened_corpus_streams_like_itself(self, small_corpus):
        again = Stream(open_corpus(small_corpus.path), global_batch_size=8)
        assert same(again.batch(1, 2), Stream(small_corpus, global_batch_size=8).batch(1, 2))


class TestShapes:
    def test_a_padded_tail_is_filled_with_rows_that_ask_nothing(self, small_corpus):
        size = 64
        stream = Stream(small_corpus, global_batch_size=size, options=StreamOptions(tail="pad"))
        batches = list(stream)
        num_fillers = -len(small_corpus) % size
        assert num_fillers
        assert len(batches) == -(-len(small_corpus) // size)
        assert all(not batch["is_filler"].any() for batch in batches[:-1])
        last = batches[-1]
        assert last["is_filler"].tolist() == [False] * (size - num_fillers) + [True] * num_fillers
        assert (last["labels"][last["is_filler"]] == IGNORED_LABEL).all()
        assert (last["labels"][~last["is_filler"]] != IGNORED_LABEL).any(dim=1).all()
        assert torch.equal(last["row_ids"][last["is_filler"]], batches[0]["row_ids"][:num_fillers])
        ids = torch.cat([batch["row_ids"][~batch["is_filler"]] for batch in batches])
        assert sorted(ids.tolist()) == list(range(len(small_corpus)))

    def test_a_corpus_smaller_than_a_batch_can_be_padded(self, small_corpus):
        size = len(small_corpus) * 2 + 1
        (batch,) = Stream(small_corpus, global_batch_size=size, options=StreamOptions(tail="pad"))
        assert int(batch["is_filler"].sum()) == size - len(small_corpus)

    def test_buckets_hold_rows_of_like_length_and_lose_none(self, small_corpus):
        plain = Stream(small_corpus, global_batch_size=32)
        sorted_ = Stream(small_corpus, global_batch_size=32, options=StreamOptions(bucket_batches=4))
        assert sorted_.batches_per_epoch == plain.batches_per_epoch
        lengths = small_corpus.lengths
        wide = narrow = 0
        for pool in range(0, plain.batches_per_epoch, 4):
            indices = range(pool, min(pool + 4, plain.batches_per_epoch))
            given, wanted = ([each.batch(2, i)["row_ids"].numpy() for i in indices] for each in (sorted_, plain))
            assert sorted(np.concatenate(given).tolist()) == sorted(np.concatenate(wanted).tolist())
            ranges = sorted((lengths[ids].min(), lengths[ids].max()) for ids in given)
            assert all(one[1] <= other[0] for one, other in itertools.pairwise(ranges))
            wide += sum(int(lengths[ids].max() - lengths[ids].min()) for ids in wanted)
            narrow += sum(int(lengths[ids].max() - lengths[ids].min()) for ids in given)
        assert narrow < wide
        places = [
            np.argmin([lengths[sorted_.batch(0, pool * 4 + i)["row_ids"]].max() for i in range(4)]) for pool in range(9)
        ]
        assert len(set(places)) > 1, "batches of a pool come in any order, not the shortest first"

    def test_packed_batches_are_the_padded_ones_without_padding(self, small_corpus):
        padded = Stream(small_corpus, global_batch_size=16, seed=2).batch(1, 3)
        batch = Stream(small_corpus, global_batch_size=16, seed=2, options=StreamOptions(layout="packed")).batch(1, 3)
        inside = padded["attention_mask"].bool()
        for name in ("input_ids", "labels", "word_start"):
            assert torch.equal(batch[name], padded[name][inside])
        lengths = inside.sum(dim=1)
        assert batch["cu_seqlens"].dtype == torch.int32
        assert batch["cu_seqlens"].tolist() == [0, *lengths.cumsum(0).tolist()]
        assert int(batch["max_seqlen"]) == int(lengths.max())
        assert batch["position_ids"].tolist() == [place for length in lengths.tolist() for place in range(length)]
        assert "attention_mask" not in batch


class TestMixedCorpora:
    @pytest.fixture(scope="class")
    def other(self, tmp_path_factory, vocabulary_file):
        return lines_corpus(tmp_path_factory.mktemp("other"), vocabulary_file, sampling_weight=3.0)

    def test_each_corpus_gives_its_own_epochs_at_its_share(self, small_corpus, other):
        stream = Stream([small_corpus, other], global_batch_size=16, seed=6)
        assert stream.batches_per_epoch == (len(small_corpus) + len(other)) // 16
        batches = [stream.batch(*divmod(number, stream.batches_per_epoch)) for number in range(12)]
        corpus_ids = np.concatenate([batch["corpus_ids"].numpy() for batch in batches])
        row_ids = np.concatenate([batch["row_ids"].numpy() for batch in batches])
        assert np.bincount(corpus_ids).tolist() == [12 * 4, 12 * 12], "the weights of the manifests are 1 and 3"
        for number, corpus in enumerate((small_corpus, other)):
            mine = row_ids[corpus_ids == number]
            for epoch in range(-(-len(mine) // len(corpus))):
                part = mine[epoch * len(corpus) : (epoch + 1) * len(corpus)]
                wanted = shuffled(np.arange(len(part)), len(corpus), 6, epoch, corpus.fingerprint)
                assert part.tolist() == wanted.tolist()
        assert len(row_ids[corpus_ids == 1]) > 2 * len(other), "the small corpus was gone through more than twice"

    def test_rows_are_masked_as_in_a_stream_of_their_corpus_alone(self, small_corpus, other):
        stream = Stream([small_corpus, other], global_batch_size=16, seed=6, options=StreamOptions(weights=(1, 1)))
        alone = {}
        for number, corpus in enumerate((small_corpus, other)):
            whole = Stream(corpus, global_batch_size=len(corpus), seed=6)
            for epoch in range(2):
                batch = whole.batch(epoch, 0)
                for place, row in enumerate(batch["row_ids"].tolist()):
                    size = int(batch["attention_mask"][place].sum())
                    alone[number, epoch, row] = [batch[name][place, :size].tolist() for name in ("input_ids", "labels")]
        given = [0, 0]
        for index in range(6):
            batch = stream.batch(0, index)
            for place, (number, row) in enumerate(
                zip(batch["corpus_ids"].tolist(), batch["row_ids"].tolist(), strict=True)
            ):
                epoch, size = (
                    given[number] // len((small_corpus, other)[number]),
                    int(batch["attention_mask"][place].sum()),
                )
                given[number] += 1
                assert [batch[name][place, :size].tolist() for name in ("input_ids", "labels")] == alone[
                    number, epoch, row
                ]
        assert given[1] > len(other)

    def test_corpora_of_other_vocabularies_are_refused(self, small_corpus, tmp_path):
        vocabulary = tmp_path / "vocab.txt"
        vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"山水人", ""]), "utf-8")
        other = lines_corpus(tmp_path, vocabulary)
        with pytest.raises(CorpusError, match=f"{small_corpus.vocabulary.sha256}.*{other.vocabulary.sha256}"):
            Stream([small_corpus, other])

    def test_weights_fit_the_corpora(self, small_corpus, other):
        with pytest.raises(ConfigError, match="3 weights for 2 corpora"):
            Stream([small_corpus, other], options=StreamOptions(weights=(1, 2, 3)))
        with pytest.raises(ConfigError, match="without a corpus"):
            Stream([])
        for path in (str(other.path), [small_corpus, other.path]):
            with pytest.raises(ConfigError, match=r"a stream reads opened corpora.*Give what open_corpus gave"):
                Stream(path)

    def test_other_weights_are_another_stream(self, small_corpus, other):
        state = Stream([small_corpus, other]).state_dict()
        with pytest.raises(CorpusError, match="shares"):
            Stream([small_corpus, other], options=StreamOptions(weights=(1, 2))).load_state_dict(state)


def lines_corpus(folder, vocabulary_file, **settings):
    """41 short lines of original text as a corpus."""
    lines = [" ".join(["山", "水", "人"][: 1 + number % 3] * (1 + number % 5)) for number in range(41)]
    (folder / "lines.txt").write_text("\n".join(lines) + "\n", "utf-8")
    build(
        BuildConfig(
            inputs=(str(folder / "lines.txt"),),
            output=str(folder / "corpus"),
            segmenter="given",
            tokenizer=str(vocabulary_file),
            max_length=24,
            pack="line",
            num_workers=0,
            **settings,
        )
    )
    return open_corpus(folder / "corpus")


def test_the_code_of_the_page_runs(small_corpus, tmp_path, monkeypatch, capsys):
    page = Path(__file__).resolve().parent.parent / "docs" / "streaming.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (tmp_path / "corpus").symlink_to(small_corpus.path)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {})
    assert capsys.readouterr().out == "2 0\n"


def test_the_figures_of_the_page_are_those_of_the_result_file():
    root = Path(__file__).resolve().parent.parent
    page = (root / "docs" / "streaming.md").read_text("utf-8")
    measured = json.loads((root / "benchmarks" / "results" / "stream.json").read_text("utf-8"))
    rates = {line["rows_per_cpu_second"] for line in measured["rates"].values()}
    shown = re.findall(r"^\| .* \| (\d+,\d{3}) \|$", page, re.MULTILINE)
    assert len(shown) == 9
    assert {int(figure.replace(",", "")) for figure in shown} <= rates
    for name in ("litdata", "mosaicml-streaming", "datasets"):
        assert any(line.startswith(name) for line in measured["rates"])
