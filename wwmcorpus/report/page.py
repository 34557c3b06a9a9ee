"""A report in, one self-contained page of HTML out: no script, nothing that is loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from wwmcorpus import __version__
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import whole_file
from wwmcorpus.report import bars, tables
from wwmcorpus.report.figures import Report
from wwmcorpus.report.formats import count, percent, plain, shortened, size, visible
from wwmcorpus.report.histogram import FLOOR, TOP, Histogram

#: Sources that the page lists.
_NUM_SOURCES = 200


def page(report: Report) -> str:
    """Give the page of a report; the same for the same report.

    Whatever comes from the corpus (words, names of sources, details) is escaped, and shown where it would not show.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": count, "percent": percent, "plain": plain, "shortened": shortened, "size": size}
    template = environment.from_string(_resource("page.html.jinja"))
    edges = tuple(count(report.max_length * quarter // 4) for quarter in range(5))
    return template.render(
        report=report,
        style=_resource("page.css"),
        version=__version__,
        tiles=tables.tiles(report),
        tables=[tables.text_table(report), tables.rows_table(report), tables.words_table(report)],
        cleaning=tables.cleaning_table(report),
        time=tables.time_table(report),
        histograms=[
            Histogram.of(bars.word_length_chart(report)),
            Histogram.of(bars.row_length_chart(report), edges),
        ],
        word_charts=[bars.words_chart(report), bars.longer_words_chart(report)],
        unknown=bars.unknown_chart(report),
        reasons=bars.reasons_chart(report),
        stages=bars.stages_chart(report),
        settings=list(tables.settings_rows(report.config)),
        num_sources=_NUM_SOURCES,
        top=TOP,
        floor=FLOOR,
    )


def write_page(report: Report, path: str | Path) -> None:
    """Write the page of a report to a file, whole or not at all; what is there is replaced.

    Raises:
        CorpusError: the file cannot be written.
    """
    html = page(report)
    try:
        with whole_file(Path(path), "w") as file:
            file.write(html)
    except OSError as error:
        raise CorpusError(
            f"the page cannot be written: {error.strerror or error}", value=str(path), fix="Choose another file."
        ) from None


def _shown(value: Any) -> Any:
    """Make every text visible that the template prints; what is marked as safe is our own."""
    return visible(value) if type(value) is str else value


def _resource(name: str) -> str:
    return (files("wwmcorpus.report") / name).read_text("utf-8")
