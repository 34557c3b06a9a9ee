# ruff: noqa: N806 - names end in shape suffixes; the legend is in losses.py
"""Batches in, a trained student out: one plain loop for pretraining and distillation, one process or many.

A step takes this rank's slice of a global batch, cuts it into micro-batches of rows of like length, and divides each
term's sum by the count of its unit over all ranks and micro-batches, which the labels tell before the first forward
pass. Gradients are exchanged at the last micro-batch only. What is drawn is a function of (seed, step, rank,
micro-batch) and the learning rate one of the step, so a checkpoint is ``TrainingState`` and the stream's few integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import GradientAccumulationPlugin
from torch import Tensor

from wwmcorpus.corpus.stop_signals import StopSignals
from wwmcorpus.errors import TrainingError
from wwmcorpus.hashing import key_of
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.epochs import endless
from wwmcorpus.training.evaluate import as_trained
from wwmcorpus.training.generators import own_generators, seed_generators
from wwmcorpus.training.heads import MaskedOutputs
from wwmcorpus.training.identity import environment, warn_of_environment
from wwmcorpus.training.learning import Learning
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.optimisers import build_optimizer
from wwmcorpus.training.ranks import Ranks
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.schedules import learning_rate_scale
from wwmcorpus.training.settings import Optimiser, Training
from wwmcorpus.training.state import (
    Position,
    TrainingState,
    load_weights,
    restore_optimizer,
    state_tensors,
    state_values,
)
from wwmcorpus.training.step_plan import Planner
from wwmcorpus.training.students import set_dropout
from wwmcorpus.training.teacher_cache import Rows, TeacherCache, check_cache_fits
from wwmcorpus.training.watch import Watch

Batch = Mapping[str, Tensor]


class Trainer:
    """Trains the student of an objective.

    Args:
        objective: Student, projections and terms.
        batches: Gives the rest of an epoch's rank batches, and the next epoch's when iterated again: dicts of CPU
            tensors ``input_ids`` and ``attention_mask`` (B, L) int64, what the objective reads beside them, such as
            ``labels`` (B, L), -100 = not masked, and perhaps ``row_ids`` (B,). With ``state_dict`` and
            ``load_state_dict`` where there are checkpoints.
        training: Length, sizes, precision.
        optimiser: How the weights move.
        teacher: The teacher, where the objective needs one; never wrapped, always in evaluation mode.
        accelerator: From ``make_accelerator``; made here when absent.
        reporter: Gets the metrics.
        evaluate: Called before the first step, every ``evaluate_every`` steps and after the last; may give a held-out
            loss, by which the best checkpoint is known.
        checkpoints: Where to save; None = nowhere, and signals are left alone.
        cache: Of the teacher's logits.
        is_enough: Asked before each step whether to stop there as if it were the last.
    """

    def __init__(
        self,
        objective: Learning,
        batches: Iterable[Batch],
        training: Training,
        optimiser: Optimiser,
        *,
        teacher: Any | None = None,
        accelerator: Accelerator | None = None,
        reporter: Reporter | None = None,
        evaluate: Callable[[int], float | None] | None = None,
        checkpoints: Checkpoints | None = None,
        cache: TeacherCache | None = None,
        is_enough: Callable[[], bool] | None = None,
    ) -> None:
        self.training, self.optimiser = training, optimiser
        self.accelerator = accelerator or make_accelerator(training)
        self.device: torch.device = self.accelerator.device
        self.ranks = Ranks()
        self.reporter = reporter or Reporter("training", training.steps)
        self.objective = objective
        self.teacher = teacher.to(self.device).eval() if teacher is not None and objective.needs_teacher else None
        if self.teacher is None and objective.needs_teacher:
            raise TrainingError("the losses compare with a teacher and there is none", fix="Give a teacher.")
        self._prepare_student()
        self.state = self._first_state()
        self._cache = cache
        if cache is not None and isinstance(objective, Objective):
            check_cache_fits(objective, cache.top_k)
        self._planner = Planner(objective, self.teacher, training, self.device, self.ranks, cache is not None)
        self._position = batches if isinstance(batches, Position) else None
        self._batches = endless(batches)
        self._evaluate = evaluate or (lambda step: None)
        self._is_enough = is_enough or (lambda: False)
        self._checkpoints = checkpoints
        if checkpoints is not None and self._position is None:
            raise TrainingError(
                "there are checkpoints, and batches whose place cannot be saved",
                fix="Give a Stream, or batches with state_dict and load_state_dict.",
            )
        self._signals = StopSignals()
        self._weights_now: list[float] = []
        self._weights = torch.empty(0)
        self._stop_signal: int | None = None
        names = [term.name for term in objective.terms]
        self.watch = Watch(names, training, self.device, self.ranks, self.reporter, self.state.scaler)

    def resume(self) -> bool:
        """Go to the newest whole checkpoint, and cut the metrics there; say whether there was one.

        Without one, metrics of a run that came to nothing are removed.

        Raises:
            ConfigError: the checkpoint is of a run with other settings.
            TrainingError: it was written in another format, or ranks found different ones.
        """
        found = None if self._checkpoints is None else self._checkpoints.newest()
        self._check_same_step(0 if found is None else found.step)
        if found is None:
            self.reporter.rewind(0)
            return False
        values = found.values
        warn_of_environment(values["environment"], environment(self.device, self.ranks.number))
        load_weights(self.objective, found.tensors("model"), str(found.path))
        restore_optimizer(self.state, self.objective, found.tensors("optimizer"), values["state"])
        if self._position is not None:
            self._position.load_state_dict(values["stream"])
        self.watch.restore(values["interval"])
        self.state.step = found.step
        self.reporter.rewind(values["metrics_bytes"], found.step)
        return True

    def run(self) -> TrainingState:
        """Train to the last step, or as far as is enough.

        Raises:
            TrainingError: the batches run out, the loss or its gradient is no longer a finite number, or a checkpoint
                cannot be written.
            InterruptedJobError: SIGINT or SIGTERM came; a checkpoint was written.
        """
        with own_generators(self.device), self._signals if self._checkpoints else nullcontext():
            if self.state.step == 0:
                self._evaluate(0)
            while self.state.step < self.training.steps and not self._is_enough():
                self._timed_step()
                self._evaluate_and_save()
        return self.state

    def step(self, batch: Batch) -> None:
        """Make one optimiser step with this rank's slice of a global batch."""
        state, settings = self.state, self.optimiser
        scale = learning_rate_scale(state.step, self.training.steps, settings.schedule, settings.warmup_fraction)
        for group in state.optimizer.param_groups:
            group["lr"] = settings.learning_rate * scale
        self._follow_schedules(state.step / self.training.steps)
        plan = self._planner.plan(batch, self._signals.received)
        terms = torch.zeros_like(plan.divisors)
        for index, cut in enumerate(plan.cuts):
            with self._synchronised(index == len(plan.cuts) - 1):
                sums = self._forward(cut, index, plan.rows[index] if plan.rows else None)
                # Gradients are averaged over ranks, so a rank's share of the sum is raised by their number.
                loss = (self._weights * sums / plan.divisors).sum() * self.ranks.number
                self.accelerator.backward(state.scaler.scale(loss))
            terms += sums.detach() / plan.divisors
        state.scaler.unscale_(state.optimizer)
        self.watch.add(state.step, batch, plan, terms, (self._weights * terms).sum(), self._clip())
        self._stop_signal = plan.stop_signal
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.optimizer.zero_grad()
        state.step += 1

    def _check_same_step(self, step: int) -> None:
        own = torch.zeros(self.ranks.number, dtype=torch.int64)
        own[self.ranks.index] = step
        steps = self.ranks.sum(own).tolist()
        if len(set(steps)) > 1:
            found = ", ".join(f"rank {rank} at step {step}" for rank, step in enumerate(steps))
            raise TrainingError(
                f"the processes would go on from different checkpoints: {found}",
                where=None if self._checkpoints is None else str(self._checkpoints.folder),
                fix="Put the output on a folder that all machines share.",
            )

    def _prepare_student(self) -> None:
        student, training = self.objective.student, self.training
        if training.dropout is not None:
            set_dropout(student, training.dropout)
        if training.gradient_checkpointing:
            student.gradient_checkpointing_enable({"use_reentrant": False})
        self.objective.to(self.device).train()
        if training.compile:
            for model in (student, self.teacher):
                if model is not None:
                    model.base_model.compile(dynamic=True)

    def _first_state(self) -> TrainingState:
        module, optimizer = self.accelerator.prepare(self.objective, build_optimizer(self.objective, self.optimiser))
        # accelerate's wrapper would hide from the loss scaler that a fused optimiser leaves out steps by itself.
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.training.precision == "fp16")
        return TrainingState(module, getattr(optimizer, "optimizer", optimizer), scaler)

    def _timed_step(self) -> None:
        started = time.perf_counter()
        batch = next(self._batches)
        waited_seconds = time.perf_counter() - started
        self.step(batch)
        is_due = self.state.step % self.training.log_every == 0 or self.state.step == self.training.steps
        if is_due:
            self.watch.check()
        self.watch.interval.waited_seconds += waited_seconds
        self.watch.interval.seconds += time.perf_counter() - started
        self.reporter.advance(self.state.step)
        if is_due:
            self.watch.report(self.state.step, self.state.optimizer.param_groups[0]["lr"])

    def _follow_schedules(self, progress: float) -> None:
        self.objective.set_progress(progress)
        weights = self.objective.weights_at(progress)
        if weights != self._weights_now:
            self._weights_now, self._weights = weights, self._planner.to_device(torch.tensor(weights))

    def _forward(self, cut: Any, index: int, rows: Rows | None = None) -> Tensor:
        seed_generators(self.device, int(key_of(self.training.seed, self.state.step, self.ranks.index, index)))
        with as_trained(self.device, self.training.precision):
            outputs = None if self.teacher is None else self._teach(self.teacher, cut, rows)
            sums = self.state.module(cut, outputs)
        assert isinstance(sums, Tensor)
        return sums

    def _teach(self, teacher: Any, cut: Any, rows: Rows | None) -> Any:
        if self._cache is None or rows is None:
            return self.objective.teach(teacher, cut)

        def compute() -> Tensor:
            logits_MV: Tensor = self.objective.teach(teacher, cut).logits_MV
            return logits_MV

        logits_MK, pieces_MK = (self._planner.to_device(part) for part in self._cache.look_up(rows, compute))
        return MaskedOutputs(logits_MK, pieces_MK=pieces_MK)

    def _clip(self) -> Tensor:
        """Clip the gradient and give the norm that it had."""
        settings = self.optimiser
        clipped = self.objective.student if settings.clip == "student" else self.state.module
        limit = settings.max_grad_norm if settings.max_grad_norm is not None else float("inf")
        norm: Tensor | None = self.accelerator.clip_grad_norm_(clipped.parameters(), limit)
        assert norm is not None
        return norm

    def _synchronised(self, is_last: bool) -> AbstractContextManager[None]:
        context: AbstractContextManager[None] = (
            nullcontext() if is_last else self.accelerator.no_sync(self.state.module)
        )
        return context

    def _evaluate_and_save(self) -> None:
        step, training, score = self.state.step, self.training, None
        is_last = step == training.steps
        if is_last or (training.evaluate_every and step % training.evaluate_every == 0):
            score = self._evaluate(step)
        if self._checkpoints is None:
            return
        stopped = None if is_last else self._stop_signal
        if stopped or (training.checkpoint_every and step % training.checkpoint_every == 0):
            self._save(self._checkpoints, score)
        if stopped:
            self._signals.received = stopped
            self._signals.raise_if_received(
                f"step {step} of {training.steps}, saved", "Run the same command again: it goes on from there."
            )

    def _save(self, checkpoints: Checkpoints, score: float | None) -> None:
        interval = self.watch.content()
        if self.ranks.index == 0:
            values = {
                "environment": environment(self.device, self.ranks.number),
                "state": state_values(self.state),
                "stream": None if self._position is None else self._position.state_dict(),
                "interval": interval,
                "metrics_bytes": self.reporter.keep(),
            }
            checkpoints.save(self.state.step, state_tensors(self.state, self.objective), values, score)
        self.ranks.wait()


def make_accelerator(training: Training, find_unused_parameters: bool = False) -> Accelerator:
    """Give the accelerate context of this process: device, rank, number of processes.

    Number formats are left to ``torch.autocast`` in the trainer and accumulation to its step, whatever
    ``accelerate launch`` put into the environment.

    Raises:
        TrainingError: the process has an accelerate context with other settings already.
    """
    parallel = DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters)
    try:
        accelerator = Accelerator(
            cpu=training.device == "cpu",
            mixed_precision="no",
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[parallel],
        )
    except ValueError as error:
        raise TrainingError(
            f"accelerate cannot be set up: {error}",
            where="training.device",
            fix="Train in a process that made no Accelerator of its own.",
        ) from None
    if accelerator.device.type == "cpu" and accelerator.num_processes > 2:
        # Else torch lays gradients out anew after a process's first step, and a resumed run would add up those of three
        # ranks in another order than one that was not stopped.
        parallel.find_unused_parameters = True
    return accelerator
