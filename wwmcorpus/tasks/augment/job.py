"""An augmentation: a file of a task in, the same with variants of each example out.

Words are found and near words looked up here; workers fill in words and draw variants, chunk by chunk; here variants
are put together in order. What is done lies in a folder beside the output until the end, so that a job that was stopped
goes on. The bytes that come out do not depend on how many workers there were.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from wwmcorpus.corpus.engines import map_over_workers
from wwmcorpus.corpus.supervisor import Limits
from wwmcorpus.errors import ConfigError
from wwmcorpus.files import (
    check_output_file,
    disk_errors,
    file_sha256,
    folder_lock,
    make_folder,
    remove_folder,
    write_json,
)
from wwmcorpus.segment import load_segmenter
from wwmcorpus.tasks.augment.chunk import Chunk, Word, augment_chunk, chunk_file, edits_of, read_chunk
from wwmcorpus.tasks.augment.settings import AugmentConfig
from wwmcorpus.tasks.augment.texts import checked_fields, texts_of, with_edits
from wwmcorpus.tasks.augment.vectors import WordVectors, near_words
from wwmcorpus.tasks.augment.words import eligible_words, load_stop_words
from wwmcorpus.tasks.declaration import Task, load_task
from wwmcorpus.tasks.examples import Example, Examples
from wwmcorpus.tasks.write import write_examples
from wwmcorpus.training.results import weights_sha256

_log = logging.getLogger(__name__)
#: Raised when the same input would give other variants.
_VERSION = 3
#: Of the configuration, what changes no byte of the output.
_INDIFFERENT = {"output", "overwrite", "num_workers"}
#: A worker that gives no sign of life for so long is replaced: a chunk may take long on a CPU.
_STUCK_SECONDS = 3600.0


class Progress(Protocol):
    """Watches a job."""

    def start(self, total: int) -> None:
        """Learn how many examples there are."""
        ...

    def advance(self, count: int) -> None:
        """Learn that so many more are done."""
        ...


@dataclass(frozen=True, slots=True)
class Augmented:
    """What an augmentation wrote.

    Attributes:
        path: The file.
        num_examples: Examples of the input, which stand in the output too.
        num_variants: Variants in the output.
        counts: ``eligible_words``, ``words_without_candidates``, ``examples_without_eligible_words``,
            ``examples_without_candidates``, ``duplicates`` (variants that were left out, because an example or another
            variant has the same texts, whatever its label), ``examples_without_new_variants`` (duplicates all).
        rejected: Rows of the input that were left out, by reason.
    """

    path: str
    num_examples: int
    num_variants: int
    counts: dict[str, int]
    rejected: dict[str, int]

    def lines(self) -> list[str]:
        """Give what to print."""
        names = (f"{count:,} {name.replace('_', ' ')}" for name, count in {**self.counts, **self.rejected}.items())
        return [f"{self.num_examples:,} examples and {self.num_variants:,} variants of them", ", ".join(names)]


def augment(config: AugmentConfig, progress: Progress | None = None) -> Augmented:
    """Write the examples of a file and variants of them; or go on with a job that was stopped.

    Beside the output, ``OUTPUT.json`` says how it was made and what was counted.

    Args:
        config: The job.
        progress: Told of examples as they are done.

    Raises:
        SourceError: the input, the vectors or the stop words cannot be read, or hold nothing.
        ConfigError: task, model or segmenter are unknown or do not fit, labels are missing, or the output is a file
            that is read.
        CorpusError: the output is there already, another process works on it, or the disk does not take it.
    """
    output = Path(config.output)
    check_output_file(output, config.overwrite)
    _check_other_files(config)
    task = load_task(config.task)
    fields = checked_fields(task, config.fields)
    examples = task.read(config.input, to_learn=True)
    with disk_errors(output), _working_folder(output) as folder:
        chunks = _chunks(config, task, examples, fields, folder)
        _run(config, chunks, folder, progress)
        counts: Counter[str] = Counter()
        write_examples(task, output, _with_variants(examples, chunks, folder, counts))
        made = Augmented(
            str(output), len(examples), counts.pop("variants"), dict(sorted(counts.items())), examples.rejected
        )
        facts = {name: value for name, value in asdict(made).items() if name != "path"}
        facts |= {"config": config.values(), "input_sha256": file_sha256(Path(config.input))}
        write_json(output.with_name(f"{output.name}.json"), facts)
    return made


@contextmanager
def _working_folder(output: Path) -> Iterator[Path]:
    """Give the folder of what is done, to this process alone; of a job that fails it stays if a chunk of it is done."""
    folder = output.with_name(f".{output.name}.work")
    make_folder(folder)
    with folder_lock(folder, "wwmcorpus augment"):
        try:
            yield folder
        except BaseException:
            if not any(folder.glob("chunk-*")):
                remove_folder(folder)
            raise
        remove_folder(folder)


def _check_other_files(config: AugmentConfig) -> None:
    """Refuse an output that would take the place of a file that is read."""
    for name in ("input", "vectors", "stop_words"):
        path = getattr(config, name)
        if path is not None and Path(path).resolve() == Path(config.output).resolve():
            raise ConfigError("the output is a file that is read", value=path, where=name, fix="Name another output.")


def _chunks(config: AugmentConfig, task: Task, examples: Examples, fields: Sequence[str], folder: Path) -> list[Chunk]:
    """Find the words of all examples, look up those near them, and cut everything into chunks."""
    segmenter = load_segmenter(config.segmenter, 1, config.segmenter_options)
    texts = [texts_of(example, fields) for example in examples]
    stop_words = load_stop_words(config.stop_words)
    flat = iter(eligible_words([one for own in texts for one in own], segmenter, stop_words))
    words = [
        tuple(Word(number, start, end) for number, _ in enumerate(own) for start, end in next(flat)) for own in texts
    ]
    plain = [tuple(one.text for one in own) for own in texts]
    neighbours: dict[str, list[str]] = {}
    if config.vectors is not None:
        vectors = WordVectors.open(config.vectors, folder, config.max_vectors)
        spelled = {word.of(own) for own, row in zip(plain, words, strict=True) for word in row}
        neighbours = near_words(vectors, sorted(spelled), stop_words, config.num_candidates)
    decisive = json.dumps(
        [
            _VERSION,
            config.model_dump(mode="json", exclude=_INDIFFERENT),
            segmenter.signature,
            sorted(stop_words),
            _digest_of_model(config.model),
        ],
        sort_keys=True,
    )
    chunks = []
    for index, first in enumerate(range(0, len(texts), config.chunk_size)):
        own = slice(first, first + config.chunk_size)
        of_chunk = {word.of(its) for its, row in zip(plain[own], words[own], strict=True) for word in row}
        near = {word: neighbours[word] for word in sorted(of_chunk) if word in neighbours}
        content = json.dumps([decisive, first, plain[own], words[own], near], ensure_ascii=False)
        key = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        chunks.append(
            Chunk(
                index=index,
                first=first,
                texts=tuple(plain[own]),
                words=tuple(words[own]),
                seen_together=task.kind != "reading",
                neighbours=near,
                key=key,
                name=Path(config.input).name,
            )
        )
    return chunks


def _digest_of_model(model: str | None) -> list[str | None]:
    """Give the hashes of the files of a model's folder, or the commit of one on the hub."""
    if model is None or not Path(model).is_dir():
        return [weights_sha256(model)]
    return [file_sha256(path) for path in sorted(Path(model).iterdir()) if path.is_file()]


def _run(config: AugmentConfig, chunks: Sequence[Chunk], folder: Path, progress: Progress | None) -> None:
    """Have every chunk done that is not."""
    if progress:
        progress.start(sum(len(chunk.texts) for chunk in chunks))
    work = functools.partial(augment_chunk, config=config, folder=folder)
    limits = Limits(max(config.num_workers, 1), _STUCK_SECONDS)
    done = map(work, chunks) if config.num_workers == 0 else map_over_workers(limits, work, chunks)
    for index in done:
        if progress:
            progress.advance(len(chunks[index].texts))


def _with_variants(
    examples: Examples, chunks: Sequence[Chunk], folder: Path, counts: Counter[str]
) -> Iterator[Example]:
    """Give each example, then its variants; none with the texts of an example or an earlier variant.

    Where nothing would be left of an example's variants, the first of its spare draws that is new is taken.
    """
    counts.update(variants=0, duplicates=0, examples_without_new_variants=0)
    seen = {_content(example) for example in examples}
    names = {example.id for example in examples}

    def unseen(example: Example, drawn: Sequence[list[dict[str, Any]]], first: int) -> Iterator[Example]:
        for number, edits in enumerate(drawn, first):
            name = f"{example.id}-v{number}"
            while name in names:  # such as in a file that holds variants already
                name += "+"
            variant = with_edits(example, edits_of(edits), name)
            content = _content(variant)
            if content not in seen:
                seen.add(content)
                names.add(name)
                yield variant

    rows = iter(examples)
    for chunk in chunks:
        result = read_chunk(chunk_file(folder, chunk.index), chunk.key)
        assert result is not None
        counts.update(result["counts"])
        drawn = zip(islice(rows, len(chunk.texts)), result["variants"], result["spares"], strict=True)
        for example, variants, spares in drawn:
            yield example
            new = list(unseen(example, variants, 1))
            counts["duplicates"] += len(variants) - len(new)
            if variants and not new:
                new = list(islice(unseen(example, spares, len(variants) + 1), 1))
                counts["examples_without_new_variants"] += not new
            counts["variants"] += len(new)
            yield from new


def _content(example: Example) -> bytes:
    """Give a hash of the texts of an example: the same with another label would be a contradiction."""
    texts = [one.text for one in texts_of(example, ())]
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()
