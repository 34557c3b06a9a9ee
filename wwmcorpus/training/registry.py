# ruff: noqa: N815 - names end in shape suffixes; the legend is in losses.py
"""A name in, what a loss is out: its function, what it compares, and the unit that its sum is divided by.

A loss function gives a sum, never a mean: the trainer divides by the count of the unit over all ranks and
micro-batches, so that a loss is one number however a step is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from torch import Tensor

from wwmcorpus.errors import ConfigError, choices, nearest

#: What a sum is divided by. "masked": masked positions; "real": positions with a piece; "all": with padding; "rows";
#: "pairs" and "all_pairs": (query, key) positions of each row, without and with padding.
Unit = Literal["masked", "real", "all", "rows", "pairs", "all_pairs"]
UNITS: tuple[Unit, ...] = ("masked", "real", "all", "rows", "pairs", "all_pairs")

#: What a loss compares. "hidden": (B, L, D), the student's after its projection; "hidden_pair": two of them, of two
#: layers; "attention": scores before the softmax (B, H, L, L), not masked; "query", "key", "value": (B, A, L, d), cut
#: into relation heads; "logits": (M, V).
Feature = Literal["hidden", "hidden_pair", "attention", "query", "key", "value", "logits"]

_PADDED: dict[Unit, Unit] = {"real": "all", "pairs": "all_pairs"}


class Positions(NamedTuple):
    """The positions of a micro-batch, as a match loss sees them.

    Attributes:
        counted_BL: 1.0 where a position counts, else 0.0, float32; None where all of them do, padding too.
        real_BL: 1.0 where there is a piece.
    """

    counted_BL: Tensor | None
    real_BL: Tensor


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes:
        function: ``(student, teacher, positions) -> sum``; for logits ``(student, teacher, temperature) -> (M,)``.
        feature: What is compared.
        unit: What the sum is divided by where padding does not count.
        equal_widths: The compared tensors must be equally wide, if need be by a projection.
        equal_heads: Both models must have as many attention heads.
    """

    function: Callable[..., Tensor]
    feature: Feature
    unit: Unit
    equal_widths: bool = False
    equal_heads: bool = False

    def unit_for(self, positions: Literal["real", "all"]) -> Unit:
        """Give the unit when padding counts too, or does not."""
        return _PADDED.get(self.unit, self.unit) if positions == "all" else self.unit


_OWN: dict[str, Loss] = {}


def register_loss(
    name: str,
    function: Callable[..., Tensor],
    *,
    feature: Feature = "hidden",
    unit: Unit = "real",
    equal_widths: bool = True,
    equal_heads: bool = False,
) -> None:
    """Add a loss of your own, to be named as ``loss`` of a match or, of feature "logits", as ``soft_loss``.

    ``register_loss("l1", lambda s, t, p: ((s - t).abs().mean(-1) * p.real_BL).sum())`` is a mean absolute error over
    the positions that hold a piece. Register it in every process of a run.

    Args:
        name: Not that of a loss of the package.
        function: ``(student, teacher, positions) -> sum`` with ``Positions``, a float32 scalar: the sum over the unit.
            For logits ``(student_MV, teacher_MV, temperature) -> (M,)``, one number for each position.
        feature: What is compared; see ``Feature``.
        unit: What the sum is divided by. Where a run counts padding, "real" becomes "all" and "pairs" "all_pairs".
        equal_widths: Whether hidden states must be equally wide.
        equal_heads: Whether both models must have as many attention heads.

    Raises:
        ConfigError: the package has a loss of this name, or there is no such feature or unit.
    """
    for key, value, known in (("feature", feature, get_args(Feature)), ("unit", unit, UNITS)):
        if value not in known:
            raise ConfigError(f"unknown {key}", value=value, where="register_loss", fix=choices(known))
    if name in {**_built_in_matches(), **_built_in_soft()}:
        raise ConfigError("the package has this loss itself", value=name, where="register_loss", fix="Take a new name.")
    _OWN[name] = Loss(function, feature, unit, equal_widths, equal_heads)


def find_loss(name: str, where: str, *, soft: bool = False) -> Loss:
    """Give the loss of a name.

    Raises:
        ConfigError: there is none for matches, or for logits where ``soft``; the nearest name is in the message.
    """
    known = _built_in_soft() if soft else _built_in_matches()
    known = known | {own: loss for own, loss in _OWN.items() if (loss.feature == "logits") == soft}
    if name not in known:
        close = nearest(name, known)
        hint = f"Did you mean {close!r}? " if close else ""
        raise ConfigError("unknown loss", value=name, where=where, fix=hint + choices(known))
    return known[name]


def _built_in_matches() -> dict[str, Loss]:
    from wwmcorpus.training import attention, losses, relations

    return {
        "hidden_mse": Loss(losses.hidden_mse_sum, "hidden", "real", equal_widths=True),
        "cosine": Loss(losses.cosine_sum, "hidden", "real", equal_widths=True),
        "pkd": Loss(losses.pkd_sum, "hidden", "rows", equal_widths=True),
        "nst": Loss(relations.nst_sum, "hidden_pair", "pairs"),
        "gram": Loss(relations.gram_sum, "hidden_pair", "rows", equal_widths=True),
        "attention_mse": Loss(attention.attention_mse_sum, "attention", "pairs", equal_heads=True),
        "attention_mse_sum": Loss(attention.summed_heads_mse_sum, "attention", "pairs"),
        "attention_ce": Loss(attention.attention_ce_sum, "attention", "real", equal_heads=True),
        "attention_ce_mean": Loss(attention.mean_head_ce_sum, "attention", "real"),
        "query_relation": Loss(relations.relation_sum, "query", "real"),
        "key_relation": Loss(relations.relation_sum, "key", "real"),
        "value_relation": Loss(relations.relation_sum, "value", "real"),
    }


def _built_in_soft() -> dict[str, Loss]:
    from wwmcorpus.training import losses

    return {
        "cross_entropy": Loss(losses.soft_cross_entropy, "logits", "masked"),
        "kl": Loss(losses.soft_kl, "logits", "masked"),
        "mse": Loss(losses.logits_mse, "logits", "masked"),
    }
