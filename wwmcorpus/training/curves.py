"""Metrics files in, one PNG out: training loss, held-out loss and held-out whole-word accuracy of several runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wwmcorpus.errors import ConfigError, MissingExtraError
from wwmcorpus.training.reporting import read_metrics


def draw_curves(metrics: Mapping[str, str | Path], output: str | Path) -> Path:
    """Draw the curves of some runs into one picture.

    Args:
        metrics: For each run its name in the legend and its ``metrics.jsonl``.
        output: The PNG file to write.

    Returns:
        The path of the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: a metrics file does not exist.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError.of("matplotlib", "viz", "curves") from None
    figure = Figure(figsize=(13, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for index, (name, path) in enumerate(metrics.items()):
        if not Path(path).is_file():
            raise ConfigError(
                "no such metrics file", value=str(path), where=name, fix="Give the metrics.jsonl of a run."
            )
        _draw_run(axes, f"C{index}", name, Path(path))
    _draw_baseline(axes, [Path(path) for path in metrics.values()])
    _label(axes)
    figure.savefig(output)
    return Path(output)


def _draw_run(axes: Any, colour: str, name: str, path: Path) -> None:
    train, evaluations = read_metrics(path, "train"), read_metrics(path, "evaluation")
    # Runs with other terms have losses of other sizes, so each is shown as a share of where it began.
    relative = [record["loss"] / (train[0]["loss"] or 1.0) for record in train]
    axes[0].plot([record["step"] for record in train], relative, color=colour, label=name)
    scored = [record for record in evaluations if record["word_accuracy"] is not None]
    steps = [record["step"] for record in evaluations]
    axes[1].plot(steps, [record["loss"] for record in evaluations], color=colour, marker="o", markersize=4, label=name)
    words = [100 * record["word_accuracy"] for record in scored]
    axes[2].plot([record["step"] for record in scored], words, color=colour, marker="o", markersize=4, label=name)


def _draw_baseline(axes: Any, paths: list[Path]) -> None:
    """Draw the first baseline that there is: runs in one picture share their held-out rows."""
    for path in paths:
        for record in read_metrics(path, "baseline"):
            style = {"color": "0.4", "linestyle": "--", "linewidth": 1, "label": "unigram baseline"}
            axes[1].axhline(record["loss"], **style)
            if record["word_accuracy"] is not None:
                axes[2].axhline(100 * record["word_accuracy"], **style)
            return


def _label(axes: Any) -> None:
    titles = ("Training loss, relative", "Held-out loss", "Held-out whole words right")
    units = ("share of the run's first value", "nats per masked piece", "% of masked words")
    for axis, title, unit in zip(axes, titles, units, strict=True):
        axis.set(title=title, xlabel="optimiser steps", ylabel=unit)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=9)
    axes[2].set_ylim(bottom=0)
