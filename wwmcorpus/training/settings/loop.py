"""What the training loop can be told: how long, how much at once, how the weights move. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wwmcorpus.config import Config

_Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimiser(Config):
    """AdamW and its learning rate."""

    #: Peak learning rate. MiniRBT's is 4e-4 at a batch of thousands.
    learning_rate: float = Field(default=4e-4, gt=0)
    #: Decoupled weight decay; biases and layer norms have none.
    weight_decay: float = Field(default=0.01, ge=0)
    #: Decay rates of the two moments. Each in [0, 1).
    betas: tuple[_Decay, _Decay] = Field(default=(0.9, 0.999), strict=False)
    #: Added to the root of the second moment.
    epsilon: float = Field(default=1e-6, gt=0)
    #: Largest norm of the gradient over student and projections together; None = no clipping. MiniRBT clips the
    #: student only.
    max_grad_norm: float | None = Field(default=1.0, gt=0)
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
    #: Rows per forward pass on one rank; None = the rank's whole slice at once. Changes memory and speed, not the loss.
    micro_batch_size: int | None = Field(default=None, ge=1)
    #: Number format of the matrix products; weights and losses stay fp32.
    precision: Literal["fp32", "bf16"] = "fp32"
    #: "auto" takes a GPU where there is one.
    device: Literal["auto", "cpu"] = "auto"
    #: Dropout of the student while it learns; None = as its shape says. In [0, 1).
    dropout: float | None = Field(default=None, ge=0, lt=1)
    #: Steps between two lines of metrics.
    log_every: int = Field(default=10, ge=1)
    #: Steps between two evaluations; None = only before and after.
    evaluate_every: int | None = Field(default=None, ge=1)
    #: At most this many rows of the validation corpus are evaluated.
    evaluation_rows: int = Field(default=2000, ge=1)
    #: Times that every evaluation row is masked, each time elsewhere but in every run alike, to steady the figures of a
    #: small corpus.
    evaluation_draws: int = Field(default=1, ge=1)
    #: Decides initial weights, data order, masks and dropout.
    seed: int = Field(default=0, ge=0, lt=2**63)
