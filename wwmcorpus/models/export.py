"""A run or a model in; a Hugging Face folder of what others need, opened again and compared, out; on request ONNX too.

Checkpoints, curves and the log of training stay where they are.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from wwmcorpus.align import load_tokenizer
from wwmcorpus.align.tokenizers import save_tokenizer
from wwmcorpus.errors import ConfigError, TrainingError
from wwmcorpus.files import disk_errors, make_folder, move, remove_folder, write_json
from wwmcorpus.models.compare import encode_texts, outputs_of, sample_texts
from wwmcorpus.models.info import spread
from wwmcorpus.models.load import load_model, only_errors
from wwmcorpus.models.onnx import INT8_TOLERANCE, OnnxExport, export_onnx
from wwmcorpus.models.parameters import Sizes, sizes
from wwmcorpus.models.tables import markdown_table
from wwmcorpus.report.formats import count, size
from wwmcorpus.training.export import write_weights
from wwmcorpus.training.heads import quiet_progress
from wwmcorpus.training.results import check_named

#: What a run may have put beside its model that others need: what was learned of a task, and its figures.
_COPIED = ("task.json", "metrics.json")
ONNX_FOLDER = "onnx"
_CARD = "README.md"
#: What an export before this one added to the card.
_ADDED = re.compile(
    r"^## Size\n\n- weights: .*\n- of the backbone with .*\n+"
    r"|^## ONNX\n\nInputs of any batch size and length\. .*\n\n(?:\|.*\n)+\n*",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        folder: The Hugging Face folder.
        kind: Class of the model.
        sizes: Its weights.
        num_rows: Texts on which the folder, opened again, gave the very outputs of the original.
        onnx: The files for ONNX Runtime; None where none were asked for.
    """

    folder: Path
    kind: str
    sizes: Sizes
    num_rows: int
    onnx: OnnxExport | None

    def lines(self) -> list[str]:
        """Give what a command ends with."""
        same = f"opened again with AutoTokenizer and AutoModel: the same outputs on {self.num_rows} texts"
        found = [f"{self.folder}: {self.kind}, {count(self.sizes.num_parameters)} weights, {same}"]
        if self.onnx is not None:
            found += [f"  {' | '.join(row)}" for row in _onnx_rows(self.sizes, self.onnx)]
        return found


def export_model(
    source: str, output: str | Path, onnx: bool = False, int8_tolerance: float = INT8_TOLERANCE, seconds: float = 2.0
) -> Exported:
    """Write a model as a folder for others: safetensors, configuration, tokenizer, card; and ONNX files.

    Args:
        source: The folder of a finished run, or any Hugging Face folder or hub id.
        output: Folder to write; absent or empty. It is there whole or not at all.
        onnx: Whether to write ``onnx/model.onnx`` and ``onnx/model_int8.onnx``, with ``onnx/check.json`` beside them.
        int8_tolerance: Distance of the int8 file's outputs from the original's that is allowed: root mean square of
            the differences over the spread of the outputs.
        seconds: Time for the measurement of each batch size, at least.

    Raises:
        ConfigError: there is no such model or tokenizer, they do not fit each other, or the output is taken.
        TrainingError: the folder, opened again, or an ONNX file does not give what the model gives.
        MissingExtraError: a package of the extra ``onnx`` is not installed.
        CorpusError: the disk does not take what is written.
    """
    target = Path(output)
    model, tokenizer = load_model(source), load_tokenizer(source)
    if len(tokenizer) > model.config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {len(tokenizer)} pieces, the model {model.config.vocab_size}",
            where=source,
            fix="Put the tokenizer that the model was trained with into its folder.",
        )
    texts = sample_texts()
    batch = encode_texts(texts, tokenizer, model)
    with _staged(target) as folder:
        write_weights(folder, model)
        save_tokenizer(tokenizer, folder)
        _copy(Path(source), folder)
        _check_copy(model, texts, batch, folder)
        files = export_onnx(model, batch, folder / ONNX_FOLDER, int8_tolerance, seconds=seconds) if onnx else None
        made = Exported(target, type(model).__name__, sizes(model), len(batch["input_ids"]), files)
        _write_card(folder / _CARD, made)
        if files is not None:
            write_json(folder / ONNX_FOLDER / "check.json", _onnx_content(files))
    return made


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, which takes its name once all is written."""
    check_named(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(
            "the output exists already", value=str(target), where="--output", fix="Name another folder, or delete it."
        )
    attempt = target.with_name(f".{target.name}.exporting")
    with disk_errors(target, "Is the disk full, or the folder read-only? Mend that, and export again."):
        remove_folder(attempt)
        make_folder(attempt)
        try:
            yield attempt
            move(attempt, target)
        finally:
            remove_folder(attempt)


def _copy(source: Path, folder: Path) -> None:
    for name in (*_COPIED, _CARD):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _check_copy(model: PreTrainedModel, texts: Sequence[str], batch: dict[str, Tensor], folder: Path) -> None:
    """Open the folder as others will, and compare outputs and pieces bit by bit."""
    with quiet_progress(), only_errors():
        backbone = AutoModel.from_pretrained(folder).eval()
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    again = load_model(str(folder))
    pairs = {
        "the model": (outputs_of(model, batch), outputs_of(again, batch)),
        "AutoModel": (outputs_of(model.base_model, batch), outputs_of(backbone, batch)),
    }
    for what, (before, after) in pairs.items():
        # A pooler that the model was trained without is random in AutoModel, and says nothing.
        names = [name for name in before if name in after]
        if not names or not all(np.array_equal(before[name], after[name]) for name in names):
            raise TrainingError(
                f"{what} gives other outputs than the original", where=str(folder), fix="Report it: this is a fault."
            )
    if not torch.equal(encode_texts(texts, tokenizer, model)["input_ids"], batch["input_ids"]):
        raise TrainingError(
            "AutoTokenizer gives other pieces than the original", where=str(folder), fix="Report it: this is a fault."
        )


def _onnx_rows(counted: Sizes, files: OnnxExport) -> list[list[str]]:
    """Give the header and a row each for torch, the fp32 file and the int8 file."""
    times = files.torch_latencies
    unit = f"{times[0].length} pieces, {times[0].num_threads} threads"
    header = ["", "size", "outputs", *(f"batch {each.batch_size} ({unit})" for each in times)]
    rows = [header, ["torch, fp32", size(counted.size_bytes), "the original", *map(spread, times)]]
    for name, file in (("ONNX, fp32", files.plain), ("ONNX, int8", files.int8)):
        rows.append([name, size(file.size_bytes), file.distance.summary(), *map(spread, file.latencies)])
    return rows


def _onnx_content(files: OnnxExport) -> dict[str, Any]:
    return {
        "torch": [each.content() for each in files.torch_latencies],
        **{file.path.name: file.content() for file in (files.plain, files.int8)},
    }


def _write_card(path: Path, made: Exported) -> None:
    """Add the sizes to the card of the run, in place of those of an earlier export; where there is none, begin one."""
    if path.is_file():
        text = _ADDED.sub("", path.read_text("utf-8").rstrip("\n") + "\n").rstrip("\n")
    else:
        front = ["---", "language: zh", "library_name: transformers", "---"]
        opens = f"Exported with `wwmcorpus`. `{made.kind}` and `AutoTokenizer` open this folder with `from_pretrained`."
        text = "\n".join([*front, "", f"# {made.folder.name}", "", opens])
    found = made.sizes
    counts = [
        f"- weights: {count(found.num_parameters)}",
        f"- of the backbone with a pooler, as published sizes count: {count(found.num_backbone)}, "
        f"{count(found.num_without_embeddings)} of them without embeddings",
    ]
    lines = [text, "", "## Size", "", *counts, ""]
    if made.onnx is not None:
        lines += ["## ONNX", "", *_onnx_text(made.sizes, made.onnx), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _onnx_text(counted: Sizes, files: OnnxExport) -> Sequence[str]:
    header, *rows = _onnx_rows(counted, files)
    return [
        "Inputs of any batch size and length. Times are of the whole model, head included: median (quartiles).",
        "",
        *markdown_table(header, rows),
    ]
