"""Epoch and batch number in, the rows of that global batch out: pure functions of seed, options and corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.corpus import Corpus
from wwmcorpus.hashing import key_of, mix
from wwmcorpus.stream.mixture import served
from wwmcorpus.stream.order import shuffled, shuffled_in_windows
from wwmcorpus.stream.settings import StreamOptions

#: Keeps the draws for the order of sorted batches apart from all others.
_BUCKETS = 0x0DE8
#: The order of about this many rows is computed at once: numpy's price per call is spread over them.
_CHUNK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of some global batches.

    Attributes:
        corpus: (n,) int64, the number of each row's corpus.
        epoch: (n,) int64, how often that corpus was gone through before.
        row: (n,) int64, its row id there.
        length: (n,) int64, its pieces.
        is_filler: (n,) bool, True where it only fills the last batch of an epoch.
    """

    corpus: NDArray[np.int64]
    epoch: NDArray[np.int64]
    row: NDArray[np.int64]
    length: NDArray[np.int64]
    is_filler: NDArray[np.bool_]

    def select(self, which: slice | NDArray[np.int64]) -> Chosen:
        """Give some of the rows, in that order."""
        return Chosen(*(getattr(self, field.name)[which] for field in fields(self)))


class Plan:
    """Says which rows make up each global batch.

    One corpus: an epoch is each row once. A mixture: positions go on from epoch to epoch, each corpus counts epochs of
    its own, and an epoch of the whole is as many batches as all rows together fill.

    Args:
        corpora: At least one.
        shares: How often each serves, in parts of ``TOTAL_SHARES``; None for a single corpus.
        global_batch_size: Rows of a batch.
        seed: Decides the order.
        options: Order, tail and bucketing.

    Attributes:
        batches_per_epoch: Global batches of an epoch.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        shares: Sequence[int] | None,
        global_batch_size: int,
        seed: int,
        options: StreamOptions,
    ) -> None:
        self._corpora, self._shares, self._options = corpora, shares, options
        self._size, self._seed = global_batch_size, seed
        num_rows = sum(map(len, corpora))
        self.batches_per_epoch = num_rows // global_batch_size
        if shares is None and options.tail == "pad":
            self.batches_per_epoch = -(-num_rows // global_batch_size)
        pool = options.bucket_batches
        self._chunk_batches = pool * max(1, _CHUNK_ROWS // (pool * global_batch_size))
        self._last: tuple[tuple[int, int], Chosen] | None = None

    def batch(self, epoch: int, index: int) -> Chosen:
        """Give the rows of one global batch.

        Raises:
            IndexError: there is no such batch.
        """
        if epoch < 0 or not 0 <= index < self.batches_per_epoch:
            raise IndexError(f"batch {index} of epoch {epoch}; an epoch has {self.batches_per_epoch} batches")
        number, place = divmod(index, self._chunk_batches)
        known = self._last
        if known is None or known[0] != (epoch, number):
            known = (epoch, number), self._chunk(epoch, number)
            self._last = known
        return known[1].select(slice(place * self._size, (place + 1) * self._size))

    def _chunk(self, epoch: int, number: int) -> Chosen:
        """Give the rows of ``_chunk_batches`` global batches, or of those that the epoch has left."""
        first = number * self._chunk_batches
        last = min(first + self._chunk_batches, self.batches_per_epoch)
        rows = self._rows(epoch, np.arange(first * self._size, last * self._size))
        if self._options.bucket_batches == 1:
            return rows
        pool = self._options.bucket_batches
        order = [
            self._sorted_by_length(rows.length, epoch, begin - first, min(begin + pool, last) - first, begin // pool)
            for begin in range(first, last, pool)
        ]
        return rows.select(np.concatenate(order))

    def _sorted_by_length(
        self, lengths: NDArray[np.int64], epoch: int, begin: int, end: int, pool: int
    ) -> NDArray[np.int64]:
        """Order the rows of the batches [begin, end) by length, and then these batches by a draw."""
        rows = np.argsort(lengths[begin * self._size : end * self._size], kind="stable") + begin * self._size
        draws = mix(key_of(_BUCKETS, self._seed, epoch, pool), np.arange(end - begin))
        ordered: NDArray[np.int64] = rows.reshape(end - begin, self._size)[np.argsort(draws, kind="stable")].ravel()
        return ordered

    def _rows(self, epoch: int, positions: NDArray[np.int64]) -> Chosen:
        """Give the rows at positions of an epoch."""
        if self._shares is None:
            num_rows = len(self._corpora[0])
            corpus = np.zeros_like(positions)
            epochs, places = np.full_like(positions, epoch), positions % num_rows
            is_filler = positions >= num_rows
        else:
            positions = positions + epoch * self.batches_per_epoch * self._size
            corpus, before = served(positions, self._shares)
            epochs, places = np.divmod(before, np.array([len(each) for each in self._corpora])[corpus])
            is_filler = np.zeros(len(positions), dtype=bool)
        row, length = np.empty_like(positions), np.empty_like(positions)
        for number, own_epoch, which in groups_of(corpus, epochs):
            row[which] = self._ordered(places[which], self._corpora[number], own_epoch)
            length[which] = self._corpora[number].lengths_of(row[which])
        return Chosen(corpus, epochs, row, length, is_filler)

    def _ordered(self, places: NDArray[np.int64], corpus: Corpus, epoch: int) -> NDArray[np.int64]:
        options = self._options
        if options.order == "global":
            return shuffled(places, len(corpus), self._seed, epoch, corpus.fingerprint)
        return shuffled_in_windows(
            places,
            len(corpus),
            self._seed,
            epoch,
            corpus.fingerprint,
            block_rows=options.block_rows,
            window_blocks=options.window_blocks,
        )


def groups_of(
    corpora: NDArray[np.int64], epochs: NDArray[np.int64]
) -> list[tuple[int, int, slice | NDArray[np.int64]]]:
    """Part rows by corpus and its epoch: the two, and which rows they are; all of them as a slice."""
    if len(corpora) and (corpora == corpora[0]).all() and (epochs == epochs[0]).all():
        return [(int(corpora[0]), int(epochs[0]), slice(None))]
    pairs = sorted(set(zip(corpora.tolist(), epochs.tolist(), strict=True)))
    return [(number, epoch, np.flatnonzero((corpora == number) & (epochs == epoch))) for number, epoch in pairs]
