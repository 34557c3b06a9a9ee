"""What an assistant is worth: a small student distilled in two stages, in one, and not at all, on held-out text.

    wwmcorpus build TEXT... --output CORPUS --set validation_fraction=0.02
    python benchmarks/two_stage.py --corpus CORPUS [--seeds 0 1 2] [--minutes 8] [--device cpu] [--set a.b=value]

The teacher is pretrained on the same corpus, once. For each seed four runs follow, each of as many steps of as many
pieces: assistant <- teacher, student <- assistant, student <- teacher, and the student alone. Whole words are masked;
held-out rows and their masks are the same in all runs, and the unigram model of the corpus stands beside them. A seed
decides first weights, order, masks and dropout. The recipe is two_stage.toml.

Every finished run stays in the work folder and is not run again; results/two_stage.json is written after each.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from measure import machine, shown, spread, write_result

from wwmcorpus.config import Config, load_config
from wwmcorpus.corpus import open_corpus
from wwmcorpus.training import DistillConfig, PretrainConfig, Stage
from wwmcorpus.training.results import RunResult
from wwmcorpus.training.runs import run_distill, run_pretrain

PACKAGES = ("torch", "transformers", "accelerate", "numpy")
#: Runs of a seed in order, with what they are called in the table.
NAMES = {
    "teacher": "teacher",
    "assistant": "assistant",
    "two_stages": "student, two stages",
    "one_stage": "student, one stage",
    "alone": "student, not distilled",
}


class Recipe(Config):
    """The models and how each learns; of the teacher's stage the losses are left aside."""

    teacher: Stage
    assistant: Stage
    student: Stage
    #: Pieces of a step. Rows of a step follow from the mean length of the corpus's rows.
    batch_pieces: int = 32_768


def main() -> None:
    """Run what is not there yet, print a table, write results/two_stage.json after each run."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", required=True, type=Path, help="folder with the splits train and validation")
    arguments.add_argument("--work", type=Path, default=Path("runs/two_stage_benchmark"))
    arguments.add_argument("--config", type=Path, default=Path(__file__).with_suffix(".toml"))
    arguments.add_argument("--set", action="append", default=[], metavar="a.b=value")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    arguments.add_argument("--minutes", type=float, help="begin no run that would end later than this")
    arguments.add_argument("--result", default="two_stage", help="name of the file in results/")
    given = arguments.parse_args()
    on_gpu = given.device != "cpu" and torch.cuda.is_available()
    if given.device == "cuda" and not on_gpu:
        arguments.error("there is no CUDA device")
    recipe = fitted(load_config(Recipe, given.config, given.set), given.corpus, on_gpu)
    done: dict[str, dict[int, RunResult]] = {name: {} for name in NAMES}
    started, longest = time.monotonic(), dict.fromkeys(NAMES, 0.0)
    for name, seed, config in runs(recipe, given.corpus, given.work, given.seeds):
        spent = time.monotonic() - started
        if given.minutes is not None and spent + longest[name] > 60 * given.minutes:
            print(f"{name}, seed {seed} and what follows would end after {given.minutes} minutes: left out")
            break
        result = run_distill(config) if isinstance(config, DistillConfig) else run_pretrain(config)
        longest[name] = max(longest[name], result.seconds)
        done[name][seed] = result
        print(f"seed {seed}: {result.summary()}", flush=True)
        write_result(given.result, report(done, recipe, given, on_gpu))
    print("\n".join(table(done)))


def fitted(recipe: Recipe, corpus: Path, on_gpu: bool) -> Recipe:
    """Put the rows of a step, the device and its number format into every stage."""
    lengths = open_corpus(corpus / "train").lengths
    rows = max(8, round(recipe.batch_pieces / float(lengths.mean()) / 8) * 8)
    machine_values = {"device": "auto" if on_gpu else "cpu", "precision": "bf16" if on_gpu else "fp32"}
    changed = {}
    for name in ("teacher", "assistant", "student"):
        stage: Stage = getattr(recipe, name)
        training = stage.training.model_copy(update={"global_batch_size": rows, **machine_values})
        changed[name] = stage.model_copy(update={"training": training})
    return recipe.model_copy(update=changed)


def runs(recipe: Recipe, corpus: Path, work: Path, seeds: list[int]) -> Iterator[tuple[str, int, PretrainConfig]]:
    """Give the name, seed and configuration of each run, in an order in which every teacher is there."""
    shared = {"corpus": str(corpus / "train"), "validation": str(corpus / "validation")}
    # The teacher's figures stand in the table, whatever the gate would say of them.
    taught: dict[str, Any] = {**shared, "accept_teacher": True}
    teacher = str(work / "teacher")
    yield "teacher", 0, PretrainConfig(**shared, output=teacher, **stage_values(recipe.teacher, 0, distils=False))
    for seed in seeds:
        folder = work / f"seed_{seed}"
        assistant = str(folder / "assistant")
        student = stage_values(recipe.student, seed)
        yield (
            "assistant",
            seed,
            DistillConfig(**taught, output=assistant, teacher=teacher, **stage_values(recipe.assistant, seed)),
        )
        yield (
            "two_stages",
            seed,
            DistillConfig(**taught, output=str(folder / "two_stages"), teacher=assistant, **student),
        )
        yield "one_stage", seed, DistillConfig(**taught, output=str(folder / "one_stage"), teacher=teacher, **student)
        alone = stage_values(recipe.student, seed, distils=False)
        yield "alone", seed, PretrainConfig(**shared, output=str(folder / "alone"), **alone)


def stage_values(stage: Stage, seed: int, distils: bool = True) -> dict[str, Any]:
    """Give a stage's settings as those of one run."""
    left_out = {"model", "preset"} if distils else {"model", "preset", "losses"}
    values = {key: getattr(stage, key) for key in Stage.model_fields if key not in left_out}
    return values | {"student": stage.model, "training": stage.training.model_copy(update={"seed": seed})}


def report(
    done: Mapping[str, Mapping[int, RunResult]], recipe: Recipe, given: argparse.Namespace, on_gpu: bool
) -> dict[str, Any]:
    """Give everything that the result file holds."""
    corpus = {name: open_corpus(given.corpus / name) for name in ("train", "validation")}
    teacher = done["teacher"][0]
    kinds = {
        name: {
            str(seed): {
                "steps": run.steps,
                "seconds": round(run.seconds, 1),
                "held_out": None if run.after is None else run.after.content(),
            }
            for seed, run in by_seed.items()
        }
        for name, by_seed in done.items()
    }
    return {
        "machine": machine(PACKAGES) | {"device": torch.cuda.get_device_name() if on_gpu else "cpu"},
        "corpus": {
            name: {"rows": len(split), "pieces": int(split.lengths.sum()), "signature": split.signature}
            for name, split in corpus.items()
        },
        "recipe": recipe.values(),
        "unigram_baseline": None if teacher.baseline is None else teacher.baseline.content(),
        "summary": summary(done),
        "runs": kinds,
    }


def summary(done: Mapping[str, Mapping[int, RunResult]]) -> dict[str, dict[str, Any]]:
    """Give mean and sample deviation over seeds of what is measured on held-out rows."""
    found: dict[str, dict[str, Any]] = {}
    for name, by_seed in done.items():
        figures = [run.after for run in by_seed.values() if run.after is not None]
        if not figures:
            continue
        found[name] = {"seeds": len(figures)}
        for key in ("word_accuracy", "piece_accuracy", "loss", "agreement", "hidden_cosine"):
            values = [getattr(row, key) for row in figures]
            if None not in values:
                found[name][key] = spread(values)
    return found


def table(done: Mapping[str, Mapping[int, RunResult]]) -> list[str]:
    """Give the lines of the table."""
    lines = [
        "| | seeds | steps | seconds | whole words right | loss, nats | guesses as its teacher |",
        "|" + "---|" * 7,
    ]
    baseline = done["teacher"][0].baseline if done["teacher"] else None
    if baseline is not None and baseline.word_accuracy is not None:
        lines.append(f"| unigram model | | | | {baseline.word_accuracy:.2%} | {baseline.loss:.3f} | |")
    for name, row in summary(done).items():
        by_seed = done[name]
        steps = next(iter(by_seed.values())).steps
        seconds = statistics.mean(run.seconds for run in by_seed.values())
        words, agreement = (
            f"{shown(row[key], 100, 2)} %" if key in row else "" for key in ("word_accuracy", "agreement")
        )
        loss = shown(row["loss"], 1, 3)
        cells = (NAMES[name], row["seeds"], f"{steps:,}", f"{seconds:.0f}", words, loss, agreement)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


if __name__ == "__main__":
    main()
