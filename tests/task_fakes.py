"""Tiny models with a tokenizer, and the sample tasks, for the tests of task training."""

from __future__ import annotations

import json
import signal
from functools import cache
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

from wwmcorpus.align import load_tokenizer
from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.tasks import load_task
from wwmcorpus.tasks.batches import TaskBatches
from wwmcorpus.tasks.encode import encode
from wwmcorpus.training.reporting import TIMES

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data" / "tasks"
KINDS = ("sentiment", "pairs", "reading", "names")


def sample(name):
    return str(SAMPLES / name / "task.toml")


@cache
def tokenizer():
    return load_tokenizer("embedded")


def write_model(folder, seed=0, layers=2, hidden=16, heads=2):
    """A general model: a masked language model with its tokenizer."""
    shape = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer()), max_position_embeddings=256, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
    save_tokenizer(tokenizer(), folder)
    return str(folder)


def similarity(folder):
    """A regression task of two files made here: how many of three marks a text has."""
    rows = [("一" * (n % 4) + "二三四五"[n % 3 :], f"样例{n}", n % 4) for n in range(12)]
    for split in ("train", "validation"):
        lines = [f"{first}\t{second}\t{value}" for first, second, value in rows]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    declared = 'kind = "regression"\nfile_format = "tsv"\ncolumns = ["text_a", "text_b", "label"]\ntext_b = "text_b"\n'
    path = folder / "alike.toml"
    path.write_text(declared + 'train = "train.tsv"\nvalidation = "validation.tsv"\n', "utf-8")
    return str(path)


def features(task, max_length=128):
    declared = load_task(task)
    return encode(declared, declared.read(declared.train), tokenizer(), max_length)


def stops_at(step):
    """Batches before the so-manieth of which a signal comes."""

    class Stopping(TaskBatches):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__(), 1):
                if number == step:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

    return Stopping


def fails_at(step):
    """Batches before the so-manieth of which the process ends, as far as the rest of it can tell."""

    class Failing(TaskBatches):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__(), 1):
                if number == step:
                    raise RuntimeError("the cord was pulled")
                yield batch

    return Failing


def metrics(folder):
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
