"""The configuration of a stream. What decides the batches is kept apart from what only decides how fast they come.

Imports no torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from wwmcorpus.config import Config

_Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: Fields that change no batch, so that a run may be resumed with others.
_NOT_CONTENT = {"endless", "prefetch_batches", "num_workers", "worker_batches", "pin_memory"}


class StreamOptions(Config):
    """How rows become batches, beside seed, batch size and masking."""

    #: "global": any row may follow any other. "window": rows are drawn from ``window_blocks`` blocks of ``block_rows``
    #: neighbours at a time, for storage where reading here and there is dear.
    order: Literal["global", "window"] = "global"
    #: Neighbouring rows that the window order keeps in one window.
    block_rows: int = Field(default=1024, ge=1)
    #: Blocks of a window; more mix better and touch more storage at a time.
    window_blocks: int = Field(default=256, ge=1)
    #: How often each corpus of a mixture is drawn from, in their order, in any unit; None: the ``sampling_weight`` that
    #: each was built with.
    weights: tuple[_Weight, ...] | None = Field(default=None, strict=False)
    #: Rows that fill no global batch at an epoch's end. "drop": they wait for another epoch. "pad": the batch is filled
    #: with rows of the epoch's beginning whose labels are all ignored; ``is_filler`` marks them. A mixture has no tail.
    tail: Literal["drop", "pad"] = "drop"
    #: Rows of this many global batches are sorted by length before they are cut into batches, which then come in any
    #: order. 1: no sorting.
    bucket_batches: int = Field(default=1, ge=1, le=4096)
    #: The width of a batch, the same on all ranks, is a multiple of this.
    pad_to_multiple_of: int = Field(default=1, ge=1)
    #: "padded": rectangles. "packed": rows end to end with ``cu_seqlens``, for attention over lengths that vary.
    layout: Literal["padded", "packed"] = "padded"
    #: Whether a ``for`` goes on from epoch to epoch for ever.
    endless: bool = False
    #: Batches that a thread makes ahead. 0: each is made when it is asked for.
    prefetch_batches: int = Field(default=2, ge=0)
    #: Processes that read and mask, through torch's DataLoader. 0: all happens in this one.
    num_workers: int = Field(default=0, ge=0)
    #: Batches that a worker sends at once, in a single tensor.
    worker_batches: int = Field(default=8, ge=1)
    #: Whether batches lie in pinned memory, for copies to a GPU that wait for nothing. Without a GPU they never do.
    pin_memory: bool = False

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides the batches, as plain values; weights are left to the mixture."""
        return {key: value for key, value in self.values().items() if key not in {*_NOT_CONTENT, "weights"}}
