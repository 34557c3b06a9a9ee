"""An evaluation in, the geometry of its plots out: scores by epochs, and scores by size and by time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len

from wwmcorpus.models.info import millions
from wwmcorpus.report.formats import visible
from wwmcorpus.tasks.evaluate.render import points, task_title
from wwmcorpus.tasks.evaluate.summary import Evaluation

#: Units of a plot: its width and height, and where the plane begins and ends.
WIDTH, HEIGHT = 560, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 540, 16, 236
#: Colours that the page has; further models begin with the first again, as rings and broken lines.
NUM_COLOURS = 6
_NUM_TICKS = 4
#: Width that a letter has, or half of a Chinese character, at most on average.
_CELL_WIDTH = 7.0
#: Points that an axis of scores spans at least, so that equal scores are drawn as such.
_LEAST_SPAN = 1.0


class Mark(NamedTuple):
    """A dot: its place, the style of its model, and what it says when pointed at."""

    x: float
    y: float
    style: str
    title: str
    is_small: bool = False


class Label(NamedTuple):
    """A name beside a dot: where its text begins, in the middle of which height, and what it says."""

    x: float
    y: float
    text: str


class Line(NamedTuple):
    """A line through the means of a model, as SVG has it."""

    path: str
    style: str


class Tick(NamedTuple):
    """A place on an axis and its name."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot to draw.

    Attributes:
        title: What it shows.
        below: What the horizontal axis is.
        beside: What the vertical axis is.
        marks: Dots; means after the seeds, so that they lie above them.
        labels: Names of the dots that have room for one.
        lines: Through the means.
        x_ticks: Names below.
        y_ticks: Names beside.
        summary: The same in words.
    """

    title: str
    below: str
    beside: str
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str


def plots(evaluation: Evaluation) -> Iterator[Plot]:
    """Give the plots of an evaluation: a model that has no score on a task is left out of those that need it."""
    yield from _trade_offs(evaluation)
    for task in evaluation.tasks:
        if any(entries[task].trials for entries in evaluation.entries.values()):
            yield _epochs_plot(evaluation, task)


def style_of(evaluation: Evaluation, model: str) -> str:
    """Give the classes of a model's dots and lines: its colour, and whether that has come before."""
    number = evaluation.models.index(model)
    return f"c{number % NUM_COLOURS}{' again' if number >= NUM_COLOURS else ''}"


def nice_ticks(low: float, high: float, number: int = _NUM_TICKS) -> list[float]:
    """Give round values of even steps that hold ``low`` and ``high`` between them: ``(61.3, 78)`` -> 60, 65 ... 80."""
    if high - low < _LEAST_SPAN:
        low, high = low - _LEAST_SPAN / 2, high + _LEAST_SPAN / 2
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def _epochs_plot(evaluation: Evaluation, task: str) -> Plot:
    epochs = sorted({trial.epochs for entries in evaluation.entries.values() for trial in entries[task].trials})
    every = [
        100 * value
        for entries in evaluation.entries.values()
        for trial in entries[task].trials
        for value in trial.main.values.values()
    ]
    ticks = nice_ticks(min(every), max(every))
    y = _scale(ticks[0], ticks[-1], BOTTOM, TOP)
    x = _scale(-0.5, len(epochs) - 0.5, LEFT, RIGHT)
    seeds, means, lines, told = [], [], [], []
    for model in evaluation.models:
        style, path = style_of(evaluation, model), []
        for trial in evaluation.entries[model][task].trials:
            place = x(epochs.index(trial.epochs))
            for seed, value in trial.main.values.items():
                title = f"{model}, {trial.epochs:g} epochs, seed {seed}: {points(value)}"
                seeds.append(Mark(place, y(100 * value), style, title, is_small=True))
            title = f"{model}, {trial.epochs:g} epochs: {points(trial.main.mean)}"
            means.append(Mark(place, y(100 * trial.main.mean), style, title))
            path.append(f"{place:.1f},{y(100 * trial.main.mean):.1f}")
            told.append(title)
        lines.append(Line(" ".join(path), style))
    return Plot(
        title=task_title(evaluation, task),
        below="epochs",
        beside="score",
        marks=(*seeds, *means),
        labels=(),
        lines=tuple(line for line in lines if line.path),
        x_ticks=tuple(Tick(x(index), f"{value:g}") for index, value in enumerate(epochs)),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in ticks),
        summary="; ".join(told),
    )


def _trade_offs(evaluation: Evaluation) -> Iterator[Plot]:
    """Give the mean score by size, and by time of a batch."""
    beside = "mean score" if evaluation.teacher is None else f"% of {evaluation.teacher}"
    mean = evaluation.mean_score if evaluation.teacher is None else evaluation.mean_relative
    scores = {model: 100 * share for model in evaluation.models if (share := mean(model)) is not None}
    if len(scores) < 2:
        return
    counts = {model: float(evaluation.sizes[model].num_without_embeddings) for model in scores}
    yield _scatter(
        evaluation,
        "Score and size",
        "parameters without embeddings",
        beside,
        counts,
        scores,
        lambda value: millions(round(value)),
    )
    for place, first in enumerate(next(iter(evaluation.latencies.values()), ())):
        times = {model: 1000 * evaluation.latencies[model][place].median_seconds for model in scores}
        title = f"Score and time, batch {first.batch_size}"
        below = f"milliseconds for {first.batch_size} x {first.length} pieces"
        yield _scatter(evaluation, title, below, beside, times, scores, lambda value: f"{value:.3g}")


def _scatter(
    evaluation: Evaluation,
    title: str,
    below: str,
    beside: str,
    across: dict[str, float],
    scores: dict[str, float],
    shown: Callable[[float], str],
) -> Plot:
    """Put models into a plane: logarithms of ``across`` to the right, scores upwards."""
    places = [math.log10(max(value, 1e-6)) for value in across.values()]
    margin = max(0.15 * (max(places) - min(places)), 0.1)
    x = _scale(min(places) - margin, max(places) + margin, LEFT, RIGHT)
    ticks = nice_ticks(min(scores.values()), max(scores.values()))
    y = _scale(ticks[0], ticks[-1], BOTTOM, TOP)
    marks, told = [], []
    for (model, value), place in zip(across.items(), places, strict=True):
        said = f"{model}: {scores[model]:.1f} at {shown(value)}"
        told.append(said)
        marks.append(Mark(x(place), y(scores[model]), style_of(evaluation, model), said))
    x_ticks = _apart([Tick(x(place), shown(value)) for value, place in zip(across.values(), places, strict=True)])
    y_ticks = tuple(Tick(y(value), f"{value:g}") for value in ticks)
    labels = tuple(_labels(marks, list(across)))
    return Plot(title, below, beside, tuple(marks), labels, (), x_ticks, y_ticks, "; ".join(told))


def _labels(marks: Sequence[Mark], names: Sequence[str]) -> Iterator[Label]:
    """Give each dot its name to the right, to the left, above or below; none where it would lie upon something."""
    taken = [(mark.x - 6, mark.x + 6, mark.y - 6, mark.y + 6) for mark in marks]
    for mark, name in zip(marks, map(visible, names), strict=True):
        width = _CELL_WIDTH * cell_len(name)
        places = ((mark.x + 9, 0), (mark.x - 9 - width, 0), (mark.x - width / 2, -15), (mark.x - width / 2, 15))
        for start, shift in places:
            box = (start, start + width, mark.y + shift - 7, mark.y + shift + 7)
            is_inside = box[0] >= LEFT and box[1] <= WIDTH and box[2] >= TOP - 14 and box[3] <= BOTTOM
            if is_inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield Label(start, mark.y + shift, name)
                break


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes, (left, right, top, bottom), have a point in common."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _apart(ticks: Sequence[Tick], room: float = 56.0) -> tuple[Tick, ...]:
    """Leave out names that would lie upon one another."""
    kept: list[Tick] = []
    for tick in sorted(ticks):
        if not kept or tick.place - kept[-1].place >= room:
            kept.append(tick)
    return tuple(kept)


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Give what maps [low, high] to [start, end]."""
    return lambda value: start + (value - low) / (high - low) * (end - start)
