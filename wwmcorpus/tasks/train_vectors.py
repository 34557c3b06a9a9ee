"""A corpus in, word vectors in text format out: what ``augment`` reads, learned from your own text.

Words are those of the corpus, so they are cut as its segmenter cut them. gensim learns the vectors (extra ``vectors``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.corpus import Corpus, open_corpus
from wwmcorpus.errors import CorpusError, MissingExtraError
from wwmcorpus.files import check_output_file, disk_errors, make_folder, whole_file

_log = logging.getLogger(__name__)
_ROWS_AT_ONCE = 4096


class VectorTraining(Config):
    """How word vectors are learned; word2vec (Mikolov et al., arXiv:1301.3781 and arXiv:1310.4546)."""

    #: A corpus folder; of a corpus with splits, that of one.
    corpus: str
    #: The file to write.
    output: str
    #: Numbers of a vector.
    dimensions: int = Field(default=100, ge=1)
    #: Words to each side that a word is learned from.
    window: int = Field(default=5, ge=1)
    #: A word that occurs less often has no vector.
    min_count: int = Field(default=5, ge=1)
    epochs: int = Field(default=5, ge=1)
    algorithm: Literal["skipgram", "cbow"] = "skipgram"
    #: Words that did not occur there, for each that did.
    negative: int = Field(default=5, ge=1)
    seed: int = Field(default=0, ge=0)
    #: With more than one, the numbers are not the same each time.
    num_threads: int = Field(default=1, ge=1)
    #: Replace the output if it is there.
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class TrainedVectors:
    """What was written.

    Attributes:
        path: The file.
        num_words: Words that have a vector.
        dimensions: Numbers of each.
        counts: Of the corpus: ``words``, and those that are left out: ``not_letters`` (numbers, marks, mixtures),
            ``unknown`` (with a piece that the vocabulary lacks).
    """

    path: str
    num_words: int
    dimensions: int
    counts: dict[str, int]

    def lines(self) -> list[str]:
        """Give what to print."""
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())
        return [f"{self.num_words:,} words, {self.dimensions} numbers each", f"of the corpus's {counts}"]


class CorpusWords:
    """The words of each row of a corpus, as often as one likes to go through them.

    Words are spelled from pieces: as the tokenizer has them, mostly in small letters. Only those that are all letters
    are given.

    Args:
        corpus: The corpus.

    Attributes:
        counts: As in ``TrainedVectors``, of all passes.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._frame = set(corpus.vocabulary.frame_ids.tolist())
        self._known: dict[bytes, str | None] = {}
        self.counts: Counter[str] = Counter(words=0, not_letters=0, unknown=0)

    def __iter__(self) -> Iterator[list[str]]:
        for begin in range(0, len(self._corpus), _ROWS_AT_ONCE):
            rows = self._corpus.rows(np.arange(begin, min(begin + _ROWS_AT_ONCE, len(self._corpus))))
            for first, last in zip(rows.bounds[:-1].tolist(), rows.bounds[1:].tolist(), strict=True):
                ids = rows.input_ids[first:last]
                starts = np.flatnonzero(rows.word_start[first:last]).tolist()
                words = (
                    self._spelled(ids[a:b].tobytes()) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)
                )
                yield [word for word in words if word is not None]

    def _spelled(self, key: bytes) -> str | None:
        """Spell a word; None where it is none that is wanted."""
        if key not in self._known:
            self._known[key] = self._spell(np.frombuffer(key, dtype=np.int32).tolist())
        word = self._known[key]
        self.counts["words"] += word != ""
        if word == "":  # a special piece is no word
            return None
        if word is None:
            self.counts["unknown"] += 1
        elif not word.isalpha():
            self.counts["not_letters"] += 1
        else:
            return word
        return None

    def _spell(self, ids: list[int]) -> str | None:
        if ids[0] in self._frame:
            return ""
        vocabulary = self._corpus.vocabulary
        if vocabulary.unk_id in ids:
            return None
        return "".join(vocabulary.pieces[i].removeprefix("##") for i in ids)


def train_vectors(config: VectorTraining) -> TrainedVectors:
    """Learn word vectors from a corpus and write them in word2vec's text format.

    Raises:
        CorpusError: there is no corpus, no word of it is frequent enough, the output is there already, or the disk
            does not take it.
        MissingExtraError: gensim is not installed.
    """
    try:
        from gensim.models import Word2Vec
    except ModuleNotFoundError as error:
        raise MissingExtraError.of(str(error.name), "vectors", "train-vectors") from None
    output = Path(config.output)
    check_output_file(output, config.overwrite)
    words = CorpusWords(open_corpus(config.corpus))
    model = Word2Vec(
        vector_size=config.dimensions,
        window=config.window,
        min_count=config.min_count,
        sg=int(config.algorithm == "skipgram"),
        negative=config.negative,
        seed=config.seed,
        workers=config.num_threads,
    )
    model.build_vocab(words)
    counts = dict(words.counts)
    if not len(model.wv):
        raise CorpusError(
            f"no word occurs {config.min_count} times or more",
            value=config.corpus,
            fix="Take a larger corpus, or lower min_count.",
        )
    model.train(words, total_examples=model.corpus_count, epochs=config.epochs)
    with disk_errors(output, "Is the disk full, or the folder read-only? Mend that, and run the command again."):
        make_folder(output.parent)
        with whole_file(output, "w") as file:
            file.write(f"{len(model.wv)} {config.dimensions}\n")
            for word in model.wv.index_to_key:
                file.write(f"{word} {' '.join(f'{number:.6g}' for number in model.wv[word].tolist())}\n")
    return TrainedVectors(str(output), len(model.wv), config.dimensions, counts)
