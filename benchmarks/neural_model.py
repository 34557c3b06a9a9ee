"""A neural LTP model to measure with where no released one is at hand: a folder in LTP's format and of its small size.

Random weights give words that no precision can agree on, for the two classes lie a hair apart. So the model learns for
some dozens of steps what LTP's perceptron says of some sentences. Its words stay poor; they are words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wwmcorpus import load_segmenter

#: LTP/small: an ELECTRA of 12 layers and 256 dimensions with a linear word head.
_BACKBONE = {
    "model_type": "electra",
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
#: Half a minute of one CPU thread; on a GPU more are a matter of seconds.
MODEL_STEPS = 60
_BATCH_SENTENCES = 16
_MAX_CHARACTERS = 32
_NO_LABEL = -100


def make_model(
    folder: Path, pieces: Sequence[str], sentences: Sequence[str], num_steps: int, device: str = "cpu"
) -> None:
    """Write config.json, vocab.txt, pytorch_model.bin, and made.txt, which says what the model is.

    Args:
        folder: Made where it is absent.
        pieces: The WordPiece vocabulary, in the order of its ids.
        sentences: What the model learns from.
        num_steps: Batches of 16 sentences that it sees.
        device: Where it learns.
    """
    from ltp_core.models.utils import instantiate

    folder.mkdir(parents=True, exist_ok=True)
    config = _config(len(pieces))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    (folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
    torch.manual_seed(0)
    model: Any = instantiate(config["model"])
    if num_steps:
        short = [text for text in sentences if 4 <= len(text) <= _MAX_CHARACTERS]
        _learn(model.to(device), folder, short, num_steps)
    torch.save(model.cpu().state_dict(), folder / "pytorch_model.bin")
    note = f"the size of LTP/small, random, then {num_steps} steps on the perceptron's words"
    (folder / "made.txt").write_text(note + "\n", "utf-8")


def _config(vocab_size: int) -> dict[str, Any]:
    head = {"input_size": _BACKBONE["hidden_size"], "num_labels": 2, "dropout": 0.1}
    return {
        "nerual": True,
        "vocabs": {"cws": ["I-W", "B-W"]},
        "model": {
            "_ltp_target_": "ltp_core.models.ltp_model.LTPModule",
            "backbone": {
                "_ltp_target_": "ltp_core.models.utils.load_transformers",
                "config": {**_BACKBONE, "vocab_size": vocab_size},
            },
            "processor": {"cws": {"_ltp_target_": "ltp_core.models.processor.TokenOnly"}},
            "heads": {"cws": {"_ltp_target_": "ltp_core.models.components.token.MLPTokenClassifier", **head}},
        },
    }


def _learn(model: Any, folder: Path, sentences: Sequence[str], num_steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), weight_decay=0.01)
    warm_up = max(1, num_steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, max(0.05, (num_steps - step) / num_steps))
    )
    model.train()
    for batch in islice(_batches(folder, model, sentences), num_steps):
        ids, mask, labels = (tensor.to(model.backbone.device) for tensor in batch)
        hidden = model.backbone(input_ids=ids, attention_mask=mask)
        logits = model.task_heads["cws"](*model.processor["cws"](hidden, mask)).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=_NO_LABEL)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    print(f"made a neural model: {num_steps} steps, loss {loss.item():.3f}", flush=True)
    model.eval()


def _batches(
    folder: Path, model: Any, sentences: Sequence[str]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Give ids, mask and labels (1 where a word begins), without end, in a seeded order."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), config=model.backbone.config, use_fast=True)
    teacher = load_segmenter("ltp")
    order = random.Random(0)
    while True:
        batch = order.sample(list(sentences), min(_BATCH_SENTENCES, len(sentences)))
        rows = tokenizer(batch, padding=True, return_offsets_mapping=True, return_tensors="pt")
        begins = np.zeros((len(batch), _MAX_CHARACTERS + 1), dtype=np.int64)
        for row, spans in zip(begins, teacher.segment(batch), strict=True):
            row[spans[:, 0]] = 1
        offsets = rows["offset_mapping"][:, 1:-1]
        labels = torch.from_numpy(begins).gather(1, offsets[:, :, 0])
        labels[offsets[:, :, 0] == offsets[:, :, 1]] = _NO_LABEL
        yield rows["input_ids"], rows["attention_mask"], labels
