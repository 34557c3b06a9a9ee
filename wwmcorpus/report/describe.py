"""A corpus folder in, its report out."""

from __future__ import annotations

from pathlib import Path

from wwmcorpus.corpus.manifest import Manifest
from wwmcorpus.corpus.verify import verify
from wwmcorpus.report.figures import Report


def describe(path: str | Path) -> Report:
    """Give the figures of a corpus, or of all splits of one together; its files are checked as at every open.

    Args:
        path: A corpus folder, or the root of one with splits.

    Raises:
        CorpusError: there is no corpus, or it is damaged.
    """
    manifests = [Manifest.read(found.folder) for found in verify(path)]
    return Report.of({manifest.content.split: manifest for manifest in manifests}, Path(path).resolve().name)
