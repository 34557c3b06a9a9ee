"""A name or a TOML file in, what a task is out: its kind, how its files are laid out, its labels and its metrics.

A task is data, not code. A file of ten lines adds one; those that come with the package are such files themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from wwmcorpus.config import Config, read_toml
from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.resources import tasks_folder

if TYPE_CHECKING:
    from pathlib import PurePath

    from numpy.typing import ArrayLike

    from wwmcorpus.tasks.examples import Examples
    from wwmcorpus.tasks.features import Features
    from wwmcorpus.tasks.predictions import Prediction

Kind = Literal["classification", "regression", "reading", "labelling"]
FileFormat = Literal["tsv", "csv", "jsonl", "squad", "conll"]

#: Formats of files by kind of task.
FORMATS: dict[Kind, tuple[FileFormat, ...]] = {
    "classification": ("tsv", "csv", "jsonl"),
    "regression": ("tsv", "csv", "jsonl"),
    "reading": ("squad",),
    "labelling": ("conll",),
}
#: Metrics by kind of task; those that ``Task.scores`` may name.
METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "f1", "matthews"),
    "regression": ("spearman", "pearson"),
    "reading": ("f1", "exact_match", "average"),
    "labelling": ("f1", "precision", "recall", "accuracy"),
}
#: Metrics that are computed where a task names none. The first is the main one.
_DEFAULT_METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro"),
    "regression": ("spearman", "pearson"),
    "reading": ("f1", "exact_match", "average"),
    "labelling": ("f1", "precision", "recall"),
}


class Task(Config):
    """What a task is.

    ``load_task("ocnli")`` gives one that comes with the package, ``load_task("mine.toml")`` one of your own.
    """

    #: What to call it; that of its file where it says nothing. Models of several tasks lie in folders of these names.
    name: str = "task"
    #: "classification" and "regression" of one text or of a pair; "reading": an answer is a span of a passage;
    #: "labelling": each token has a tag.
    kind: Kind
    #: "tsv" (no quoting), "csv", "jsonl" as CLUE has it; "squad": JSON as of CMRC 2018 and DRCD; "conll": a token and
    #: its tag a line, blank lines between sentences.
    file_format: FileFormat
    #: Classification: the labels, as the files write them; their order gives their ids. Labelling: the types of
    #: entities, without B- and I-.
    labels: tuple[str, ...] = Field(default=(), strict=False)
    #: What stands where annotators agreed on no label, as "-" does in OCNLI: such rows are left out and counted.
    no_label: tuple[str, ...] = Field(default=(), strict=False)
    #: Names of the columns of tsv and csv files that have no line of them; none: the first line names them.
    columns: tuple[str, ...] = Field(default=(), strict=False)
    #: Column or field of the text.
    text_a: str = "text_a"
    #: Of the second text of a pair; None: there is none.
    text_b: str | None = None
    #: Of the label.
    label: str = "label"
    #: Metrics; the first is the main one, by which the best checkpoint is chosen. None: those usual for the kind.
    scores: tuple[str, ...] = Field(default=(), strict=False)
    #: Files, relative to the task's own.
    train: str | None = None
    validation: str | None = None
    test: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Task:
        _require_choice("file_format", self.file_format, FORMATS[self.kind], self.kind)
        for score in self.scores:
            _require_choice("scores", score, METRICS[self.kind], self.kind)
        if "f1" in self.scores and self.kind == "classification" and len(self.labels) != 2:
            raise ConfigError("f1 is for two labels", value=len(self.labels), where="scores", fix="Take f1_macro.")
        if not self.name.strip(". ") or set(self.name) & set("/\\\0"):
            raise ConfigError(
                "a task cannot be called so", value=self.name, where="name", fix="Take letters and digits."
            )
        needs_labels = self.kind in ("classification", "labelling")
        if needs_labels != bool(self.labels):
            fix = "List them: their order gives their ids." if needs_labels else "Leave them out."
            raise ConfigError(f"a {self.kind} task has {len(self.labels)} labels", where="labels", fix=fix)
        if len(set(self.labels)) < len(self.labels) or set(self.labels) & set(self.no_label):
            raise ConfigError("a label stands twice", value=self.labels, where="labels", fix="Name each once.")
        if len(set(self.columns)) < len(self.columns):
            raise ConfigError("a column stands twice", value=self.columns, where="columns", fix="Name each once.")
        for name in self.text_columns if self.columns else ():
            _require_choice("text_a, text_b", name, self.columns, "columns")
        return self

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Names of the columns of texts: one, or two of a pair."""
        return (self.text_a,) if self.text_b is None else (self.text_a, self.text_b)

    @property
    def tags(self) -> tuple[str, ...]:
        """Of a labelling task its tags, in the order of their ids: ``("O", "B-PER", "I-PER", ...)``."""
        return ("O", *(f"{prefix}-{label}" for label in self.labels for prefix in "BI"))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What ``metrics`` gives."""
        return self.scores or _DEFAULT_METRICS[self.kind]

    @property
    def main_metric(self) -> str:
        """The metric by which checkpoints are compared; more is better."""
        return self.metric_names[0]

    @property
    def num_outputs(self) -> int:
        """How many numbers a model gives per row (classification, regression) or per piece (reading, labelling)."""
        return {
            "classification": len(self.labels),
            "regression": 1,
            "reading": 2,
            "labelling": len(self.tags),
        }[self.kind]

    def read(self, path: str | PurePath, labelled: bool = True, to_learn: bool = False) -> Examples:
        """Read a file of the task; see ``wwmcorpus.tasks.read.read_examples``."""
        from wwmcorpus.tasks.read import read_examples

        return read_examples(self, path, labelled, to_learn)

    def predictions(self, logits: Sequence[ArrayLike], features: Features, examples: Examples) -> list[Prediction]:
        """Make predictions of a model's numbers; see ``wwmcorpus.tasks.predictions.predictions_of``."""
        from wwmcorpus.tasks.predictions import predictions_of

        return predictions_of(self, logits, features, examples)

    def metrics(self, predictions: Sequence[Prediction], examples: Examples) -> dict[str, float]:
        """Score predictions; see ``wwmcorpus.tasks.metrics.score_predictions``."""
        from wwmcorpus.tasks.metrics import score_predictions

        return score_predictions(self, predictions, examples)


def task_names() -> list[str]:
    """Give the names of the tasks that come with the package, sorted."""
    return sorted(path.stem for path in tasks_folder().glob("*.toml"))


def load_task(name: str | PurePath) -> Task:
    """Give the task of a name, or of a TOML file.

    Args:
        name: One of ``task_names()``, or a path that ends in .toml; paths of data files in it are relative to it.

    Raises:
        ConfigError: there is no such task or file, or the declaration is wrong.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in task_names():
            close = nearest(str(name), task_names())
            hint = f"Did you mean {close!r}? " if close else ""
            fix = f"{hint}{choices(task_names())[:-1]}; or the path of a .toml file."
            raise ConfigError("unknown task", value=str(name), fix=fix)
        path = tasks_folder() / f"{name}.toml"
    values: dict[str, Any] = {"name": path.stem} | read_toml(path)
    for split in ("train", "validation", "test"):
        if isinstance(values.get(split), str):
            values[split] = str(path.parent / values[split])
    try:
        return Task(**values)
    except ConfigError as error:
        place = f"{path}: {error.where}" if error.where else str(path)
        raise ConfigError(error.what, value=error.value, where=place, fix=error.fix) from None


def _require_choice(key: str, value: str, allowed: Sequence[str], what: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{what} has no such choice", value=value, where=key, fix=choices(allowed))
