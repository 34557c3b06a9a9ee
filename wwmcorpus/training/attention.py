# ruff: noqa: N803, N806, N815 - names end in shape suffixes; the legend is in losses.py
"""A model in, its queries, keys and values out while it attends as fast as ever; and losses on attention scores.

Scores are taken before the softmax and before dropout, as TinyBERT compares them. The model keeps torch's fused
attention: a function under a name of our own hands queries, keys and values over and calls it. A mask function stands
under the same name; without one transformers would give no mask and padding would be attended to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.registry import Positions
from wwmcorpus.training.relations import float32_product, mask_keys

#: Name of the attention and of the mask function.
CAPTURING = "wwmcorpus_sdpa"


class Attention(NamedTuple):
    """What one layer attended with, each (B, H, L, d).

    Attributes:
        query_BHLd: Queries.
        key_BHLd: Keys.
        value_BHLd: Values.
        scaling: Factor of the scores.
    """

    query_BHLd: Tensor
    key_BHLd: Tensor
    value_BHLd: Tensor
    scaling: float

    def scores(self) -> Tensor:
        """Give the scores before the softmax, (B, H, L, L) float32, padding not masked."""
        return float32_product(self.query_BHLd.float() * self.scaling, self.key_BHLd.transpose(-1, -2))

    def relation_heads(self, part: str, num_heads: int) -> Tensor:
        """Cut "query", "key" or "value" into as many heads as asked for, (B, A, L, d)."""
        of_part_BHLd: Tensor = getattr(self, f"{part}_BHLd")
        rows, heads, length, width = of_part_BHLd.shape
        return of_part_BHLd.transpose(1, 2).reshape(rows, length, num_heads, heads * width // num_heads).transpose(1, 2)


def capture_attention(model: nn.Module) -> None:
    """Let a Hugging Face model hand over what its layers attend with, when called with ``captured={}``.

    The dictionary is filled with layer 1 to the last.

    Raises:
        ConfigError: the layers of such a model do not say which they are.
    """
    config: Any = model.config
    if config._attn_implementation == CAPTURING:
        return
    if not any(hasattr(module, "layer_idx") for module in model.modules()):
        raise ConfigError(
            "the attention of such a model cannot be compared, its layers have no numbers",
            value=config.model_type,
            where="losses",
            fix="Leave attention and relations out (attention_weight = 0), or take a BERT, an ELECTRA or a RoBERTa.",
        )
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        captured: dict[int, Attention] | None = None,
        **options: Any,
    ) -> tuple[Tensor, None]:
        if captured is not None:
            scaling = options.get("scaling") or query.shape[-1] ** -0.5
            layer: Any = module.layer_idx
            captured[layer + 1] = Attention(query, key, value, scaling)
        output: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output

    AttentionInterface.register(CAPTURING, attend)
    AttentionMaskInterface.register(CAPTURING, padding_mask)
    as_loaded: Any = model
    as_loaded.set_attn_implementation(CAPTURING)


def padding_mask(*_: Any, attention_mask: Tensor | None = None, **__: Any) -> Tensor | None:
    """Give (B, 1, 1, L) bool, True where there is a piece; None where no mask is given.

    transformers' own would first ask the device whether anything is hidden, and wait for the answer.
    """
    return None if attention_mask is None else attention_mask[:, None, None, :].bool()


def attention_mse_sum(student_BHLL: Tensor, teacher_BHLL: Tensor, positions: Positions) -> Tensor:
    """Sum over pairs of a counted query and a real key the squared error of the scores, averaged over heads.

    Source: TinyBERT, arXiv:1909.10351, equation 7. Divided by the pairs it is TextBrewer's ``attention_mse`` with a
    mask; its branch without one leaves out every negative score. With padding counted it is TinyBERT's own code.
    """
    error_BHLL = (student_BHLL - teacher_BHLL) * _pairs(positions).unsqueeze(1)
    return error_BHLL.square().sum() / student_BHLL.shape[1]


def summed_heads_mse_sum(student_BHLL: Tensor, teacher_BHLL: Tensor, positions: Positions) -> Tensor:
    """Sum over pairs the squared error of the scores, summed over heads first: their numbers may differ.

    Divided by the pairs it is TextBrewer's ``attention_mse_sum`` with a mask.
    """
    error_BLL = (student_BHLL.sum(dim=1) - teacher_BHLL.sum(dim=1)) * _pairs(positions)
    return error_BLL.square().sum()


def attention_ce_sum(student_BHLL: Tensor, teacher_BHLL: Tensor, positions: Positions) -> Tensor:
    """Sum over counted queries the cross-entropy of the attention over real keys, averaged over heads, in nats.

    Divided by the queries it is TextBrewer's ``attention_ce`` with a mask, where the scores carry the padding mask.
    """
    real_B11L = positions.real_BL.view(positions.real_BL.shape[0], 1, 1, -1)
    target_BHLL = torch.softmax(mask_keys(teacher_BHLL, real_B11L), dim=-1)
    log_student_BHLL = torch.log_softmax(mask_keys(student_BHLL, real_B11L), dim=-1)
    loss_BHL = -(target_BHLL * log_student_BHLL).sum(dim=-1)
    if positions.counted_BL is not None:
        loss_BHL = loss_BHL * positions.counted_BL.unsqueeze(1)
    return loss_BHL.sum() / student_BHLL.shape[1]


def mean_head_ce_sum(student_BHLL: Tensor, teacher_BHLL: Tensor, positions: Positions) -> Tensor:
    """Do as ``attention_ce_sum`` with the mean of the scores over heads, whose numbers may differ.

    Divided by the queries it is TextBrewer's ``attention_ce_mean`` with a mask, the scores carrying the padding mask.
    """
    return attention_ce_sum(student_BHLL.mean(dim=1, keepdim=True), teacher_BHLL.mean(dim=1, keepdim=True), positions)


def _pairs(positions: Positions) -> Tensor:
    """Give (B, L, L), or what broadcasts to it: 1.0 where the query counts and the key is real."""
    keys_B1L = positions.real_BL.unsqueeze(1)
    return keys_B1L if positions.counted_BL is None else positions.counted_BL.unsqueeze(-1) * keys_B1L
