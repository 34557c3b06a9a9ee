"""Manifests in, the figures of a corpus out: everything that its report shows, computed once. No file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wwmcorpus.corpus.manifest import Content, Input, Manifest, RejectedDocument
from wwmcorpus.corpus.statistics import LONGEST_WORD

#: The stages of a build, as they follow on each other.
STAGES = ("read", "segment", "align", "count", "pack", "write")


@dataclass(frozen=True, slots=True)
class Split:
    """The figures of one split.

    Attributes:
        name: ``"train"``, ``"validation"`` or ``"test"``.
        fingerprint: sha256 of its rows and vocabulary.
        num_rows: Rows.
        num_words: Words, special pieces not counted.
        num_pieces: Pieces, special ones counted.
        num_shards: Files.
        size_bytes: Of the files.
        fill: Share of the places in its rows that hold a piece; None without rows.
    """

    name: str
    fingerprint: str
    num_rows: int
    num_words: int
    num_pieces: int
    num_shards: int
    size_bytes: int
    fill: float | None

    @classmethod
    def of(cls, manifest: Manifest) -> Split:
        """Add up the shards of a split."""
        content = manifest.content
        num_rows = manifest.num_rows
        num_pieces = sum(shard.num_pieces for shard in content.shards)
        return cls(
            name=content.split,
            fingerprint=manifest.fingerprint,
            num_rows=num_rows,
            num_words=sum(shard.num_words for shard in content.shards),
            num_pieces=num_pieces,
            num_shards=len(content.shards),
            size_bytes=sum(shard.size_bytes for shard in content.shards),
            fill=share(num_pieces, num_rows * content.config["max_length"]),
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was left out, and how often.

    Attributes:
        name: Such as ``"invalid_utf8"``.
        num_rejected: Documents, or parts of them.
        examples: The first of them.
    """

    name: str
    num_rejected: int
    examples: tuple[RejectedDocument, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the build.

    Attributes:
        name: Such as ``"segment"``.
        seconds: What all workers spent in it.
        share: Of what they spent in all stages.
    """

    name: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a corpus; of all its splits together, where there are several.

    Attributes:
        name: Of its folder.
        signature: One line to quote.
        max_length: Pieces per row, [CLS] and [SEP] counted.
        splits: The figures of each split.
        counts: Everything counted on the way.
        word_lengths: Words of 1, 2, ... characters; the last entry counts all that are longer, too.
        row_lengths: Rows by length, in equal parts of ``max_length``.
        words: The most frequent words with their counts, most frequent first.
        unknown_characters: The same for characters that the vocabulary does not hold.
        reasons: Why documents, or parts of them, were left out, the most frequent first.
        rejections_file: The file that lists everything left out; None without any.
        keep_list_sha256: Hash of the list of duplicates that were left out; None without deduplication.
        inputs: The sources.
        config: The configuration that decided the rows.
        versions: Of the packages that made them.
        stages: Where the time went, in the order of the road.
        run: When, where and how the corpus was built.
    """

    name: str
    signature: str
    max_length: int
    splits: tuple[Split, ...]
    counts: Mapping[str, int]
    word_lengths: tuple[int, ...]
    row_lengths: tuple[int, ...]
    words: Mapping[str, int]
    unknown_characters: Mapping[str, int]
    reasons: tuple[Reason, ...]
    rejections_file: str | None
    keep_list_sha256: str | None
    inputs: tuple[Input, ...]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    stages: tuple[Stage, ...]
    run: Mapping[str, Any]

    @classmethod
    def of(cls, manifests: Mapping[str, Manifest], name: str) -> Report:
        """Compute the figures of a corpus from the manifests of its splits, one where it has none.

        Args:
            manifests: By split; not empty.
            name: What to call the corpus.
        """
        first = next(iter(manifests.values()))
        content = first.content
        rejections = [each.content.rejections for each in manifests.values() if each.content.rejections]
        return cls(
            name=name,
            signature=first.signature,
            max_length=content.config["max_length"],
            splits=tuple(map(Split.of, manifests.values())),
            counts=content.counts,
            word_lengths=content.statistics.word_lengths,
            row_lengths=content.statistics.row_lengths,
            words=_most_frequent_first(content.statistics.words),
            unknown_characters=_most_frequent_first(content.statistics.unknown_characters),
            reasons=_reasons(content),
            rejections_file=rejections[0].name if rejections else None,
            keep_list_sha256=content.keep_list_sha256,
            inputs=content.inputs,
            config=content.config,
            versions=content.versions,
            stages=_stages(first.run.get("stage_seconds", {})),
            run=first.run,
        )

    @property
    def num_rows(self) -> int:
        """Rows of all splits."""
        return sum(split.num_rows for split in self.splits)

    @property
    def fill(self) -> float | None:
        """Share of the places in all rows that hold a piece, [CLS] and [SEP] counted; None without rows."""
        return share(sum(split.num_pieces for split in self.splits), self.num_rows * self.max_length)

    @property
    def mean_word_length(self) -> float | None:
        """Characters per word, words of ``LONGEST_WORD`` or more taken for that long; None without words."""
        characters = sum(length * number for length, number in enumerate(self.word_lengths, start=1))
        return share(characters, sum(self.word_lengths))

    @property
    def has_longest_words(self) -> bool:
        """Whether some words are so long that the mean takes them for shorter than they may be."""
        return self.word_lengths[LONGEST_WORD - 1] > 0

    @property
    def unk_rate(self) -> float | None:
        """Share of the pieces of the text that are [UNK]; None without pieces."""
        return share(self.counts.get("unk_pieces", 0), self.counts.get("pieces", 0))

    @property
    def source_bytes(self) -> int:
        """Bytes of the sources, as stored: of compressed ones the compressed bytes."""
        return sum(source.size_bytes for source in self.inputs)

    @property
    def worker_seconds(self) -> float:
        """What all workers spent in all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def built(self) -> tuple[Input, ...]:
        """The sources that the times are of: of a corpus that was added to, those that were added last."""
        number = len(self.run.get("inputs", ()))
        return self.inputs[len(self.inputs) - number :]

    @property
    def bytes_per_worker_second(self) -> float | None:
        """Source bytes that one worker dealt with per second; None where not all were read, or nothing took time."""
        if self.config.get("limit") is not None or not self.worker_seconds:
            return None
        return sum(source.size_bytes for source in self.built) / self.worker_seconds

    @property
    def bytes_per_second(self) -> float | None:
        """Source bytes per second by the clock; None where the clock saw a part of the work only.

        A build that was stopped and went on has the stages of all its runs, and the clock of the last.
        """
        seconds = float(self.run.get("seconds", 0.0))
        if self.bytes_per_worker_second is None or self.worker_seconds > seconds * max(self.num_workers, 1):
            return None
        return self.bytes_per_worker_second * self.worker_seconds / seconds

    @property
    def num_workers(self) -> int:
        """Processes that built it; 0 where one did everything."""
        return int(self.run.get("num_workers", 0))


def share(part: float, whole: float) -> float | None:
    """Give ``part`` as a share of ``whole``; None where that is nothing."""
    return part / whole if whole else None


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Sort counts: a manifest on disk has its keys in the order of the alphabet."""
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _reasons(content: Content) -> tuple[Reason, ...]:
    examples: dict[str, list[RejectedDocument]] = {}
    for example in content.rejected_examples:
        examples.setdefault(example.reason, []).append(example)
    if content.quarantine:
        examples["quarantined"] = list(content.quarantine)  # these know what the document did
    return tuple(
        Reason(name, number, tuple(examples.get(name, ())))
        for name, number in _most_frequent_first(content.rejected).items()
    )


def _stages(seconds: Mapping[str, float]) -> tuple[Stage, ...]:
    total = sum(seconds.values())
    names = [name for name in STAGES if name in seconds] + sorted(set(seconds) - set(STAGES))
    return tuple(Stage(name, seconds[name], seconds[name] / total if total else 0.0) for name in names)
