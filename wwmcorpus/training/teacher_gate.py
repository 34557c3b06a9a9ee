"""A teacher and a corpus in, an error out where the one cannot teach the other.

Some published Chinese checkpoints hold a trained encoder below a masked language modelling head that was drawn at
random when they were saved. Such a teacher loads without a warning and teaches noise. It is told by its guesses: on
text where even the frequency of each piece would give a lower loss, there is nothing to learn from it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.training.evaluate import Figures

_log = logging.getLogger(__name__)


def check_tokenizer(role: str, name: str, vocabulary: Vocabulary) -> None:
    """Compare the tokenizer beside a model with a corpus's, piece by piece.

    Args:
        role: What the model is, for the message.
        name: Folder or hub id of the model. Without a tokenizer there nothing is compared, and a warning says so.
        vocabulary: The corpus's.

    Raises:
        ConfigError: the same id stands for different pieces; both sides are printed.
    """
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in ("tokenizer.json", "vocab.txt")):
        _log.warning("%s has no tokenizer beside it: that its pieces are the corpus's is taken on trust", name)
        return
    other = Vocabulary.of(load_tokenizer(name))
    if other.sha256 == vocabulary.sha256:
        return
    pairs = zip(other.pieces, vocabulary.pieces, strict=False)
    first = next((index for index, (theirs, ours) in enumerate(pairs) if theirs != ours), None)
    if first is None:
        detail = f"{other.num_pieces} pieces there, {vocabulary.num_pieces} in the corpus"
    else:
        detail = f"id {first} is {other.pieces[first]!r} there, {vocabulary.pieces[first]!r} in the corpus"
    raise ConfigError(
        f"the vocabulary of the {role} is {other.sha256[:8]}, the corpus's {vocabulary.sha256[:8]}: {detail}",
        value=name,
        where=role,
        fix=f"Build the corpus with --tokenizer {name}, or take another {role}.",
    )


def check_knowledge(name: str, teacher: Figures, baseline: Figures, accept: bool = False) -> None:
    """Stop before training where a teacher knows no more of masked pieces than how often each occurs.

    Args:
        name: The teacher's.
        teacher: Its figures.
        baseline: Those of the unigram model of the training corpus, on the same masked rows.
        accept: Warn and go on.

    Raises:
        TrainingError: its loss is not below the baseline's, or it guesses no more pieces rightly.
    """
    told = (
        f"perplexity {teacher.perplexity:,.1f} and {teacher.piece_accuracy:.1%} of masked pieces right, "
        f"where piece frequency alone gives {baseline.perplexity:,.1f} and {baseline.piece_accuracy:.1%}"
    )
    if teacher.loss < baseline.loss and teacher.piece_accuracy > baseline.piece_accuracy:
        _log.info("teacher gate passed: %s", told)
        return
    if accept:
        _log.warning("teacher accepted as asked: %s", told)
        return
    raise TrainingError(
        f"the masked language modelling head of the teacher looks untrained: {told}",
        value=name,
        where="teacher",
        fix="Take another teacher, or continue this one with wwmcorpus pretrain first; "
        "--accept-teacher goes on as it is.",
    )
