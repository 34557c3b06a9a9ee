"""Errors with four parts: what is wrong, the value, where, and what to do.

In: the four parts. Out: one readable message. The command line prints it without a traceback and exits with
``exit_status``: 2 for bad usage or configuration, 1 for a job that failed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping


class WwmcorpusError(Exception):
    """Base of every error that a user can cause and mend.

    ``WwmcorpusError("unknown segmenter", value="jeiba", where="--segmenter", fix="Choose one of: given, jieba, ltp.")``
    prints as ``unknown segmenter: 'jeiba' (--segmenter). Choose one of: given, jieba, ltp.``

    Args:
        what: What is wrong, without a full stop.
        value: The offending value; omitted from the message when None.
        where: File, line, option or key; omitted from the message when None.
        fix: What to do, as a full sentence. Always given, but where torch rebuilds a DataLoader worker's error from its
            text.
    """

    exit_status = 1

    def __init__(self, what: str, *, value: object = None, where: str | None = None, fix: str = "") -> None:
        self.what, self.value, self.where, self.fix = what, value, where, fix
        shown = "" if value is None else f": {value!r}"
        place = "" if where is None else f" ({where})"
        super().__init__(f"{what}{shown}{place}. {fix}" if fix else f"{what}{shown}{place}")

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _rebuild, (type(self), self.what, self.value, self.where, self.fix)


def _rebuild(cls: type[WwmcorpusError], what: str, value: object, where: str | None, fix: str) -> WwmcorpusError:
    return cls(what, value=value, where=where, fix=fix)


class ConfigError(WwmcorpusError, ValueError):
    """A configuration or an argument is wrong."""

    exit_status = 2


class SourceError(WwmcorpusError, ValueError):
    """An input cannot be read as it was announced."""


class SegmenterError(WwmcorpusError, RuntimeError):
    """A segmenter cannot be loaded, or gave words that are not the text's."""


class AlignmentError(WwmcorpusError, ValueError):
    """Word spans and pieces do not belong to the same text."""


class CorpusError(WwmcorpusError, RuntimeError):
    """A corpus on disk is absent, damaged, or not the one that was expected."""


class InterruptedJobError(WwmcorpusError, RuntimeError):
    """A job was told to stop and left its work where the same command picks it up.

    Attributes:
        exit_status: As a shell has it for the signal: 130 for an interrupt, 143 for a termination.
    """

    exit_status = 130


class TerminatedJobError(InterruptedJobError):
    """The same, by SIGTERM."""

    exit_status = 143


class TrainingError(WwmcorpusError, RuntimeError):
    """Pretraining or distillation cannot start or go on."""


class MissingExtraError(WwmcorpusError, ImportError):
    """An optional dependency is not installed."""

    exit_status = 2

    @classmethod
    def of(cls, package: str, extra: str, where: str) -> MissingExtraError:
        """Give the error for a missing ``package`` that ``pip install 'wwmcorpus[extra]'`` brings."""
        return cls(
            "a package is not installed", value=package, where=where, fix=f"Run: pip install 'wwmcorpus[{extra}]'."
        )


def choices(names: Iterable[str]) -> str:
    """Give the sentence that lists what may be chosen: ``Choose one of: given, jieba, ltp.``."""
    return f"Choose one of: {', '.join(sorted(names))}."


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Give the known name that looks most like ``name``, or None when none does."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return close[0] if close else None


def differences(found: object, wanted: object, key: str = "") -> Iterator[str]:
    """Give what differs between two values as JSON has them, both sides each: ``max_length was 512, now 128``."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for name in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif isinstance(found, list | tuple) and isinstance(wanted, list | tuple) and len(found) == len(wanted):
        for index, pair in enumerate(zip(found, wanted, strict=True)):
            yield from differences(*pair, f"{key}[{index}]")
    elif found != wanted:
        yield f"{key} was {json.dumps(found, ensure_ascii=False)}, now {json.dumps(wanted, ensure_ascii=False)}"
