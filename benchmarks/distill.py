"""Distillation steps beside TextBrewer's GeneralDistiller: same models, batches and losses, interleaved in one process.

A teacher of 12 x 768 and the student minirbt-h256 with random weights, 21,128 pieces; MiniRBT's losses: soft labels at
masked positions, T = 8, and seven hidden states with projections. AdamW, clipping of the student. Without ``--corpus``
rows are random pieces: full rows of 512, and rows of natural lengths (log-normal about 75 pieces, at most 512), padded
to the longest of the batch, where the hidden states of padding do not count for either. TextBrewer's batches carry
labels, as MiniRBT's do.

    python benchmarks/distill.py --threads 1                     # CPU, fp32
    python benchmarks/distill.py --device cuda --rows 256        # bf16 beside fp32 and beside bf16 by autocast
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from measure import machine, write_result
from transformers import BertConfig, BertForMaskedLM

from wwmcorpus.training import DistillConfig, Optimiser, Training
from wwmcorpus.training.flops import forward_flops, peak_flops, step_flops
from wwmcorpus.training.objective import Objective
from wwmcorpus.training.students import build_student, student_config
from wwmcorpus.training.trainer import Trainer

VOCABULARY, LENGTH, MASKED_SHARE = 21_128, 512, 0.15
Batch = dict[str, torch.Tensor]


@dataclass
class Case:
    """One line of the table: batches, and what runs on them."""

    name: str
    batches: list[Batch]


def random_batches(num_batches: int, num_rows: int, natural: bool) -> list[Batch]:
    """Give batches of random pieces, each padded to its longest row."""
    chance = torch.Generator().manual_seed(0)
    made = []
    for _ in range(num_batches):
        lengths = torch.full((num_rows,), LENGTH)
        if natural:
            lengths = torch.empty(num_rows).log_normal_(4.3, 0.8, generator=chance).long().clamp(16, LENGTH)
        width = int(lengths.max())
        ids = torch.randint(106, VOCABULARY, (num_rows, width), generator=chance)
        inside = torch.arange(width) < lengths[:, None]
        chosen = (torch.rand(num_rows, width, generator=chance) < MASKED_SHARE) & inside
        made.append(
            {
                "input_ids": torch.where(inside, ids.masked_fill(chosen, 103), 0),
                "attention_mask": inside.long(),
                "labels": torch.where(chosen, ids, -100),
            }
        )
    return made


def corpus_batches(folder: str, num_batches: int, num_rows: int) -> list[Batch]:
    """Give batches of a corpus, as the stream makes them."""
    from wwmcorpus.corpus import open_corpus
    from wwmcorpus.stream import Stream

    stream = Stream(open_corpus(folder), num_rows)
    names = ("input_ids", "attention_mask", "labels")
    return [{name: batch[name] for name in names} for _, batch in zip(range(num_batches), stream, strict=False)]


def models() -> tuple[BertForMaskedLM, BertForMaskedLM]:
    """Give the teacher and a student, always with the same weights."""
    torch.manual_seed(0)
    teacher = BertForMaskedLM(BertConfig(vocab_size=VOCABULARY)).eval().requires_grad_(False)
    student = build_student(student_config("minirbt-h256", VOCABULARY))
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return teacher, student


class Ours:
    """The trainer of this package."""

    def __init__(self, case: Case, device: str, precision: str, compiled: bool, natural: bool) -> None:
        teacher, student = models()
        losses = DistillConfig(preset="minirbt_h256", corpus="", output="", teacher="").losses
        losses = losses.model_copy(update={"hidden_positions": "real" if natural else "all"})
        options: dict[str, Any] = {"precision": precision, "compile": compiled, "dropout": 0.0}
        training = Training(
            steps=10_000, global_batch_size=8, device="cpu" if device == "cpu" else "auto", log_every=10_000, **options
        )
        optimiser = Optimiser(clip="student", schedule="constant", warmup_fraction=0.0, learning_rate=1e-4)
        self.objective = Objective(student, losses, teacher)
        self.trainer = Trainer(self.objective, case.batches, training, optimiser, teacher=teacher)
        self._batches = cycle(case.batches)

    def steps(self, number: int) -> float:
        """Make steps; give the loss of the last."""
        for _ in range(number):
            self.trainer.step(next(self._batches))
        return float(self.trainer.watch.interval.terms[-1][-1])


class TextBrewer:
    """The published distiller, through its own ``train``; what it would save at the end is left out."""

    def __init__(self, case: Case, device: str, autocast: bool, natural: bool) -> None:
        import textbrewer

        teacher, self.student = models()
        self._autocast, self._device = autocast, device
        matches = [
            {"layer_T": 2 * k, "layer_S": k, "feature": "hidden", "loss": "hidden_mse", "weight": 1,
             "proj": ["linear", 256, 768]}
            for k in range(7)
        ]  # fmt: skip

        def adaptor(batch: Batch, outputs: Any) -> dict[str, Any]:
            found = {"logits": (outputs.logits,), "logits_mask": (batch["labels"] >= -1,)}
            found["hidden"] = outputs.hidden_states
            return found | ({"inputs_mask": batch["attention_mask"]} if natural else {})

        self.folder = tempfile.TemporaryDirectory()
        self.distiller = textbrewer.GeneralDistiller(
            textbrewer.TrainingConfig(device=device, output_dir=self.folder.name, ckpt_steps=10_000),
            textbrewer.DistillationConfig(temperature=8, intermediate_matches=matches),
            teacher.to(device),
            self.student.to(device),
            adaptor,
            adaptor,
        )
        self.distiller.save_and_callback = lambda *_: None
        self.totals: list[torch.Tensor] = []
        self.distiller.write_loss = lambda total, step, parts=None: self.totals.append(total.detach())
        losses = DistillConfig(preset="minirbt_h256", corpus="", output="", teacher="").losses
        for mine, theirs in zip(
            Objective(self.student, losses, teacher).projections.maps, self.distiller.projs, strict=True
        ):
            theirs.load_state_dict(mine.state_dict())
        self._batches = cycle(case.batches)

    def steps(self, number: int) -> float:
        """Make steps; give the loss of the last."""
        rows = [next(self._batches) for _ in range(number)]
        optimizer = torch.optim.AdamW(self.student.parameters(), lr=1e-4, weight_decay=0.01, eps=1e-6)
        context = torch.autocast(self._device, torch.bfloat16) if self._autocast else contextlib.nullcontext()
        with self.distiller, context:
            self.distiller.train(optimizer, rows, num_steps=number, max_grad_norm=1.0, output_hidden_states=True)
        return float(self.totals[-1])


def timed(run: Callable[[int], float], steps: int, device: str) -> tuple[float, float]:
    """Give seconds per step and the last loss: process time on a shared CPU with one thread, else wall time."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    loss = run(steps)
    if device == "cuda":
        torch.cuda.synchronize()
    return (clock() - begin) / steps, loss


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars that TextBrewer writes."""
    with open("/dev/null", "w") as sink, contextlib.redirect_stderr(sink):
        yield


def contestants(case: Case, options: argparse.Namespace, natural: bool) -> dict[str, Any]:
    """Give what runs, by name: its precision is in it."""
    if options.device == "cpu":
        return {
            "ours fp32": lambda: Ours(case, "cpu", "fp32", options.compile, natural),
            "textbrewer fp32": lambda: TextBrewer(case, "cpu", False, natural),
        }
    return {
        "ours bf16": lambda: Ours(case, "cuda", "bf16", options.compile, natural),
        "ours fp32": lambda: Ours(case, "cuda", "fp32", False, natural),
        "textbrewer fp32": lambda: TextBrewer(case, "cuda", False, natural),
        "textbrewer bf16 (autocast added)": lambda: TextBrewer(case, "cuda", True, natural),
    }


def measure(case: Case, options: argparse.Namespace, natural: bool) -> dict[str, Any]:
    """Time the contestants round by round and give the figures of the case."""
    runs, times, losses, memory = {}, {}, {}, {}
    for name, make in contestants(case, options, natural).items():
        runs[name] = make()
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        with quiet():
            _, losses[name] = timed(runs[name].steps, 1, options.device)
        if options.device == "cuda":
            memory[name] = round((torch.cuda.max_memory_allocated() - before) / 1e6)
        times[name] = []
    for _ in range(options.rounds):
        for name, run in runs.items():
            with quiet():
                times[name].append(timed(run.steps, options.steps, options.device)[0])
    figures = {
        name: {"seconds_per_step": round(statistics.median(each), 4), "runs": each} for name, each in times.items()
    }
    ours = next(iter(figures))
    for name, figure in figures.items():
        ratios = [theirs / mine for theirs, mine in zip(times[name], times[ours], strict=True)]
        figure |= {"first_loss": round(losses[name], 5), "ratio_to_ours": round(statistics.median(ratios), 2)}
        if name in memory:
            figure["peak_memory_above_start_mb"] = memory[name]
    add_mfu(figures, case, options)
    return figures


def add_mfu(figures: dict[str, Any], case: Case, options: argparse.Namespace) -> None:
    """Add the share of the device's peak that the models' own operations make up, where the peak is known."""
    if options.device != "cuda":
        return
    lengths = torch.stack([batch["attention_mask"].sum(1) for batch in case.batches]).double()
    masked = sum(int((batch["labels"] != -100).sum()) for batch in case.batches) / len(case.batches)
    pieces, pairs = float(lengths.sum(1).mean()), float(lengths.square().sum(1).mean())
    counts = (int(pieces), int(pairs), int(masked))
    flops = step_flops(student_config("minirbt-h256", VOCABULARY), *counts)
    flops += forward_flops(BertConfig(vocab_size=VOCABULARY), *counts)
    for name, figure in figures.items():
        peak = peak_flops(torch.cuda.get_device_name(), "bf16" if "bf16" in name else "fp32")
        if peak is not None:
            figure["mfu"] = round(flops / figure["seconds_per_step"] / peak, 3)


def cpu_memory(options: argparse.Namespace, name: str, natural: bool) -> int:
    """Give the peak resident memory in MB of a fresh process that makes two steps."""
    flags = ["--rows", str(options.rows), "--threads", str(options.threads), "--alone", name]
    command = [sys.executable, __file__, *flags, *(["--natural"] if natural else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def alone(options: argparse.Namespace) -> None:
    """Make two steps and print the peak resident memory."""
    case = Case("alone", random_batches(1, options.rows, options.natural))
    with quiet():
        contestants(case, options, options.natural)[options.alone]().steps(2)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) // 1000)  # getrusage would also know of the process that started this one


def cases(options: argparse.Namespace) -> Iterator[tuple[Case, bool]]:
    """Give the cases and whether their rows have natural lengths."""
    yield Case("full rows of 512", random_batches(4, options.rows, natural=False)), False
    if options.corpus:
        yield Case("rows of the corpus", corpus_batches(options.corpus, 4, options.rows)), True
    else:
        yield Case("natural lengths", random_batches(4, options.rows, natural=True)), True


def waiting_share(options: argparse.Namespace) -> float:
    """Give the share of the wall time in which training waits for the stream of a corpus."""
    from wwmcorpus.corpus import open_corpus
    from wwmcorpus.stream import Stream
    from wwmcorpus.stream.settings import StreamOptions
    from wwmcorpus.training.reporting import Reporter, read_metrics

    teacher, student = models()
    losses = DistillConfig(preset="minirbt_h256", corpus="", output="", teacher="").losses
    losses = losses.model_copy(update={"hidden_positions": "real"})
    on_gpu = options.device == "cuda"
    steps = 5 * options.steps
    training = Training(
        steps=2 * steps,
        global_batch_size=options.rows,
        log_every=steps,
        precision="bf16" if on_gpu else "fp32",
        device="auto" if on_gpu else "cpu",
        dropout=0.0,
    )
    stream = Stream(open_corpus(options.corpus), options.rows, options=StreamOptions(pin_memory=on_gpu))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        with Reporter("stream", training.steps, path) as reporter:
            objective = Objective(student, losses, teacher)
            Trainer(objective, stream, training, Optimiser(), teacher=teacher, reporter=reporter).run()
        return float(read_metrics(path, "train")[-1]["waiting_share"])  # the first half warms up


def show(name: str, figures: dict[str, Any]) -> None:
    """Print the lines of a case."""
    print(f"\n{name}")
    for contestant, figure in figures.items():
        rest = {key: value for key, value in figure.items() if key != "runs"}
        print(f"  {contestant:<34}" + "  ".join(f"{key} {value}" for key, value in rest.items()), flush=True)


def main() -> None:
    """Measure, print a table and write ``results/distill_DEVICE.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--corpus", help="folder of a corpus with 21,128 pieces or fewer, for natural lengths")
    parser.add_argument("--rows", type=int, help="rows of a batch; 8 on a CPU, 128 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="steps of a round; 1 on a CPU, 10 on a GPU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="torch.compile our models")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--natural", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rows = options.rows or (8 if options.device == "cpu" else 128)
    options.steps = options.steps or (1 if options.device == "cpu" else 10)
    torch.set_num_threads(options.threads)
    if options.alone:
        alone(options)
        return
    result: dict[str, Any] = {"machine": machine(("torch", "transformers", "textbrewer"))}
    result["device"] = "cpu" if options.device == "cpu" else torch.cuda.get_device_name()
    result |= {"rows": options.rows, "threads": options.threads, "compile": options.compile, "steps": options.steps}
    result["clock"] = "process time" if options.device == "cpu" and options.threads == 1 else "wall time"
    result["cases"] = {}
    for case, natural in cases(options):
        figures = measure(case, options, natural)
        if options.device == "cpu" and not options.corpus:
            for name in figures:
                figures[name]["peak_memory_mb"] = cpu_memory(options, name, natural)
        result["cases"][case.name] = figures
        show(case.name, figures)
        write_result(f"distill_{options.device}", result)
    if options.corpus:
        result["waiting_share"] = round(waiting_share(options), 5)
        print(f"\nwaiting for the stream: {result['waiting_share']:.2%} of the time")
        write_result(f"distill_{options.device}", result)
    print(json.dumps(result["machine"]))


if __name__ == "__main__":
    main()
