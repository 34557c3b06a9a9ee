"""Batches in, a small Chinese BERT out: masked language modelling, and distillation, which is the same with a teacher.

The road inside: ``settings`` (what is asked for) -> ``students`` (the model that learns) -> ``heads`` (logits at masked
positions) -> ``matches`` and ``losses`` (what it learns from) -> ``objective`` (one forward pass as sums of terms) ->
``trainer`` (the loop) -> ``evaluate`` -> ``export`` and ``curves``; ``runs`` puts them together, one function per job.

Only the settings are imported here, so that a configuration is checked without waiting for torch.
"""

from wwmcorpus.training.settings import (
    DistillConfig,
    DistillLosses,
    Initialisation,
    LayerMatch,
    Optimiser,
    PretrainConfig,
    Stage,
    StudentShape,
    Training,
    TwoStageConfig,
)

__all__ = [
    "DistillConfig",
    "DistillLosses",
    "Initialisation",
    "LayerMatch",
    "Optimiser",
    "PretrainConfig",
    "Stage",
    "StudentShape",
    "Training",
    "TwoStageConfig",
]
