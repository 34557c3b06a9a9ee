"""Documents in, rows of two segments with a label out: BERT's next sentences, or ALBERT's order of sentences.

    [CLS] some sentences [SEP] the sentences that follow [SEP]      label 0
    [CLS] some sentences [SEP] a run of another document [SEP]      label 1, "nsp"
    [CLS] the sentences that follow [SEP] some sentences [SEP]      label 1, "sop"

Sources: create_pretraining_data.py of Devlin et al., arXiv:1810.04805, and of Lan et al., arXiv:1909.11942. Three
things differ. Segments are shortened by whole words. A sentence of more than about half a row is taken for several, so
that text without punctuation is not lost. For a lone sentence ALBERT's code takes a partner from another document,
which asks for something else than order; here, as in Megatron, a lone last sentence joins those before it, and a
document of one sentence gives no pair of that kind.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, LongWord, PackedRows
from wwmcorpus.corpus.pack_options import PackOptions
from wwmcorpus.corpus.pack_rows import count_rows, cut_units, document_keys, drop_long_words, empty_rows, short_lengths
from wwmcorpus.corpus.pair_rows import NUM_PAIR_FRAME, Pair, Pairs, frame_pairs
from wwmcorpus.hashing import mix
from wwmcorpus.records import bounds_of

#: Draws of a sentence that begins a pair; rows of one segment use the numbers before these.
_SPLIT, _COIN, _OTHER, _START, _SIDES = range(2, 7)
#: A sentence is cut into parts of half a row and so many pieces: two of them fill a row though words stay whole.
_NUM_SPARE = 8
#: Sentences of the last document that serve as another document for the next batch.
_NUM_GUEST_SENTENCES = 256


class PairPacker:
    """Makes pairs of runs of sentences of one document, or of two.

    Another document is one of the same batch, or the last one of the batch before. Where there is none, segments are
    left in order.

    Attributes:
        counts: Also ``unpaired_words`` and ``unpaired_pieces``, of sentences that found no partner;
            ``truncated_words`` and ``truncated_pieces``, left out of segments that were too long; ``borrowed_pieces``,
            of runs of other documents, which come again where their own document's turn is.
    """

    def __init__(self, vocabulary: Vocabulary, options: PackOptions) -> None:
        self._vocabulary, self._options = vocabulary, options
        self._room = options.max_length - NUM_PAIR_FRAME
        self._guest: AlignedBatch | None = None
        self.counts: Counter[str] = Counter()

    def pack(self, batch: AlignedBatch) -> tuple[PackedRows, list[LongWord]]:
        """Give the pairs of some documents, and the words that were dropped because half a row could not hold them."""
        batch, long_words = drop_long_words(batch, self._room // 2, self.counts)
        batch = _short_sentences(batch, self._room // 2 + _NUM_SPARE)
        joined = batch if self._guest is None else _joined(self._guest, batch)
        num_guests = joined.num_documents - batch.num_documents
        sentences = _Sentences.of(joined, self._options, self._room)
        make = _next_pairs if self._options.pairs == "nsp" else _order_pairs
        found = [pair for own in range(num_guests, joined.num_documents) for pair in make(sentences, own)]
        pairs = Pairs.of(found, sentences.draws[:, _SIDES])
        short = pairs.shortened(joined.word_start, self._room)
        self._count(pairs, short, joined, int(sentences.bounds[sentences.documents[num_guests]]))
        rows = frame_pairs(short, joined, self._vocabulary)
        count_rows(self.counts, rows, NUM_PAIR_FRAME * rows.num_rows)
        self._guest = _last_document(joined)
        return rows, long_words

    def finish(self) -> PackedRows:
        """Give no rows: none waits."""
        return empty_rows()

    def _count(self, pairs: Pairs, short: Pairs, joined: AlignedBatch, begin: int) -> None:
        """Count what the pairs lost of the pieces from ``begin`` on."""
        words = bounds_of(joined.word_start)
        for name, places in (("words", words), ("pieces", np.arange(len(words)))):
            paired, kept = pairs.own_length(places), short.own_length(places)
            self.counts[f"unpaired_{name}"] += int(places[-1] - places[begin]) - paired
            self.counts[f"truncated_{name}"] += paired - kept
        self.counts["borrowed_pieces"] += short.borrowed_length


@dataclass(frozen=True, slots=True)
class _Sentences:
    """The sentences of a batch, for looking up one by one.

    Attributes:
        bounds: num_sentences + 1 places in the pieces.
        documents: num_documents + 1 places in the sentences.
        filled: The documents that have sentences.
        ranks: The place of each document in ``filled``.
        targets: How many pieces a pair that begins with a sentence should have, special ones not counted.
        draws: (num_sentences, 7) uint64, for the pair that begins with a sentence.
    """

    bounds: list[int]
    documents: list[int]
    filled: list[int]
    ranks: list[int]
    targets: list[int]
    draws: NDArray[np.uint64]

    @classmethod
    def of(cls, batch: AlignedBatch, options: PackOptions, room: int) -> _Sentences:
        """Look up the sentences of a batch; each has a piece at least."""
        documents = np.searchsorted(batch.sentence_document, np.arange(batch.num_documents + 1))
        filled = np.diff(documents) > 0
        keys = document_keys(options, batch.source_index, batch.document_offset)[batch.sentence_document]
        keys = mix(keys, np.arange(len(keys)) - documents[batch.sentence_document])
        return cls(
            bounds=batch.sentence_bounds.tolist(),
            documents=documents.tolist(),
            filled=np.flatnonzero(filled).tolist(),
            ranks=(np.cumsum(filled) - 1).tolist(),
            targets=short_lengths(keys, options.short_sequence_probability, room).tolist(),
            draws=mix(keys[:, None], np.arange(_SIDES + 1)),
        )

    def end(self, begin: int, last: int, target: int) -> int:
        """Give the end of the shortest run of sentences from ``begin`` that has ``target`` pieces, or ``last``."""
        return bisect_left(self.bounds, self.bounds[begin] + target, begin + 1, last)

    def run_of_another(self, document: int, draws: list[int], target: int) -> tuple[int, int, int] | None:
        """Give another document and [begin, end) of a run of its sentences of about ``target`` pieces, if any."""
        num_others = len(self.filled) - 1
        if num_others < 1:
            return None
        other = self.filled[(self.ranks[document] + 1 + draws[_OTHER] % num_others) % len(self.filled)]
        first, last = self.documents[other : other + 2]
        begin = first + draws[_START] % (last - first)
        return other, begin, self.end(begin, last, target)


def _next_pairs(sentences: _Sentences, document: int) -> Iterator[Pair]:
    """Give BERT's pairs: half of them, and every lone sentence, with a run of another document."""
    bounds = sentences.bounds
    begin, last = sentences.documents[document : document + 2]
    while begin < last:
        target = sentences.targets[begin]
        end = sentences.end(begin, last, target)
        draws = sentences.draws[begin].tolist()
        is_lone = end - begin == 1
        split = begin + 1 + (0 if is_lone else draws[_SPLIT] % (end - begin - 1))
        run = None
        if is_lone or draws[_COIN] % 2:
            run = sentences.run_of_another(document, draws, target - bounds[split] + bounds[begin])
        if run is not None:
            other, run_begin, run_end = run
            yield Pair(bounds[begin], bounds[split], bounds[run_begin], bounds[run_end], 1, document, other, begin)
            begin = split
        else:
            if not is_lone:
                yield Pair(bounds[begin], bounds[split], bounds[split], bounds[end], 0, document, document, begin)
            begin = end


def _order_pairs(sentences: _Sentences, document: int) -> Iterator[Pair]:
    """Give ALBERT's pairs: half of them swapped; none of a document of one sentence."""
    bounds = sentences.bounds
    begin, last = sentences.documents[document : document + 2]
    while last - begin > 1:
        end = max(sentences.end(begin, last, sentences.targets[begin]), begin + 2)
        end = last if last - end == 1 else end
        draws = sentences.draws[begin].tolist()
        split = begin + 1 + draws[_SPLIT] % (end - begin - 1)
        first, second = (bounds[begin], bounds[split]), (bounds[split], bounds[end])
        if draws[_COIN] % 2:
            yield Pair(*second, *first, 1, document, document, begin)
        else:
            yield Pair(*first, *second, 0, document, document, begin)
        begin = end


def _short_sentences(batch: AlignedBatch, longest: int) -> AlignedBatch:
    """Cut sentences of more than ``longest`` pieces between words, and leave out empty ones."""
    bounds = cut_units(batch.word_start, batch.sentence_bounds, longest)
    home = np.searchsorted(batch.sentence_bounds, bounds[:-1], side="right") - 1
    return replace(
        batch,
        sentence_bounds=bounds,
        sentence_document=batch.sentence_document[home],
        ends_line=batch.ends_line[home],
    )


def _joined(one: AlignedBatch, other: AlignedBatch) -> AlignedBatch:
    """Put the documents of two batches into one."""
    return AlignedBatch(
        np.concatenate([one.piece_ids, other.piece_ids]),
        np.concatenate([one.word_start, other.word_start]),
        np.append(one.sentence_bounds, other.sentence_bounds[1:] + len(one.piece_ids)),
        np.append(one.sentence_document, other.sentence_document + one.num_documents),
        np.append(one.ends_line, other.ends_line),
        np.append(one.source_index, other.source_index),
        np.append(one.document_offset, other.document_offset),
    )


def _last_document(batch: AlignedBatch) -> AlignedBatch | None:
    """Give the beginning of the last document that has sentences; None where none has."""
    if not len(batch.sentence_document):
        return None
    document = int(batch.sentence_document[-1])
    first = int(np.searchsorted(batch.sentence_document, document))
    bounds = batch.sentence_bounds[first : first + _NUM_GUEST_SENTENCES + 1]
    pieces = slice(int(bounds[0]), int(bounds[-1]))
    return AlignedBatch(
        piece_ids=batch.piece_ids[pieces].copy(),
        word_start=batch.word_start[pieces].copy(),
        sentence_bounds=bounds - bounds[0],
        sentence_document=np.zeros(len(bounds) - 1, dtype=np.int64),
        ends_line=batch.ends_line[first : first + len(bounds) - 1].copy(),
        source_index=batch.source_index[document : document + 1].copy(),
        document_offset=batch.document_offset[document : document + 1].copy(),
    )
