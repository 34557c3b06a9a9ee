"""Texts in, word spans out: segmenters by name, each loaded only when it is asked for."""

from __future__ import annotations

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.segment.base import Segmenter

__all__ = ["SEGMENTERS", "Segmenter", "load_segmenter"]

#: What ``load_segmenter`` accepts, with one line for people.
SEGMENTERS = {
    "given": "words already separated by spaces",
    "jieba": "jieba, exact mode with HMM",
    "ltp": "LTP's perceptron with the embedded model",
    "ltp:PLACE": "LTP's perceptron from a legacy folder or a hub id",
}


def load_segmenter(name: str, num_threads: int = 1) -> Segmenter:
    """Give the segmenter of a name.

    Args:
        name: ``"ltp"``, ``"ltp:PLACE"``, ``"jieba"`` or ``"given"``.
        num_threads: How many threads it may use, where it can use more than one.

    Raises:
        ConfigError: the name is unknown; the message lists the choices.
        SegmenterError: the segmenter's model cannot be loaded.
    """
    kind, _, place = name.partition(":")
    if kind == "ltp" and (place or ":" not in name):
        from wwmcorpus.segment.ltp import load_ltp

        return load_ltp(place or None, num_threads)
    if name == "jieba":
        from wwmcorpus.segment.jieba import JiebaSegmenter

        return JiebaSegmenter()
    if name == "given":
        from wwmcorpus.segment.given import GivenSegmenter

        return GivenSegmenter()
    close = nearest(name, SEGMENTERS)
    raise ConfigError(
        "unknown segmenter", value=name, fix=(f"Did you mean {close!r}? " if close else "") + choices(SEGMENTERS)
    )
