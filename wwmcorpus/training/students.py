"""A name, a path or a shape in, a BERT out: the students of MiniRBT and your own.

A student takes the vocabulary size of the corpus. Published sizes count BertModel with its pooler and 21,128 pieces.

Source: MiniRBT, https://github.com/iflytek/MiniRBT; HFL's RBT models, https://github.com/ymcui/Chinese-BERT-wwm.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertModel

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.training.settings import StudentShape

#: Shapes by name. MiniRBT's config file for h288 says 12 heads, its README says 8; the README is followed here. The
#: number of weights is the same, the attention is not: weights trained with the one do not work with the other.
STUDENTS: dict[str, StudentShape] = {
    "minirbt-h256": StudentShape(layers=6, hidden=256, heads=8, intermediate=1024),
    "minirbt-h288": StudentShape(layers=6, hidden=288, heads=8, intermediate=1152),
    "rbt4-h312": StudentShape(layers=4, hidden=312, heads=12, intermediate=1200),
    "rbt6": StudentShape(layers=6, hidden=768, heads=12, intermediate=3072),
    "rbt3": StudentShape(layers=3, hidden=768, heads=12, intermediate=3072),
}


def student_config(student: str | StudentShape, vocab_size: int, pad_id: int = 0) -> BertConfig:
    """Give the Hugging Face configuration of a student.

    Args:
        student: A name of ``STUDENTS``, the path of a JSON file with ``BertConfig`` fields or of a folder with a
            ``config.json``, or a shape.
        vocab_size: Pieces in the vocabulary of the corpus; replaces what a JSON file says.
        pad_id: The padding piece.

    Raises:
        ConfigError: the name is unknown, or the JSON file is not a BERT's.
    """
    path = student_file(student)
    if path is not None:
        return _from_json(path, vocab_size, pad_id)
    shape = STUDENTS.get(student) if isinstance(student, str) else student
    if shape is None:
        close = nearest(str(student), STUDENTS)
        hint = f"Did you mean {close!r}? " if close else ""
        raise ConfigError(
            "unknown student",
            value=student,
            fix=f"{hint}{choices(STUDENTS)[:-1]}; or give the path of a config.json, or a shape.",
        )
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
        max_position_embeddings=shape.max_positions,
        pad_token_id=pad_id,
    )


def student_file(student: str | StudentShape) -> Path | None:
    """Give the JSON file that a student names, whether it is there or not; None for a name or a shape."""
    if isinstance(student, str) and (student.endswith(".json") or "/" in student or Path(student).is_dir()):
        path = Path(student)
        return path / "config.json" if path.is_dir() else path
    return None


def build_student(config: BertConfig, seed: int = 0, has_pair_head: bool = False) -> BertForMaskedLM:
    """Give a student with random weights, a function of the arguments; leave torch's generator as it was.

    With a pair head it is a ``BertForPreTraining``, whose parts have the same names.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForPreTraining(config) if has_pair_head else BertForMaskedLM(config)  # type: ignore[return-value]


def set_output_bias(model: BertForMaskedLM, piece_counts: NDArray[np.int64], left_out: Sequence[int] = ()) -> None:
    """Start the output layer as the unigram model of a corpus: each piece's bias is the log of its share.

    Args:
        model: A student with first weights.
        piece_counts: (vocab_size,) int64; one is added to each.
        left_out: Ids that are never masked, such as [CLS] and [PAD]; they count as unseen.
    """
    counts = piece_counts.astype(np.float64) + 1
    counts[list(left_out)] = 1
    with torch.no_grad():
        model.cls.predictions.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def set_dropout(model: torch.nn.Module, probability: float) -> None:
    """Set every dropout of a model, those inside attention included; its configuration keeps what it said."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability


def freeze(model: torch.nn.Module, patterns: Sequence[str]) -> int:
    """Stop weights from learning, and give how many numbers are left that learn.

    Args:
        model: The student.
        patterns: Of weight names, with ``*`` for anything: ``"bert.embeddings.*"``.

    Raises:
        ConfigError: a pattern names no weight, or nothing is left that learns.
    """
    named = dict(model.named_parameters())
    for index, pattern in enumerate(patterns):
        found = fnmatch.filter(named, pattern)
        if not found:
            close = nearest(pattern, named)
            raise ConfigError(
                "no weight has such a name",
                value=pattern,
                where=f"freeze[{index}]",
                fix=f"Names look like {close or next(iter(named))!r}; * stands for anything.",
            )
        for name in found:
            named[name].requires_grad_(False)
    learning = sum(weight.numel() for weight in named.values() if weight.requires_grad)
    if not learning:
        raise ConfigError(
            "every weight is frozen", value=tuple(patterns), where="freeze", fix="Leave something to learn."
        )
    return learning


def num_parameters(config: BertConfig) -> int:
    """Count the weights of the backbone with its pooler: what the published sizes count. Allocates nothing."""
    with torch.device("meta"):
        return int(BertModel(config).num_parameters())


def _from_json(path: Path, vocab_size: int, pad_id: int) -> BertConfig:
    try:
        fields = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            "no such model config", value=str(path), fix=choices(STUDENTS)[:-1] + "; or give the path of a config.json."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(
            f"not a JSON model config: {error}", where=str(path), fix="Give the path of a config.json."
        ) from None
    if not isinstance(fields, dict) or fields.get("model_type", "bert") != "bert":
        raise ConfigError("not a BERT's config", where=str(path), fix="Only BERT can be a student for now.")
    try:
        config = BertConfig(**fields | {"vocab_size": vocab_size, "pad_token_id": pad_id})
        with torch.device("meta"):
            BertForMaskedLM(config)
    except (StrictDataclassError, TypeError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"no BERT has such a config: {reason}", where=str(path), fix="Mend the file.") from None
    return config
