"""The inputs that a build names in, its sources with their hashes out; and whether they are the same at the end."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wwmcorpus.corpus.manifest import Input
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import file_sha256
from wwmcorpus.text import Source, find_sources, source_digest
from wwmcorpus.text.dedup import KeepList


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a build reads.

    Attributes:
        sources: In order; a source's index is its place here.
        recorded: For the manifest.
        keep_list_sha256: Of the list of duplicates; None without one.
        stamps: Size and time of change of each local file when it was hashed.
    """

    sources: list[Source]
    recorded: tuple[Input, ...]
    keep_list_sha256: str | None
    stamps: dict[str, tuple[int, int]]

    def check_unchanged(self) -> None:
        """Raise CorpusError if a local file is no longer the one that was hashed."""
        for location, stamp in self.stamps.items():
            if _stamp(Path(location)) != stamp:
                raise CorpusError(
                    "an input changed while the build read it",
                    value=location,
                    fix="Leave the inputs alone, and build again with --overwrite.",
                )


def find_inputs(config: BuildConfig) -> Inputs:
    """Find and hash the sources of a build; check that its list of duplicates was made for them.

    Raises:
        SourceError: an input cannot be found.
        CorpusError: an input lies inside the output folder, or the list of duplicates is of other inputs.
    """
    sources = find_sources(config.inputs, config.source)
    _check_outside(sources, Path(config.output))
    stamps = {source.location: _stamp(Path(source.location)) for source in sources if Path(source.location).is_file()}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        digests = list(threads.map(source_digest, sources))
    recorded = tuple(
        Input(name=source.name, size_bytes=source.size_bytes or 0, sha256=digest)
        for source, digest in zip(sources, digests, strict=True)
    )
    keep_list_sha256 = None
    if config.dedup is not None:
        keep = KeepList.open(Path(config.dedup))
        keep.check_inputs([(each.name, each.size_bytes, each.sha256) for each in recorded])
        keep_list_sha256 = keep.sha256
    return Inputs(sources, recorded, keep_list_sha256, stamps)


def segmenter_identity(config: BuildConfig) -> list[Any]:
    """Give what tells the segmenter of a build from others before it is loaded: its name, options, files, version."""
    options = config.segmenter_options
    places = [Path(part) for part in config.segmenter.split(":")[1:]] + ([Path(options.words)] if options.words else [])
    files = [file for place in places for file in (sorted(place.rglob("*")) if place.is_dir() else [place])]
    hashes = {str(file): file_sha256(file) for file in files if file.is_file()}
    found = version("rjieba") if config.segmenter.startswith("rjieba") and find_spec("rjieba") else None
    return [config.segmenter, options.values(), hashes, found]


def _check_outside(sources: list[Source], output: Path) -> None:
    for source in sources:
        if output.resolve() in Path(source.location).resolve().parents:
            raise CorpusError(
                "an input lies inside the output folder",
                value=source.location,
                where=str(output),
                fix="Choose a folder outside.",
            )


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
