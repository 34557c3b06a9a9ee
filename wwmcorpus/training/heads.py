# ruff: noqa: N806, N815 - names end in shape suffixes; the legend is in losses.py
"""A model and a micro-batch in, hidden states and logits at masked positions out. Only here models are looked into.

``BertForMaskedLM.forward`` would compute a logit for each piece of the vocabulary at every position; here the head sees
only the 15 % of positions that are masked. The numbers at those positions are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForMaskedLM, BertForMaskedLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.masking import IGNORED_LABEL
from wwmcorpus.training.attention import Attention, capture_attention

#: What batches of sentence pairs have beside the others.
PAIR_COLUMNS = ("token_type_ids", "pair_label")


class RowEnds(NamedTuple):
    """Where rows begin and end that lie end to end in one long row without padding.

    Attributes:
        position_ids_BL: (1, L) int64, the place of each piece in its own row.
        ends: (rows + 1,) int32, 0 and the end of each row.
        longest: Pieces of the longest row.
    """

    position_ids_BL: Tensor
    ends: Tensor
    longest: int

    def moved(self, move: Callable[[Tensor], Tensor]) -> RowEnds:
        """Give the same with ``move`` done to each tensor."""
        return RowEnds(move(self.position_ids_BL), move(self.ends), self.longest)


class MicroBatch(NamedTuple):
    """Rows for one forward pass. Suffixes as in ``losses``.

    Attributes:
        input_ids_BL: int64.
        attention_mask_BL: int64, 1 where there is a piece.
        positions_M: int64, masked positions as indices into the flattened (B * L) grid, rising.
        targets_M: int64, the true pieces there.
        row_ends: Where B is 1 and rows lie end to end; None for a grid of rows.
        segments_BL: int64, 0 and 1 in the two segments of a sentence pair; None without pairs.
        pair_labels_B: int64, of sentence pairs in a grid; None without them.
    """

    input_ids_BL: Tensor
    attention_mask_BL: Tensor
    positions_M: Tensor
    targets_M: Tensor
    row_ends: RowEnds | None = None
    segments_BL: Tensor | None = None
    pair_labels_B: Tensor | None = None

    def moved(self, move: Callable[[Tensor], Tensor]) -> MicroBatch:
        """Give the same with ``move`` done to each tensor."""
        ids_BL, mask_BL, positions_M, targets_M = (move(tensor) for tensor in self[:4])
        ends = None if self.row_ends is None else self.row_ends.moved(move)
        segments_BL, labels_B = (None if tensor is None else move(tensor) for tensor in self[5:])
        return MicroBatch(ids_BL, mask_BL, positions_M, targets_M, ends, segments_BL, labels_B)

    def to(self, device: torch.device) -> MicroBatch:
        """Give the same on another device."""
        return self.moved(lambda tensor: tensor.to(device, non_blocking=True))


class MaskedOutputs(NamedTuple):
    """What a forward pass gave.

    Attributes:
        logits_MV: At masked positions, or at every position of the grid where those were asked for; (M, K) where only
            some are known; None where not asked for.
        hidden_BLD: Embedding output, then each layer's; empty where not asked for.
        attention: By layer, from 1 up, what it attended with; empty where not asked for.
        pieces_MK: int64, the pieces of kept logits, as a cache of a teacher has them; None where all are there.
        pooled_BD: What the pooler makes of [CLS]; None of a model without one.
    """

    logits_MV: Tensor | None
    hidden_BLD: tuple[Tensor, ...] = ()
    attention: Mapping[int, Attention] = {}
    pieces_MK: Tensor | None = None
    pooled_BD: Tensor | None = None


def micro_batches(batch: Mapping[str, Tensor], size: int | None = None) -> list[MicroBatch]:
    """Cut a batch into micro-batches of ``size`` rows.

    The batch has ``input_ids``, ``attention_mask`` and ``labels`` (-100 = not masked), (B, L) int64; sentence pairs
    also ``token_type_ids`` (B, L) and ``pair_label`` (B,). The last micro-batch may be smaller. Done on the CPU: the
    number of masked positions is known without asking a device.
    """
    num_rows = batch["input_ids"].shape[0]
    step = size or max(num_rows, 1)
    cuts = []
    for begin in range(0, num_rows, step):
        ids, mask, labels = (batch[name][begin : begin + step] for name in ("input_ids", "attention_mask", "labels"))
        flat_labels = labels.reshape(-1)
        positions_M = torch.nonzero(flat_labels != IGNORED_LABEL).squeeze(-1)
        segments, pairs = (batch[name][begin : begin + step] if name in batch else None for name in PAIR_COLUMNS)
        cuts.append(MicroBatch(ids, mask, positions_M, flat_labels[positions_M], None, segments, pairs))
    return cuts


def forward_masked(
    model: PreTrainedModel,
    batch: MicroBatch,
    *,
    logits: bool = True,
    hidden: bool = False,
    attention: bool = False,
    everywhere: bool = False,
) -> MaskedOutputs:
    """Run a model on a micro-batch.

    Args:
        model: A BERT, an ELECTRA generator or a RoBERTa with its masked language modelling head.
        batch: Rows.
        logits: Whether to give logits.
        hidden: Whether to give hidden states.
        attention: Whether to give queries, keys and values; the model's attention function is changed for good.
        everywhere: Whether to give logits at all (B * L) positions, padding too.

    Raises:
        ConfigError: the rows are longer than the model's position embeddings.
    """
    config: Any = model.config
    ends = batch.row_ends
    length = batch.input_ids_BL.shape[1] if ends is None else ends.longest
    limit = longest_row(config)
    if length > limit:
        raise ConfigError(
            f"rows of {length} pieces do not fit a model of {limit} positions",
            fix="Build the corpus with a smaller max_length.",
        )
    options: dict[str, Any] = {"attention_mask": batch.attention_mask_BL}
    if ends is not None:
        options = {"position_ids": ends.position_ids_BL, "row_ends": ends}
    if batch.segments_BL is not None and config.type_vocab_size > 1:
        options["token_type_ids"] = batch.segments_BL
    if attention:
        capture_attention(model)
        options["captured"] = {}
    outputs = model.base_model(input_ids=batch.input_ids_BL, output_hidden_states=hidden, **options)
    logits_MV = None
    if logits:
        chosen_MD = outputs.last_hidden_state.flatten(0, 1)
        if not everywhere:
            chosen_MD = chosen_MD.index_select(0, batch.positions_M)
        logits_MV = _head(model)(chosen_MD)
    states, captured = tuple(outputs.hidden_states) if hidden else (), options.get("captured", {})
    return MaskedOutputs(logits_MV, states, captured, pooled_BD=getattr(outputs, "pooler_output", None))


def longest_row(config: Any, otherwise: int = 512) -> int:
    """Give the most pieces that a model reads in a row; ``otherwise`` where its configuration says nothing of it."""
    limit = int(getattr(config, "max_position_embeddings", otherwise))
    # It numbers its positions from behind that of padding.
    return limit - (config.pad_token_id + 1) if config.model_type == "roberta" else limit


#: Names of the weights of the masked language modelling head, by the kind of model.
_HEADS = {"bert": ("cls.predictions.",), "electra": ("generator_",), "roberta": ("lm_head.",)}


def _head(model: Any) -> Callable[[Tensor], Tensor]:
    """Give the masked language modelling head: hidden states in, logits out."""
    kind = model.config.model_type
    if kind == "electra":
        return lambda hidden: model.generator_lm_head(model.generator_predictions(hidden))
    return model.lm_head if kind == "roberta" else model.cls.predictions  # type: ignore[no-any-return]


@contextmanager
def quiet_progress() -> Iterator[None]:
    """Hide the progress bars of transformers: the caller has its own."""
    was_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def loading(
    role: str, name: str, fix: str = "Give a folder with config.json and weights, or a hub id."
) -> Iterator[None]:
    """Make one ConfigError of what transformers says of a model that it does not load, and hide its progress bars."""
    try:
        with quiet_progress():
            yield
    except ConfigError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"the {role} cannot be loaded: {reason}", value=name, fix=fix) from None


def absent_weights(report: Mapping[str, Any]) -> list[str]:
    """Give the names of the weights that a file lacks or has in another shape, sorted, from what loading it told.

    With ``ignore_mismatched_sizes`` transformers draws all of these at random.
    """
    return sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})


def load_masked_lm(name: str, role: str = "teacher") -> BertForMaskedLM:
    """Load a masked language model from a folder or the hub, fp32, in evaluation mode and without gradients.

    BERT (RoBERTa-wwm-ext and MacBERT are BERTs too), ELECTRA generators and RoBERTa.

    Raises:
        ConfigError: there is no such model, it is of another kind, or it lacks weights of the masked language modelling
            head or below it.
    """
    with loading(role, name):
        config = AutoConfig.from_pretrained(name)
        if config.model_type not in _HEADS:
            raise ConfigError(
                f"the {role} is not a masked language model of a known kind",
                value=config.model_type,
                where=name,
                fix=choices(_HEADS),
            )
        loaded: Any = AutoModelForMaskedLM.from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    model: BertForMaskedLM = loaded[0]  # or one of the other kinds, whose head is all that differs and _head knows
    absent = absent_weights(loaded[1])
    of_head = [key for key in absent if key.startswith(_HEADS[config.model_type])]
    if of_head:
        raise ConfigError(
            f"the {role} has no masked language modelling head", value=of_head, where=name, fix="Pretrain one first."
        )
    if absent:
        raise ConfigError(
            f"the {role} lacks weights, or has them in another shape than its config.json says",
            value=absent[:5],
            where=name,
            fix="Give a whole model: such weights would be random.",
        )
    model.train(False)
    model.requires_grad_(False)
    return model
