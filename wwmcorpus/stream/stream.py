"""Corpora in, masked batches out: the same ones whatever runs them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from wwmcorpus.config import whole_number
from wwmcorpus.corpus import Corpus
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import Masking, WholeWordMasking
from wwmcorpus.stream.ahead import Place, Workers, in_thread
from wwmcorpus.stream.batches import Batch, BatchMaker
from wwmcorpus.stream.checks import check_corpora, check_ranks, mixture_shares
from wwmcorpus.stream.plan import Plan
from wwmcorpus.stream.settings import StreamOptions
from wwmcorpus.stream.state import STATE_FORMAT, check_same, position_in


class Stream:
    """Iterates the masked batches of a corpus, or of a mixture of corpora, epoch after epoch.

    Each ``for`` runs to the end of the current epoch; the next ``for`` is the next epoch, in another order and with
    other masks. Leaving a loop loses no batch: the next one goes on behind the last that was given. The values of a
    batch depend on corpora, seed, global batch size, masking and ``options.decisive``; never on ranks, workers,
    prefetching or where a run was resumed.

    Args:
        corpus: An opened corpus; or several, drawn from by ``options.weights``.
        global_batch_size: Rows of a step over all ranks.
        seed: Decides order and masks.
        rank: This process, in [0, world_size).
        world_size: Processes; must divide ``global_batch_size``.
        masking: The scheme; MiniRBT's by default.
        options: Everything else: order, tail, shapes, workers.

    Attributes:
        epoch: The epoch of the next batch.
        batch_index: Its number in that epoch.

    Raises:
        ConfigError: rank, world size, seed or weights do not fit, or a file that the masking names cannot be read.
        CorpusError: fewer rows than one global batch, or corpora that do not go together.
    """

    def __init__(
        self,
        corpus: Corpus | Sequence[Corpus],
        global_batch_size: int = 64,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        masking: Masking | None = None,
        options: StreamOptions | None = None,
    ) -> None:
        self.options = options or StreamOptions()
        single = isinstance(corpus, Corpus | str | Path)  # a path is refused below, whole and not letter by letter
        self.corpora: tuple[Corpus, ...] = (corpus,) if single else tuple(corpus)  # type: ignore[arg-type, assignment]
        self.masking = masking or WholeWordMasking()
        self._masking_identity = self.masking.identity()
        self.global_batch_size, self.rank, self.world_size = global_batch_size, rank, world_size
        self.seed = whole_number(seed, "seed")
        check_ranks(global_batch_size, rank, world_size)
        check_corpora(self.corpora, global_batch_size, self.options)
        self._shares = mixture_shares(self.corpora, self.options)
        plan = Plan(self.corpora, self._shares, global_batch_size, self.seed, self.options)
        self._maker = BatchMaker(
            self.corpora, plan, self.masking, self.seed, global_batch_size, rank, world_size, self.options
        )
        self._workers: Workers | None = None
        self.batches_per_epoch = plan.batches_per_epoch
        self.epoch = self.batch_index = 0

    def __iter__(self) -> Iterator[Batch]:
        """Give this rank's slice of each global batch up to the epoch's end, or for ever with ``options.endless``.

        Each is a dict of CPU tensors. Padded: ``input_ids``, ``attention_mask``, ``labels`` (int64, -100 where nothing
        is asked) and ``word_start`` (bool) of shape (rows, width). Packed: the same without ``attention_mask``, of
        shape (pieces,), with ``position_ids`` (pieces,) int64, ``cu_seqlens`` (rows + 1,) int32 and ``max_seqlen`` ()
        int32. Both: ``row_ids`` (rows,) int64. Sentence pairs add ``token_type_ids`` in the shape of ``input_ids`` and
        ``pair_label`` (rows,), int64; a mixture adds ``corpus_ids`` (rows,) int64; ``tail="pad"`` adds ``is_filler``
        (rows,) bool.

        Raises:
            ConfigError: with ``options.num_workers``, another loop began since; or a file that the masking names was
                changed.
            CorpusError: the corpus was changed.
        """
        rest = (self.epoch, self.batch_index), self.batches_per_epoch, self.options.endless
        made = self._made(_places(*rest))
        try:
            for (epoch, index), batch in zip(_places(*rest), made, strict=True):
                self.epoch, self.batch_index = _after(epoch, index, self.batches_per_epoch)
                yield batch
        finally:
            made.close()

    def batch(self, epoch: int, index: int) -> Batch:
        """Give this rank's slice of one global batch, by number; neither reads nor moves the position.

        Raises:
            IndexError: an epoch has no such batch.
        """
        return self._maker.shaped(self._maker.flat(epoch, index))

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch; within the current one the position stays, so that resumed runs go on.

        Raises:
            ConfigError: it is negative, or no whole number.
        """
        epoch = whole_number(epoch, "epoch")
        if epoch < 0:
            raise ConfigError("no such epoch", value=epoch, fix="Epochs count from 0.")
        if epoch != self.epoch:
            self.epoch, self.batch_index = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Give the position, and what it is a position in: plain values, the same on all ranks, for any number of them.

        The position is ``epoch`` and ``batch_index``: that of the batch after the last one that was given.
        """
        return {
            "format": STATE_FORMAT,
            "fingerprint": "+".join(corpus.fingerprint for corpus in self.corpora),
            "seed": self.seed,
            "global_batch_size": self.global_batch_size,
            "masking": self._masking_identity,
            "options": self.options.decisive,
            "shares": None if self._shares is None else list(self._shares),
            "epoch": self.epoch,
            "batch_index": self.batch_index,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position. Not within a loop over the stream: its next batch would set the position again.

        Raises:
            CorpusError: it is a position in another stream: another corpus, seed, batch size, masking or option; or no
                position in any.
        """
        check_same(state, self.state_dict())
        self.epoch, self.batch_index = position_in(state, self.batches_per_epoch)

    def _made(self, places: Iterator[Place]) -> Generator[Batch, None, None]:
        options = self.options
        if options.num_workers:
            self._workers = self._workers or Workers(self._maker, options.num_workers, options.worker_batches)
            return self._workers.run(places)
        if options.prefetch_batches:
            return in_thread(lambda place: self.batch(*place), places, options.prefetch_batches)
        return (self.batch(*place) for place in places)


def _places(begin: Place, batches_per_epoch: int, endless: bool) -> Iterator[Place]:
    """Give the batches from ``begin`` to its epoch's end, or for ever."""
    place = begin
    while place == begin or place[1] or endless:
        yield place
        place = _after(*place, batches_per_epoch)


def _after(epoch: int, index: int, batches_per_epoch: int) -> Place:
    return (epoch + 1, 0) if index + 1 == batches_per_epoch else (epoch, index + 1)
