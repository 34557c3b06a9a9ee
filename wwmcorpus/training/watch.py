"""Sums and norms of steps in; lines of metrics out, and an error as soon as one of them is no number.

Nothing here makes a step wait for a GPU: what a step gave stays on the device until a line of metrics is due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wwmcorpus.errors import TrainingError
from wwmcorpus.training.flops import peak_flops
from wwmcorpus.training.interval import Interval
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.settings import Training
from wwmcorpus.training.step_plan import StepPlan

_MOST_SHOWN_ROWS = 32
#: A loss scale below this, 26 halvings below the first one, is the mark of gradients that are never finite.
_LEAST_SCALE = 2.0**-10


class Watch:
    """What is known of the steps since the last line of metrics.

    Args:
        names: Of the terms, in order.
        training: Steps in all, number format.
        device: Of the models.
        ranks: Everything is summed over them, so every rank must call every method.
        reporter: Gets the lines.
        scaler: Of the loss; where it is at work, gradients may overflow.
    """

    def __init__(
        self,
        names: Sequence[str],
        training: Training,
        device: torch.device,
        ranks: Ranks,
        reporter: Reporter,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self._names, self._training, self._device, self._ranks = names, training, device, ranks
        self._reporter, self._scaler = reporter, scaler
        self.interval = Interval()

    def add(
        self, step: int, batch: Mapping[str, Tensor], plan: StepPlan, terms: Tensor, loss: Tensor, norm: Tensor
    ) -> None:
        """Take up a step: this rank's share of each term and of the loss, and the norm of the gradient."""
        rows = batch["row_ids"].tolist() if "row_ids" in batch else []
        interval = self.interval
        interval.terms.append(torch.cat([terms, loss.unsqueeze(0)]))
        interval.unchecked.append((step, rows, torch.stack([loss, norm])))
        interval.num_pieces += plan.num_pieces
        interval.flops += plan.flops
        if self._device.type == "cpu":  # reading a number costs nothing here, and the weights are still good
            self.check()

    def check(self) -> None:
        """Look at the steps that nobody has looked at.

        Raises:
            TrainingError: a loss is not finite, or a norm where no scaler leaves such steps out.
        """
        unchecked, self.interval.unchecked = self.interval.unchecked, []
        if not unchecked:
            return
        # Every rank must see what one of them saw, or the others would wait for it.
        figures = self._ranks.sum(torch.stack([figure for _, _, figure in unchecked]))
        for (step, rows, _), (loss, norm) in zip(unchecked, figures.tolist(), strict=True):
            is_finite = abs(norm) < float("inf")
            if not abs(loss) < float("inf") or not (is_finite or self._scaler.is_enabled()):
                self._fail(step, rows, loss, norm)
            if is_finite:
                self.interval.grad_norm = norm / self._ranks.number
            else:
                self.interval.num_skipped += 1

    def report(self, step: int, learning_rate: float) -> None:
        """Write a line of metrics and begin anew.

        Raises:
            TrainingError: no scale of the loss is small enough for gradients that are finite.
        """
        interval, self.interval = self.interval, Interval(grad_norm=self.interval.grad_norm)
        *terms, loss = interval.summed_terms(self._ranks).mean(dim=0).tolist()
        figures = {
            "loss": loss,
            "terms": dict(zip(self._names, terms, strict=True)),
            "learning_rate": learning_rate,
            "grad_norm": interval.grad_norm,
            "num_pieces": interval.num_pieces,
        }
        if self._scaler.is_enabled():
            figures |= {"loss_scale": self._scaler.get_scale(), "num_skipped": interval.num_skipped}
        self._reporter.record("train", step, **figures, **self._times(step, interval))
        if self._scaler.is_enabled() and figures["loss_scale"] < _LEAST_SCALE:
            raise TrainingError(
                "the gradients overflow fp16 however small the loss is made",
                value=figures["loss_scale"],
                where=f"step {step}",
                fix="Set training.precision to bf16 or fp32, or lower optimiser.learning_rate.",
            )

    def content(self) -> dict[str, Any]:
        """Give plain values for a checkpoint, every step looked at."""
        self.check()
        return self.interval.content(self._ranks)

    def restore(self, content: dict[str, Any]) -> None:
        """Put back what ``content`` gave."""
        self.interval = Interval.restored(content, self._ranks, self._device)

    def _times(self, step: int, interval: Interval) -> dict[str, float]:
        seconds = max(interval.seconds, 1e-9)
        times = {
            "pieces_per_second": interval.num_pieces / seconds,
            "seconds": seconds,
            "seconds_left": seconds / len(interval.terms) * (self._training.steps - step),
            "waiting_share": interval.waited_seconds / seconds,
        }
        peak = None
        if self._device.type == "cuda":
            peak = peak_flops(torch.cuda.get_device_name(self._device), self._training.precision)
        return times if peak is None else times | {"mfu": interval.flops / (seconds * peak * self._ranks.number)}

    def _fail(self, step: int, rows: list[int], loss: float, norm: float) -> None:
        self._reporter.record("stopped", step + 1, row_ids=rows)
        more = len(rows) - _MOST_SHOWN_ROWS
        shown = ", ".join(map(str, rows[:_MOST_SHOWN_ROWS])) + (f" and {more} more" if more > 0 else "")
        raise TrainingError(
            f"the loss is {loss}, the gradient norm {norm}",
            where=f"step {step + 1}, rows {shown}",
            fix="Lower the learning rate, or look at these rows.",
        )
