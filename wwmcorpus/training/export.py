"""A trained student in, a Hugging Face folder out: weights, tokenizer, metrics and a card, all there or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import BertForMaskedLM, PreTrainedModel

from wwmcorpus.files import disk_errors, folder_lock, make_folder, move
from wwmcorpus.training.evaluate import Figures
from wwmcorpus.training.heads import quiet_progress


@contextmanager
def staged_folder(output: Path, is_main: bool = True) -> Iterator[Path]:
    """Give a folder beside ``output`` to write into; at the end it takes that name.

    After an error it stays, named ``*.partial``, with the checkpoints from which the same run goes on.

    Args:
        output: The final name.
        is_main: Whether this is the process that makes and renames the folder; the others only learn where it is.

    Raises:
        CorpusError: another run holds the folder, or it cannot be written.
    """
    partial = output.with_name(f"{output.name}.partial")
    if not is_main:
        yield partial
        return
    with ExitStack() as held:
        with disk_errors(output):
            make_folder(partial)
            held.enter_context(folder_lock(partial, f"training of {output.name}"))
        yield partial
    with disk_errors(output):
        move(partial, output)


def write_weights(folder: Path, model: PreTrainedModel) -> None:
    """Write weights (safetensors) and configuration into a folder.

    Raises:
        OSError: the disk is full, say.
    """
    try:
        with quiet_progress():
            model.save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def write_model(folder: Path, model: BertForMaskedLM, tokenizer_folder: Path) -> None:
    """Write weights, configuration and tokenizer files into a folder.

    Raises:
        OSError: the disk is full, say.
    """
    write_weights(folder, model)
    for path in sorted(tokenizer_folder.iterdir()):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)


def model_card(
    title: str, signature: str, fingerprint: str, recipe: Mapping[str, Any], figures: Mapping[str, Figures]
) -> str:
    """Give the README.md of a student: what it was made from, how, and how well it fills in held-out words.

    Args:
        title: Heading.
        signature: The training corpus's line to quote.
        fingerprint: The training corpus's sha256.
        recipe: The run's configuration.
        figures: By row name, in order; empty without an evaluation.
    """
    front = ("language: zh", "library_name: transformers", "pipeline_tag: fill-mask", "tags: [whole-word-masking]")
    opens = "Made with `wwmcorpus`. `BertForMaskedLM` and `AutoTokenizer` open this folder with `from_pretrained`."
    lines = ["---", *front, "---", "", f"# {title}", "", opens, ""]
    lines += ["## Data", "", f"- signature: `{signature}`", f"- fingerprint: `{fingerprint}`", ""]
    if figures:
        lines += ["## Figures on held-out rows", "", *_table(figures), ""]
    lines += ["## Recipe", "", "```json", json.dumps(recipe, ensure_ascii=False, indent=2), "```", ""]
    return "\n".join(lines)


def _table(figures: Mapping[str, Figures]) -> list[str]:
    some = next(iter(figures.values()))
    words = "" if some.num_words is None else f" of {some.num_words:,} words"
    head = [
        "| | loss (nats per masked piece) | perplexity | pieces right | whole words right | guesses as the teacher "
        "| cosine with the teacher |",
        "|---|---|---|---|---|---|---|",
    ]
    return [
        *head,
        *(_row(name, row) for name, row in figures.items()),
        "",
        f"{some.num_pieces:,} masked pieces{words}.",
    ]


def _row(name: str, figures: Figures) -> str:
    shares = (figures.piece_accuracy, figures.word_accuracy, figures.agreement)
    shown = ["" if share is None else f"{share:.1%}" for share in shares]
    cosine = "" if figures.hidden_cosine is None else f"{figures.hidden_cosine:.3f}"
    return " | ".join([f"| {name}", f"{figures.loss:.3f}", f"{figures.perplexity:,.1f}", *shown, cosine]) + " |"
