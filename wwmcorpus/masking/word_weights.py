"""Groups of rows in, the same with a weight each out: words never masked, stop words, rare words. Pure numpy."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking.spell import Known, find, hashes_of, spell, word_hashes
from wwmcorpus.masking.units import Units
from wwmcorpus.masking.weights import WordWeights
from wwmcorpus.records import Rows

if TYPE_CHECKING:
    from wwmcorpus.corpus import Corpus


def weigh(words: Units, rows: Rows, weights: WordWeights, vocabulary: Vocabulary) -> Units:
    """Give each group the weight of its word.

    Raises:
        ConfigError: a file of ``weights`` cannot be read as it was announced.
    """
    table = _table(weights, tuple(weights.file_hashes.values()), Known.of(vocabulary))
    values = np.ones(len(words.first))
    if len(values) and table.of_piece is not None:
        lengths = np.diff(words.first, append=len(rows.input_ids))
        values = np.add.reduceat(table.of_piece[rows.input_ids], words.first) / lengths
    if len(table.keys):
        listed, places = find(table.keys, word_hashes(rows.input_ids, words.first))
        values[listed] *= table.of_word[places[listed]]
    return replace(words, weights=values)


def write_piece_counts(corpus: Corpus, path: str | Path) -> int:
    """Write how often each piece occurs in a corpus, as ``WordWeights.counts_file`` reads it.

    Returns:
        How many pieces occur.
    """
    counts = corpus.piece_counts()
    pieces = corpus.vocabulary.pieces
    lines = [f"{pieces[piece_id]}\t{counts[piece_id]}\n" for piece_id in np.flatnonzero(counts).tolist()]
    Path(path).write_bytes("".join(lines).encode("utf-8"))
    return len(lines)


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Table:
    """Weights of words by the hash of their pieces, rising, and of pieces by id; None where all pieces weigh 1."""

    keys: NDArray[np.uint64]
    of_word: NDArray[np.float64]
    of_piece: NDArray[np.float64] | None


@lru_cache(maxsize=8)
def _table(weights: WordWeights, hashes: tuple[str, ...], known: Known) -> _Table:
    """Read the lists; ``hashes`` are those of the files, so that a file with other content is another table."""
    never = dict.fromkeys(_listed(weights, "never"), 0.0)
    # Words of other letters may have the same pieces: those that are never masked come last, and win.
    listed = {word: weights.stop_weight for word in _listed(weights, "stop_words") if word not in never} | never
    unknown, entries = [], {}
    for (word, weight), ids in zip(listed.items(), spell(list(listed), known.vocabulary), strict=True):
        if known.vocabulary.unk_id in ids:  # it would stand for every word that the vocabulary cannot spell
            unknown.append(word)
        elif ids:
            entries[int(hashes_of([ids])[0])] = weight
    if unknown:
        _log.warning(
            "the vocabulary cannot spell %d of the listed words; without a weight: %r", len(unknown), unknown[:5]
        )
    keys = np.array(sorted(entries), dtype=np.uint64)
    of_word = np.array([entries[int(key)] for key in keys], dtype=np.float64)
    return _Table(keys, of_word, None if weights.counts_file is None else _of_pieces(weights, known.vocabulary))


def _listed(weights: WordWeights, name: str) -> list[str]:
    return [*getattr(weights, name), *(line.strip() for line in weights.lines_of(f"{name}_file"))]


def _of_pieces(weights: WordWeights, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Give each id ``count ** -power``, scaled to a mean of 1 over what was counted; what never occurs counts as 1."""
    id_of = {piece: number for number, piece in enumerate(vocabulary.pieces)}
    counts = np.zeros(vocabulary.num_pieces)
    for number, line in enumerate(weights.lines_of("counts_file"), start=1):
        piece, _, count = line.rpartition("\t")
        if piece not in id_of or not count.isdecimal():
            raise ConfigError(
                "not a piece of the vocabulary, a tab and a count",
                value=line,
                where=f"{weights.counts_file}:{number}",
                fix="Make the file with write_piece_counts, from a corpus of the same tokenizer.",
            )
        counts[id_of[piece]] = int(count)
    counts[vocabulary.frame_ids] = 0
    values = np.array([max(count, 1.0) ** -weights.rare_power for count in counts.tolist()])
    scale = float((counts * values).sum())
    return values * (float(counts.sum()) / scale) if scale > 0 else np.ones(len(values))
