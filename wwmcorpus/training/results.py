"""What a run made: figures and places in memory, and ``run.json`` in its folder, by which a finished run is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wwmcorpus.errors import ConfigError, differences
from wwmcorpus.files import file_sha256, sync, write_json
from wwmcorpus.training.evaluate import Figures

RUN_FILE = "run.json"
#: Settings that do not change what a run makes.
_PLACES = ("output", "accept_teacher")
#: Names of weight files, whole or in parts.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        output: The Hugging Face folder, with ``metrics.jsonl``, ``run.json``, ``curves.png`` and a card.
        steps: Optimiser steps.
        seconds: Wall time of the process that finished the run, loading and evaluation included.
        baseline: Held-out figures of the unigram model; None without a validation corpus, like those below.
        before: Held-out figures of the student with its first weights.
        after: Held-out figures of the trained student.
        teacher: Held-out figures of the teacher; None in pretraining.
        found: The run had been finished before, and was not run again.
    """

    output: Path
    steps: int
    seconds: float
    baseline: Figures | None = None
    before: Figures | None = None
    after: Figures | None = None
    teacher: Figures | None = None
    found: bool = False

    @property
    def figures(self) -> dict[str, Figures]:
        """The figures that there are, by the names of the card's rows."""
        rows = {
            "unigram baseline": self.baseline,
            "teacher": self.teacher,
            "student before": self.before,
            "student after": self.after,
        }
        return {name: figures for name, figures in rows.items() if figures is not None}

    def content(self) -> dict[str, Any]:
        """Give what ``run.json`` says of the run."""
        rows = {name: getattr(self, name) for name in ("baseline", "before", "after", "teacher")}
        return {
            "made": {"steps": self.steps, "seconds": round(self.seconds, 3)},
            "figures": {name: None if row is None else row.content() for name, row in rows.items()},
        }

    def summary(self) -> str:
        """Give the lines that a command ends with: where the model lies, and its figures on held-out text."""
        when = " (finished before, not run again)" if self.found else ""
        lines = [f"{self.output}: {self.steps} steps in {self.seconds:.0f} s{when}"]
        return "\n".join([*lines, *_lines(self.figures)])


@dataclass(frozen=True)
class TwoStageResult:
    """What a two-stage run made; ``one_stage`` where the control was asked for."""

    assistant: RunResult
    student: RunResult
    one_stage: RunResult | None = None

    @property
    def runs(self) -> dict[str, RunResult]:
        """The runs by name, in order."""
        found = {"assistant": self.assistant, "student": self.student, "one_stage": self.one_stage}
        return {name: run for name, run in found.items() if run is not None}

    def summary(self) -> str:
        """Give where the models lie, and their figures on held-out text beside one another."""
        lines = [run.summary().split("\n")[0] for run in self.runs.values()]
        rows = {
            "unigram baseline": self.assistant.baseline,
            "teacher": self.assistant.teacher,
            "assistant": self.assistant.after,
            "student, two stages": self.student.after,
            "student, one stage": None if self.one_stage is None else self.one_stage.after,
        }
        return "\n".join([*lines, *_lines({name: row for name, row in rows.items() if row is not None})])


def _lines(rows: Mapping[str, Figures]) -> list[str]:
    lines = []
    for name, figures in rows.items():
        words = "" if figures.word_accuracy is None else f", {figures.word_accuracy:.1%} of masked words right"
        agreement = "" if figures.agreement is None else f", {figures.agreement:.1%} as its teacher"
        pairs = "" if figures.pair_accuracy is None else f", {figures.pair_accuracy:.1%} of pairs right"
        rest = f"{words}{agreement}{pairs}"
        lines.append(f"  {name:<20} loss {figures.loss:.3f}, perplexity {figures.perplexity:,.1f}{rest}")
    return lines


def run_identity(config: Mapping[str, Any], fingerprints: Mapping[str, str | None]) -> dict[str, Any]:
    """Give what decides a run: its settings but for the places, and hashes of what it reads.

    What is known by a hash may lie anywhere: its path, the setting of the same name, does not count.
    """
    hashed = {name for name, value in fingerprints.items() if value is not None}
    settings = {key: value for key, value in config.items() if key not in _PLACES and key not in hashed}
    return {"config": settings, "inputs": dict(fingerprints)}


def weights_sha256(name: str | None) -> str | None:
    """Give the sha256 of the weight files in a folder and their ``config.json``, or the commit of a model on the hub.

    None where neither is.
    """
    if name is None:
        return None
    folder = Path(name)
    if not folder.exists():
        return _hub_commit(name)
    paths = sorted(path for pattern in _WEIGHTS for path in folder.glob(pattern))
    if not paths:
        return None
    # The same weights with other heads or another activation are another model.
    hashes = {path.name: file_sha256(path) for path in (*paths, folder / "config.json") if path.exists()}
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def _hub_commit(name: str) -> str | None:
    """Give the commit that a hub id stands for now; None where there is no such model, which loading it will tell."""
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:
        return extract_commit_hash(cached_file(name, "config.json"), None)
    except (OSError, ValueError):
        return None


def write_run(folder: Path, identity: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Write ``run.json``: what decided the run, what it made, and the versions of the libraries that made it.

    It says that the run is finished, so the disk keeps every other file of the folder before.
    """
    for path in folder.rglob("*"):
        sync(path)
    versions = {name: version(name) for name in ("torch", "transformers")}
    write_json(folder / RUN_FILE, {"identity": identity, **content, "versions": versions})


def find_run(output: Path, identity: Mapping[str, Any]) -> RunResult | None:
    """Give the result of a run that was finished in a folder; None where the folder is free.

    Raises:
        ConfigError: the folder holds something else, or a run with other settings or inputs; both sides are named.
    """
    stored = read_run(output, identity)
    if stored is None:
        return None
    with _damage(output):
        rows = {name: None if row is None else Figures.of(row) for name, row in stored["figures"].items()}
        steps, seconds = stored["made"]["steps"], stored["made"]["seconds"]
        return RunResult(
            output, steps, seconds, rows["baseline"], rows["before"], rows["after"], rows["teacher"], found=True
        )


def read_run(output: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read ``run.json`` of a run that was finished in a folder; None where the folder is free. Errors as above."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return None
    check_free_or_run(output)
    with _damage(output):
        stored = json.loads((output / RUN_FILE).read_text("utf-8"))
        unlike = list(differences(stored["identity"], identity))
    if unlike:
        raise ConfigError(
            f"the output holds a run with other settings: {'; '.join(unlike)}",
            value=str(output),
            where="output",
            fix="Name another folder, or delete this one.",
        )
    found: dict[str, Any] = stored
    return found


@contextmanager
def _damage(output: Path) -> Iterator[None]:
    """Make one message of a record that cannot be read, or lacks something: another version wrote it, say."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the record of the run is damaged, or of another version: {error!r}",
            value=str(output / RUN_FILE),
            where="output",
            fix="Name another folder, or delete this one.",
        ) from None


def check_named(output: Path) -> None:
    """Raise ConfigError when a folder has no name of its own, such as ``.`` or ``..``."""
    if output.name in ("", ".."):
        raise ConfigError(
            "the output needs a name of its own: it is written beside it first",
            value=str(output),
            where="output",
            fix="Name a folder that is not there yet.",
        )


def check_free_or_run(output: Path) -> None:
    """Raise ConfigError when a folder holds something that is no finished run, or has no name of its own."""
    check_named(output)
    if output.exists() and not (output / RUN_FILE).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(
            "the output exists already",
            value=str(output),
            where="output",
            fix="Name another folder, or delete this one.",
        )
