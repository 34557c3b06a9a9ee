"""A configuration in, fine-tuned or distilled models in Hugging Face folders out: one function per job.

Both go through the loop, the checkpoints and the metrics of general distillation; here is only what goes in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wwmcorpus.align import Vocabulary, load_tokenizer
from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.files import remove_folder
from wwmcorpus.tasks.batches import TaskBatches
from wwmcorpus.tasks.data import TaskData, check_patience, read_data
from wwmcorpus.tasks.declaration import load_task
from wwmcorpus.tasks.evaluation import TaskEvaluation
from wwmcorpus.tasks.heads import default_learning_rate, load_task_model, row_length
from wwmcorpus.tasks.objective import TaskObjective
from wwmcorpus.tasks.results import TaskResult, TaskStages, write_task_model
from wwmcorpus.tasks.settings import DistillTaskConfig, FinetuneConfig, TaskSource, TaskTraining, TaughtTask
from wwmcorpus.tasks.student import TaskStudent
from wwmcorpus.tasks.teachers import Teachers, cached_logits, check_vocabulary
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.export import staged_folder
from wwmcorpus.training.reporting import METRICS_FILE, Reporter
from wwmcorpus.training.results import RUN_FILE, check_free_or_run, read_run, run_identity, weights_sha256, write_run
from wwmcorpus.training.runs import CHECKPOINT_FOLDER
from wwmcorpus.training.settings import DistillLosses
from wwmcorpus.training.state import load_weights
from wwmcorpus.training.trainer import Trainer, make_accelerator

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from rich.console import Console
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """One training on one or several tasks."""

    output: Path
    models: list[str]
    sources: Sequence[TaskSource]
    training: TaskTraining
    recipe: dict[str, Any]
    losses: DistillLosses | None = None
    tau: float = 1.0
    cache: str | None = None
    is_scored: bool = True


def run_finetune(config: FinetuneConfig, console: Console | None = None) -> TaskResult:
    """Fine-tune a model on a task and keep the weights that score best.

    A run that its folder holds finished, with the same settings and inputs, is given back and not run again. One that
    was stopped goes on from its newest whole checkpoint, in the folder named ``*.partial``.

    Args:
        config: The run.
        console: For a progress bar, where it is a terminal.

    Raises:
        ConfigError: model, task and settings do not fit together, or the output holds something else.
        SourceError: a file of the task is absent or holds no example.
        TrainingError: the loss is no longer a number, or a checkpoint cannot be written.
        InterruptedJobError: SIGINT or SIGTERM came; a checkpoint was written.
        MissingExtraError: a metric needs a package that is not installed.
    """
    check_patience(config.training, [config], "training")
    recipe = config.values() | {"training": config.training.decisive}
    return _run(_Job(Path(config.output), [config.model], [config], config.training, recipe), console)


def run_distill_task(config: DistillTaskConfig, console: Console | None = None) -> TaskResult | TaskStages:
    """Distil a student on one or several tasks from fine-tuned teachers: one stage, or both.

    Arguments, errors and resuming as for ``run_finetune``.

    Raises:
        ConfigError: also where a teacher has other labels than the task, or other pieces than the student.
    """
    output = Path(config.output)
    if config.stage != "prediction":
        check_patience(config.intermediate, [], "intermediate")
    if config.stage != "intermediate":
        check_patience(config.prediction, config.tasks, "prediction")
    if config.stage != "both":
        return _run(_stage(config, config.stage, config.student, output), console)
    first = _stage(config, "intermediate", config.student, output / "intermediate")
    check_free_or_run(first.output)
    check_free_or_run(output / "prediction")
    made = _run(first, console)
    second = _stage(config, "prediction", str(first.output), output / "prediction")
    return TaskStages(made, _run(second, console))


def _stage(config: DistillTaskConfig, stage: Literal["intermediate", "prediction"], student: str, output: Path) -> _Job:
    settings = config.intermediate if stage == "intermediate" else config.prediction
    recipe = config.values() | {"stage": stage, "student": student, "output": str(output)}
    other = "prediction" if stage == "intermediate" else "intermediate"
    recipe = {key: value for key, value in recipe.items() if key not in (other, "cache")} | {stage: settings.decisive}
    is_last = stage == "prediction"
    return _Job(
        output,
        _models(student, config.tasks),
        config.tasks,
        settings,
        recipe,
        settings.losses,
        config.tau,
        config.cache if is_last else None,
        is_scored=is_last,
    )


def _models(student: str, sources: Sequence[TaughtTask]) -> list[str]:
    """Give the model that each task begins with: what an earlier stage over several tasks made of it, if it did."""
    if len(sources) == 1:
        return [student]
    own = [Path(student) / load_task(source.task).name for source in sources]
    return [str(path) if path.is_dir() else student for path in own]


def _run(job: _Job, console: Console | None) -> TaskResult:
    started = time.perf_counter()
    check_free_or_run(job.output)
    tokenizer = load_tokenizer(job.models[0])
    _check_vocabularies(job, tokenizer)
    data = _read(job, tokenizer)
    identity = _identity(job, data)
    stored = read_run(job.output, identity)
    if stored is not None:
        return TaskResult.of(job.output, stored["made"])
    settings = job.training
    training = settings.loop(sum(len(of.train) for of in data))
    accelerator = make_accelerator(training, find_unused_parameters=job.losses is not None or len(data) > 1)
    is_main = accelerator.is_main_process
    teachers = _teachers(job, data)
    kept = _kept_logits(job, teachers, data, accelerator)
    objective = _objective(job, data, teachers, kept is not None)
    student = objective.student
    rank, num_ranks = accelerator.process_index, accelerator.num_processes
    rows = [of.train for of in data]
    batches = TaskBatches(rows, settings.batch_size, settings.seed, job.tau, kept, rank, num_ranks)
    title = job.output.name
    with (
        staged_folder(job.output, is_main) as folder,
        Reporter(
            title, training.steps, folder / METRICS_FILE, console, is_main, board=training.tensorboard
        ) as reporter,
    ):
        scored = data if job.is_scored else []
        evaluation = TaskEvaluation(student, scored, reporter, settings.precision, settings.patience)
        checkpoints = Checkpoints(folder / CHECKPOINT_FOLDER, training.keep_checkpoints, identity)
        trainer = Trainer(
            objective,
            batches,
            training,
            settings.optimiser(min(default_learning_rate(of.task, student.models[0].config) for of in data)),
            teacher=teachers,
            accelerator=accelerator,
            reporter=reporter,
            evaluate=evaluation,
            checkpoints=checkpoints,
            is_enough=evaluation.is_enough,
        )
        is_resumed = trainer.resume()
        accelerator.wait_for_everyone()  # until the first process has cut the metrics, which all of them read
        if is_resumed:
            evaluation.restore(folder / METRICS_FILE)
        steps = trainer.run().step
        taken = dict(zip((of.task.name for of in data), batches.taken, strict=True))
        _warn_of_untaught(taken)
        step, main, scores = evaluation.best() or (None, None, None)
        result = TaskResult(job.output, steps, time.perf_counter() - started, step, scores, main)
        if is_main:
            _keep_best(objective, checkpoints, steps if step is None else step, steps)
            for model, of in zip(student.models, data, strict=True):
                place = folder / of.task.name if len(data) > 1 else folder
                write_task_model(place, model, tokenizer, of, result, evaluation.history, job.recipe)
            counts = {of.task.name: of.counts() | {"steps": taken[of.task.name]} for of in data}
            write_run(folder, identity, {"made": result.content(), "data": counts})
            remove_folder(folder / CHECKPOINT_FOLDER)
    accelerator.wait_for_everyone()
    return result


def _warn_of_untaught(taken: Mapping[str, int]) -> None:
    for name, number in taken.items():
        if not number:
            _log.warning(
                "no step had rows of %s: its head has learned nothing; raise epochs, or lower tau to take small tasks "
                "more often",
                name,
            )


def _objective(job: _Job, data: Sequence[TaskData], teachers: Teachers | None, cached: bool) -> TaskObjective:
    tasks, seed = [of.task for of in data], job.training.seed
    models = [load_task_model(*each) for each in zip(tasks, job.models, range(seed, seed + len(tasks)), strict=True)]
    return TaskObjective(TaskStudent(models), tasks, job.losses, teachers, seed, cached)


def _kept_logits(
    job: _Job, teachers: Teachers | None, data: Sequence[TaskData], accelerator: Accelerator
) -> list[NDArray[np.float32]] | None:
    """Give the teachers' logits of all rows where there is a cache: the first process makes what is not there."""
    if job.cache is None or teachers is None:
        return None
    teachers.to(accelerator.device)
    with accelerator.main_process_first():
        folder, precision = Path(job.cache), job.training.precision
        return [cached_logits(folder, teachers, number, of.train, precision) for number, of in enumerate(data)]


def _read(job: _Job, tokenizer: PreTrainedTokenizerFast) -> list[TaskData]:
    data = []
    for name, source in zip(job.models, job.sources, strict=True):
        task = load_task(source.task)
        length = row_length(task, source.max_length, name, *_teachers_of(source))
        data.append(read_data(task, source, tokenizer, length))
    names = [of.task.name for of in data]
    if len(set(names)) < len(names):
        raise ConfigError("two tasks have one name", value=names, where="tasks", fix="Give each a name of its own.")
    taken = {CHECKPOINT_FOLDER, METRICS_FILE, RUN_FILE} & set(names)
    if taken and len(names) > 1:
        raise ConfigError(
            "a task has the name of something else that lies beside its model",
            value=sorted(taken),
            where="tasks",
            fix="Give it another name in its declaration.",
        )
    return data


def _check_vocabularies(job: _Job, tokenizer: PreTrainedTokenizerFast) -> None:
    vocabulary = Vocabulary.of(tokenizer)
    for name in {name: None for source in job.sources for name in _teachers_of(source)}:
        check_vocabulary(name, vocabulary)


def _teachers_of(source: TaskSource) -> tuple[str, ...]:
    return source.teacher if isinstance(source, TaughtTask) else ()


def _teachers(job: _Job, data: Sequence[TaskData]) -> Teachers | None:
    taught = [source for source in job.sources if isinstance(source, TaughtTask)]
    if job.losses is None or not taught:
        return None
    return Teachers.load([of.task for of in data], taught)


def _identity(job: _Job, data: Sequence[TaskData]) -> dict[str, Any]:
    """Give what decides the run: its settings, and hashes of the rows and models that it reads."""
    hashes: dict[str, str | None] = {}
    for of, name, source in zip(data, job.models, job.sources, strict=True):
        hashes |= {f"{of.task.name}.{split}": value for split, value in of.fingerprints.items()}
        hashes[f"{of.task.name}.model"] = weights_sha256(name)
        for number, teacher in enumerate(_teachers_of(source)):
            hashes[f"{of.task.name}.teacher_{number}"] = weights_sha256(teacher)
    return run_identity(job.recipe | {"declarations": [of.content() for of in data]}, hashes)


def _keep_best(objective: TaskObjective, checkpoints: Checkpoints, best_step: int, last_step: int) -> None:
    """Put the weights of the best step into the student; those of the last are there already.

    Raises:
        TrainingError: its checkpoint is not there.
    """
    if best_step == last_step:
        return
    found = checkpoints.best()
    if found is None or found.step != best_step:
        raise TrainingError(
            f"the checkpoint of the best step, {best_step}, is gone",
            where=str(checkpoints.folder),
            fix="Delete the folder of the run to begin anew.",
        )
    load_weights(objective, found.tensors("model"), str(found.path))
