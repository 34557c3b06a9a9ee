"""A manifest in, the sources that it names out, found again and proved by their hashes to be the same."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat

from wwmcorpus.corpus.manifest import Input, Manifest
from wwmcorpus.corpus.merged_parts import Part, parts_of
from wwmcorpus.corpus.settings import BuildConfig
from wwmcorpus.errors import CorpusError, SourceError
from wwmcorpus.text import CleanOptions, Source, SourceOptions, find_sources, source_digest

_THREADS = 4


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A source of a corpus.

    Attributes:
        source: Where it lies now.
        config: Of its build, as far as reading and cleaning go.
    """

    source: Source
    config: BuildConfig


def find_again(manifest: Manifest, inputs: Sequence[str] | None = None) -> list[FoundSource]:
    """Find the sources of a corpus, in their order, and check that they hold what they held.

    Args:
        manifest: Of the corpus.
        inputs: Files, folders, patterns or URLs to look for them in, by content, whatever they are called now; None:
            where the build found them.

    Raises:
        CorpusError: a source is not where it was, or no longer what it was; both sides are named.
        SourceError: an input of ``inputs`` cannot be found or read.
    """
    content = manifest.content
    parts = parts_of(content)
    configs = list(chain.from_iterable(repeat(_reading(part), part.num_inputs) for part in parts))
    if inputs is not None:
        found = _by_content(content.inputs, inputs, [config.source for config in configs])
    else:
        found = _where_they_were(manifest, [config.source for config in configs])
    return [FoundSource(source, config) for source, config in zip(found, configs, strict=True)]


def _reading(part: Part) -> BuildConfig:
    """Give a configuration that says how the documents of a part are read and cleaned, and no more."""
    source, clean = SourceOptions(**part.config["source"]), CleanOptions(**part.config["clean"])
    return BuildConfig(inputs=("-",), output="-", source=source, clean=clean)


def _where_they_were(manifest: Manifest, options: list[SourceOptions]) -> list[Source]:
    recorded, locations = manifest.content.inputs, manifest.run.get("inputs", [])
    if len(locations) != len(recorded):
        raise CorpusError(
            f"the corpus knows where {len(locations)} of its {len(recorded)} inputs lay",
            fix="Say where they are with --input.",
        )
    sources = []
    for each, location, option in zip(recorded, locations, options, strict=True):
        try:
            (source,) = find_sources([location], option)
        except SourceError as error:
            raise CorpusError(
                f"an input of the corpus cannot be read: {error.what}",
                value=each.name,
                where=location,
                fix="Say where the inputs are now with --input.",
            ) from None
        sources.append(source)
    for each, source, digest in zip(recorded, sources, _digests(sources), strict=True):
        if digest != each.sha256:
            raise CorpusError(
                f"an input has sha256 {digest[:16]} now, it had {each.sha256[:16]} when the corpus was built",
                value=each.name,
                where=source.location,
                fix="Say where its old content is with --input, or build the corpus again.",
            )
    return sources


def _by_content(recorded: Sequence[Input], inputs: Sequence[str], options: list[SourceOptions]) -> list[Source]:
    # Only where files of WikiExtractor are expected have they an ending that can be read.
    option = max(options, key=lambda option: option.document_break == "wikiextractor")
    sources = find_sources(inputs, option)
    digests = _digests(sources)
    by_digest = dict(zip(digests, sources, strict=True))
    by_name = {source.name: digest for source, digest in zip(sources, digests, strict=True)}
    for each in recorded:
        if each.sha256 not in by_digest:
            there = f", {each.name} has {by_name[each.name][:16]}" if each.name in by_name else ""
            raise CorpusError(
                f"none of the {len(sources)} files has sha256 {each.sha256[:16]}, as an input of the corpus had{there}",
                value=each.name,
                where=", ".join(inputs),
                fix="Name the files that the corpus was built from.",
            )
    return [by_digest[each.sha256] for each in recorded]


def _digests(sources: list[Source]) -> list[str]:
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(source_digest, sources))
