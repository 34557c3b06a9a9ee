"""A chart in, the geometry of its SVG histogram out: shares of the width, so that it fits every screen unscaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from wwmcorpus.report.bars import Chart
from wwmcorpus.report.formats import percent

#: Pixels of the plot: where its top and its floor are.
TOP, FLOOR = 20, 180
#: Percent of the width that the names of the lines have, and that a bar has of its place.
_LEFT, _BAR = 9.0, 0.8
#: Charts of more bars than this have no numbers above them.
_MOST_NUMBERS = 12


class Rect(NamedTuple):
    """One bar: x and width in percent of the chart, y and height in pixels."""

    x: float
    y: float
    width: float
    height: float
    number: str
    title: str


class Tick(NamedTuple):
    """A name on an axis: percent of the width below the floor, pixels from the top beside a line."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram to draw.

    Attributes:
        chart: What it shows.
        summary: It in one sentence, for those who hear it.
        rects: The bars.
        lines: The lines across, with their shares.
        ticks: The names below.
    """

    chart: Chart
    summary: str
    rects: tuple[Rect, ...]
    lines: tuple[Tick, ...]
    ticks: tuple[Tick, ...]

    @classmethod
    def of(cls, chart: Chart, edges: tuple[str, ...] = ()) -> Histogram:
        """Lay out a chart.

        Args:
            chart: Its bars have shares.
            edges: Names below the plot, from its beginning to its end; none for the label of each bar.
        """
        shares = [each.share or 0.0 for each in chart.bars]
        step = _step(max(shares, default=0.0))
        top = step * max(math.ceil(round(max(shares, default=0.0) / step, 6)), 1)
        place = (100 - _LEFT) / max(len(shares), 1)
        rects = tuple(
            Rect(
                x=round(_LEFT + place * (index + (1 - _BAR) / 2), 3),
                y=round(FLOOR - (FLOOR - TOP) * share / top, 2),
                width=round(place * _BAR, 3),
                height=round((FLOOR - TOP) * share / top, 2),
                number=_number(share) if len(shares) <= _MOST_NUMBERS else "",
                title=f"{each.label} {chart.label}: {each.value} {chart.unit}, {percent(share)}",
            )
            for index, (each, share) in enumerate(zip(chart.bars, shares, strict=True))
        )
        lines = tuple(
            Tick(round(FLOOR - (FLOOR - TOP) * index * step / top, 2), f"{100 * index * step:.3g}%")
            for index in range(round(top / step) + 1)
        )
        if edges:
            width = (100 - _LEFT) / max(len(edges) - 1, 1)
            ticks = [Tick(round(_LEFT + width * index, 3), edge) for index, edge in enumerate(edges)]
        else:
            ticks = [
                Tick(round(rect.x + rect.width / 2, 3), each.label)
                for rect, each in zip(rects, chart.bars, strict=True)
            ]
        return cls(chart, _summary(chart), rects, lines, tuple(ticks))


def _step(largest: float) -> float:
    """Give a round distance between lines, of which three to five fit below ``largest``."""
    if largest <= 0:
        return 0.25
    power = 10.0 ** math.floor(math.log10(largest / 4))
    return next(step for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power) if step * 4.6 >= largest)


def _number(share: float) -> str:
    """Give a share in percent as short as a bar is narrow: ``53``, ``5.4``, ``.02``."""
    value = 100 * share
    if value >= 9.95:
        return f"{value:.0f}"
    if value >= 0.095:
        return f"{value:.1f}"
    return f"{value:.2f}".lstrip("0") if value >= 0.005 else ""


def _summary(chart: Chart) -> str:
    most = sorted((each for each in chart.bars if each.share), key=lambda each: -(each.share or 0.0))[:3]
    if not most:
        return f"There are no {chart.unit}."
    shares = [f"{percent(each.share)} have {each.label}" for each in most]
    return f"Of all {chart.unit}, {', '.join(shares)} {chart.label}."
