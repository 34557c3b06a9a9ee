"""What many tests share: a small vocabulary, a perceptron trained in a moment, corpora built once."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import settings

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.corpus import BuildConfig, Corpus, build, open_corpus
from wwmcorpus.segment.training import train_segmenter

# Models of the tests are tiny: a second thread only waits for the first, and on a busy machine it waits long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLE_DATA = Path(__file__).resolve().parent.parent / "sample_data"

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def vocabulary_file(tmp_path_factory):
    """A WordPiece vocabulary of the sample documents' characters and of ASCII; Latin words take several pieces."""
    texts = "".join(path.read_text("utf-8") for path in sorted((SAMPLE_DATA / "corpus").glob("*.txt")))
    latin = string.digits + string.ascii_lowercase
    characters = sorted({character for character in texts.lower() if not character.isspace()} | set(latin))
    specials = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused2]"]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join([*specials, *characters, *(f"##{character}" for character in latin), ""]), "utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer(vocabulary_file):
    return load_tokenizer(str(vocabulary_file))


@pytest.fixture(scope="session")
def vocabulary(tokenizer):
    return Vocabulary.of(tokenizer)


@pytest.fixture(scope="session")
def ltp_folder(tmp_path_factory):
    """An LTP legacy folder trained on the 230 gold sentences: its words are poor, its road is LTP's."""
    return train_segmenter([SAMPLE_DATA / "segmented" / "gold.txt"], tmp_path_factory.mktemp("ltp") / "model").folder


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory, vocabulary_file) -> Corpus:
    """The sample documents in rows of at most 24 pieces: thousands of rows, many words."""
    output = tmp_path_factory.mktemp("corpora") / "small"
    build(
        BuildConfig(
            inputs=(str(SAMPLE_DATA / "corpus"),),
            output=str(output),
            segmenter="jieba",
            tokenizer=str(vocabulary_file),
            max_length=24,
            source={"document_break": "blank_line"},
            task_bytes=32 * 1024,
            num_workers=0,
        )
    )
    return open_corpus(output)
