# ruff: noqa: N803, N806 - names end in shape suffixes; the legend is in losses.py
"""Any two models and adaptors in, a trained student out: distillation for models that are not masked language models.

An adaptor says what a model gave: ``adaptor(batch, outputs)`` is a mapping with any of ``logits`` (B, C) or (B, L, C),
``logits_mask`` (B, L), ``hidden`` (a sequence of (B, L, D), the embedding output first), ``attention`` (a sequence of
scores before the softmax, (B, H, L, L), that of layer 1 first), ``inputs_mask`` (B, L) and ``losses`` (a scalar or
several, of the student). They are TextBrewer's, so its adaptors serve as they are.

Each term is a mean over the positions of one micro-batch, as in TextBrewer, for the counts are known only afterwards.
The trainer of masked language models (``Trainer``) divides by the counts of the whole step, resumes and runs on many
machines; this one is a loop to build on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.epochs import endless
from wwmcorpus.training.learning import Term
from wwmcorpus.training.matches import ModelShape, Projections, layers_of, resolve_matches
from wwmcorpus.training.objective import list_terms
from wwmcorpus.training.registry import Positions, Unit, find_loss
from wwmcorpus.training.settings import DistillLosses
from wwmcorpus.training.terms import Features, scheduled_temperature, soft_label_sum, sum_of_match

_ROLES = ("student", "teacher")
Adaptor = Callable[[Any, Any], Mapping[str, Any]]


class Distiller(nn.Module):
    """A student, its teacher and what is compared.

    Args:
        teacher: Called without a graph; put into evaluation mode.
        student: The model that learns.
        losses: The settings. Where logits are compared is the adaptors' business (``logits_mask``).
        teacher_adaptor: Says what the teacher gave.
        student_adaptor: Says what the student gave; its ``inputs_mask`` says where there are pieces.
        teacher_shape: Layers, width and heads; None = as its Hugging Face configuration has them.
        student_shape: The same of the student.
        seed: Decides the projections' first weights.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        losses: DistillLosses,
        teacher_adaptor: Adaptor,
        student_adaptor: Adaptor,
        *,
        teacher_shape: ModelShape | None = None,
        student_shape: ModelShape | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.student, self.losses = student, losses
        self._teacher = [teacher.eval()]  # in a list, so that it is no part of what is trained and saved
        self._adaptors = teacher_adaptor, student_adaptor
        of_teacher = teacher_shape or _shape(teacher, "teacher")
        of_student = student_shape or _shape(student, "student")
        self.matches = resolve_matches(losses, of_teacher, of_student)
        self.projections = Projections(self.matches, of_teacher.width, of_student.width, losses.share_projection, seed)
        self.terms = list_terms(losses, self.matches)
        for match, term in zip(self.matches, self.terms[len(self.terms) - len(self.matches) :], strict=True):
            _check_feature(match.loss, term)

    def forward(
        self, batch: Mapping[str, Any], progress: float = 0.0, **options: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the loss and the mean of each term.

        Args:
            batch: Keyword arguments of both models; or ``{"teacher": ..., "student": ...}`` where they differ.
            progress: Share of the steps that is done, which weights and temperature may follow.
            options: More keyword arguments of both models, such as ``output_hidden_states=True``.
        """
        for_teacher, for_student = batch.get("teacher", batch), batch.get("student", batch)
        with torch.no_grad():
            theirs = self._adaptors[0](for_teacher, self._teacher[0](**for_teacher, **options))
        ours = self._adaptors[1](for_student, self.student(**for_student, **options))
        means = self._means(ours, theirs, progress)
        weights = [term.weight * term.schedule.factor(progress) for term in self.terms]
        total = torch.stack([weight * means[term.name] for weight, term in zip(weights, self.terms, strict=True)]).sum()
        return total, {name: mean.detach() for name, mean in means.items()}

    def fit(
        self,
        optimizer: torch.optim.Optimizer,
        batches: Iterable[Mapping[str, Any]],
        steps: int,
        *,
        accumulate: int = 1,
        max_grad_norm: float | None = None,
        scheduler: Any = None,
        callback: Callable[[int, nn.Module, dict[str, Tensor]], object] | None = None,
        prepare: Callable[[Any], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        """Train, the student in training mode.

        Args:
            optimizer: Over ``distiller.parameters()``: the student's and the projections'.
            batches: Iterated again at its end. Tensors lie where the models do.
            steps: Optimiser steps.
            accumulate: Micro-batches of a step.
            max_grad_norm: Largest norm of the gradient, student and projections together.
            scheduler: Stepped after the optimiser.
            callback: Called after each step with its number from 1, the student, and the terms of its last micro-batch.
            prepare: Applied to each batch first.
            options: As in ``forward``.

        Raises:
            TrainingError: there are no batches.
        """
        self._teacher[0].eval()
        self.train()
        rows = endless(batches)
        for step in range(steps):
            terms: dict[str, Tensor] = {}
            for _ in range(accumulate):
                batch = next(rows)
                loss, terms = self(prepare(batch) if prepare else batch, step / steps, **options)
                (loss / accumulate).backward()
            if max_grad_norm is not None:
                nn.utils.clip_grad_norm_(self.parameters(), max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            if scheduler is not None:
                scheduler.step()
            if callback is not None:
                callback(step + 1, self.student, terms)

    def _means(self, ours: Mapping[str, Any], theirs: Mapping[str, Any], progress: float) -> dict[str, Tensor]:
        means = {}
        if self.losses.hard_weight:
            means["hard_labels"] = torch.stack([each.mean() for each in _listed(ours, "losses", "student")]).sum()
        if self.losses.soft_weight:
            means["soft_labels"] = self._soft_mean(ours, theirs, progress)
        sides = Features(ours.get("hidden", ()), _numbered(ours)), Features(theirs.get("hidden", ()), _numbered(theirs))
        mask = ours.get("inputs_mask")
        for index, (match, term) in enumerate(zip(self.matches, self.terms[len(means) :], strict=True)):
            real_BL = _grid(sides[0]) if mask is None else mask.float()
            counts_all = mask is None or (match.positions or self.losses.hidden_positions) == "all"
            positions = Positions(None if counts_all else real_BL, real_BL)
            for role, side, layer in zip(_ROLES, sides, (match.student_layer, match.teacher_layer), strict=True):
                _check_given(match.loss, side, layers_of(layer), role)
            total = sum_of_match(match, *sides, self.projections[index], positions, relation_heads=1)
            means[term.name] = total / _count(term.unit, real_BL).clamp(min=1)
        return means

    def _soft_mean(self, ours: Mapping[str, Any], theirs: Mapping[str, Any], progress: float) -> Tensor:
        temperature = scheduled_temperature(self.losses, torch.tensor(progress))
        total = torch.zeros(())
        pairs = zip(_chosen_logits(ours, "student"), _chosen_logits(theirs, "teacher"), strict=True)
        for student_MV, teacher_MV in pairs:
            if student_MV.shape != teacher_MV.shape:
                raise ConfigError(
                    "the logits of student and teacher differ in shape",
                    value=(tuple(student_MV.shape), tuple(teacher_MV.shape)),
                    where="adaptors",
                    fix="Give both as many classes and as many chosen positions.",
                )
            summed = soft_label_sum(self.losses, student_MV, teacher_MV, None, temperature)
            total = total.to(summed.device) + summed / max(len(student_MV), 1)
        return total


def _check_feature(name: str, term: Term) -> None:
    """Refuse what adaptors do not give: queries, keys and values, and which positions are masked."""
    if find_loss(name, "losses.matches").feature in ("query", "key", "value"):
        raise ConfigError(
            "adaptors give no queries, keys or values", value=name, where="losses.matches", fix="Take another loss."
        )
    if term.unit == "masked":
        raise ConfigError(
            "a match has no masked positions here", value=name, where="register_loss", fix='Register unit="real".'
        )


def _check_given(name: str, side: Features, layers: tuple[int, ...], role: str) -> None:
    is_hidden = find_loss(name, "losses.matches").feature in ("hidden", "hidden_pair")
    key, found = ("hidden", range(len(side.hidden_BLD))) if is_hidden else ("attention", side.attention.keys())
    for layer in layers:
        if layer not in found:
            raise ConfigError(
                f"the {role}'s adaptor gives no such {key}",
                value=layer,
                where="adaptor",
                fix=f"It gives {', '.join(map(str, found)) or 'none'}; let the model give {key} for layer {layer} too.",
            )


def _chosen_logits(given: Mapping[str, Any], role: str) -> list[Tensor]:
    logits = _listed(given, "logits", role)
    masks: list[Any] = list(_listed(given, "logits_mask", role)) if "logits_mask" in given else [None]
    if len(masks) == 1:  # one mask for all logits
        masks = masks * len(logits)
    return [
        each.flatten(0, -2) if mask is None or each.ndim == 2 else each[mask.bool()]
        for each, mask in zip(logits, masks, strict=True)
    ]


def _listed(given: Mapping[str, Any], key: str, role: str) -> list[Tensor]:
    if key not in given:
        raise ConfigError(
            f"the {role}'s adaptor gives no {key}", value=sorted(given), where="adaptor", fix=f"Add the key {key!r}."
        )
    return [given[key]] if isinstance(given[key], Tensor) else list(given[key])


def _numbered(given: Mapping[str, Any]) -> dict[int, Tensor]:
    return dict(enumerate(given.get("attention", ()), start=1))


def _grid(features: Features) -> Tensor:
    for states in (*features.hidden_BLD, *features.attention.values()):
        assert isinstance(states, Tensor)
        return torch.ones(states.shape[0], states.shape[-2], device=states.device)
    raise ConfigError("the student's adaptor gives nothing to match", where="adaptor", fix="Add hidden or attention.")


def _count(unit: Unit, real_BL: Tensor) -> Tensor:
    rows, length = real_BL.shape
    if unit in ("real", "pairs"):
        lengths_B = real_BL.sum(dim=1)
        return lengths_B.sum() if unit == "real" else lengths_B.square().sum()
    return real_BL.new_tensor({"all": rows * length, "rows": rows, "all_pairs": rows * length * length}[unit])


def _shape(model: nn.Module, role: str) -> ModelShape:
    config: Any = getattr(model, "config", None)
    try:
        return ModelShape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
    except AttributeError:
        raise ConfigError(
            f"the {role} has no configuration that tells its shape", where="Distiller", fix=f"Give {role}_shape."
        ) from None
