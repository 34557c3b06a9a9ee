"""What the training loop can be told: how long, how much at once, how the weights move. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from wwmcorpus.config import Config

#: Fields that change nothing of what is learnt or recorded, so that a run may be resumed with others.
_NOT_CONTENT = {"checkpoint_every", "device", "keep_checkpoints", "tensorboard"}

_Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Config):
    """How the weights move: AdamW or LAMB, and the learning rate."""

    #: "lamb" scales each weight's update by the weight's own norm, for batches of thousands of rows (You et al.,
    #: arXiv:1904.00962); it is pytorch-optimizer's, extra ``lamb``.
    name: Literal["adamw", "lamb"] = "adamw"
    #: Peak learning rate. MiniRBT's is 4e-4 at a batch of thousands.
    learning_rate: float = Field(default=4e-4, gt=0)
    #: Decoupled weight decay; biases and layer norms have none.
    weight_decay: float = Field(default=0.01, ge=0)
    #: Decay rates of the two moments. Each in [0, 1).
    betas: tuple[_Decay, _Decay] = Field(default=(0.9, 0.999), strict=False)
    #: Added to the root of the second moment.
    epsilon: float = Field(default=1e-6, gt=0)
    #: Divide the moments by what they lack in the first steps, as the paper of Adam does. BERT's own optimiser and
    #: MiniRBT's do not, which makes their first steps about three times as large. LAMB never does.
    bias_correction: bool = True
    #: Largest norm of the gradient; None = no clipping.
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    #: Whose gradient is measured and clipped: student and projections together, or the student's alone, as in MiniRBT.
    clip: Literal["all", "student"] = "all"
    #: How the learning rate falls after the warm-up.
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    #: Share of the steps during which the learning rate rises. In [0, 1].
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)


class Training(Config):
    """How long, how much at once, and how often to look."""

    #: Optimiser steps.
    steps: int = Field(default=1000, ge=1)
    #: Rows per step, over all ranks.
    global_batch_size: int = Field(default=64, ge=1)
    #: Most rows per forward pass on one rank; None = no bound. Changes memory and speed, not the loss.
    micro_batch_size: int | None = Field(default=None, ge=1)
    #: Most pieces per forward pass on one rank, padding included, at least one row; None = 512 on a CPU and 65,536 on a
    #: GPU. Rows of like length are put together, so that little is padding. Changes memory and speed, not the loss.
    micro_batch_pieces: int | None = Field(default=None, ge=1)
    #: Lay rows end to end without any padding where attention can keep them apart: on a GPU in bf16 or fp16, with a
    #: torch that has ``torch.nn.attention.varlen``, without dropout of attention and with losses that need no padding.
    unpad: bool = True
    #: Number format of the matrix products; weights and losses stay fp32. fp16 scales the loss so that small gradients
    #: do not vanish, and leaves out the steps in which they overflow.
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    #: "auto" takes a GPU where there is one.
    device: Literal["auto", "cpu"] = "auto"
    #: Compile teacher and student with ``torch.compile``: minutes at the start, faster steps after.
    compile: bool = False
    #: Compute each layer of the student twice instead of keeping what the backward pass needs: less memory, slower.
    gradient_checkpointing: bool = False
    #: Dropout of the student while it learns; None = as its shape says. In [0, 1).
    dropout: float | None = Field(default=None, ge=0, lt=1)
    #: Steps between two lines of metrics.
    log_every: int = Field(default=10, ge=1)
    #: Write TensorBoard event files beside the metrics, extra ``viz``.
    tensorboard: bool = False
    #: Steps between two checkpoints; None = only when a signal stops the run.
    checkpoint_every: int | None = Field(default=1000, ge=1)
    #: Checkpoints that are kept beside the best: the last so many.
    keep_checkpoints: int = Field(default=2, ge=1)
    #: Folder of a cache of the teacher's logits, for several runs over the same masked rows; None = no cache.
    teacher_cache: str | None = None
    #: Logits per masked position in that cache, the largest ones; the others count as minus infinity.
    teacher_cache_top_k: int = Field(default=64, ge=1)
    #: Steps between two evaluations; None = only before and after.
    evaluate_every: int | None = Field(default=None, ge=1)
    #: At most this many rows of the validation corpus are evaluated.
    evaluation_rows: int = Field(default=2000, ge=1)
    #: Times that rows are drawn and masked for an evaluation, in every run alike, to steady the figures. Of a small
    #: corpus each draw has the same rows, masked elsewhere; of one with more than ``evaluation_rows``, other rows.
    evaluation_draws: int = Field(default=1, ge=1)
    #: Decides initial weights, data order, masks and dropout.
    seed: int = Field(default=0, ge=0, lt=2**63)

    @property
    def decisive(self) -> dict[str, Any]:
        """The part that decides what comes out, as plain values; of a cache, whether there is one and not where."""
        content = {key: value for key, value in self.values().items() if key not in _NOT_CONTENT}
        return content | {"teacher_cache": self.teacher_cache is not None}
