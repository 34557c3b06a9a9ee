"""Texts in, word spans out: segmenters by name, each loaded only when it is asked for."""

from __future__ import annotations

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.segment.base import Segmenter

__all__ = ["SEGMENTERS", "Segmenter", "load_segmenter"]

#: What ``load_segmenter`` accepts, with one line for people.
SEGMENTERS = {
    "given": "words already separated by spaces",
    "jieba": "jieba, exact mode with HMM",
    "jieba:DICT": "the same with a user dictionary; jieba:nohmm:DICT without HMM",
    "jieba:nohmm": "jieba, exact mode without HMM",
    "ltp": "LTP's perceptron with the embedded model",
    "ltp:PLACE": "an LTP model, neural or perceptron, from a folder or a hub id such as LTP/small",
    "rjieba": "jieba's words from Rust (extra fast); :nohmm and :DICT as for jieba",
}


def load_segmenter(name: str, num_threads: int = 1) -> Segmenter:
    """Give the segmenter of a name.

    Args:
        name: ``"ltp"``, ``"ltp:PLACE"``, ``"given"``; or ``"jieba"`` or ``"rjieba"``, alone or followed by
            ``":nohmm"``, ``":DICT"`` or ``":nohmm:DICT"``.
        num_threads: How many threads it may use, where it can use more than one.

    Raises:
        ConfigError: the name is unknown; the message lists the choices.
        SegmenterError: the segmenter's model or dictionary cannot be loaded.
        MissingExtraError: the segmenter needs an extra.
    """
    kind, _, place = name.partition(":")
    if kind == "ltp" and (place or ":" not in name):
        from wwmcorpus.segment.ltp import load_ltp

        return load_ltp(place or None, num_threads)
    if kind in ("jieba", "rjieba") and (place or ":" not in name):
        return _load_jieba(kind, place)
    if name == "given":
        from wwmcorpus.segment.given import GivenSegmenter

        return GivenSegmenter()
    close = nearest(name, SEGMENTERS)
    raise ConfigError(
        "unknown segmenter", value=name, fix=(f"Did you mean {close!r}? " if close else "") + choices(SEGMENTERS)
    )


def _load_jieba(kind: str, place: str) -> Segmenter:
    from wwmcorpus.segment.jieba_options import JiebaOptions

    options = JiebaOptions.parse(place)
    if kind == "jieba":
        from wwmcorpus.segment.jieba import JiebaSegmenter

        return JiebaSegmenter(options)
    from wwmcorpus.segment.rjieba import RjiebaSegmenter

    return RjiebaSegmenter(options)
