"""Inputs as a user names them in, the sources behind them out: files, folders, patterns, URLs and hub data sets."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable
from typing import Any

from wwmcorpus.errors import SourceError
from wwmcorpus.text.sources.files import file_system, is_local, reaching
from wwmcorpus.text.sources.hub import hub_files
from wwmcorpus.text.sources.options import SourceOptions
from wwmcorpus.text.sources.saved import Listing, without_other_files
from wwmcorpus.text.sources.source import READABLE, Source, format_of, shown

_MAGIC = "*?["


def find_sources(inputs: Iterable[str], options: SourceOptions | None = None) -> list[Source]:
    """Give the sources behind some inputs, in their order; those of one folder or pattern are sorted.

    An input is a file; a folder, searched with the folders in it; a pattern with ``*``, ``?``, ``[abc]`` or ``**``; a
    URL of any of these that fsspec can open; or ``hf:NAME``, ``hf:NAME@REVISION``, ``hf:NAME:CONFIG`` for a data set of
    the Hugging Face hub, whose files of one commit are read. Of a folder that ``datasets`` saved, its data files are
    read. Folders and patterns find no name that begins with a dot.

    Each source is called by its path inside its folder or pattern (``"b.txt"``, ``"sub/d.txt"``), with as many of the
    folders above as make it distinct.

    Raises:
        SourceError: an input is absent, cannot be reached, has an unknown ending, or is a folder without any readable
            file; or a file is named twice.
    """
    options = options or SourceOptions()
    found: list[tuple[str, str, int]] = []
    for item in inputs:
        found += _hub(item, options) if item.startswith("hf:") and "://" not in item else _files(item, options)
    if not found:
        raise SourceError("no input was given", fix="Name at least one file, folder, pattern or URL.")
    twice = [location for location, count in Counter(location for location, _, _ in found).items() if count > 1]
    if twice:
        raise SourceError("a file is named twice", value=shown(twice[0]), fix="Name every file once.")
    names = _distinct_names([(shown(location), shown(inner)) for location, inner, _ in found])
    sources = []
    for name, (location, _, size_bytes) in zip(names, found, strict=True):
        kind, compression = _format(location, options)
        sources.append(Source(name, location, kind, compression, size_bytes))
    return sources


def _hub(address: str, options: SourceOptions) -> list[tuple[str, str, int]]:
    """Give location, path inside the data set and size of its files."""
    files = []
    for location in hub_files(address, options.hub_split):
        _format(location, options, where=address)
        system, path = file_system(location)
        with reaching(location):
            inner = location.partition("@")[2].partition("/")[2]
            files.append((location, inner, int(system.info(path)["size"] or 0)))
    return files


def _files(item: str, options: SourceOptions) -> list[tuple[str, str, int]]:
    """Give location, path inside the input and size of the files behind it."""
    if "::" in item and "://" in item:
        raise SourceError("a chain of URLs cannot be read", value=item, fix="Unpack it, or name the files in it.")
    system, path = file_system(item)
    with reaching(item):
        try:
            info = system.info(path)
        except (FileNotFoundError, NotADirectoryError):
            info = {}
    if not info:
        return _pattern(system, path, item, options)
    if info["type"] == "directory":
        return _folder(system, path, options)
    _format(path, options)
    return [(_location(system, path), _name(path), int(info["size"] or 0))]


def _folder(system: Any, root: str, options: SourceOptions) -> list[tuple[str, str, int]]:
    with reaching(_location(system, root)):
        listing: Listing = system.find(root, detail=True)
        files = {path: info for path, info in listing.items() if _is_file(system, path, info)}
    root = root.rstrip("/")
    files = {path: info for path, info in files.items() if "/." not in path[len(root) :]}
    files = without_other_files(system, files, options.hub_split)
    return _sorted(system, files, root, _location(system, root), "a folder holds no readable file", options)


def _pattern(system: Any, path: str, item: str, options: SourceOptions) -> list[tuple[str, str, int]]:
    first = min((path.find(sign) for sign in _MAGIC if sign in path), default=-1)
    if first < 0:
        raise SourceError("no such file", value=item, fix="Check the path.")
    root = path[:first].rpartition("/")[0]
    with reaching(item):
        matches = glob.glob(path, recursive=True) if is_local(system) else system.glob(path)
        infos = {match: system.info(match) for match in matches}
        files = {match: info for match, info in infos.items() if _is_file(system, match, info)}
    files = {match: info for match, info in files.items() if "/." not in match[len(root) :]}
    return _sorted(system, files, root, item, "no such file", options)


def _sorted(
    system: Any, files: Listing, root: str, item: str, problem: str, options: SourceOptions
) -> list[tuple[str, str, int]]:
    readable = sorted((path for path in files if format_of(_name(path), options)), key=lambda path: path.split("/"))
    if not readable:
        raise SourceError(problem, value=item, fix=f"Readable endings: {READABLE}.")
    return [
        (_location(system, path), path.removeprefix(root).lstrip("/"), int(files[path]["size"] or 0))
        for path in readable
    ]


def _is_file(system: Any, path: str, info: dict[str, Any]) -> bool:
    """Say whether a path leads to a regular file, perhaps through a link."""
    return info["type"] == "file" or (bool(info.get("islink")) and bool(system.isfile(path)))


def _location(system: Any, path: str) -> str:
    return path if is_local(system) else str(system.unstrip_protocol(path))


def _name(path: str) -> str:
    return _without_query(path).rpartition("/")[2]


def _without_query(path: str) -> str:
    """Take from a URL what stands behind its path: it may hold a secret, and it hides the ending."""
    return path.partition("?")[0] if path.startswith(("http://", "https://")) else path


def _format(path: str, options: SourceOptions, where: str | None = None) -> tuple[Any, Any]:
    found = format_of(_name(path), options)
    if found is None:
        hint = ""
        if _name(path).startswith("wiki_"):
            hint = " For files of WikiExtractor, set document_break to wikiextractor."
        elif where is not None:
            hint = " Or name the parquet copy that the hub made: hf:NAME@refs/convert/parquet."
        raise SourceError(
            "a file has an ending that cannot be read",
            value=shown(path),
            where=where,
            fix=f"Readable endings: {READABLE}.{hint}",
        )
    return found


def _distinct_names(files: list[tuple[str, str]]) -> list[str]:
    """Call each file by its path inside its input, or by as much more of its location as makes it distinct."""
    parts = [[part for part in _without_query(location).split("/") if part] for location, _ in files]
    depths = [inner.count("/") + 1 for _, inner in files]
    while True:
        names = ["/".join(own[-depth:]) for own, depth in zip(parts, depths, strict=True)]
        counts = Counter(names)
        longer = [
            depth + 1 if counts[name] > 1 and depth < len(own) else depth
            for name, depth, own in zip(names, depths, parts, strict=True)
        ]
        if longer == depths:
            break
        depths = longer
    same = [name for name in names if counts[name] > 1]
    if same:
        raise SourceError("two files have the same name", value=same[0], fix="Give one of them another name.")
    return names
