"""Texts in, word spans out: segmenters by name, each loaded only when it is asked for."""

from __future__ import annotations

from wwmcorpus.errors import ConfigError, choices, nearest
from wwmcorpus.segment.base import LineSegmenter, Segmenter, segment_line
from wwmcorpus.segment.options import SegmenterOptions

__all__ = ["SEGMENTERS", "LineSegmenter", "Segmenter", "SegmenterOptions", "load_segmenter", "segment_line"]

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


def load_segmenter(name: str, num_threads: int = 1, options: SegmenterOptions | None = None) -> Segmenter:
    """Give the segmenter of a name.

    Args:
        name: ``"ltp"``, ``"ltp:PLACE"``, ``"given"``; or ``"jieba"`` or ``"rjieba"``, alone or followed by
            ``":nohmm"``, ``":DICT"`` or ``":nohmm:DICT"``.
        num_threads: How many threads it may use. Neural models keep to it; LTP's perceptron takes one or every core;
            jieba, rjieba and given take one.
        options: The user's own words, and how a neural model runs. None: the defaults.

    Raises:
        ConfigError: the name is unknown, the message lists the choices; or the segmenter cannot follow an option.
        SegmenterError: the segmenter's model or dictionary cannot be loaded.
        MissingExtraError: the segmenter needs an extra.
    """
    options = options or SegmenterOptions()
    if num_threads < 1:
        raise ConfigError("too few threads", value=num_threads, where="num_threads", fix="Give 1 or more.")
    kind, _, place = name.partition(":")
    if kind == "ltp" and (place or ":" not in name):
        from wwmcorpus.segment.ltp import load_ltp

        return load_ltp(place or None, num_threads, options)
    if kind in ("jieba", "rjieba") and (place or ":" not in name):
        return _load_jieba(kind, place, options)
    if name == "given":
        from wwmcorpus.segment.given import GivenSegmenter

        options.require(name, follows=())
        return GivenSegmenter()
    close = nearest(name, SEGMENTERS)
    raise ConfigError(
        "unknown segmenter", value=name, fix=(f"Did you mean {close!r}? " if close else "") + choices(SEGMENTERS)
    )


def _load_jieba(kind: str, place: str, options: SegmenterOptions) -> Segmenter:
    from wwmcorpus.segment.jieba_options import JiebaOptions

    options.require(kind, follows=("words",))
    cutting = JiebaOptions.of_name(place, options.words)
    if kind == "jieba":
        from wwmcorpus.segment.jieba import JiebaSegmenter

        return JiebaSegmenter(cutting)
    from wwmcorpus.segment.rjieba import RjiebaSegmenter

    return RjiebaSegmenter(cutting)
