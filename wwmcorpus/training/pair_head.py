"""Sentence pairs in, the loss and the accuracy of the head that tells pairs from no pairs out.

What a pair is the corpus decides: BERT's next sentences or ALBERT's order of sentences. The head is BERT's: the pooler
over [CLS] and a linear layer. A student with one is a ``BertForPreTraining``, which ``BertForMaskedLM`` opens too.

Source: Devlin et al., arXiv:1810.04805, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM, BertForPreTraining, PreTrainedModel

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.evaluate import as_trained, evaluating
from wwmcorpus.training.heads import MaskedOutputs, MicroBatch, forward_masked, loading, micro_batches

#: Names of the weights of the head.
PAIR_WEIGHTS = ("bert.pooler.", "cls.seq_relationship.")


def load_with_pair_head(name: str, plain: BertForMaskedLM) -> BertForMaskedLM:
    """Give a checkpoint's model with its pair head, or ``plain`` where the checkpoint has none."""
    with loading("checkpoint", name):
        loaded: Any = BertForPreTraining.from_pretrained(name, output_loading_info=True, dtype=torch.float32)
    model: BertForMaskedLM = loaded[0]
    if any(key.startswith(PAIR_WEIGHTS) for key in loaded[1]["missing_keys"]):
        return plain
    model.train(False).requires_grad_(False)
    return model


def check_pairs(has_pairs: bool, where: str) -> None:
    """Raise ConfigError unless a corpus has pairs to learn from."""
    if not has_pairs:
        raise ConfigError(
            "the corpus has no sentence pairs",
            value=where,
            where="pair_weight",
            fix='Build it with pairs = "nsp" or "sop", or leave pair_weight out.',
        )


def pair_logits(student: PreTrainedModel, outputs: MaskedOutputs) -> Tensor:
    """Give the logits of label 0 and 1, (B, 2)."""
    assert isinstance(student, BertForPreTraining)
    logits: Tensor = student.cls.seq_relationship(outputs.pooled_BD)
    return logits


def pair_label_sum(student: PreTrainedModel, outputs: MaskedOutputs, batch: MicroBatch) -> Tensor:
    """Give the cross-entropy of the pair labels, summed over rows, () float32."""
    if batch.pair_labels_B is None:
        raise ConfigError("the batches have no pair labels", where="pair_weight", fix="Give a corpus of pairs.")
    return cross_entropy(pair_logits(student, outputs).float(), batch.pair_labels_B, reduction="sum")


def pair_accuracy(student: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]], precision: str = "fp32") -> float:
    """Give the share of the pairs of some batches whose label is told rightly."""
    right = count = 0
    with evaluating(student), torch.no_grad(), as_trained(student.device, precision):
        for batch in batches:
            (cut,) = micro_batches(batch)
            cut = cut.to(student.device)
            assert cut.pair_labels_B is not None
            best = pair_logits(student, forward_masked(student, cut, logits=False)).argmax(dim=-1)
            right += int((best == cut.pair_labels_B).sum())
            count += len(best)
    return right / max(count, 1)
