"""Text in, a BERT-style Chinese WordPiece vocabulary out.

Every Chinese character is a piece of its own, so characters are not learned: they come from national standards, as
Python's own codecs list them, and from whatever else the text uses often enough. Only the pieces of Latin and digit
runs are learned.
"""

from __future__ import annotations

import json
import platform
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError
from wwmcorpus.records import Rejection
from wwmcorpus.text import Source, SourceOptions, find_sources, is_han, normalise, read_sources, source_digest

_LATIN_RUN = re.compile(r"[a-z0-9]+")
_CONTINUES = "##"


class VocabularyConfig(Config):
    """What goes into a vocabulary."""

    #: Files, folders or patterns that the Latin pieces, and the characters beyond the standards, are read from.
    inputs: tuple[str, ...] = Field(strict=False, min_length=1)
    #: Folder that receives vocab.txt, tokenizer_config.json and recipe.json.
    output: str
    #: Learned pieces of Latin and digit runs, single letters and digits not counted.
    num_latin_pieces: int = Field(3000, ge=0)
    #: A character outside the standards is a piece when the inputs hold it at least so often.
    min_character_count: int = Field(2, ge=1)
    #: [unusedN] pieces, for whoever needs pieces of their own later.
    num_unused: int = Field(99, ge=0)
    #: How files become documents.
    source: SourceOptions = SourceOptions()


@dataclass(frozen=True, slots=True)
class BuiltVocabulary:
    """What was written: how many pieces of each kind, and where."""

    folder: Path
    num_pieces: int
    num_by_kind: dict[str, int]


def build_vocabulary(config: VocabularyConfig) -> BuiltVocabulary:
    """Write a lower-cased WordPiece vocabulary and the recipe that made it.

    Special pieces stand where BERT's Chinese models have them: [PAD] = 0, [UNK], [CLS], [SEP], [MASK] after the unused.

    Raises:
        ConfigError: the output folder holds a vocabulary already.
        SourceError: an input cannot be found.
    """
    folder = Path(config.output)
    if (folder / "vocab.txt").exists():
        raise ConfigError(
            "a vocabulary is already there", value=str(folder / "vocab.txt"), fix="Choose another folder, or remove it."
        )
    sources = find_sources(config.inputs, config.source)
    characters, runs = _count(sources, config.source)
    kinds = {
        "special": [
            "[PAD]",
            *(f"[unused{i}]" for i in range(1, config.num_unused + 1)),
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
        ],
        "ascii": sorted(set(string.printable.lower()) - set(string.whitespace)),
        "gb2312": sorted(_codec_characters("gb2312", range(0xA1, 0xF8))),
        "big5_common": sorted(_codec_characters("big5", range(0xA1, 0xC7))),
        "frequent": sorted(c for c, count in characters.items() if count >= config.min_character_count),
        "latin": _learn_latin(runs, config.num_latin_pieces),
    }
    kinds["continuing"] = [
        _CONTINUES + c for pieces in kinds.values() for c in pieces if len(c) == 1 and _stands_inside_words(c)
    ]
    seen: set[str] = set()
    num_by_kind = {}
    for kind, pieces in kinds.items():
        fresh = [piece for piece in dict.fromkeys(pieces) if piece not in seen]
        seen.update(fresh)
        kinds[kind], num_by_kind[kind] = fresh, len(fresh)
    _write(folder, [piece for pieces in kinds.values() for piece in pieces], num_by_kind, sources, config)
    return BuiltVocabulary(folder, sum(num_by_kind.values()), num_by_kind)


def _texts(sources: list[Source], options: SourceOptions) -> Iterator[str]:
    for item in read_sources(sources, options):
        if not isinstance(item, Rejection):
            yield _lowered(normalise(item.text)[0])


def _lowered(text: str) -> str:
    """Lower-case and strip accents as BERT does before it looks a piece up."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn")


def _count(sources: list[Source], options: SourceOptions) -> tuple[Counter[str], Counter[str]]:
    characters: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for text in _texts(sources, options):
        characters.update(text)
        runs.update(_LATIN_RUN.findall(text))
    return Counter({c: n for c, n in characters.items() if _is_visible(c)}), runs


def _is_visible(character: str) -> bool:
    """Leave out what BERT's normaliser removes, and letters that are parts of longer pieces."""
    return not character.isspace() and unicodedata.category(character)[0] != "C" and not character.isascii()


def _stands_inside_words(character: str) -> bool:
    """Say whether BERT's tokenizer can leave a character inside a run: it cuts around Han and punctuation."""
    if character.isascii():
        return character.isalnum()
    return not is_han(ord(character)) and unicodedata.category(character)[0] != "P"


def _codec_characters(codec: str, lead_bytes: Iterable[int]) -> set[str]:
    """Give the characters that a two-byte codec has under the lead bytes, as they are after lower-casing."""
    found: set[str] = set()
    for lead in lead_bytes:
        for trail in range(0x40, 0xFF):
            try:
                found.update(_lowered(bytes([lead, trail]).decode(codec)))
            except UnicodeDecodeError:
                continue
    return {character for character in found if _is_visible(character)}


def _learn_latin(runs: Counter[str], num_pieces: int) -> list[str]:
    """Learn pieces of letter and digit runs with the ``tokenizers`` trainer; initial and continuing ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    if not num_pieces:
        return []
    alphabet = list(string.digits + string.ascii_lowercase)
    # The trainer numbers continuing letters as it meets them, in the order of a hash table, and breaks ties by number;
    # announced as special pieces they have fixed numbers, and the same text always gives the same pieces.
    continuing = [_CONTINUES + character for character in alphabet]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=num_pieces + 2 * len(alphabet),
        initial_alphabet=alphabet,
        special_tokens=alphabet + continuing,
        continuing_subword_prefix=_CONTINUES,
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join([run] * count) for run, count in sorted(runs.items())), trainer)
    learned = [piece for piece in tokenizer.get_vocab() if len(piece.removeprefix(_CONTINUES)) > 1]
    return sorted(learned, key=lambda piece: (piece.startswith(_CONTINUES), piece))


def _write(
    folder: Path, pieces: list[str], num_by_kind: dict[str, int], sources: list[Source], config: VocabularyConfig
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8", newline="\n")
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
    }
    recipe = {
        "num_pieces": len(pieces),
        "num_by_kind": num_by_kind,
        "inputs": [{"name": source.name, "sha256": source_digest(source)} for source in sources],
        "num_latin_pieces": config.num_latin_pieces,
        "min_character_count": config.min_character_count,
        "python": platform.python_version(),
        "unicode": unicodedata.unidata_version,
    }
    for name, values in (("tokenizer_config.json", settings), ("recipe.json", recipe)):
        (folder / name).write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8", newline="\n")
