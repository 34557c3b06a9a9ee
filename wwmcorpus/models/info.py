"""Names of models in, a table of their sizes and speeds beside a teacher's out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel

from wwmcorpus.models.latency import BATCH_SIZES, LENGTH, Latency, measure_latency
from wwmcorpus.models.load import load_model
from wwmcorpus.models.parameters import ModuleSize, Sizes, module_sizes, sizes
from wwmcorpus.report.formats import count, size


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model.

    Attributes:
        name: Its folder, hub id or student's name.
        kind: Its class.
        layers: Of the encoder; None where the configuration does not say, like the next two.
        hidden: Width.
        heads: Of the attention.
        sizes: Weights.
        modules: Weights by module, the whole model first.
        latencies: Of the backbone, by batch size; empty where it was not measured.
    """

    name: str
    kind: str
    layers: int | None
    hidden: int | None
    heads: int | None
    sizes: Sizes
    modules: tuple[ModuleSize, ...]
    latencies: tuple[Latency, ...] = ()

    def tree(self) -> Iterator[str]:
        """Give lines of the modules, each with its weights, its share, its bytes and what it shares."""
        width = max(len(_label(row)) for row in self.modules)
        for row in self.modules:
            share = row.num_parameters / max(self.sizes.num_parameters, 1)
            shared = f"  and {count(row.num_shared)} counted above" if row.num_shared else ""
            numbers = f"{count(row.num_parameters):>13} {share:>7.1%} {size(row.size_bytes):>9}"
            yield f"{_label(row):<{width}} {numbers}{shared}"


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Models beside one another.

    Attributes:
        models: In the order in which they were named, the teacher first where there is one.
        has_teacher: Whether the first is a teacher that the others are compared with.
    """

    models: tuple[ModelInfo, ...]
    has_teacher: bool

    def header(self) -> list[str]:
        """Give the names of the columns of ``rows``."""
        latencies = self.models[0].latencies
        found = ["model", "layers", "hidden", "heads", "parameters", "backbone", "without embeddings", "size"]
        found += [f"batch {each.batch_size}" for each in latencies]
        if self.has_teacher:
            found += [f"speed-up, batch {each.batch_size}" for each in latencies]
        return found

    def rows(self) -> list[list[str]]:
        """Give a row of text for each model; with a teacher, counts have their share of the teacher's in brackets."""
        return [self._row(model) for model in self.models]

    def note(self) -> str:
        """Give one line that says how the times were measured and what is counted; without times the latter only."""
        counted = "backbone: with a pooler even where the model has none, without heads, as published sizes have it"
        times = self.models[0].latencies
        if not times:
            return counted
        how = f"{times[0].length} pieces, fp32, {times[0].num_threads} threads, {times[0].device}"
        return (
            f"{counted}; times: backbone, {how}, median of {min(t.num_turns for t in times)} turns or more, quartiles"
        )

    def content(self) -> list[dict[str, Any]]:
        """Give plain values, a table for each model."""
        return [
            asdict(model)
            | {"sizes": asdict(model.sizes) | {"num_without_embeddings": model.sizes.num_without_embeddings}}
            | {"speed_ups": speed_ups(self.models[0].latencies, model.latencies) if self.has_teacher else []}
            for model in self.models
        ]

    def _row(self, model: ModelInfo) -> list[str]:
        teacher = self.models[0].sizes if self.has_teacher else None
        row = [
            model.name,
            *("" if value is None else str(value) for value in (model.layers, model.hidden, model.heads)),
        ]
        for key in ("num_parameters", "num_backbone", "num_without_embeddings"):
            number = getattr(model.sizes, key)
            share = "" if teacher is None else f" ({number / getattr(teacher, key):.1%})"
            row.append(f"{millions(number)}{share}")
        row.append(size(model.sizes.size_bytes))
        row += [spread(each) for each in model.latencies]
        if self.has_teacher:
            row += map(times_as_fast, speed_ups(self.models[0].latencies, model.latencies))
        return row


def model_info(
    names: Sequence[str],
    teacher: str | None = None,
    depth: int = 2,
    latency: bool = False,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    length: int = LENGTH,
    seconds: float = 2.0,
) -> ModelComparison:
    """Count and, on request, time some models.

    Args:
        names: Folders, hub ids or students' names; the latter have 21,128 pieces and random weights.
        teacher: What the others are compared with; it becomes the first row.
        depth: How deep the counts by module go; 0: the whole only.
        latency: Whether to measure the time of a forward pass of each backbone, turn by turn.
        batch_sizes: Rows of a batch that is timed.
        length: Pieces of its rows.
        seconds: Time for each batch size, at least.

    Raises:
        ConfigError: a model cannot be loaded.
    """
    found = list(dict.fromkeys([*([] if teacher is None else [teacher]), *names]))
    models = {name: load_model(name) for name in found}
    times = measure_latency(models, batch_sizes, length, seconds=seconds) if latency else {}
    infos = (_info(name, model, depth, times.get(name, [])) for name, model in models.items())
    return ModelComparison(tuple(infos), teacher is not None)


def _info(name: str, model: PreTrainedModel, depth: int, times: Sequence[Latency]) -> ModelInfo:
    return ModelInfo(
        name=name,
        kind=type(model).__name__,
        layers=getattr(model.config, "num_hidden_layers", None),
        hidden=getattr(model.config, "hidden_size", None),
        heads=getattr(model.config, "num_attention_heads", None),
        sizes=sizes(model),
        modules=tuple(module_sizes(model, depth)),
        latencies=tuple(times),
    )


def speed_ups(teacher: Sequence[Latency], model: Sequence[Latency]) -> list[float]:
    """Give how many times faster than the teacher a model is, by batch size: the ratio of the medians."""
    return [slow.median_seconds / fast.median_seconds for slow, fast in zip(teacher, model, strict=True)]


def times_as_fast(ratio: float) -> str:
    """Give a speed-up: ``4.1x``, or where it is none ``0.04x``."""
    return f"{ratio:.{1 if ratio >= 1 else 2}f}x"


def millions(number: int) -> str:
    """Give a count of weights as tables have it: ``10.35M``, or in full where it is small."""
    return f"{number / 1e6:.2f}M" if number >= 1e5 else count(number)


def spread(latency: Latency) -> str:
    """Give the median with its quartiles, in milliseconds: ``12.3 ms (11.9-12.8)``, ``412 ms (405-431)``."""
    low, middle, high = (
        1000 * seconds for seconds in (latency.lower_seconds, latency.median_seconds, latency.upper_seconds)
    )
    digits = 3 if middle < 1 else 1 if middle < 100 else 0
    return f"{middle:.{digits}f} ms ({low:.{digits}f}-{high:.{digits}f})"


def _label(row: ModuleSize) -> str:
    own = row.name.rpartition(".")[2] if row.name else "model"
    return f"{'  ' * row.depth}{own} ({row.kind})"
