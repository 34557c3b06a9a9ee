"""A corpus in, masked batches out: the same ones whatever runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from wwmcorpus.corpus import Corpus
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.masking import WholeWordMasking, inside, mask_rows, pad, padded_batch, padded_width
from wwmcorpus.stream.order import shuffled

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]


class Stream:
    """Iterates the masked batches of a corpus, epoch after epoch.

    Each ``for`` runs to the end of the current epoch; the next ``for`` is the next epoch, in another order and with
    other masks. What is left at an epoch's end and does not fill a global batch is left out of that epoch.

    Args:
        corpus: An opened corpus.
        global_batch_size: Rows of a step over all ranks.
        seed: Decides order and masks.
        rank: This process, in [0, world_size).
        world_size: Processes; must divide ``global_batch_size``.
        masking: The scheme; MiniRBT's by default.
        pad_to_multiple_of: The width of a batch, the same on all ranks, is a multiple of this.

    Attributes:
        epoch: The epoch of the next batch.
        batch_index: Its number in that epoch.

    Raises:
        ConfigError: rank or world size do not fit.
        CorpusError: the corpus has fewer rows than one global batch.
    """

    def __init__(
        self,
        corpus: Corpus,
        global_batch_size: int = 64,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        masking: WholeWordMasking | None = None,
        pad_to_multiple_of: int = 1,
    ) -> None:
        if global_batch_size < 1:
            raise ConfigError(
                "a global batch without rows", value=global_batch_size, where="global_batch_size", fix="Use at least 1."
            )
        if world_size < 1 or global_batch_size % world_size:
            fitting = [n for n in range(1, global_batch_size + 1) if global_batch_size % n == 0]
            raise ConfigError(
                f"world size {world_size} does not divide the global batch of {global_batch_size}",
                fix=f"Use one of {fitting}.",
            )
        if not 0 <= rank < world_size:
            raise ConfigError(
                "no such rank",
                value=rank,
                where=f"world size {world_size}",
                fix=f"Ranks run from 0 to {world_size - 1}.",
            )
        if len(corpus) < global_batch_size:
            raise CorpusError(
                f"the corpus has {len(corpus)} rows, fewer than one global batch of {global_batch_size}",
                where=str(corpus.path),
                fix="Make global_batch_size smaller, or the corpus larger.",
            )
        self.corpus = corpus
        self.masking = masking or WholeWordMasking()
        self.global_batch_size, self.seed = global_batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.pad_to_multiple_of = pad_to_multiple_of
        self.epoch = self.batch_index = 0

    @property
    def batches_per_epoch(self) -> int:
        """Global batches of an epoch, at least 1."""
        return len(self.corpus) // self.global_batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Give this rank's slice of each global batch up to the epoch's end.

        Each is a dict of CPU tensors: ``input_ids``, ``attention_mask``, ``labels`` (int64, -100 where nothing is
        masked) and ``word_start`` (bool) of shape (rows, width), ``row_ids`` (int64) of shape (rows,). A corpus of
        sentence pairs adds ``token_type_ids`` and ``pair_label`` (int64) of shape (rows, width) and (rows,).
        """
        while True:
            epoch, index = self.epoch, self.batch_index
            self.epoch, self.batch_index = (epoch + 1, 0) if index + 1 == self.batches_per_epoch else (epoch, index + 1)
            yield self.batch(epoch, index)
            if self.batch_index == 0:
                return

    def batch(self, epoch: int, index: int) -> Batch:
        """Give this rank's slice of one global batch, by number; neither reads nor moves the position."""
        import torch

        positions = np.arange(index * self.global_batch_size, (index + 1) * self.global_batch_size)
        row_ids = shuffled(positions, len(self.corpus), self.seed, epoch, self.corpus.fingerprint)
        width = padded_width(int(self.corpus.lengths[row_ids].max()), self.pad_to_multiple_of)
        share = self.global_batch_size // self.world_size
        rows = self.corpus.rows(row_ids[self.rank * share : (self.rank + 1) * share])
        vocabulary = self.corpus.vocabulary
        masked = mask_rows(rows, vocabulary, self.masking, self.seed, epoch)
        cells = inside(rows.lengths, width)
        arrays = padded_batch(rows, masked, vocabulary, cells)
        arrays["word_start"] = pad(rows.word_start, cells, 1, np.bool_)
        arrays["row_ids"] = rows.row_ids
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        """Give the position, and what it is a position in: the same on all ranks, and for any number of them."""
        return {
            "fingerprint": self.corpus.fingerprint,
            "seed": self.seed,
            "global_batch_size": self.global_batch_size,
            "epoch": self.epoch,
            "batch_index": self.batch_index,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position.

        Raises:
            CorpusError: it is a position in another corpus, or with another seed or batch size.
        """
        own = self.state_dict()
        for key in ("fingerprint", "seed", "global_batch_size"):
            if state[key] != own[key]:
                raise CorpusError(
                    f"the saved stream has {key} {state[key]}, this one {own[key]}",
                    fix="Resume with what the run began with.",
                )
        self.epoch, self.batch_index = int(state["epoch"]), int(state["batch_index"])
