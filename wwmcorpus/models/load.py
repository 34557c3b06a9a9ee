"""The name of a model in, the model out: with the head that it was saved with, ready to be run and never trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from wwmcorpus.errors import ConfigError, choices
from wwmcorpus.training.heads import absent_weights, loading
from wwmcorpus.training.students import STUDENTS, build_student, student_config

if TYPE_CHECKING:
    from transformers import PretrainedConfig

#: Pieces of the vocabulary with which the sizes of the students were published.
PUBLISHED_VOCABULARY = 21_128
_FIX = f"Give a folder with config.json and weights, a hub id, or the name of a student: {', '.join(STUDENTS)}."


def load_config(name: str) -> PretrainedConfig:
    """Give the configuration of a model.

    Args:
        name: A folder, a hub id, or a student's name such as ``"minirbt-h256"`` (with 21,128 pieces).

    Raises:
        ConfigError: there is no such model; of a folder that holds several, they are listed.
    """
    if name in STUDENTS:
        return student_config(name, PUBLISHED_VOCABULARY)
    _check_folder(Path(name))
    with loading("model", name, _FIX):
        config: PretrainedConfig = AutoConfig.from_pretrained(name)
    return config


def load_model(name: str) -> PreTrainedModel:
    """Load a model in evaluation mode and without gradients, fp32 on the CPU.

    Args:
        name: As for ``load_config``; a student's name gives random weights.

    Raises:
        ConfigError: there is no such model, its class is none of transformers', or weights of its head are missing.
    """
    if name in STUDENTS:
        model: PreTrainedModel = build_student(student_config(name, PUBLISHED_VOCABULARY))
    else:
        model = _from_folder(name, model_class(load_config(name), name))
    model.train(False)
    model.requires_grad_(False)
    return model


def model_class(config: PretrainedConfig, where: str) -> type[PreTrainedModel]:
    """Give the class of transformers that a configuration names; ``AutoModel`` where it names none.

    Raises:
        ConfigError: transformers has no such class.
    """
    names = config.architectures or []
    if not names:
        return AutoModel  # type: ignore[return-value]
    found = getattr(transformers, names[0], None)
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise ConfigError(
            "transformers has no such model class",
            value=names[0],
            where=f"{where}, architectures",
            fix="Save the model with a class of transformers: code from elsewhere is not run.",
        )
    return found


@contextmanager
def only_errors() -> Iterator[None]:
    """Hide the warnings of transformers, where what they warn of is looked at anyway."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def _from_folder(name: str, kind: type[PreTrainedModel]) -> PreTrainedModel:
    with loading("model", name, _FIX), only_errors():
        loaded: Any = kind.from_pretrained(
            name, output_loading_info=True, dtype=torch.float32, ignore_mismatched_sizes=True
        )
    model, report = loaded
    absent = absent_weights(report)
    if absent:
        raise ConfigError(
            f"the model lacks {len(absent)} of its weights, or has them in another shape than its config.json says",
            value=absent[:3],
            where=name,
            fix="Save it whole: such weights would be random.",
        )
    return model  # type: ignore[no-any-return]


def _check_folder(path: Path) -> None:
    """Name the models that lie inside a folder which is none itself, such as that of a two-stage run."""
    if not path.is_dir() or (path / "config.json").is_file():
        return
    inside = [str(each.parent) for each in sorted(path.glob("*/config.json"))]
    fix = choices(inside) if inside else "Give a folder with config.json and weights, or a hub id."
    raise ConfigError("the folder is no model", value=str(path), fix=fix)
