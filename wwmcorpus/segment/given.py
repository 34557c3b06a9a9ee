"""Words that the text already marks with spaces: each run of non-space characters is a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wwmcorpus.records import WordSpans
from wwmcorpus.segment.spans import spans_from_lengths, word_positions


class GivenSegmenter:
    """Reads words off the spaces of gold corpora and of text that was segmented elsewhere."""

    signature = "given:spaces"

    def segment(self, texts: Sequence[str]) -> list[WordSpans]:
        """Give the runs of non-space characters of each text as word spans."""
        return [_runs(text) for text in texts]


def _runs(text: str) -> WordSpans:
    positions = word_positions(text)
    # One long word: whitespace alone decides where it is split.
    return spans_from_lengths(positions, np.array([len(positions)], dtype=np.int64))
