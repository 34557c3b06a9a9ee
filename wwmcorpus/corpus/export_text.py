r"""A corpus and its sources in, one line of text and one line of ``chinese_ref`` per row out, for scripts of old.

    OUTPUT/train.txt       the text of a row, which the tokenizer reads as the row's ids
    OUTPUT/train_ref.txt   a JSON list: the positions, [CLS] = 0, of pieces that continue a word without ``##``
    OUTPUT/tokenizer/      which reads it so
    OUTPUT/export.json     how many rows were written and left out, by reason

The text is no part of a corpus: it is read from the sources again, cleaned and cut as the build did, and found by the
rows' pieces; no segmenter runs. Every line is given to the Hugging Face tokenizer as a script would give it, and left
out unless the row's ids come back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from wwmcorpus.align import load_tokenizer
from wwmcorpus.corpus.export_documents import SourceDocuments
from wwmcorpus.corpus.export_folder import copy_tokenizer, verified_splits, whole_folder
from wwmcorpus.corpus.export_rows import Row, RowText, RowTexts, row_batches
from wwmcorpus.corpus.export_sources import FoundSource, find_again
from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.corpus.rejections import MAX_EXAMPLES
from wwmcorpus.errors import CorpusError
from wwmcorpus.files import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(slots=True)
class TextSplit:
    """One split as it was written.

    Attributes:
        num_rows: Rows written.
        num_joined_words: Words that begin with a ``##`` piece: the format cannot tell them from the word before.
        left_out: Rows by the reason why they were left out: ``"no_document"`` and ``"not_in_document"`` as of
            ``RowTexts``; ``"cut_inside_run"``, it begins or ends inside what the tokenizer reads at once;
            ``"special_in_text"``, the text spells out a special piece; ``"read_otherwise"``, anything else.
        examples: The first rows of each reason: row, place of its first document.
    """

    num_rows: int = 0
    num_joined_words: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextExport:
    """What was written.

    Attributes:
        folder: Where.
        splits: By name.
    """

    folder: Path
    splits: dict[str, TextSplit]

    def lines(self) -> list[str]:
        """Say it in lines: what was written, and what was not."""
        said = []
        for split, made in self.splits.items():
            said.append(f"{split}.txt and {split}_ref.txt, {made.num_rows:,} rows")
            said += [f"  left out: {reason}, {count:,}" for reason, count in sorted(made.left_out.items())]
            if made.num_joined_words:
                said.append(f"  words that the format joins to the one before: {made.num_joined_words:,}")
        return said


def export_text_ref(
    corpus: str | Path,
    output: str | Path,
    inputs: Sequence[str] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> TextExport:
    """Write the text and the ``chinese_ref`` of every row that a line of text can stand for.

    Documents that share a row have the letters ``[SEP]`` between them, which tokenizers read as the special piece.

    Args:
        corpus: A corpus folder, or the root of one with splits.
        output: The folder to write; absent or empty.
        inputs: Where the corpus's inputs lie now; None: where the build found them.
        advance: Told of bytes of the corpus: of each twice, when it is checked and when it is written.

    Raises:
        CorpusError: the corpus is absent or damaged, or has pairs; an input is not what it was; no row can be written;
            or the output exists.
        SourceError: an input cannot be read.
    """
    output = Path(output)
    with whole_folder(output, "wwmcorpus export-corpus") as folder:
        splits = verified_splits(corpus, advance)
        first = next(iter(splits.values()))
        if first.has_pairs:
            raise CorpusError(
                "a line of text cannot stand for a pair of segments",
                value=first.signature,
                where=str(corpus),
                fix="Export it as parquet, or build a corpus without pairs.",
            )
        sources = find_again(first.manifest, inputs)
        written = {split: _Export(found, sources, folder, advance).run(split) for split, found in splits.items()}
        _check_any(written, Path(corpus))
        copy_tokenizer(first, folder)
        write_json(folder / "export.json", {split: _figures(splits[split], made) for split, made in written.items()})
    return TextExport(output, written)


def _check_any(written: dict[str, TextSplit], corpus: Path) -> None:
    left_out = sum((made.left_out for made in written.values()), Counter[str]())
    if left_out and not any(made.num_rows for made in written.values()):
        raise CorpusError(
            "no row can be written as text",
            value=dict(left_out),
            where=str(corpus),
            fix="Export it as parquet, or install the versions that it was built with: its manifest names them.",
        )


def _figures(corpus: Corpus, made: TextSplit) -> dict[str, Any]:
    return {
        "signature": corpus.signature,
        "fingerprint": corpus.fingerprint,
        "max_length": corpus.manifest.content.config["max_length"],
        "num_rows": made.num_rows,
        "num_joined_words": made.num_joined_words,
        "left_out": dict(made.left_out),
        "examples": made.examples,
    }


class _Export:
    """Writes one split."""

    def __init__(
        self, corpus: Corpus, sources: list[FoundSource], folder: Path, advance: Callable[[int], None]
    ) -> None:
        self._corpus, self._folder, self._advance = corpus, folder, advance
        self._vocabulary = corpus.vocabulary
        self._tokenizer: PreTrainedTokenizerFast = load_tokenizer(str(corpus.tokenizer_folder))
        self._specials = [str(token) for token in self._tokenizer.all_special_tokens]
        quarantine = frozenset((each.source_index, each.offset) for each in corpus.manifest.content.quarantine)
        documents = SourceDocuments(sources, corpus.tokenizer_folder / "tokenizer.json", quarantine)
        self._texts = RowTexts(documents, corpus.vocabulary)
        self._made = TextSplit()

    def run(self, split: str) -> TextSplit:
        """Write the files of the split."""
        names = (f"{split}.txt", f"{split}_ref.txt")
        text_file, ref_file = ((self._folder / name).open("w", encoding="utf-8", newline="\n") for name in names)
        with text_file, ref_file:
            for rows, shard_bytes in row_batches(self._corpus):
                self._write(rows, text_file, ref_file)
                self._advance(shard_bytes)
        return self._made

    def _write(self, rows: list[Row], text_file: IO[str], ref_file: IO[str]) -> None:
        found = [self._texts.of(row) for row in rows]
        texts = [each.text for each in found if each.reason is None]
        read = iter(self._tokenizer(texts, verbose=False)["input_ids"] if texts else ())
        for row, each in zip(rows, found, strict=True):
            reason = each.reason or (None if np.array_equal(next(read), row.ids) else self._why(row, each))
            if reason is not None:
                self._leave_out(row, reason)
                continue
            continues = self._vocabulary.continues[row.ids]
            ref = np.flatnonzero(~row.word_start & ~continues).tolist()
            text_file.write(each.text + "\n")
            ref_file.write(json.dumps(ref) + "\n")
            self._made.num_rows += 1
            self._made.num_joined_words += int(np.count_nonzero(row.word_start & continues))

    def _why(self, row: Row, found: RowText) -> str:
        """Say why the tokenizer does not read a text as its row."""
        if found.is_cut:
            return "cut_inside_run"
        num_specials = sum(found.text.count(special) for special in self._specials)
        return "special_in_text" if num_specials >= len(row.places) else "read_otherwise"

    def _leave_out(self, row: Row, reason: str) -> None:
        self._made.left_out[reason] += 1
        examples = self._made.examples.setdefault(reason, [])
        if len(examples) < MAX_EXAMPLES:
            source_index, offset = row.places[0]
            name = self._corpus.manifest.content.inputs[source_index].name
            examples.append({"row": row.row_id, "source": name, "offset": offset})
