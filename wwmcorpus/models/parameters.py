"""A model in, counts of its weights out: by module, each tensor once even where two modules share it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.configuration_utils import PretrainedConfig


@dataclass(frozen=True, slots=True)
class ModuleSize:
    """The weights of a module and of all inside it.

    Attributes:
        name: As ``named_modules`` has it: ``"bert.encoder.layer.0"``; "" for the whole model.
        kind: Its class.
        num_parameters: Weights that no module before it holds.
        num_shared: Weights that a module before it holds too, as the output layer those of the word embeddings.
        size_bytes: Of ``num_parameters``, as they are in memory.
    """

    name: str
    kind: str
    num_parameters: int
    num_shared: int
    size_bytes: int

    @property
    def depth(self) -> int:
        """How many modules it lies inside of; 0 for the whole model."""
        return self.name.count(".") + 1 if self.name else 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """The weights of a model, and of its backbone with the pooler, which are what published tables count.

    Attributes:
        num_parameters: All, heads included.
        num_backbone: Of the backbone: of ``BertForMaskedLM`` those of ``BertModel``, its pooler included.
        num_embeddings: Of the embeddings, a part of the backbone: word, position and segment, and their LayerNorm.
        size_bytes: Of all, as they are in memory.
    """

    num_parameters: int
    num_backbone: int
    num_embeddings: int
    size_bytes: int

    @property
    def num_without_embeddings(self) -> int:
        """Weights of the backbone without those of the embeddings: what a forward pass multiplies with."""
        return self.num_backbone - self.num_embeddings


def module_sizes(model: nn.Module, depth: int | None = None) -> list[ModuleSize]:
    """Count the weights of the modules of a model, in the order in which they stand in it.

    Args:
        model: Any model; tensors that are weights and buffers at once do not exist, and buffers do not count.
        depth: How deep to go: 0 gives the whole model only. None: to the end.

    Returns:
        The whole model first; modules without weights are left out.
    """
    owner: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner.setdefault(id(parameter), name)
    rows = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        inside = {id(parameter): parameter for parameter in module.parameters()}
        own = [parameter for key, parameter in inside.items() if owner[key].startswith(prefix)]
        num_all = sum(parameter.numel() for parameter in inside.values())
        num_own = sum(parameter.numel() for parameter in own)
        size = sum(parameter.numel() * parameter.element_size() for parameter in own)
        row = ModuleSize(name, type(module).__name__, num_own, num_all - num_own, size)
        if num_all and (depth is None or row.depth <= depth):
            rows.append(row)
    return rows


def sizes(model: PreTrainedModel) -> Sizes:
    """Count the weights of a model and of its backbone.

    ``sizes(load_model("minirbt-h256"))`` -> 10,345,216 of the backbone, 4,804,352 of them without embeddings.
    """
    num_backbone, num_embeddings = backbone_sizes(model.config)
    (whole,) = module_sizes(model, depth=0)
    return Sizes(whole.num_parameters, num_backbone, num_embeddings, whole.size_bytes)


def backbone_sizes(config: PretrainedConfig) -> tuple[int, int]:
    """Count the weights of the backbone that a configuration describes, and those of its embeddings. Allocates nothing.

    The embeddings are the module ``embeddings``, or where a model has none every ``nn.Embedding``.
    """
    with torch.device("meta"):
        backbone: nn.Module = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    part = getattr(backbone, "embeddings", None)
    if isinstance(part, nn.Module):
        holders = [part]
    else:
        holders = [module for module in backbone.modules() if isinstance(module, nn.Embedding)]
    unique = {id(parameter): parameter.numel() for holder in holders for parameter in holder.parameters()}
    return sum(parameter.numel() for parameter in backbone.parameters()), sum(unique.values())
