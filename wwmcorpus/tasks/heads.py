"""A task and the name of a model in, that model with a head for the task out; or an error where it has another."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from wwmcorpus.errors import ConfigError
from wwmcorpus.models.load import only_errors
from wwmcorpus.tasks.declaration import Kind, Task
from wwmcorpus.training.heads import absent_weights, loading, longest_row

#: Ends of the names of the models of transformers with a head for a kind of task.
_HEADS: dict[Kind, str] = {
    "classification": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "reading": "ForQuestionAnswering",
    "labelling": "ForTokenClassification",
}
#: The problem type of a head that gives a number.
_REGRESSION: Final = "regression"
#: Names of heads inside those models.
_HEAD_MODULES = ("classifier", "pre_classifier", "qa_outputs")
#: The MiniRBT table's exception: a student narrower than 512 on this task learns at this rate.
_SMALL_RATES = {"ocnli": 5e-5}

_log = logging.getLogger(__name__)


def load_task_model(task: Task, name: str, seed: int = 0) -> PreTrainedModel:
    """Load a model and give it a head for a task.

    A head that it has stays where it is one for this kind of task and these labels; any other is replaced by a new one,
    whose weights are a function of the seed.

    Raises:
        ConfigError: there is no such model, or transformers has none of its kind with such a head.
    """
    config = _config(name, "model")
    has_head = _has_head(task, config) and _labels(config) == _own_labels(task)
    kind = _model_class(task, config)
    with torch.random.fork_rng(devices=[]), loading("model", name), only_errors():
        torch.manual_seed(seed)
        told: Any = kind.from_pretrained(
            name,
            config=_with_labels(config, task),
            dtype=torch.float32,  # else that of the file: half precision is no way to keep weights that learn
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        model: PreTrainedModel = told[0]
        if not has_head:
            for part in _HEAD_MODULES:
                _draw(getattr(model, part, None), getattr(model.config, "initializer_range", 0.02))
    shapes = {key: f"{key}: {list(theirs)}, not {list(ours)}" for key, theirs, ours in told[1]["mismatched_keys"]}
    new = absent_weights(told[1])
    lost = [key for key in new if not key.startswith((*_HEAD_MODULES, f"{model.base_model_prefix}.pooler"))]
    if lost:
        raise ConfigError(
            "the model lacks weights below its head, or has them in another shape",
            value=[shapes.get(key, key) for key in lost[:5]],
            where=name,
            fix="Give a whole model, whose config.json fits its weights.",
        )
    _log.info("%s: %s", name, "its own head goes on" if has_head else "a new head, " + ", ".join(new))
    return model


def load_teacher(task: Task, name: str) -> PreTrainedModel:
    """Load a model that was fine-tuned on a task, in evaluation mode and without gradients.

    Raises:
        ConfigError: there is no such model, it has no head for the task, or its labels are others; both sides are
            named.
    """
    config = _config(name, "teacher")
    check_labels(task, config, name)
    with loading("teacher", name), only_errors():
        told: Any = _model_class(task, config).from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    absent = absent_weights(told[1])
    if absent:
        part = "head" if absent[0].startswith(_HEAD_MODULES) else "backbone"
        raise ConfigError(
            f"the teacher's {part} has no weights, or weights of another shape",
            value=absent[:5],
            where=name,
            fix="Fine-tune it first; config.json must fit the weights.",
        )
    model: PreTrainedModel = told[0]
    model.train(False)
    model.requires_grad_(False)
    return model


def check_labels(task: Task, config: PretrainedConfig, name: str) -> None:
    """Raise ConfigError unless a model has a head for a task, with the task's labels in its order.

    Labels without names, ``LABEL_0`` and so on, are taken for the task's where there are as many, with a warning.
    """
    if not _has_head(task, config):
        is_of_class = _architecture(config).endswith(_HEADS[task.kind])
        wanted = (
            f"of one output and problem_type {_REGRESSION!r}"
            if task.kind == "regression"
            else "with an output for each label"
        )
        raise ConfigError(
            f"the teacher has no head for {task.kind}: it is a {_architecture(config)}"
            + (
                f" of {config.num_labels} outputs and problem_type {config.problem_type!r}, not one {wanted}"
                if is_of_class
                else f", not a *{_HEADS[task.kind]}"
            ),
            value=name,
            where="teacher",
            fix="Fine-tune it on the task first: wwmcorpus finetune.",
        )
    theirs, ours = _labels(config), _own_labels(task)
    if theirs == ours:
        return
    if len(theirs) == len(ours) and theirs == tuple(f"LABEL_{index}" for index in range(len(theirs))):
        _log.warning("%s does not name its labels: taken for %s in this order", name, ", ".join(ours))
        return
    raise ConfigError(
        f"the teacher's labels are {', '.join(theirs) or 'none'}; those of the task {task.name} are "
        f"{', '.join(ours) or 'none'}",
        value=name,
        where="teacher",
        fix="Take a teacher that was fine-tuned on this task, or declare its labels in the teacher's order.",
    )


def default_learning_rate(task: Task, config: Any) -> float:
    """Give the peak learning rate for a model where none is said.

    Source: the fine-tuning table of MiniRBT, https://github.com/iflytek/MiniRBT.
    """
    if config.hidden_size < 512:
        return _SMALL_RATES.get(task.name, 1e-4)
    return 3e-5 if config.hidden_size < 1024 else 2e-5


def row_length(task: Task, asked: int | None, *names: str) -> int:
    """Give the most pieces of a row for models that read the same rows: a student, and its teachers.

    Raises:
        ConfigError: one of them has fewer positions.
    """
    limits = {name: longest_row(_config(name, "model")) for name in names}
    name = min(limits, key=lambda name: limits[name])
    limit = limits[name]
    if asked is None:
        return min(384 if task.kind == "reading" else 128, limit)
    if asked > limit:
        raise ConfigError(
            f"rows of {asked} pieces do not fit a model of {limit} positions",
            value=asked,
            where=f"max_length, {name}",
            fix=f"Give {limit} or less.",
        )
    return asked


def _config(name: str, role: str) -> PretrainedConfig:
    with loading(role, name):
        config: PretrainedConfig = AutoConfig.from_pretrained(name)
    if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")) and not any(Path(name).glob("*.bin")):
        raise ConfigError(f"the {role} has no weights", value=name, fix="Give a folder with model.safetensors.")
    return config


def _model_class(task: Task, config: PretrainedConfig) -> Any:
    auto: Any = getattr(transformers, f"AutoModel{_HEADS[task.kind]}")
    try:
        return auto._model_mapping[type(config)]
    except KeyError:
        raise ConfigError(
            f"transformers has no {config.model_type} with a head for {task.kind}", fix="Take a BERT."
        ) from None


def _architecture(config: PretrainedConfig) -> str:
    return (config.architectures or ["model without a head"])[0]


def _has_head(task: Task, config: PretrainedConfig) -> bool:
    is_of_class = _architecture(config).endswith(_HEADS[task.kind])
    return is_of_class and _is_regression(config) == (task.kind == "regression")


def _is_regression(config: PretrainedConfig) -> bool:
    """Say whether a model gives one number a row; transformers takes one output without a problem type for that."""
    is_of_rows = _architecture(config).endswith(_HEADS["regression"])
    return is_of_rows and config.num_labels == 1 and config.problem_type in (_REGRESSION, None)


def _own_labels(task: Task) -> tuple[str, ...]:
    return {"classification": task.labels, "labelling": task.tags}.get(task.kind, ())


def _labels(config: PretrainedConfig) -> tuple[str, ...]:
    """Give the labels of a model; none of a head that has none."""
    if _is_regression(config) or _architecture(config).endswith("ForQuestionAnswering"):
        return ()
    names: Any = config.id2label or {}
    return tuple(names[index] for index in sorted(names))


def _with_labels(config: PretrainedConfig, task: Task) -> PretrainedConfig:
    labels = _own_labels(task) or tuple(f"LABEL_{index}" for index in range(task.num_outputs))
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    is_of_rows = task.kind == "classification"
    config.problem_type = _REGRESSION if task.kind == "regression" else None
    if is_of_rows:
        config.problem_type = "single_label_classification"
    return config


def _draw(head: nn.Module | None, spread: float) -> None:
    """Draw the weights of a head anew: a trained one of as many labels would else stay."""
    for module in [] if head is None else head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=spread)
            nn.init.zeros_(module.bias)
