"""Which losses make the best student: the same student, corpus and steps with one choice changed at a time.

Held-out whole-word accuracy and loss of each choice over several seeds, beside training without a teacher. Every
finished run is written at once, and the same command goes on where it stopped. ``--corpus`` has ``train`` and
``validation`` below it.

    python benchmarks/loss_choices.py --corpus CORPUS --teacher TEACHER --steps 2000 --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine, write_result

RESULT = Path(__file__).parent / "results" / "loss_choices.json"
#: What MiniRBT published; every other choice says how it differs from the second.
PUBLISHED = {
    "temperature": 8.0,
    "scale_by_squared_temperature": False,
    "hard_weight": 0.0,
    "hidden_positions": "all",
}
BASE: dict[str, Any] = {"temperature": 2.0, "hard_weight": 1.0}
_RELATIONS = [
    {"layers": "last", "loss": f"{part}_relation", "relation_heads": 32} for part in ("query", "key", "value")
]
#: In the order in which they are run: of a run that is cut short the first lines are the ones to have.
CHOICES: dict[str, dict[str, Any]] = {
    "no teacher": {"soft_weight": 0.0, "hard_weight": 1.0, "layer_map": "none"},
    "MiniRBT as published": PUBLISHED,
    "T = 2, hard labels, hidden states": BASE,
    "no hidden states": BASE | {"layer_map": "none"},
    "hidden states times 0.1": BASE | {"hidden_weight": 0.1},
    "relations of the last layer": BASE | {"matches": _RELATIONS},
    "no hard labels": BASE | {"hard_weight": 0.0},
    "T = 1": BASE | {"temperature": 1.0},
    "T = 4": BASE | {"temperature": 4.0},
    "MiniRBT, T squared": PUBLISHED | {"scale_by_squared_temperature": True},
    "last hidden state only": BASE | {"layer_map": "last"},
    "logits by squared error": BASE | {"soft_loss": "mse", "temperature": 1.0, "layer_map": "none"},
    "64 largest logits": BASE | {"soft_top_k": 64},
}


def run(options: argparse.Namespace, losses: dict[str, Any], seed: int) -> dict[str, Any]:
    """Distil once and give the held-out figures."""
    from wwmcorpus.training import DistillConfig
    from wwmcorpus.training.runs import run_distill

    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        training = {
            "steps": options.steps,
            "global_batch_size": options.rows,
            "dropout": 0.0,
            "precision": options.precision,
            "device": options.device,
            "checkpoint_every": None,
            "evaluation_rows": 1000,
            "log_every": 100,
            "seed": seed,
        }
        config = DistillConfig(
            corpus=f"{options.corpus}/train",
            validation=f"{options.corpus}/validation",
            output=f"{folder}/student",
            teacher=options.teacher,
            accept_teacher=True,
            student=options.student,
            training=training,
            optimiser={"learning_rate": options.learning_rate},
            losses=losses,
        )
        after = run_distill(config).after
    assert after is not None
    return after.content() | {"seconds": round(time.perf_counter() - begin, 1)}


def table(runs: dict[str, dict[str, Any]]) -> None:
    """Print mean and spread of each choice over its seeds."""
    print(f"\n{'choice':<36}{'words right':>14}{'spread':>9}{'loss':>9}{'seeds':>7}")
    for name in CHOICES:
        found = [figures for key, figures in runs.items() if key.rsplit(" / ", 1)[0] == name]
        if found:
            words = [100 * (figures["word_accuracy"] or 0.0) for figures in found]
            spread = statistics.stdev(words) if len(words) > 1 else 0.0
            loss = statistics.mean(figures["loss"] for figures in found)
            print(f"{name:<36}{statistics.mean(words):>13.2f}%{spread:>9.2f}{loss:>9.3f}{len(found):>7}")


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="folder with train and validation")
    parser.add_argument("--teacher", required=True, help="folder of a masked language model of that vocabulary")
    parser.add_argument("--student", default="minirbt-h256")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no run after so many")
    options = parser.parse_args()
    asked = {key: value for key, value in vars(options).items() if key not in ("seeds", "minutes", "corpus", "teacher")}
    before = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    runs = before.get("runs", {}) if before.get("settings") == asked else {}
    begin = time.perf_counter()
    for seed in options.seeds:  # all choices once before any of them a second time
        for name, losses in CHOICES.items():
            key = f"{name} / {seed}"
            if key in runs or time.perf_counter() - begin > 60 * options.minutes:
                continue
            runs[key] = run(options, losses, seed)
            print(f"{key}: {runs[key]['word_accuracy']:.2%} of words, loss {runs[key]['loss']:.3f}", flush=True)
            about = machine(("torch", "transformers"))
            write_result("loss_choices", {"machine": about, "settings": asked, "choices": CHOICES, "runs": runs})
    table(runs)


if __name__ == "__main__":
    main()
