"""A student with random weights and another model in, a student that begins with that model's weights out.

Layers are copied whole, as DistilBERT and MiniRBT's assistant do. A narrower student cannot take layers; it takes the
embeddings, brought to its width.

Sources: Sanh et al., arXiv:1910.01108 (every second layer); MiniRBT's init_checkpoint_TA.py (layers 0, 2, 4, 7, 9 and
11 of twelve, counted from 0; it leaves out the head).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from wwmcorpus.errors import ConfigError
from wwmcorpus.training.pair_head import PAIR_WEIGHTS
from wwmcorpus.training.settings.shapes import Initialisation

_OTHER = "Take another source, or begin with random weights."
_EMBEDDINGS = "bert.embeddings."
_HEAD = "cls.predictions."
_PIECE_BIAS = "cls.predictions.bias"
_TABLES = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
_NORM = ("LayerNorm.weight", "LayerNorm.bias")


@dataclass
class Copied:
    """What an initialisation did.

    Attributes:
        layers: For each layer of the student the source's that it took, both from 1; empty where none.
        names: The weights that were set.
        num_weights: How many weights the student has in all.
    """

    layers: tuple[int, ...] = ()
    names: list[str] = field(default_factory=list)
    num_weights: int = 0

    @property
    def has_head(self) -> bool:
        """Whether the bias of each piece came along."""
        return _PIECE_BIAS in self.names

    def summary(self, source: str) -> str:
        """Give one line for the log and the card."""
        layers = f", layers {', '.join(map(str, self.layers))}" if self.layers else ", no layers"
        return f"{len(self.names)} of {self.num_weights} weights from {source}{layers}"


def initialise(student: BertForMaskedLM, source: BertForMaskedLM, init: Initialisation) -> Copied:
    """Set the student's first weights; whatever does not fit stays as it is.

    Args:
        student: Changed in place.
        source: Left as it is.
        init: What to take, and how.

    Raises:
        ConfigError: a layer is not there, or the shapes cannot be brought together.
    """
    own, other = student.config, source.config
    if other.model_type != "bert":
        raise ConfigError(
            "only a BERT can give its weights to a student", value=other.model_type, where="init.weights", fix=_OTHER
        )
    layers = layers_to_copy(init, own, other)
    _check_width(init, own.hidden_size, other.hidden_size)
    weights = source.state_dict()
    found = _embeddings(weights, init, own.hidden_size)
    for index, layer in enumerate(layers):
        prefix, mine = f"bert.encoder.layer.{layer - 1}.", f"bert.encoder.layer.{index}."
        found |= {mine + key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    if init.head:
        heads = (_HEAD, *PAIR_WEIGHTS) if own.hidden_size == other.hidden_size else (_PIECE_BIAS,)
        found |= {key: weights[key] for key in weights if key.startswith(heads)}
    return Copied(layers, _set(student, found), len(student.state_dict()))


def layers_to_copy(init: Initialisation, student: BertConfig, source: BertConfig) -> tuple[int, ...]:
    """Give the source's layer for each layer of the student, from 1: twelve to six, ``(1, 3, 5, 8, 10, 12)``.

    Raises:
        ConfigError: a layer is not there, there are too few, or layers of the two have different shapes.
    """
    narrower = student.hidden_size < source.hidden_size and init.embeddings != "copy"
    if init.layers == "none" or (init.layers == "uniform" and narrower):
        return ()
    for name in ("hidden_size", "num_attention_heads", "intermediate_size"):
        mine, theirs = getattr(student, name), getattr(source, name)
        if mine != theirs:
            fix = 'Set init.layers = "none"' + (
                ' and init.embeddings = "svd" or "select".' if name == "hidden_size" else "."
            )
            raise ConfigError(
                f"layers cannot be copied: {name} is {mine} in the student, {theirs} in the source",
                where="init.layers",
                fix=fix,
            )
    num_mine, num_theirs = student.num_hidden_layers, source.num_hidden_layers
    if isinstance(init.layers, tuple):
        return _listed(init.layers, num_mine, num_theirs)
    if num_mine > num_theirs:
        raise ConfigError(
            f"the student has {num_mine} layers, the source only {num_theirs}",
            where="init.layers",
            fix="List them: a layer may come more than once.",
        )
    if init.layers == "first":
        return tuple(range(1, num_mine + 1))
    steps = max(num_mine - 1, 1)
    return tuple(1 + (2 * index * (num_theirs - 1) + steps) // (2 * steps) for index in range(num_mine))


def _listed(layers: tuple[int, ...], num_mine: int, num_theirs: int) -> tuple[int, ...]:
    if len(layers) != num_mine:
        raise ConfigError(
            f"{len(layers)} layers are listed for a student of {num_mine}",
            value=layers,
            where="init.layers",
            fix=f"List {num_mine}.",
        )
    for layer in layers:
        if layer > num_theirs:
            raise ConfigError(
                "the source has no such layer", value=layer, where="init.layers", fix=f"It has 1 to {num_theirs}."
            )
    return layers


def _check_width(init: Initialisation, mine: int, theirs: int) -> None:
    if mine > theirs or (mine < theirs and init.embeddings == "copy"):
        narrower = 'Set init.embeddings = "svd" or "select".'
        raise ConfigError(
            f"embeddings cannot be copied: the student is {mine} wide, the source {theirs}",
            where="init.embeddings",
            fix=narrower if mine < theirs else "Take a source that is as wide at least.",
        )


def _embeddings(weights: dict[str, Tensor], init: Initialisation, width: int) -> dict[str, Tensor]:
    """Give the tables, and the layer norm where its columns are those of the source."""
    tables = {name: weights[_EMBEDDINGS + name] for name in _TABLES}
    words = tables["word_embeddings.weight"]
    if init.embeddings == "svd" and words.shape[1] != width:
        directions = main_directions(words, width)
        return {_EMBEDDINGS + name: (table.double() @ directions).float() for name, table in tables.items()}
    columns = torch.arange(words.shape[1])
    if init.embeddings == "select":
        columns = words.double().var(dim=0).topk(width).indices.sort().values
    tables |= {name: weights[_EMBEDDINGS + name] for name in _NORM}
    return {_EMBEDDINGS + name: table[..., columns] for name, table in tables.items()}


def main_directions(table: Tensor, width: int) -> Tensor:
    """Give the orthonormal directions that keep most of the inner products of some rows.

    They are the first right singular vectors, each with its largest entry positive.

    Args:
        table: (num_rows, old_width).
        width: How many, at most old_width.

    Returns:
        (old_width, width) float64.
    """
    rows = table.double()
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    chosen = vectors.flip(1)[:, :width]
    largest = chosen.gather(0, chosen.abs().argmax(dim=0, keepdim=True))
    directions: Tensor = chosen * largest.sign()
    return directions


def _set(student: BertForMaskedLM, found: dict[str, Tensor]) -> list[str]:
    """Copy weights by name; of tables with more or fewer rows, those that both have. Give the names that were set."""
    own = student.state_dict()
    names = sorted(found.keys() & own.keys())
    with torch.no_grad():
        for name in names:
            rows = min(len(own[name]), len(found[name]))
            own[name][:rows].copy_(found[name][:rows])
    return names
