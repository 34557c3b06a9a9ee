"""Folders that ``datasets`` wrote: which of their files hold the rows. The files are read where they lie."""

from __future__ import annotations

import json
from typing import Any

from wwmcorpus.errors import SourceError, choices
from wwmcorpus.text.sources.files import reaching

#: What fsspec tells of each file, by path.
Listing = dict[str, dict[str, Any]]

_STATE, _SPLITS = "state.json", "dataset_dict.json"


def without_other_files(system: Any, files: Listing, split: str) -> Listing:
    """Take from a listing what is no data file of the saved data sets in it, and their other splits.

    Such a folder also holds descriptions and what ``datasets`` cached there. A ``DatasetDict`` has a folder per split.

    Raises:
        SourceError: a ``DatasetDict`` has no such split, or a data set was saved with indices of its rows apart.
    """
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        if name == _SPLITS and isinstance(names := _read(system, path).get("splits"), list):
            if split not in names:
                raise SourceError("no such split", value=split, where=folder, fix=choices(map(str, names)))
            files = {
                other: info
                for other, info in files.items()
                if not other.startswith(f"{folder}/") or other.startswith(f"{folder}/{split}/")
            }
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        if name == _STATE and isinstance(data_files := _read(system, path).get("_data_files"), list):
            data = {f"{folder}/{file['filename']}" for file in data_files}
            files = {
                other: info for other, info in files.items() if other.rpartition("/")[0] != folder or other in data
            }
    return files


def _read(system: Any, path: str) -> dict[str, Any]:
    with reaching(path):
        text = system.cat_file(path)
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
