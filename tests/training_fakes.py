"""Tiny models, batches and a tokenizer for the tests of distillation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import BertForMaskedLM

from wwmcorpus.training.settings import StudentShape
from wwmcorpus.training.students import build_student, student_config

VOCAB = 60
TEACHER = StudentShape(layers=4, hidden=48, heads=4, intermediate=64, dropout=0.0, max_positions=40)
STUDENT = StudentShape(layers=2, hidden=32, heads=2, intermediate=48, dropout=0.0, max_positions=40)


def tiny(shape: StudentShape = STUDENT, seed: int = 0, vocab_size: int = VOCAB) -> BertForMaskedLM:
    return build_student(student_config(shape, vocab_size), seed)


def batch(num_rows: int = 8, length: int = 12, seed: int = 0, mask_share: float = 0.25) -> dict[str, torch.Tensor]:
    """Rows of different lengths; words of one to three pieces, masked whole; position 0 and the last are special."""
    chance = np.random.default_rng(seed)
    ids = chance.integers(5, VOCAB, (num_rows, length))
    lengths = chance.integers(length // 2, length + 1, num_rows)
    inside = np.arange(length) < lengths[:, None]
    starts = chance.random((num_rows, length)) < 0.6
    starts[:, :2] = True
    starts |= np.arange(length) >= lengths[:, None] - 1
    words = starts.cumsum(axis=1)
    masked_word = chance.random((num_rows, length + 1)) < mask_share
    masked_word[:, 2] |= mask_share > 0
    masked = np.take_along_axis(masked_word, words, axis=1) & inside
    masked[:, 0] = False
    masked &= np.arange(length) != lengths[:, None] - 1
    labels = np.where(masked, ids, -100)
    shown = np.where(masked, 4, np.where(inside, ids, 0))
    arrays = {
        "input_ids": shown,
        "attention_mask": inside.astype(np.int64),
        "labels": labels,
        "word_start": starts,
        "row_ids": np.arange(num_rows),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def with_fillers(rows: dict[str, torch.Tensor], num_real: int) -> dict[str, torch.Tensor]:
    """Let rows from ``num_real`` on only fill the batch, as ``tail="pad"`` does."""
    is_filler = torch.arange(len(rows["input_ids"])) >= num_real
    return rows | {"labels": rows["labels"].masked_fill(is_filler.unsqueeze(1), -100), "is_filler": is_filler}


def tokenizer_folder(folder: Path) -> Path:
    """Write a WordPiece tokenizer of VOCAB pieces, as a corpus carries it."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(0x4E00 + index) for index in range(VOCAB - 5)]
    core = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    special = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=core, **special).save_pretrained(folder)
    return folder
