"""A tokenizer's name in, a fast Hugging Face tokenizer out; and how one is kept beside a corpus."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wwmcorpus.align.vocabulary import Vocabulary
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.resources import embedded_tokenizer_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_EXAMPLES = "'embedded', a folder, a vocab.txt file, or a hub id such as hfl/chinese-roberta-wwm-ext"


def load_tokenizer(name: str = "embedded") -> PreTrainedTokenizerFast:
    """Give the tokenizer of a name.

    Args:
        name: ``"embedded"``, a folder with tokenizer.json or vocab.txt, a vocab.txt file, or a hub id. A bare
            vocab.txt is taken as BERT's usual Chinese kind, lower-cased; a tokenizer_config.json beside it decides.

    Raises:
        ConfigError: nothing is found under that name, or it is no fast tokenizer.
    """
    if name == "embedded":
        return _from_folder(embedded_tokenizer_folder())
    path = Path(name)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        return _from_vocabulary(path)
    return _from_pretrained(name)


def _from_folder(folder: Path) -> PreTrainedTokenizerFast:
    if (folder / "tokenizer.json").is_file():
        return _from_pretrained(str(folder))
    if (folder / "vocab.txt").is_file():
        return _from_vocabulary(folder / "vocab.txt")
    raise ConfigError(
        "a folder without a tokenizer", value=str(folder), fix="It must hold tokenizer.json or vocab.txt."
    )


def _from_vocabulary(path: Path) -> PreTrainedTokenizerFast:
    from transformers import BertTokenizer

    config_file = path.parent / "tokenizer_config.json"
    try:
        pieces = path.read_text("utf-8").split("\n")
        config = json.loads(config_file.read_text("utf-8")) if config_file.is_file() else {}
    except ValueError as error:
        raise ConfigError(f"not a BERT vocabulary: {error}", value=str(path), fix=f"Give {_EXAMPLES}.") from None
    missing = [piece for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if piece not in pieces]
    if missing:
        raise ConfigError(
            f"not a BERT vocabulary, it lacks {', '.join(missing)}", value=str(path), fix=f"Give {_EXAMPLES}."
        )
    known = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
    return BertTokenizer(vocab=str(path), **{key: config[key] for key in known if key in config})


def _from_pretrained(name: str) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # hub and parser errors have many classes; each means that no tokenizer is there
        raise ConfigError(
            f"no tokenizer there ({type(error).__name__})", value=name, fix=f"Give {_EXAMPLES}."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(
            "not a fast tokenizer", value=name, fix="Word alignment needs offsets: convert it to tokenizer.json."
        )
    return cast("PreTrainedTokenizerFast", tokenizer)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, and vocab.txt where the model is WordPiece, for older tools.

    Raises:
        CorpusError: the disk does not take them.
    """
    try:
        tokenizer.save_pretrained(str(folder))
    except Exception as error:  # the Rust binding raises bare exceptions
        raise CorpusError(
            f"the tokenizer cannot be written: {error}", value=str(folder), fix="Is the disk full, or read-only?"
        ) from error
    if _model_type(tokenizer) == "WordPiece":
        pieces = Vocabulary.of(tokenizer).pieces
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8", newline="\n")


def tokenizer_json(tokenizer: PreTrainedTokenizerFast | Tokenizer) -> str:
    """Give all that a tokenizer is, as tokenizer.json holds it.

    Raises:
        ConfigError: it is no fast tokenizer, or a part of it is written in Python (as RoFormer's pre-tokenizer is).
    """
    try:
        return cast("str", getattr(tokenizer, "backend_tokenizer", tokenizer).to_str())
    except Exception as error:  # tokenizers raises bare Exception; AttributeError where there is no such method
        raise ConfigError(
            f"a tokenizer that tokenizer.json cannot hold ({error})",
            value=type(tokenizer).__name__,
            fix="Use a fast tokenizer without parts written in Python: only such a one is the same everywhere.",
        ) from error


def tokenizer_signature(tokenizer: PreTrainedTokenizerFast) -> str:
    """Give kind and hash of all that decides its pieces: ``"wordpiece@1a2b3c4d"``."""
    state = json.loads(tokenizer_json(tokenizer))
    decisive = {key: state[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "model")}
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]
    return f"{_model_type(tokenizer).lower()}@{digest}"


def _model_type(tokenizer: PreTrainedTokenizerFast) -> str:
    return type(tokenizer.backend_tokenizer.model).__name__
