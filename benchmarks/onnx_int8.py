"""What int8 costs and saves on a task: scores, distance, size and time of the ONNX files beside torch's.

    python benchmarks/onnx_int8.py --model runs/sentiment/student dev.tsv --model runs/reading/student dev.json

Each model is a folder that ``finetune`` or ``distill-task`` wrote, given with examples that it has not learned from. It
is exported as ``wwmcorpus export --onnx`` does, whose tolerance it must keep on the sample texts; here its fp32 and
int8 files are run on the examples, with the same rows and the same padding as the original. Writes
results/onnx_int8.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from measure import machine, write_result
from torch import Tensor

from wwmcorpus import load_tokenizer
from wwmcorpus.models.compare import encode_texts, sample_texts
from wwmcorpus.models.load import load_model
from wwmcorpus.models.onnx import OnnxExport, export_onnx
from wwmcorpus.tasks.declaration import Task
from wwmcorpus.tasks.encode import encode
from wwmcorpus.tasks.forward import TaskRows, forward_task
from wwmcorpus.tasks.predict import predict_logits, score_logits

PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "numpy")
Logits = list[np.ndarray[Any, np.dtype[np.float32]]]


def main() -> None:
    """Export and score each model, print a table, write results/onnx_int8.json."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", nargs=2, action="append", required=True, metavar=("FOLDER", "EXAMPLES"))
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each measurement of time, at least")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    found = []
    for folder, examples in given.model:
        found.append(measured(Path(folder), Path(examples), given.seconds))
        print("\n".join(table(found[-1])), flush=True)
        write_result("onnx_int8", {"machine": machine(PACKAGES), "threads": given.threads, "models": found})


def measured(source: Path, path: Path, seconds: float) -> dict[str, Any]:
    """Give all figures of one model."""
    model, tokenizer = load_model(str(source)), load_tokenizer(str(source))
    told = json.loads((source / "task.json").read_text("utf-8"))
    task = Task(**told["task"])
    examples = task.read(path)
    rows = encode(task, examples, tokenizer, told["max_length"], told["stride"])
    batch = encode_texts(sample_texts(), tokenizer, model)

    def in_torch(rows: TaskRows) -> Tensor:
        logits = forward_task(model, rows).logits
        assert logits is not None
        return logits

    with tempfile.TemporaryDirectory() as folder:
        files = export_onnx(model, batch, Path(folder), seconds=seconds)
        logits = {
            "torch": predict_logits(in_torch, rows, module=model),
            "onnx": predict_logits(in_onnx(files.plain.path), rows),
            "int8": predict_logits(in_onnx(files.int8.path), rows),
        }
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    sizes = {"torch": 4 * num_parameters, "onnx": files.plain.size_bytes, "int8": files.int8.size_bytes}
    return {
        "task": task.name,
        "examples": len(examples),
        "shape": {"layers": model.config.num_hidden_layers, "hidden": model.config.hidden_size},
        "parameters": num_parameters,
        "metrics": list(task.metric_names),
        "kinds": {
            name: {
                "bytes": sizes[name],
                "scores": score_logits(task, own, rows, examples),
                "distance": None if name == "torch" else distance(logits["torch"], own),
                "latencies": times_of(files, name),
            }
            for name, own in logits.items()
        },
    }


def in_onnx(path: Path) -> Callable[[TaskRows], Tensor]:
    """Give what runs a file on rows, with the numbers in the order of ``forward_task``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = [each.name for each in session.get_inputs()]

    def run(rows: TaskRows) -> Tensor:
        named = {
            "input_ids": rows.input_ids_BL,
            "attention_mask": rows.attention_mask_BL,
            "token_type_ids": rows.segments_BL,
        }
        made = [torch.from_numpy(each) for each in session.run(None, {name: named[name].numpy() for name in inputs})]
        if len(made) == 2:  # reading comprehension: where an answer begins, and where it ends
            return torch.stack(made, dim=-1)
        return made[0] if made[0].dim() == 3 else made[0].unsqueeze(1)

    return run


def distance(original: Logits, copy: Logits) -> dict[str, float]:
    """Compare the numbers for all rows: the largest difference, and the root mean square over the original's spread."""
    before, after = (np.concatenate([row.ravel() for row in rows]).astype(np.float64) for rows in (original, copy))
    relative = np.sqrt(np.mean((before - after) ** 2)) / before.std()
    return {"largest": float(np.abs(before - after).max()), "relative": float(relative)}


def times_of(files: OnnxExport, name: str) -> list[dict[str, Any]]:
    """Give the times of one kind by batch size."""
    times = {"torch": files.torch_latencies, "onnx": files.plain.latencies, "int8": files.int8.latencies}
    return [each.content() for each in times[name]]


def table(found: dict[str, Any]) -> list[str]:
    """Give the lines of one model's table."""
    shape = f"{found['shape']['layers']} x {found['shape']['hidden']}"
    times = found["kinds"]["torch"]["latencies"]
    heads = [*found["metrics"], "MB", *(f"ms, batch {each['batch_size']}" for each in times), "distance"]
    lines = [f"| {found['task']}, {shape} | " + " | ".join(heads) + " |", "|" + "---|" * (len(heads) + 1)]
    for name, row in found["kinds"].items():
        cells = [f"{100 * row['scores'][metric]:.2f} %" for metric in found["metrics"]]
        cells += [f"{row['bytes'] / 1e6:.1f}", *(f"{1000 * each['median_seconds']:.2f}" for each in row["latencies"])]
        cells.append("" if row["distance"] is None else f"{row['distance']['relative']:.1e}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
