"""Streams with workers where something goes wrong: two loops at once, errors in a worker, a worker that is killed."""

import contextlib
import multiprocessing

import pytest
import torch
from torch.utils.data import DataLoader

from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import WholeWordMaskCollator, WholeWordMasking, WordWeights
from wwmcorpus.stream import Stream, StreamOptions


def stream_of(corpus, num_workers=1, worker_batches=1, **options):
    return Stream(corpus, 64, options=StreamOptions(num_workers=num_workers, worker_batches=worker_batches), **options)


@pytest.fixture
def changing(tmp_path):
    """A masking, and a call that changes the file that it names: its rows can then not be masked."""
    path = tmp_path / "never.txt"
    path.write_text("山\n", "utf-8")
    return WholeWordMasking(weights=WordWeights(never_file=str(path))), lambda: path.write_text("水\n", "utf-8")


@pytest.mark.parametrize("worker_batches", [1, 8])
def test_an_older_loop_is_refused_and_the_newer_one_loses_nothing(small_corpus, worker_batches):
    stream = stream_of(small_corpus, worker_batches=worker_batches)
    older = iter(stream)
    next(older)
    newer = iter(stream)
    found = [next(newer)]
    with pytest.raises(ConfigError, match="one loop at a time"):
        next(older)
    assert stream.batch_index == 2
    found += [next(newer), next(newer)]
    assert stream.batch_index == 4
    for index, batch in enumerate(found, start=1):
        assert torch.equal(batch["row_ids"], stream.batch(0, index)["row_ids"])


def test_an_error_in_a_worker_is_the_error_of_the_loop(small_corpus, changing):
    masking, change = changing
    stream = stream_of(small_corpus, masking=masking)
    change()
    with pytest.raises(ConfigError, match="changed while it was in use") as caught:
        next(iter(stream))
    assert caught.value.fix == "Put the old content back, or make the scheme anew."
    assert caught.value.exit_status == 2


def test_an_error_of_the_collator_keeps_its_type_in_workers_of_others(vocabulary):
    bad = [{"input_ids": [vocabulary.cls_id, 10**6, vocabulary.sep_id], "word_start": [True] * 3}]
    loader = DataLoader(bad, batch_size=1, num_workers=1, collate_fn=WholeWordMaskCollator(vocabulary))
    try:
        found = list(loader)
    except CorpusError as error:
        found = str(error)
        error.with_traceback(None)  # it would keep the loader in a cycle, whose end torch's workers wait for
    assert "outside the vocabulary: 1000000" in found


def test_the_global_generator_is_left_alone(small_corpus):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    next(iter(stream_of(small_corpus)))
    assert torch.equal(torch.rand(3), wanted)


def test_a_stream_outlives_a_worker_that_is_killed(small_corpus):
    before = set(multiprocessing.active_children())
    stream = stream_of(small_corpus)
    next(iter(stream))
    (worker,) = set(multiprocessing.active_children()) - before
    with contextlib.suppress(RuntimeError):  # torch's signal handler raises it wherever this process stands
        worker.kill()
        worker.join()
    assert torch.equal(next(iter(stream))["row_ids"], stream.batch(0, 1)["row_ids"])
