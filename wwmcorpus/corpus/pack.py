"""Aligned documents in, rows of at most ``max_length`` pieces out; a word is never cut, whatever is dropped is counted.

word_start   1 0 1 1 0 0 1          max_length 6
rows         [CLS] . . . [SEP]      4 pieces between the special ones would cut a word
             [CLS] . . . . [SEP]
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.pack_options import PackOptions
from wwmcorpus.corpus.pack_stream import StreamPacker
from wwmcorpus.corpus.pack_units import UnitPacker
from wwmcorpus.corpus.pairs import PairPacker

__all__ = ["PackOptions", "Packer", "make_packer"]


class Packer(Protocol):
    """Makes rows of the documents of one split of one task, in order.

    Attributes:
        counts: Since construction: ``rows``; ``row_pieces``, special pieces counted; ``special_pieces``;
            ``dropped_words`` and ``dropped_pieces`` of words longer than a row. Packers of pairs count more.
    """

    counts: Counter[str]

    def pack(self, batch: AlignedBatch) -> tuple[PackedRows, list[LongWord]]:
        """Give the rows that are complete, and the words that were dropped because no row could hold them."""
        ...

    def finish(self) -> PackedRows:
        """Give the rows that waited for further documents; there will be none."""
        ...


def make_packer(vocabulary: Vocabulary, options: PackOptions) -> Packer:
    """Give a packer for one split of one task.

    Args:
        vocabulary: Gives [CLS] and [SEP].
        options: How documents become rows.
    """
    if options.pairs:
        return PairPacker(vocabulary, options)
    if options.pack == "stream":
        return StreamPacker(vocabulary, options)
    return UnitPacker(vocabulary, options)
