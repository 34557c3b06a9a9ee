"""What a segmenter can be told beside its name: settings in, and an error for each that a segmenter cannot follow."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from wwmcorpus.config import Config
from wwmcorpus.errors import ConfigError

_NEURAL = "neural LTP models do (ltp:FOLDER, or a hub id such as ltp:LTP/small)"
#: Who follows an option that not everybody follows.
_FOLLOWERS = {
    "words": "jieba, rjieba and ltp do",
    "device": _NEURAL,
    "precision": _NEURAL,
    "compiled": _NEURAL,
}
#: Values that ask for nothing: every segmenter runs on the CPU.
_NOTHING: dict[str, tuple[object, ...]] = {
    "words": (None,),
    "device": ("auto", "cpu"),
    "precision": ("fp32",),
    "compiled": (False,),
}


class SegmenterOptions(Config):
    """How a segmenter finds words. What decides them stands in its signature, the hash of the user's words included."""

    #: UTF-8 file of the user's own words, one ``word [frequency] [tag]`` per line, as jieba reads them. None: no file.
    words: str | None = None
    #: Where a neural model runs. "auto": on a GPU where there is one.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Of a neural model. "bf16", and "fp16" on a GPU only: automatic mixed precision. "int8": dynamic quantisation, on
    #: a CPU only.
    precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32"
    #: Compile a neural model with torch.compile, on a GPU only.
    compiled: bool = False

    def require(self, segmenter: str, follows: Collection[str]) -> None:
        """Make sure that a segmenter follows whatever these options ask for.

        Args:
            segmenter: Its name, for the message.
            follows: The fields that it follows.

        Raises:
            ConfigError: an option is set that it cannot follow; the message says who can.
        """
        for name, who in _FOLLOWERS.items():
            value = getattr(self, name)
            if name not in follows and value not in _NOTHING[name]:
                raise ConfigError(
                    f"the segmenter {segmenter!r} cannot follow the option {name}",
                    value=value,
                    where=f"SegmenterOptions.{name}",
                    fix=f"Leave it out, or take a segmenter that can: {who}.",
                )
