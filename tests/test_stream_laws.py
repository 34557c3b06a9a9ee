"""Law 5 over everything that a stream can be told: workers, prefetching, ranks and resume points change no batch.

The uninterrupted run of one process without workers or prefetching is what all others are compared with, in order.
"""

import itertools
import json

import numpy as np
import pytest
import torch

from wwmcorpus.corpus import BuildConfig, build, open_corpus
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.stream import Stream, StreamOptions

BATCH = 36
#: Options that decide batches, each in another way.
KINDS = {
    "plain": {},
    "window": {"order": "window", "block_rows": 5, "window_blocks": 3},
    "tail": {"tail": "pad", "pad_to_multiple_of": 8},
    "buckets": {"bucket_batches": 3, "tail": "pad"},
    "packed": {"layout": "packed", "bucket_batches": 2},
    "mixture": {"weights": (1, 2.5), "bucket_batches": 2},
}


@pytest.fixture(scope="session")
def awkward(tmp_path_factory, vocabulary_file):
    """Two corpora of 3 and 1 shards: 197 and 101 rows or so, which no batch and no worker count divides."""
    folder = tmp_path_factory.mktemp("awkward")
    words = [*"山水人日月", "大地", "太阳", "星星", "天空", "朋友", "图书馆", "飞机"]
    chance = np.random.default_rng(5)
    corpora = []
    for name, num_lines, task_bytes in (("long", 197, 2700), ("short", 101, 10**9)):
        lines = [" ".join(chance.choice(words, chance.integers(2, 9))) for _ in range(num_lines)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
        build(
            BuildConfig(
                inputs=(str(folder / f"{name}.txt"),),
                output=str(folder / name),
                segmenter="given",
                tokenizer=str(vocabulary_file),
                max_length=24,
                pack="line",
                task_bytes=task_bytes,
                num_workers=0,
            )
        )
        corpora.append(open_corpus(folder / name))
    assert [len(corpus.manifest.content.shards) for corpus in corpora] == [3, 1]
    return corpora


def stream_of(corpora, kind, rank=0, world_size=1, **how):
    options = StreamOptions(**{"prefetch_batches": 0, **KINDS[kind], **how})
    corpus = corpora if kind == "mixture" else corpora[0]
    return Stream(corpus, BATCH, seed=4, rank=rank, world_size=world_size, options=options)


def take(stream, num_batches):
    """The next batches, over as many epochs as it takes, each with the state behind it."""
    batches = []
    while len(batches) < num_batches:
        for batch in stream:
            batches.append((batch, stream.state_dict()))
            if len(batches) == num_batches:
                break
    return batches


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for (batch, state), (other, other_state) in zip(found, wanted, strict=True):
        assert state == other_state
        assert batch.keys() == other.keys()
        for name in batch:
            assert batch[name].dtype == other[name].dtype
            assert torch.equal(batch[name], other[name]), name


@pytest.fixture(scope="session")
def reference(awkward):
    """Of each kind the batches of the first two epochs and of some more."""
    streams = {kind: stream_of(awkward, kind) for kind in KINDS}
    return {kind: take(stream, 2 * stream.batches_per_epoch + 2) for kind, stream in streams.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_prefetching_changes_nothing(awkward, reference, kind):
    for ahead in (1, 2, 50):
        assert_same(take(stream_of(awkward, kind, prefetch_batches=ahead), len(reference[kind])), reference[kind])


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_workers_change_nothing(awkward, reference, num_workers):
    for kind in ("buckets", "mixture", "packed") if num_workers == 2 else ("tail",):
        stream = stream_of(awkward, kind, num_workers=num_workers, worker_batches=2)
        assert_same(take(stream, len(reference[kind])), reference[kind])


def test_workers_masks_change_from_epoch_to_epoch(awkward):
    stream = stream_of(awkward, "tail", num_workers=1)
    epochs = []
    for _ in range(2):
        labels = {}
        for batch in stream:
            for row, of_row, is_filler in zip(
                batch["row_ids"].tolist(), batch["labels"], batch["is_filler"], strict=True
            ):
                if not is_filler:
                    labels[row] = [number for number, label in enumerate(of_row.tolist()) if label != IGNORED_LABEL]
        epochs.append(labels)
    assert epochs[0].keys() == epochs[1].keys() == set(range(len(awkward[0])))
    assert sum(epochs[0][row] != epochs[1][row] for row in epochs[0]) > len(awkward[0]) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world_size", [2, 3, 4, 6])
def test_ranks_end_to_end_are_the_global_batch(awkward, reference, kind, world_size):
    wanted = reference[kind][:7]
    ranks = [take(stream_of(awkward, kind, rank, world_size), len(wanted)) for rank in range(world_size)]
    for (whole, state), parts in zip(wanted, zip(*ranks, strict=True), strict=True):
        assert all(part_state == state for _, part_state in parts)
        joined = {name: [part[name] for part, _ in parts] for name in whole}
        if kind == "packed":
            lengths = torch.cat([part.diff() for part in joined.pop("cu_seqlens")])
            assert torch.equal(lengths, whole["cu_seqlens"].diff())
            assert max(joined.pop("max_seqlen")) == whole["max_seqlen"]
        for name, values in joined.items():
            assert torch.equal(torch.cat(values), whole[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumed_at_any_step_is_the_uninterrupted_run(awkward, reference, kind):
    wanted = reference[kind]
    states = [stream_of(awkward, kind).state_dict(), *(state for _, state in wanted[:-1])]
    for step, state in enumerate(states):
        resumed = stream_of(awkward, kind, prefetch_batches=3)
        resumed.load_state_dict(json.loads(json.dumps(state)))
        assert_same(take(resumed, len(wanted) - step), wanted[step:])


def test_workers_and_ranks_may_change_at_a_resume(awkward, reference):
    wanted = reference["tail"]
    for step, num_workers in ((1, 1), (5, 2)):
        halves = []
        for rank in range(2):
            resumed = stream_of(awkward, "tail", rank, 2, num_workers=num_workers, worker_batches=3)
            resumed.load_state_dict(wanted[step - 1][1])
            halves.append(take(resumed, len(wanted) - step))
        for (whole, _), (one, _), (other, _) in zip(wanted[step:], *halves, strict=True):
            assert all(torch.equal(torch.cat([one[name], other[name]]), whole[name]) for name in whole)


@pytest.mark.parametrize("how", [{}, {"prefetch_batches": 2}, {"num_workers": 2, "worker_batches": 2}])
def test_leaving_a_loop_loses_nothing(awkward, reference, how):
    stream = stream_of(awkward, "tail", **how)
    found = []
    for stop in itertools.cycle((1, 3)):
        for batch in itertools.islice(stream, stop):
            found.append((batch, stream.state_dict()))
        if len(found) >= 9:
            break
    assert_same(found[:9], reference["tail"][:9])


@pytest.mark.parametrize("how", [{}, {"prefetch_batches": 2}, {"num_workers": 1, "worker_batches": 4}])
def test_an_endless_stream_is_all_epochs_in_one_loop(awkward, reference, how):
    stream = stream_of(awkward, "tail", endless=True, **how)
    found = [(batch, stream.state_dict()) for batch in itertools.islice(stream, len(reference["tail"]))]
    assert_same(found, reference["tail"])
