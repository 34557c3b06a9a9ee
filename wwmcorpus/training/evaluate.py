"""A model and fixed masked batches in, figures out: how many masked pieces and whole words it fills in rightly.

The unigram baseline stands beside every figure: a model that does no better has learned nothing from context.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertForMaskedLM

from wwmcorpus.errors import TrainingError
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.training.heads import forward_masked, micro_batches
from wwmcorpus.training.losses import hard_label_sum

_FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Figures:
    """How well masked pieces are filled in.

    Attributes:
        loss: Mean cross-entropy per masked piece, in nats.
        piece_accuracy: Share of the masked pieces whose best guess is right.
        word_accuracy: Share of the masked words of which all pieces are right; None where words are not known.
        num_pieces: Masked pieces.
        num_words: Masked words, or None.
        agreement: Share of the masked pieces whose best guess is also the teacher's; None without a teacher.
        hidden_cosine: Mean cosine of the deepest matched hidden state, projected, with the teacher's; None without a
            match.
        pair_accuracy: Share of the sentence pairs whose label is told rightly; None without a pair head.
    """

    loss: float
    piece_accuracy: float
    word_accuracy: float | None
    num_pieces: int
    num_words: int | None
    agreement: float | None = None
    hidden_cosine: float | None = None
    pair_accuracy: float | None = None

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that is beyond float64."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    def content(self) -> dict[str, Any]:
        """Give plain values, perplexity included."""
        return {**asdict(self), "perplexity": self.perplexity}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Give the figures back from ``content``."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})


class _Tally:
    """Running sums of an evaluation."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.num_pieces = self.pieces_right = self.num_words = self.words_right = self.pieces_agreed = 0
        self.knows_words = True

    def add(self, batch: Mapping[str, Tensor], loss: float, right: Tensor) -> None:
        """Add a batch; ``right``: bool, one per masked position in the order of the flattened grid."""
        self.loss += loss
        self.num_pieces += len(right)
        self.pieces_right += int(right.sum())
        if "word_start" not in batch:
            self.knows_words = False
            return
        words = word_numbers(batch["word_start"])[batch["labels"] != IGNORED_LABEL]
        _, members, sizes = torch.unique_consecutive(words, return_inverse=True, return_counts=True)
        num_right = torch.zeros_like(sizes).index_add_(0, members, right.to(sizes.dtype))
        self.num_words += len(sizes)
        self.words_right += int((num_right == sizes).sum())

    def figures(self, has_teacher: bool = False) -> Figures:
        """Give the means.

        Args:
            has_teacher: Whether ``pieces_agreed`` was counted.

        Raises:
            TrainingError: nothing was masked.
        """
        if not self.num_pieces:
            raise TrainingError("there is nothing to evaluate", fix="Give a validation corpus with at least one word.")
        words = self.words_right / self.num_words if self.knows_words else None
        accuracy = self.pieces_right / self.num_pieces
        agreement = self.pieces_agreed / self.num_pieces if has_teacher else None
        num_words = self.num_words if self.knows_words else None
        return Figures(self.loss / self.num_pieces, accuracy, words, self.num_pieces, num_words, agreement)


def word_numbers(word_start: Tensor) -> Tensor:
    """Number the words of a batch, (B, L) bool -> (B, L) int64: no two words of a batch share a number."""
    rows, length = word_start.shape
    return word_start.long().cumsum(dim=1) + torch.arange(rows).unsqueeze(1) * (length + 1)


def evaluate(
    model: BertForMaskedLM,
    batches: Iterable[Mapping[str, Tensor]],
    precision: str = "fp32",
    teacher_guesses: Sequence[Tensor] | None = None,
) -> Figures:
    """Evaluate a model; its training mode is left as it was.

    Args:
        model: On any device.
        batches: CPU tensors ``input_ids``, ``attention_mask``, ``labels`` (B, L) int64, -100 = not masked, and
            ``word_start`` (B, L) bool where words are to be counted.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        teacher_guesses: What ``evaluate_with_guesses`` gave for the same batches and the teacher.

    Raises:
        TrainingError: nothing is masked.
    """
    tally = _Tally()
    for index, (batch, targets, loss, guesses) in enumerate(_guess(model, batches, precision)):
        tally.add(batch, loss, guesses == targets)
        if teacher_guesses is not None:
            tally.pieces_agreed += int((guesses == teacher_guesses[index]).sum())
    return tally.figures(teacher_guesses is not None)


def evaluate_with_guesses(
    model: BertForMaskedLM, batches: Iterable[Mapping[str, Tensor]], precision: str = "fp32"
) -> tuple[Figures, list[Tensor]]:
    """Evaluate a teacher as ``evaluate`` does, and keep its best guess for each masked piece.

    Returns:
        The figures, and for each batch (num_masked,) int64 on the CPU, in the order of the flattened grid.
    """
    tally, kept = _Tally(), []
    for batch, targets, loss, guesses in _guess(model, batches, precision):
        tally.add(batch, loss, guesses == targets)
        kept.append(guesses)
    return tally.figures(), kept


def _guess(
    model: BertForMaskedLM, batches: Iterable[Mapping[str, Tensor]], precision: str
) -> Iterator[tuple[Mapping[str, Tensor], Tensor, float, Tensor]]:
    """Give each batch with its true pieces, its summed loss and the best guesses, both (num_masked,) on the CPU."""
    with evaluating(model):
        for batch in batches:
            with torch.no_grad(), as_trained(model.device, precision):
                (cut,) = micro_batches(batch)
                on_device = cut.to(model.device)
                logits = forward_masked(model, on_device).logits_MV
                assert logits is not None
                loss = float(hard_label_sum(logits, on_device.targets_M))
            yield batch, cut.targets_M, loss, logits.argmax(dim=-1).cpu()


def as_trained(device: torch.device, precision: str) -> torch.autocast:
    """Give the context in which matrix products have the number format of a run, in training and in evaluation.

    Another would be slow on a device without it, or not be there at all.
    """
    return torch.autocast(device.type, _FORMATS[precision], enabled=precision != "fp32")


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into its own."""
    was_training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(was_training)


def unigram_baseline(
    piece_counts: NDArray[np.int64], batches: Iterable[Mapping[str, Tensor]], left_out: Sequence[int] = ()
) -> Figures:
    """Evaluate the model that knows only how often each piece occurs; it always guesses the most frequent.

    Its probabilities are the smoothed shares of the training corpus (one is added to each count).

    Args:
        piece_counts: (num_pieces,) int64 of the training corpus.
        batches: As for ``evaluate``.
        left_out: Ids that are never masked, such as [CLS] and [PAD].
    """
    counts = torch.from_numpy(piece_counts).double() + 1
    counts[list(left_out)] = 0
    nats, best = -(counts / counts.sum()).log(), int(counts.argmax())
    tally = _Tally()
    for batch in batches:
        targets = batch["labels"][batch["labels"] != IGNORED_LABEL]
        tally.add(batch, float(nats[targets].sum()), targets == best)
    return tally.figures()
