"""The configuration of a deduplication in, what is known before the first task runs out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from wwmcorpus.errors import CorpusError
from wwmcorpus.files import remove
from wwmcorpus.text.dedup.against import Earlier, open_earlier
from wwmcorpus.text.dedup.result import DUPLICATES_FILE, RESULT_FILE, SIGNATURES_FOLDER
from wwmcorpus.text.dedup.settings import DedupConfig
from wwmcorpus.text.sources import Source, find_sources, source_digest

WORK_FOLDER = ".work"
_OURS = (RESULT_FILE, DUPLICATES_FILE, SIGNATURES_FOLDER, WORK_FOLDER, ".lock")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before the first task runs.

    Attributes:
        config: The job.
        output: Its folder.
        sources: In order; a source's index is its place here.
        digests: What identifies the content of each.
        stamps: Size and time of change of each local file when it was hashed; None for others.
        earlier: What is compared with.
        versions: Of the packages that decide what a text becomes.
    """

    config: DedupConfig
    output: Path
    sources: list[Source]
    digests: list[str]
    stamps: list[tuple[int, int] | None]
    earlier: Earlier
    versions: dict[str, str]

    def changed_input(self) -> str | None:
        """Give the location of a local file that is no longer the one that was hashed; None where there is none."""
        for source, stamp in zip(self.sources, self.stamps, strict=True):
            if _stamp(source) != stamp:
                return source.location
        return None


def make_plan(config: DedupConfig) -> Plan:
    """Find the inputs and see whether the output may be written; a result that is to be replaced is one no more.

    Raises:
        SourceError: an input cannot be found or read.
        CorpusError: the output folder is taken, or a folder to compare with is of no use.
    """
    output = Path(config.output)
    sources = find_sources(config.inputs, config.source)
    for source in sources:
        if output.resolve() in Path(source.location).resolve().parents:
            raise CorpusError(
                "an input lies inside the output folder",
                value=source.location,
                where=str(output),
                fix="Choose a folder outside.",
            )
    others = sorted(entry.name for entry in output.iterdir() if entry.name not in _OURS)
    if others:
        fix = "Choose a new or empty folder."
        raise CorpusError("the output folder holds other files", value=others[:5], where=str(output), fix=fix)
    if (output / RESULT_FILE).exists() and not config.overwrite:
        fix = "Choose another folder, or overwrite it with --overwrite."
        raise CorpusError("a result is already there", value=str(output), fix=fix)
    earlier = open_earlier(config)
    stamps = [_stamp(source) for source in sources]
    digests = [source_digest(source) for source in sources]
    packages = ["wwmcorpus", *(["opencc"] if config.clean.convert else [])]
    remove(output / RESULT_FILE)
    return Plan(config, output, sources, digests, stamps, earlier, {name: version(name) for name in packages})


def _stamp(source: Source) -> tuple[int, int] | None:
    """Give size and time of change of a local file; None for others."""
    path = Path(source.location)
    if source.is_remote or not path.is_file():
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns
