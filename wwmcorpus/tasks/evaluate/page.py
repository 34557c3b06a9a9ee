"""An evaluation in, one self-contained page of HTML out: no script, nothing that is loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from wwmcorpus import __version__
from wwmcorpus.report.formats import visible
from wwmcorpus.tasks.evaluate import plots
from wwmcorpus.tasks.evaluate.render import tables
from wwmcorpus.tasks.evaluate.summary import Evaluation


def page(evaluation: Evaluation) -> str:
    """Give the page of an evaluation; the same for the same evaluation. Names and messages are escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files("wwmcorpus.tasks.evaluate") / "page.html.jinja").read_text("utf-8"))
    return template.render(
        evaluation=evaluation,
        styles=[
            (files("wwmcorpus.report") / "page.css").read_text("utf-8"),
            (files("wwmcorpus.tasks.evaluate") / "page.css").read_text("utf-8"),
        ],
        tables=list(tables(evaluation)),
        plots=list(plots.plots(evaluation)),
        legend=[(model, plots.style_of(evaluation, model)) for model in evaluation.models],
        plane=plots,
        version=__version__,
    )


def _shown(value: Any) -> Any:
    """Make every text visible that the template prints; what is marked as safe is our own."""
    return visible(value) if type(value) is str else value
