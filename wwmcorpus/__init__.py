"""Chinese whole-word-masking pretraining, from raw text to a small, strong BERT.

The road: sources -> documents -> words -> pieces -> sequences -> shards -> batches -> student. Every public name is
loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wwmcorpus.align import Aligner, Vocabulary, chinese_ref, load_tokenizer
    from wwmcorpus.corpus import BuildConfig, Corpus, Manifest, open_corpus
    from wwmcorpus.jobs import build_corpus, distill, distill_task, finetune, pretrain, two_stage
    from wwmcorpus.masking import WholeWordMaskCollator, WholeWordMasking
    from wwmcorpus.segment import Segmenter, load_segmenter
    from wwmcorpus.stream import Stream, StreamOptions
    from wwmcorpus.tasks import DistillTaskConfig, FinetuneConfig
    from wwmcorpus.training import DistillConfig, PretrainConfig, TwoStageConfig
    from wwmcorpus.training.distiller import Distiller
    from wwmcorpus.training.registry import register_loss

__version__ = "0.1.0"

_HOME = {
    "Aligner": "align",
    "BuildConfig": "corpus",
    "Corpus": "corpus",
    "DistillConfig": "training",
    "Distiller": "training.distiller",
    "DistillTaskConfig": "tasks",
    "FinetuneConfig": "tasks",
    "Manifest": "corpus",
    "PretrainConfig": "training",
    "Segmenter": "segment",
    "Stream": "stream",
    "StreamOptions": "stream",
    "TwoStageConfig": "training",
    "Vocabulary": "align",
    "WholeWordMaskCollator": "masking",
    "WholeWordMasking": "masking",
    "build_corpus": "jobs",
    "chinese_ref": "align",
    "distill": "jobs",
    "distill_task": "jobs",
    "finetune": "jobs",
    "load_segmenter": "segment",
    "load_tokenizer": "align",
    "open_corpus": "corpus",
    "pretrain": "jobs",
    "register_loss": "training.registry",
    "two_stage": "jobs",
}

__all__ = [
    "Aligner",
    "BuildConfig",
    "Corpus",
    "DistillConfig",
    "DistillTaskConfig",
    "Distiller",
    "FinetuneConfig",
    "Manifest",
    "PretrainConfig",
    "Segmenter",
    "Stream",
    "StreamOptions",
    "TwoStageConfig",
    "Vocabulary",
    "WholeWordMaskCollator",
    "WholeWordMasking",
    "build_corpus",
    "chinese_ref",
    "distill",
    "distill_task",
    "finetune",
    "load_segmenter",
    "load_tokenizer",
    "open_corpus",
    "pretrain",
    "register_loss",
    "two_stage",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wwmcorpus' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"wwmcorpus.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
