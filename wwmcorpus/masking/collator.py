"""Rows of any data set in, a batch for a BERT out: the collator for plain DataLoaders and ``transformers.Trainer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.refs import word_start_of_ref
from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import CorpusError
from wwmcorpus.hashing import mix
from wwmcorpus.masking.apply import mask_rows
from wwmcorpus.masking.pad import inside, padded_batch, padded_width
from wwmcorpus.masking.scheme import WholeWordMasking
from wwmcorpus.records import Rows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast


class WholeWordMaskCollator:
    """Masks whole words of the rows that it is given and pads them to one width.

    A row is a mapping with ``input_ids`` and either ``word_start`` (bool, True where a word begins and on special
    pieces) or ``chinese_ref`` (positions of pieces that continue a word). ``row_ids`` where present (one integer), or
    else a hash of its ids, decides the row's mask together with seed and epoch. ``token_type_ids`` and ``pair_label``
    go into the batch where rows have them.

    Args:
        tokenizer: The tokenizer of the rows.
        masking: The scheme; MiniRBT's by default.
        seed: Any integer; another seed draws other masks.
        pad_to_multiple_of: The width of a batch is a multiple of this.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        masking: WholeWordMasking | None = None,
        seed: int = 0,
        pad_to_multiple_of: int = 1,
    ) -> None:
        self.vocabulary = Vocabulary.of(tokenizer)
        self.masking = masking or WholeWordMasking()
        self.seed = seed
        self.pad_to_multiple_of = pad_to_multiple_of
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the masks of another epoch from now on."""
        self.epoch = epoch

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Give int64 tensors of shape (num_rows, width): input_ids, attention_mask, labels; token_type_ids if given.

        ``pair_label``, if given, has shape (num_rows,).

        Raises:
            CorpusError: a row has neither ``word_start`` nor ``chinese_ref``, or lengths or ids do not fit.
        """
        import torch

        flat = self._flatten(rows)
        masked = mask_rows(flat, self.vocabulary, self.masking, self.seed, self.epoch)
        cells = inside(flat.lengths, padded_width(int(flat.lengths.max()), self.pad_to_multiple_of))
        batch = padded_batch(flat, masked, self.vocabulary, cells)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def _flatten(self, rows: Sequence[Mapping[str, Any]]) -> Rows:
        ids = [np.asarray(row["input_ids"], dtype=np.int32) for row in rows]
        bounds = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
        flat = np.concatenate(ids)
        if len(flat) and (flat.min() < 0 or flat.max() >= self.vocabulary.num_pieces):
            raise CorpusError(
                "a piece id lies outside the vocabulary",
                value=int(flat[(flat < 0) | (flat >= self.vocabulary.num_pieces)][0]),
                where=f"vocabulary of {self.vocabulary.num_pieces} pieces, sha256 {self.vocabulary.sha256[:8]}",
                fix="Give the collator the tokenizer that made the rows.",
            )
        starts = [self._word_start(row, row_ids) for row, row_ids in zip(rows, ids, strict=True)]
        row_ids = [
            int(row["row_ids"]) if "row_ids" in row else _content_id(pieces)
            for row, pieces in zip(rows, ids, strict=True)
        ]
        types = [np.asarray(row["token_type_ids"], dtype=np.int8) for row in rows if "token_type_ids" in row]
        labels = [int(row["pair_label"]) for row in rows if "pair_label" in row]
        return Rows(
            flat,
            np.concatenate(starts),
            bounds,
            np.array(row_ids, dtype=np.int64),
            np.concatenate(types) if types else None,
            np.array(labels, dtype=np.int8) if labels else None,
        )

    def _word_start(self, row: Mapping[str, Any], ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        if "word_start" in row:
            starts = np.asarray(row["word_start"], dtype=bool)
        elif "chinese_ref" in row:
            starts = word_start_of_ref(ids, row["chinese_ref"], self.vocabulary)
        else:
            raise CorpusError(
                "a row without words",
                value=sorted(row),
                fix="Rows need word_start or chinese_ref. With transformers.Trainer, set remove_unused_columns=False.",
            )
        if len(starts) != len(ids):
            raise CorpusError(f"word_start has {len(starts)} entries, input_ids {len(ids)}", fix="Truncate both alike.")
        return starts


def _content_id(ids: NDArray[np.int32]) -> int:
    """Give a row without an id one that its content decides."""
    folded = np.bitwise_xor.reduce(mix(ids.astype(np.uint64), np.arange(len(ids))))
    return int(folded.view(np.int64) if isinstance(folded, np.ndarray) else np.uint64(folded).astype(np.int64))
