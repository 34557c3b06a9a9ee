"""Some examples with their words in, the words that each variant replaces out: what a worker does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from wwmcorpus.files import write_json
from wwmcorpus.segment import load_segmenter
from wwmcorpus.tasks.augment.settings import AugmentConfig
from wwmcorpus.tasks.augment.texts import Edit
from wwmcorpus.tasks.augment.variants import draw_variants
from wwmcorpus.tasks.augment.words import load_stop_words, real_words
from wwmcorpus.text import Slice, Source

#: Further draws for an example, for when others have all its variants already.
NUM_SPARES = 8


class Word(NamedTuple):
    """A word that may be replaced: the number of its text, and [start, end) in code points."""

    text: int
    start: int
    end: int

    def of(self, texts: Sequence[str]) -> str:
        """Spell it."""
        return texts[self.text][self.start : self.end]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some examples that follow one another.

    Attributes:
        index: Its number.
        first: Number of its first example.
        texts: The texts of each example.
        words: Their words.
        seen_together: Whether the model sees all texts of an example at once; not a passage with each of its questions.
        neighbours: Near words by word, from vectors; empty without them.
        key: Hash of all that decides what comes out.
        name: Of the input, for messages.
    """

    index: int
    first: int
    texts: tuple[tuple[str, ...], ...]
    words: tuple[tuple[Word, ...], ...]
    seen_together: bool
    neighbours: Mapping[str, list[str]]
    key: str
    name: str

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Its examples, for messages."""
        source = Source(self.name, self.name, "txt", "", 0)
        return (Slice(0, source, self.first, self.first + len(self.texts)),)


def chunk_file(folder: Path, index: int) -> Path:
    """Give where the result of a chunk lies."""
    return folder / f"chunk-{index:06d}.json"


def augment_chunk(chunk: Chunk, config: AugmentConfig, folder: Path) -> int:
    """Write the variants of a chunk, unless they are there; give its number.

    Raises:
        WwmcorpusError: the model or the segmenter cannot be loaded.
    """
    path = chunk_file(folder, chunk.index)
    if read_chunk(path, chunk.key) is None:
        counts: Counter[str] = Counter()
        candidates = _candidates(chunk, config)
        variants, spares = [], []
        for number, (words, own) in enumerate(zip(chunk.words, candidates, strict=True), chunk.first):
            _count(own, counts)
            drawn, more = (
                draw_variants(own, config.seed, number, config.num_variants + extra, config.probability)
                for extra in (0, NUM_SPARES)
            )
            variants.append([_edits(words, variant) for variant in drawn])
            spares.append([_edits(words, variant) for variant in more if variant not in drawn])
        write_json(path, {"key": chunk.key, "variants": variants, "spares": spares, "counts": counts})
    return chunk.index


def read_chunk(path: Path, key: str) -> dict[str, Any] | None:
    """Give what a worker wrote; None where nothing is there, or something else."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return values if isinstance(values, dict) and values.get("key") == key else None


def edits_of(variant: list[dict[str, Any]]) -> dict[int, list[Edit]]:
    """Give the edits of a variant by text."""
    edits: dict[int, list[Edit]] = {}
    for word in variant:
        edits.setdefault(word["text"], []).append(Edit(word["start"], word["end"], word["new"]))
    return edits


def _edits(words: Sequence[Word], variant: Sequence[str | None]) -> list[dict[str, Any]]:
    return [word._asdict() | {"new": new} for word, new in zip(words, variant, strict=True) if new is not None]


def _count(candidates: list[list[str]], counts: Counter[str]) -> None:
    counts["eligible_words"] += len(candidates)
    counts["words_without_candidates"] += sum(not own for own in candidates)
    counts["examples_without_eligible_words"] += not candidates
    counts["examples_without_candidates"] += bool(candidates) and not any(candidates)


def _candidates(chunk: Chunk, config: AugmentConfig) -> list[list[list[str]]]:
    """Give the candidates of each word of each example, at most ``num_candidates``."""
    spelled = [word.of(texts) for texts, words in zip(chunk.texts, chunk.words, strict=True) for word in words]
    near = [chunk.neighbours.get(word, []) for word in spelled]
    filled = _filled(chunk, config) if config.model is not None else [[] for _ in spelled]
    both = iter([_merged(one, other)[: config.num_candidates] for one, other in zip(filled, near, strict=True)])
    return [[next(both) for _ in words] for words in chunk.words]


def _filled(chunk: Chunk, config: AugmentConfig) -> list[list[str]]:
    """Ask the model for each word once, also where several examples share its text."""
    from wwmcorpus.tasks.augment.fill import Blank

    blanks = [
        Blank(texts, word.text, word.start, word.end)
        if chunk.seen_together
        else Blank((texts[word.text],), 0, *word[1:])
        for texts, words in zip(chunk.texts, chunk.words, strict=True)
        for word in words
    ]
    distinct = list(dict.fromkeys(blanks))
    segmenter = load_segmenter(config.segmenter, 1, config.segmenter_options)
    filled = real_words(_filler(config).candidates(distinct), segmenter, load_stop_words(config.stop_words))
    found = dict(zip(distinct, filled, strict=True))
    return [found[blank] for blank in blanks]


@lru_cache(maxsize=1)
def _filler(config: AugmentConfig) -> Any:
    """Load the model once in a process."""
    from wwmcorpus.tasks.augment.fill import WordFiller

    return WordFiller(config)


def _merged(one: list[str], other: list[str]) -> list[str]:
    """Take turns: the first of each, then the second of each, without those that were there."""
    turns: Iterator[str | None] = chain.from_iterable(zip_longest(one, other))
    return list(dict.fromkeys(word for word in turns if word is not None))
