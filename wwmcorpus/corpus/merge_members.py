"""Corpora to be merged in, opened and found alike; or one error that shows both sides of what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wwmcorpus.corpus.commit import SPLITS_FILE
from wwmcorpus.corpus.manifest import Content, Manifest
from wwmcorpus.corpus.merged_parts import Part, parts_of
from wwmcorpus.corpus.settings import SPLITS
from wwmcorpus.corpus.verify import verify
from wwmcorpus.errors import CorpusError

#: The split of a corpus without splits.
_WHOLE = "train"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the corpora that are merged.

    Attributes:
        path: Its folder, or the root of its splits.
        folders: By split.
        manifests: By split.
    """

    path: Path
    folders: dict[str, Path]
    manifests: dict[str, Manifest]

    @classmethod
    def open(cls, path: Path, advance: Callable[[int], None]) -> Member:
        """Open a corpus and read every byte of it.

        Args:
            path: Its folder, or the root of its splits.
            advance: Told of bytes as they are checked.

        Raises:
            CorpusError: it is absent or damaged, or only one split of a corpus.
        """
        folders = {}
        for found in verify(path, full=True, advance=advance):
            folders[Manifest.read(found.folder).content.split] = found.folder
        if path in folders.values() and (_WHOLE not in folders or _is_split(path)):
            raise CorpusError(
                "this is one split of a corpus",
                value=str(path),
                fix=f"Merge corpora with all their splits: {path.parent}.",
            )
        return cls(path, folders, {split: Manifest.read(folder) for split, folder in folders.items()})

    @property
    def content(self) -> Content:
        """What all its splits share, and the list of rejections."""
        return next(iter(self.manifests.values())).content

    @property
    def parts(self) -> list[Part]:
        """What decided the rows of its sources."""
        return parts_of(self.content)

    @property
    def first_folder(self) -> Path:
        """The folder with the list of rejections."""
        return next(iter(self.folders.values()))

    @property
    def run(self) -> dict[str, Any]:
        """When, where and how it was built."""
        return next(iter(self.manifests.values())).run


def check_alike(members: Sequence[Member], mixed_segmenters: bool, allow_duplicates: bool) -> None:
    """Check that the rows of corpora can stand in one.

    Args:
        members: The corpora.
        mixed_segmenters: Whether words of different segmenters may be mixed.
        allow_duplicates: Whether two of them may have been made from the same input.

    Raises:
        CorpusError: two of them differ in what a row means, or hold the same input.
    """
    for member in members[1:]:
        _check_pair(members[0], member, mixed_segmenters)
    if not allow_duplicates:
        _check_inputs(members)


def _is_split(path: Path) -> bool:
    return path.name in SPLITS and (path.parent / SPLITS_FILE).exists()


def _check_pair(one: Member, other: Member, mixed_segmenters: bool) -> None:
    sides = _meaning(one), _meaning(other)
    if mixed_segmenters:
        for side in sides:
            del side["segmenter"]
    for name, value in sides[0].items():
        if value != sides[1][name]:
            mixed = name == "segmenter"
            raise CorpusError(
                f"the corpora differ in {name}",
                value=f"{one.path}: {value}; {other.path}: {sides[1][name]}",
                fix="Build one of them again as the other was built"
                + (", or mix them with --mixed-segmenters." if mixed else "."),
            )


def _meaning(member: Member) -> dict[str, str]:
    """Give what rows must have in common, in words."""
    content = member.content
    return {
        "format": str(content.format_version),
        "vocabulary": f"{content.num_pieces} pieces, sha256 {content.vocabulary_sha256}",
        "special pieces": str(content.special_ids),
        "tokenizer": content.tokenizer,
        "max_length": str(content.config["max_length"]),
        "pairs": str(content.config["pairs"]),
        "splits": ", ".join(member.manifests),
        "segmenter": content.segmenter,
    }


def _check_inputs(members: Sequence[Member]) -> None:
    known: dict[str, tuple[int, str]] = {}
    for index, member in enumerate(members):
        for each in member.content.inputs:
            home, name = known.setdefault(each.sha256, (index, each.name))
            if home != index and each.size_bytes:
                raise CorpusError(
                    "two of the corpora were made from the same input",
                    value=f"{members[home].path}: {name}; {member.path}: {each.name}; sha256 {each.sha256[:16]}",
                    fix="Build one of them again without it, or have its rows twice with --allow-duplicates.",
                )
