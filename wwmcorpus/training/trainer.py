"""Batches in, a trained student out: one plain loop for pretraining and distillation, one process or many.

A step takes this rank's slice of a global batch, cuts it into micro-batches, and divides each term's sum by the count
of its unit over all ranks and micro-batches, which the labels tell before the first forward pass. Gradients are
exchanged at the last micro-batch only. Dropout is a function of (seed, step, rank, micro-batch) and the learning rate
one of the step, so what must be saved to go on exactly is ``TrainingState`` and the stream's few integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from transformers import BertForMaskedLM

from wwmcorpus.errors import TrainingError
from wwmcorpus.hashing import key_of
from wwmcorpus.training.heads import MicroBatch, micro_batches
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.schedules import learning_rate_scale
from wwmcorpus.training.settings import Optimiser, Training
from wwmcorpus.training.students import set_dropout

Batch = Mapping[str, Tensor]


@dataclass
class TrainingState:
    """Everything that changes while a student learns, beside the position of the stream.

    Attributes:
        module: The objective, wrapped for several processes where there are several.
        optimizer: With its moments.
        step: Finished optimiser steps.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0


@dataclass
class _Interval:
    """What has happened since the last line of metrics; sums stay on the device until then."""

    terms: list[Tensor] = field(default_factory=list)
    unchecked: list[tuple[int, list[int], Tensor]] = field(default_factory=list)
    num_pieces: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains the student of an objective.

    Args:
        objective: Student, projections and terms.
        batches: Gives the rest of an epoch's rank batches, and the next epoch's when iterated again: dicts of CPU
            tensors ``input_ids``, ``attention_mask``, ``labels`` (B, L) int64, -100 = not masked, and perhaps
            ``row_ids`` (B,).
        training: Length, sizes, precision.
        optimiser: AdamW and its schedule.
        teacher: The teacher, where the objective needs one; never wrapped, always in evaluation mode.
        accelerator: From ``make_accelerator``; made here when absent.
        reporter: Gets the metrics.
        evaluate: Called before the first step, every ``evaluate_every`` steps and after the last.
    """

    def __init__(
        self,
        objective: Objective,
        batches: Iterable[Batch],
        training: Training,
        optimiser: Optimiser,
        *,
        teacher: BertForMaskedLM | None = None,
        accelerator: Accelerator | None = None,
        reporter: Reporter | None = None,
        evaluate: Callable[[int], None] | None = None,
    ) -> None:
        self.training, self.optimiser = training, optimiser
        self.accelerator = accelerator or make_accelerator(training)
        self.reporter = reporter or Reporter("training", training.steps)
        self.objective = objective
        self.teacher = (
            teacher.to(self.accelerator.device).eval() if teacher is not None and objective.needs_teacher else None
        )
        if self.teacher is None and objective.needs_teacher:
            raise TrainingError("the losses compare with a teacher and there is none", fix="Give a teacher.")
        if training.dropout is not None:
            set_dropout(objective.student, training.dropout)
        objective.to(self.accelerator.device)
        optimizer = torch.optim.AdamW(
            parameter_groups(objective, optimiser.weight_decay),
            lr=0.0,
            betas=optimiser.betas,
            eps=optimiser.epsilon,
            fused=True,
        )
        self.state = TrainingState(*self.accelerator.prepare(objective, optimizer))
        self._batches = endless(batches)
        self._evaluate = evaluate or (lambda step: None)
        self._weights = torch.tensor([term.weight for term in objective.terms], device=self.accelerator.device)
        self._interval = _Interval()

    def run(self) -> TrainingState:
        """Train to the last step.

        Raises:
            TrainingError: the batches run out, or the loss or its gradient is no longer a finite number.
        """
        on_gpu = self.accelerator.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.accelerator.device] if on_gpu else []):
            if self.state.step == 0:
                self._evaluate(0)
            while self.state.step < self.training.steps:
                self._timed_step()
                every = self.training.evaluate_every
                if self.state.step == self.training.steps or (every and self.state.step % every == 0):
                    self._evaluate(self.state.step)
        return self.state

    def _timed_step(self) -> None:
        started = time.perf_counter()
        self.step(next(self._batches))
        is_due = self.state.step % self.training.log_every == 0 or self.state.step == self.training.steps
        if is_due:
            self._check()
        self._interval.seconds += time.perf_counter() - started
        self.reporter.advance(self.state.step)
        if is_due:
            self._report()

    def step(self, batch: Batch) -> None:
        """Make one optimiser step with this rank's slice of a global batch."""
        state, settings = self.state, self.optimiser
        scale = learning_rate_scale(state.step, self.training.steps, settings.schedule, settings.warmup_fraction)
        for group in state.optimizer.param_groups:
            group["lr"] = settings.learning_rate * scale
        cuts = micro_batches(batch, self.training.micro_batch_size)
        counts = self._term_counts(cuts)
        terms = torch.zeros_like(counts)
        for index, cut in enumerate(cuts):
            with self._synchronised(index == len(cuts) - 1):
                sums = self._forward(cut.to(self.accelerator.device), index)
                # Gradients are averaged over ranks, so a rank's share of the sum is raised by their number.
                loss = (self._weights * sums / counts).sum() * self.accelerator.num_processes
                self.accelerator.backward(loss)
            terms += sums.detach() / counts
        limit = settings.max_grad_norm if settings.max_grad_norm is not None else float("inf")
        norm = self.accelerator.clip_grad_norm_(state.module.parameters(), limit)
        assert norm is not None
        self._remember(batch, terms, norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1

    def _forward(self, cut: MicroBatch, index: int) -> Tensor:
        _seed(
            self.accelerator.device,
            int(key_of(self.training.seed, self.state.step, self.accelerator.process_index, index)),
        )
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.training.precision == "bf16"):
            outputs = None if self.teacher is None else self.objective.teach(self.teacher, cut)
            sums: Tensor = self.state.module(cut, outputs)
        return sums

    def _term_counts(self, cuts: list[MicroBatch]) -> Tensor:
        """Give what each term is divided by, (num_terms,) float32, at least 1."""
        masked = sum(len(cut.positions_M) for cut in cuts)
        real = sum(int(cut.attention_mask_BL.sum()) for cut in cuts)
        cells = sum(cut.input_ids_BL.numel() for cut in cuts)
        counts = torch.tensor([masked, real, cells], device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            counts = self.accelerator.reduce(counts, "sum")
            real = int(counts[1])
        self._interval.num_pieces += real
        units = ["masked", "real", "all"]
        chosen = [units.index(term.unit) for term in self.objective.terms]
        return counts[chosen].clamp(min=1).float()

    def _synchronised(self, is_last: bool) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = (
            nullcontext() if is_last else self.accelerator.no_sync(self.state.module)
        )
        return context

    def _remember(self, batch: Batch, terms: Tensor, norm: Tensor) -> None:
        rows = batch["row_ids"].tolist() if "row_ids" in batch else []
        self._interval.terms.append(terms)
        self._interval.unchecked.append((self.state.step, rows, torch.stack([(self._weights * terms).sum(), norm])))
        if self.accelerator.device.type == "cpu":  # reading a number costs nothing here, and the weights are still good
            self._check()

    def _check(self) -> None:
        unchecked, self._interval.unchecked = self._interval.unchecked, []
        if not unchecked:
            return
        figures = torch.stack([figure for _, _, figure in unchecked])
        if (
            self.accelerator.num_processes > 1
        ):  # every rank must see what one of them saw, or the others would wait for it
            figures = self.accelerator.reduce(figures, "sum")
        for (step, rows, _), (loss, norm) in zip(unchecked, figures.tolist(), strict=True):
            if not (abs(loss) < float("inf") and abs(norm) < float("inf")):
                self.reporter.record("stopped", step + 1, row_ids=rows)
                shown = ", ".join(map(str, rows[:32])) + (f" and {len(rows) - 32} more" if len(rows) > 32 else "")
                raise TrainingError(
                    f"the loss is {loss}, the gradient norm {norm}",
                    where=f"step {step + 1}, rows {shown}",
                    fix="Lower optimiser.learning_rate, or look at these rows.",
                )
            self._last_norm = norm / self.accelerator.num_processes

    def _report(self) -> None:
        interval, self._interval = self._interval, _Interval()
        terms = torch.stack(interval.terms).mean(dim=0)
        if self.accelerator.num_processes > 1:
            terms = self.accelerator.reduce(terms, "sum")
        rate = interval.seconds / len(interval.terms)
        self.reporter.record(
            "train",
            self.state.step,
            loss=float((self._weights * terms).sum()),
            terms={term.name: value for term, value in zip(self.objective.terms, terms.tolist(), strict=True)},
            learning_rate=self.state.optimizer.param_groups[0]["lr"],
            grad_norm=self._last_norm,
            pieces_per_second=interval.num_pieces / interval.seconds,
            seconds=interval.seconds,
            seconds_left=rate * (self.training.steps - self.state.step),
        )


def make_accelerator(training: Training, find_unused_parameters: bool = False) -> Accelerator:
    """Give the accelerate context of this process: device, rank, number of processes.

    Number formats are left to ``torch.autocast`` in the trainer; accelerate's own setting is one per process for good.
    """
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters)]
    return Accelerator(cpu=training.device == "cpu", kwargs_handlers=handlers)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Part the weights into those that decay, and biases and layer norms, which do not."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Give epoch after epoch.

    Raises:
        TrainingError: two epochs in a row are empty; one may be, where a stream was resumed at the end of an epoch.
    """
    num_empty = 0
    while num_empty < 2:
        num_empty += 1
        for batch in batches:
            num_empty = 0
            yield batch
    raise TrainingError(
        "the stream gives no batches",
        fix="Give an iterable that can be iterated again, over at least one global batch of rows.",
    )


def _seed(device: torch.device, seed: int) -> None:
    # torch.manual_seed would also seed, and on a machine without them queue, every kind of accelerator.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
