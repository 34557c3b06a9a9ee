"""LTP's trainer in a process of its own: a JSON task on standard input, a model file and one line per epoch out.

It is run by path, not imported. The trainer is Rust code that writes to file descriptor 1, holds the interpreter while
it works, and ends a bad run with a panic; none of these should reach the caller.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Train as the task says: ``{"train": PATH, "evaluation": PATH, "model": PATH, "epochs": 8, "margin": null}``."""
    from ltp_extension.perceptron import Algorithm, CWSTrainer

    task = json.load(sys.stdin)
    trainer = CWSTrainer()
    trainer.epoch = task["epochs"]
    # The lines come shuffled with our own seed: LTP's shuffle cannot be seeded, and its compression drops the heaviest
    # features once the light ones are too few.
    trainer.shuffle = False
    trainer.compress = False
    trainer.verbose = False
    trainer.eval_threads = 1
    margin = task["margin"]
    trainer.algorithm = Algorithm("AP", 1) if margin is None else Algorithm("PaI", margin)
    trainer.load_train_data(task["train"])
    trainer.load_eval_data(task["evaluation"])
    trainer.train().save(task["model"])


if __name__ == "__main__":
    main()
