"""One rank of a distillation over several processes, on CPUs: settings in, a file with the trained weights out."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from training_fakes import TEACHER, batch, tiny, with_fillers

from wwmcorpus.errors import InterruptedJobError
from wwmcorpus.training.checkpoints import Checkpoints
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.reporting import Reporter
from wwmcorpus.training.settings import DistillLosses, Optimiser, Training
from wwmcorpus.training.state import weights_of
from wwmcorpus.training.trainer import Trainer

GLOBAL_ROWS = 12


class Slices:
    """A rank's slices of global batches of 12 rows, five an epoch; one rank may be told to stop before a step.

    Rows from ``num_real`` on only fill the batches.
    """

    def __init__(self, rank, num_ranks, stop_at=None, num_real=GLOBAL_ROWS):
        self.share = slice(rank * GLOBAL_ROWS // num_ranks, (rank + 1) * GLOBAL_ROWS // num_ranks)
        self.position, self.stop_at, self.num_real = 0, stop_at, num_real

    def __iter__(self):
        while True:
            self.position += 1
            if self.position == self.stop_at:
                signal.raise_signal(signal.SIGTERM)
            rows = with_fillers(batch(GLOBAL_ROWS, seed=self.position), self.num_real)
            yield {name: tensor[self.share] for name, tensor in rows.items()}
            if self.position % 5 == 0:
                return

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def distil(folder, rank, num_ranks, stop_at=None, num_real=GLOBAL_ROWS, **changes):
    """Train this rank; give the trained objective, or None where a signal stopped it."""
    folder = Path(folder)
    teacher = tiny(TEACHER, 1)
    settings = {"steps": 7, "log_every": 2, "checkpoint_every": None, "device": "cpu"}
    run = Trainer(
        Objective(tiny(), DistillLosses(hard_weight=0.5), teacher),
        Slices(rank, num_ranks, stop_at, num_real),
        Training(**settings | changes),
        Optimiser(learning_rate=5e-3),
        teacher=teacher,
        reporter=Reporter("t", 7, folder / "metrics.jsonl", active=rank == 0),
        checkpoints=Checkpoints(folder / "checkpoints"),
    )
    run.resume()
    try:
        run.run()
    except InterruptedJobError:
        return None
    return run.objective


def rank_main(folder, port, rank, num_ranks, options):
    """Run one rank and write its weights to ``rank0.safetensors`` and so on."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num_ranks, "MASTER_ADDR": "127.0.0.1"}
    os.environ.update({name: str(value) for name, value in places.items()} | {"MASTER_PORT": str(port)})
    torch.set_num_threads(1)
    stops_here = options.pop("stopped_rank", None) == rank
    stop_at = options.pop("stop_at", None)
    objective = distil(folder, rank, num_ranks, stop_at if stops_here else None, **options)
    if objective is not None:
        save_file({name: tensor.detach().clone() for name, tensor in weights_of(objective).items()},
                  Path(folder) / f"rank{rank}.safetensors")  # fmt: skip
    torch.distributed.destroy_process_group()


def wait_for(processes, seconds=120):
    """Give the exit codes; end what does not end by itself."""
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]
