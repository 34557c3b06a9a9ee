r"""What each step of the road to a task is worth: teacher, student alone, distilled, distilled on variants.

    python benchmarks/task_road.py --teacher TEACHER --student STUDENT --vectors WORDS.txt \
        --task chnsenticorp train.tsv dev.tsv 2000 --task ocnli train.json dev.json all \
        --task cmrc2018 train.json dev.json 1000

TEACHER and STUDENT are general models of one vocabulary, such as ``two_stage.py`` makes. A task is given with its files
and the number of training rows, or questions, that are taken from the beginning. For each task and seed five runs: the
teacher is fine-tuned (once, with the first seed); the student is fine-tuned; TinyBERT's two stages distil it on the
examples; the same on the examples and ``--variants`` variants of each; and, as a control, the student from random
weights is fine-tuned. Then the teacher and the students that were fine-tuned with each seed are teachers together: the
score of their averaged logits, and the student distilled from those. All runs of the student take the same number of
steps. Scores are those of the best evaluation on
the development file, which is what is published of these tasks, so all are a little too good, alike.

Every finished run stays in the work folder and is not run again; results/task_road.json is written after each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from measure import machine, shown, spread, write_result
from transformers import AutoConfig, BertForMaskedLM

from wwmcorpus import DistillTaskConfig, FinetuneConfig, load_tokenizer
from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.tasks.augment.job import augment
from wwmcorpus.tasks.augment.settings import AugmentConfig
from wwmcorpus.tasks.data import read_data
from wwmcorpus.tasks.declaration import load_task
from wwmcorpus.tasks.predict import predict_logits, score_logits
from wwmcorpus.tasks.results import TaskStages
from wwmcorpus.tasks.runs import run_distill_task, run_finetune
from wwmcorpus.tasks.settings import TaughtTask
from wwmcorpus.tasks.teachers import Teachers

PACKAGES = ("torch", "transformers", "accelerate", "numpy")
#: Lines of the table, in order.
NAMES = {
    "teacher": "teacher, fine-tuned",
    "random": "student without pretraining, fine-tuned",
    "finetune": "student, fine-tuned",
    "distill": "student, distilled",
    "augment": "student, distilled on variants too",
    "average": "teacher and fine-tuned students, averaged",
    "ensemble": "student, distilled from these",
}
Scores = dict[str, dict[int, dict[str, float]]]


@dataclass(frozen=True)
class Place:
    """A task, its files, and where its runs lie."""

    task: str
    train: Path
    validation: Path
    work: Path
    max_length: int

    def source(self, train: Path | None = None) -> dict[str, Any]:
        """Give what all runs on the task share."""
        files = {"train": str(train or self.train), "validation": str(self.validation)}
        return {"task": self.task, **files, "max_length": self.max_length}


def main() -> None:
    """Run what is not there yet, print a table of each task, write results/task_road.json after each run."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--teacher", required=True, help="folder of a general model")
    arguments.add_argument("--student", required=True, help="folder of a smaller one of the same vocabulary")
    arguments.add_argument("--vectors", required=True, help="what wwmcorpus train-vectors wrote")
    arguments.add_argument("--task", nargs=4, action="append", required=True, metavar=("NAME", "TRAIN", "DEV", "ROWS"))
    arguments.add_argument("--work", type=Path, default=Path("runs/task_road"))
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--epochs", type=float, default=6.0, help="of the student, both stages; the teacher: half")
    arguments.add_argument("--variants", type=int, default=1, help="of each example; so many epochs the fewer over all")
    arguments.add_argument("--learning-rate", type=float, default=1e-3, help="of the student; the teacher's: a third")
    arguments.add_argument("--minutes", type=float, help="begin no run after so many; 0: only tell what is there")
    arguments.add_argument("--result", default="task_road", help="name of the file in results/")
    given = arguments.parse_args()
    begin, done = time.monotonic(), {}
    for name, train, validation, rows in given.task:
        length = 192 if load_task(name).kind == "reading" else 128
        taken = first_rows(name, Path(train), rows, given.work)
        place = Place(name, taken, Path(validation), given.work / name, length)
        done[name] = {key: {} for key in NAMES}
        for key, seed in order(given.seeds):
            is_late = given.minutes is not None and time.monotonic() - begin >= 60 * given.minutes
            if is_late and not all(map(is_finished, needed(key, seed, place, given))):
                print(f"{name}, {NAMES[key]}, seed {seed}: left out after {given.minutes} minutes")
                continue
            done[name][key][seed] = run(key, place, seed, given)
            print(f"{name}, {NAMES[key]}, seed {seed}: {done[name][key][seed]}", flush=True)
            write_result(given.result, report(done, given))
        print("\n".join(table(name, done[name])), flush=True)


def order(seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Give lines of the table and seeds in an order in which every teacher is there."""
    alone = [(key, seed) for seed in seeds for key in ("random", "finetune", "distill", "augment")]
    together = [("ensemble", seed) for seed in seeds]
    return [("teacher", seeds[0]), *alone, ("average", seeds[0]), *together]


def first_rows(task: str, path: Path, rows: str, work: Path) -> Path:
    """Write the first so many rows of a training file, or questions of reading comprehension, and give the file."""
    if rows == "all":
        return path
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")
    made = work / f"{task}.{rows}{suffix(path)}"
    made.parent.mkdir(parents=True, exist_ok=True)
    if load_task(task).kind == "reading":
        articles = json.loads(text)["data"]
        behind = accumulate(sum(len(passage["qas"]) for passage in article["paragraphs"]) for article in articles)
        number = sum(count < int(rows) for count in behind) + 1
        made.write_text(json.dumps({"data": articles[:number]}, ensure_ascii=False), "utf-8")
    else:
        num_header = int(load_task(task).file_format == "tsv" and not load_task(task).columns)
        made.write_text("\n".join(text.split("\n")[: int(rows) + num_header]) + "\n", "utf-8")
    return made


def suffix(path: Path) -> str:
    """Give the last suffix before ``.gz``."""
    return path.suffixes[-2] if path.suffix == ".gz" else path.suffix


def run(key: str, place: Place, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """Run one line of the table with one seed, or find it; give its scores."""
    folder = folder_of(key, seed, place, given)
    if key == "average":
        return averaged(place, given)
    if key in ("distill", "augment", "ensemble"):
        teachers = all_teachers(place, given) if key == "ensemble" else [place.work / "teacher"]
        train = variants_of(place, given) if key == "augment" else None
        return distilled(place, folder, teachers, seed, given, train)
    model = {"teacher": given.teacher, "finetune": given.student}.get(key) or random_weights(given)
    epochs, rate = given.epochs, given.learning_rate
    if key == "teacher":
        epochs, rate = epochs / 2, rate / 3
    training = {"epochs": epochs, "learning_rate": rate, "seed": seed, "log_every": 50}
    config = FinetuneConfig(**place.source(), model=str(model), output=str(folder), training=training)
    return dict(run_finetune(config).scores or {})


def folder_of(key: str, seed: int, place: Place, given: argparse.Namespace) -> Path:
    """Give where a run lies."""
    kind = f"augment_{given.variants}" if key == "augment" else key
    return place.work / (key if key == "teacher" else f"{kind}_{seed}")


def needed(key: str, seed: int, place: Place, given: argparse.Namespace) -> list[Path]:
    """Give the runs that must be finished for a line of the table to cost next to nothing."""
    return all_teachers(place, given) if key == "average" else [folder_of(key, seed, place, given)]


def is_finished(folder: Path) -> bool:
    """Whether a run, or the second of its stages, is over."""
    return any((place / "run.json").is_file() for place in (folder, folder / "prediction"))


def all_teachers(place: Place, given: argparse.Namespace) -> list[Path]:
    """Give the folders of the teacher and of the students that were fine-tuned."""
    return [place.work / "teacher", *(place.work / f"finetune_{seed}" for seed in given.seeds)]


def averaged(place: Place, given: argparse.Namespace) -> dict[str, float]:
    """Score the mean of all teachers' logits."""
    task = load_task(place.task)
    source = TaughtTask(**place.source(), teacher=list(map(str, all_teachers(place, given))))
    data = read_data(task, source, load_tokenizer(given.student), place.max_length)
    assert data.validation is not None
    assert data.examples is not None
    teachers = Teachers.load([task], [source])
    logits = predict_logits(teachers.logits_of, data.validation, module=teachers)
    return score_logits(task, logits, data.validation, data.examples)


def distilled(
    place: Place, folder: Path, teachers: list[Path], seed: int, given: argparse.Namespace, train: Path | None
) -> dict[str, float]:
    """Distil the student, half of its steps in each stage."""
    epochs = given.epochs / 2 / (1 if train is None else 1 + given.variants)
    shared = {"epochs": epochs, "learning_rate": given.learning_rate, "seed": seed, "log_every": 50}
    result = run_distill_task(
        DistillTaskConfig(
            **place.source(train),
            teacher=list(map(str, teachers)),
            student=given.student,
            output=str(folder),
            cache=str(place.work / "logits"),
            intermediate={**shared, "schedule": "constant", "warmup_fraction": 0.0},
            prediction={**shared, "losses": {"hard_weight": 1.0}},
        )
    )
    assert isinstance(result, TaskStages)
    return dict(result.prediction.scores or {})


def variants_of(place: Place, given: argparse.Namespace) -> Path:
    """Augment the training file by the neighbours of words among the vectors, once."""
    made = place.work / f"train.{given.variants}_variants{suffix(place.train)}"
    if not made.is_file():
        config = AugmentConfig(
            task=place.task,
            input=str(place.train),
            output=str(made),
            vectors=given.vectors,
            num_variants=given.variants,
            num_workers=0,
        )
        print(*augment(config).lines(), sep="\n")
    return made


def random_weights(given: argparse.Namespace) -> Path:
    """Give a folder with a model of the student's shape that has learned nothing."""
    folder: Path = given.work / "random"
    if not folder.is_dir():
        import torch

        torch.manual_seed(0)
        BertForMaskedLM(AutoConfig.from_pretrained(given.student)).save_pretrained(folder)
        save_tokenizer(load_tokenizer(given.student), folder)
    return folder


def report(done: Mapping[str, Scores], given: argparse.Namespace) -> dict[str, Any]:
    """Give everything that the result file holds."""
    settings = {key: getattr(given, key) for key in ("seeds", "epochs", "variants", "learning_rate")}
    settings["rows"] = {name: rows for name, _, _, rows in given.task}
    models = {name: shape(getattr(given, name)) for name in ("teacher", "student")}
    return {
        "machine": machine(PACKAGES),
        "settings": settings,
        "models": models,
        "summary": {task: summary(scores) for task, scores in done.items()},
        "scores": {
            task: {k: {str(s): v for s, v in x.items()} for k, x in all_.items()} for task, all_ in done.items()
        },
    }


def shape(folder: str) -> dict[str, Any]:
    """Give the size of a general model, and of a run of this package what it knew of held-out rows."""
    config = AutoConfig.from_pretrained(folder)
    found = {"layers": config.num_hidden_layers, "hidden": config.hidden_size, "pieces": config.vocab_size}
    run = Path(folder) / "run.json"
    held_out = json.loads(run.read_text("utf-8"))["figures"]["after"] if run.is_file() else None
    return found | {"held_out": held_out}


def summary(scores: Scores) -> dict[str, dict[str, Any]]:
    """Give mean and sample deviation over seeds of every metric."""
    found = {}
    for key, by_seed in scores.items():
        metrics = sorted({name for row in by_seed.values() for name in row})
        values = {name: [row[name] for row in by_seed.values()] for name in metrics}
        found[key] = {name: spread(own) | {"seeds": len(own)} for name, own in values.items()}
    return found


def table(task: str, scores: Scores) -> list[str]:
    """Give the lines of a task's table, in percent."""
    rows = summary(scores)
    metrics = list(next((row for row in rows.values() if row), {}))
    if not metrics:
        return [f"{task}: nothing yet"]
    lines = [f"| {task} | seeds | " + " | ".join(metrics) + " |", "|" + "---|" * (len(metrics) + 2)]
    for key, row in rows.items():
        if row:
            cells = [shown(row[name], 100, 2) for name in metrics]
            lines.append(f"| {NAMES[key]} | {row[metrics[0]]['seeds']} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
