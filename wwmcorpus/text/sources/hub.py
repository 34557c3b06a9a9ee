"""A data set of the Hugging Face hub in, the files of one of its splits out, pinned to a commit.

``datasets`` says which files a configuration and a split consist of; they are read like any others, so that workers
share them and every row has its place. A data set of other formats has a copy in parquet that the hub made.
"""

from __future__ import annotations

import re

from wwmcorpus.errors import SourceError, choices
from wwmcorpus.text.sources.files import one_line

_ADDRESS = re.compile(r"hf:(?P<name>[^@:]+)(?:@(?P<revision>[^@:]+))?(?::(?P<config>[^@:]+))?")


def hub_files(address: str, split: str) -> list[str]:
    """Give the URLs of the files of a split: ``hf://datasets/NAME@COMMIT/PATH``.

    Args:
        address: ``hf:NAME[@REVISION][:CONFIG]``.
        split: Name of the split.

    Raises:
        SourceError: the address is malformed, the hub cannot be reached, or it has no such data set, revision,
            configuration or split.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        fix = "Write it as hf:NAME, hf:NAME@REVISION, hf:NAME:CONFIG or hf:NAME@REVISION:CONFIG."
        raise SourceError("not the address of a hub data set", value=address, fix=fix)
    files = _files(address, **match.groupdict())
    if split not in files:
        raise SourceError("no such split", value=split, where=address, fix=choices(files))
    return files[split]


def _files(address: str, name: str, revision: str | None, config: str | None) -> dict[str, list[str]]:
    from datasets import load_dataset_builder
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(name, revision=revision).sha
        builder = load_dataset_builder(name, config, revision=commit)
    except Exception as error:  # both libraries raise a great many
        raise SourceError(
            f"a hub data set cannot be found: {one_line(error)}",
            value=address,
            fix="Check name, revision and configuration, and that the hub can be reached from here.",
        ) from error
    files = {str(split): [str(file) for file in files] for split, files in (builder.config.data_files or {}).items()}
    loose = [file for split in files.values() for file in split if f"@{commit}/" not in file]
    if loose or not files:
        raise SourceError(
            "the files of a hub data set do not lie in it",
            value=loose[0] if loose else address,
            where=address,
            fix="Name its parquet copy, hf:NAME@refs/convert/parquet; and no local folder may have the same name.",
        )
    return files
