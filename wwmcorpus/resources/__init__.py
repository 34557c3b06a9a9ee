"""Where the files that come with the package lie: model, vocabulary, presets, tasks, stop words, sample documents."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def embedded_ltp_folder() -> Path:
    """Give the folder of the embedded LTP perceptron, in LTP's legacy layout."""
    return _HERE / "ltp"


def embedded_tokenizer_folder() -> Path:
    """Give the folder of the embedded WordPiece vocabulary, in Hugging Face's layout."""
    return _HERE / "tokenizer"


def presets_folder() -> Path:
    """Give the folder of the presets of distillation, one TOML file each."""
    return _HERE / "presets"


def tasks_folder() -> Path:
    """Give the folder of the declarations of known tasks, one TOML file each."""
    return _HERE / "tasks"


def stop_words_file() -> Path:
    """Give the list of Chinese function words, one a line."""
    return _HERE / "stop_words.txt"


def sample_corpus_folder() -> Path:
    """Give the folder of the sample documents: inside the installed package, or beside it in a checkout."""
    packaged = _HERE / "sample_data" / "corpus"
    return packaged if packaged.is_dir() else _HERE.parent.parent / "sample_data" / "corpus"
