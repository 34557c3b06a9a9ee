"""Outputs of a model and of a copy of it in, how far they are from each other out, at positions that hold a piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from wwmcorpus.errors import TrainingError
from wwmcorpus.resources import sample_corpus_folder
from wwmcorpus.training.heads import longest_row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_NUM_TEXTS = 32
_MAX_LENGTH = 128
_SHORTEST_TEXT = 12


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the outputs of a copy are from the original's.

    Attributes:
        largest: The largest difference of two numbers.
        relative: Root mean square of the differences over the standard deviation of the original's numbers.
        agreement: Share of the rows or pieces whose largest output is the same; None where each has one output.
        num_rows: Texts that were compared.
    """

    largest: float
    relative: float
    agreement: float | None
    num_rows: int

    def content(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)

    def summary(self) -> str:
        """Give one line: ``0.81% off, largest difference 0.088, 99.5% of best guesses the same``."""
        same = "" if self.agreement is None else f", {self.agreement:.1%} of best guesses the same"
        return f"{self.relative:.2g} of the spread off, largest difference {self.largest:.2g}{same}"

    def check(self, what: str, tolerance: float, setting: str | None = None) -> None:
        """Raise TrainingError when ``relative`` is larger than ``tolerance``, or not a number.

        ``setting`` is what the tolerance can be raised with, if it can.
        A largest difference of ``tolerance`` / 5 passes too: a model that says nearly the same of every text has no
        spread to measure by.
        """
        if not (self.relative <= tolerance or self.largest <= tolerance / 5):
            raise TrainingError(
                f"{what} does not give what the original gives: {self.summary()}; {tolerance:g} is allowed",
                where="sample texts",
                fix="Export without ONNX." if setting is None else f"Export without ONNX, or raise {setting}.",
            )


def sample_texts() -> list[str]:
    """Give lines of the sample documents, of different lengths."""
    lines = (
        line
        for path in sorted(sample_corpus_folder().glob("*.txt"))
        for line in path.read_text("utf-8").splitlines()
        if len(line) >= _SHORTEST_TEXT
    )
    texts = list(lines)
    return texts[:: max(len(texts) // _NUM_TEXTS, 1)][:_NUM_TEXTS]


def encode_texts(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel
) -> dict[str, torch.Tensor]:
    """Encode texts as a model reads them: (B, L) int64 by name, padded to the longest, at most 128 pieces a row."""
    longest = min(_MAX_LENGTH, longest_row(model.config, _MAX_LENGTH))
    ids = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    width = max(map(len, ids))
    pad_id = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0
    batch = {
        "input_ids": torch.tensor([row + [pad_id] * (width - len(row)) for row in ids]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
    }
    if getattr(model.config, "type_vocab_size", 0) > 1:
        batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    return batch


def outputs_of(model: nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    """Give the tensors that a model puts out, by name."""
    with torch.inference_mode():
        made = model(**batch)
    return {name: value.float().numpy() for name, value in made.items() if isinstance(value, torch.Tensor)}


def distance(
    original: Mapping[str, NDArray[np.float32]],
    copy: Mapping[str, NDArray[np.float32]],
    attention_mask: NDArray[np.int64],
) -> Distance:
    """Compare outputs at the positions that hold a piece.

    Args:
        original: By name, ``(B, ...)`` or ``(B, L, ...)``.
        copy: Of the same names and shapes.
        attention_mask: (B, L), 1 where there is a piece.
    """
    is_real = attention_mask.astype(bool)
    before, after, same = [], [], []
    for name, values in original.items():
        other = copy[name]
        per_piece = values.ndim == 3 or name.startswith(("start_", "end_"))
        one, two = (values[is_real], other[is_real]) if per_piece else (values, other)
        before.append(one.ravel().astype(np.float64))
        after.append(two.ravel().astype(np.float64))
        same.append(_same_choice(values, other, is_real) if one.ndim == 1 else _same_best(one, two))
    left, right = np.concatenate(before), np.concatenate(after)
    agreed = np.concatenate(same)
    gap = right - left
    return Distance(
        largest=float(np.abs(gap).max()),
        relative=float(np.sqrt((gap**2).mean()) / max(left.std(), 1e-12)),
        agreement=float(agreed.mean()) if len(agreed) else None,
        num_rows=len(attention_mask),
    )


def _same_best(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say of each row whether its largest number stands in the same place; nothing where it has one only."""
    if one.shape[-1] == 1:
        return np.zeros(0, dtype=bool)
    return np.asarray(one.argmax(axis=-1) == two.argmax(axis=-1))


def _same_choice(
    values: NDArray[np.float32], other: NDArray[np.float32], is_real: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The same for one number per piece, such as how well an answer begins there."""
    one, two = (np.where(is_real, each, -np.inf) for each in (values, other))
    return _same_best(one, two)
