"""Manifests in, the card of an exported corpus out: front matter that the hub reads, figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from wwmcorpus.corpus.manifest import Manifest

_COLUMNS = {
    "input_ids": "pieces of the row, special ones included",
    "word_start": "true where a word begins, and on every special piece",
    "source_index": "input of each document that the row has pieces of",
    "document_offset": "where that document begins in its input, in bytes; of a table, its row",
    "token_type_ids": "0 in the first segment of a pair, 1 in the second",
    "pair_label": "0 where the second segment follows the first, else 1",
}
#: Upper bounds of the hub's classes of sizes.
_SIZES = {
    "n<1K": 10**3,
    "1K<n<10K": 10**4,
    "10K<n<100K": 10**5,
    "100K<n<1M": 10**6,
    "1M<n<10M": 10**7,
    "10M<n<100M": 10**8,
    "100M<n<1B": 10**9,
}


@dataclass(frozen=True, slots=True)
class ExportedSplit:
    """One split as it was written.

    Attributes:
        num_files: Files.
        num_rows: Rows.
        num_bytes: Bytes of its rows in Arrow.
        file_bytes: Bytes of its files.
        schema: Its columns.
    """

    num_files: int
    num_rows: int
    num_bytes: int
    file_bytes: int
    schema: pa.Schema


def dataset_card(manifests: Mapping[str, Manifest], splits: Mapping[str, ExportedSplit], title: str) -> str:
    """Give the README.md of an exported corpus.

    Args:
        manifests: By split.
        splits: What was written of each.
        title: Heading.
    """
    from huggingface_hub import DatasetCardData

    filled = {name: split for name, split in splits.items() if split.num_rows}
    front = DatasetCardData(
        language="zh",
        task_categories=["fill-mask"],
        tags=["whole-word-masking", "wwmcorpus"],
        size_categories=_size_category(sum(split.num_rows for split in splits.values())),
        configs=[{"config_name": "default", "data_files": _data_files(filled)}],
        dataset_info=_dataset_info(filled),
    )
    first = next(iter(manifests.values()))
    lines = ["---", front.to_yaml().rstrip(), "---", "", f"# {title}", "", *_opening(first), ""]
    lines += ["## Splits", "", *_split_table(manifests, splits), ""]
    lines += ["## Columns", "", *_column_table(next(iter(splits.values())).schema), ""]
    lines += ["## How it was made", "", *_recipe(first), ""]
    lines += ["## Figures", "", "Of all splits together.", "", *_figures(first), ""]
    return "\n".join(lines)


def _data_files(splits: Mapping[str, ExportedSplit]) -> list[dict[str, str]]:
    return [{"split": split, "path": f"data/{split}-*"} for split in splits]


def _dataset_info(splits: Mapping[str, ExportedSplit]) -> dict[str, Any]:
    schema = next(iter(splits.values())).schema
    return {
        "features": [_feature(field) for field in schema],
        "splits": [
            {"name": name, "num_bytes": split.num_bytes, "num_examples": split.num_rows}
            for name, split in splits.items()
        ],
        "download_size": sum(split.file_bytes for split in splits.values()),
        "dataset_size": sum(split.num_bytes for split in splits.values()),
    }


def _feature(field: pa.Field) -> dict[str, str]:
    """Give a column as ``datasets`` 3, 4 and 5 read it: the newer ones call a sequence a list, and read both."""
    if pa.types.is_list(field.type):
        return {"name": field.name, "sequence": str(field.type.value_type)}
    return {"name": field.name, "dtype": str(field.type)}


def _size_category(num_rows: int) -> str:
    return next((name for name, bound in _SIZES.items() if num_rows < bound), "n>1B")


def _opening(manifest: Manifest) -> list[str]:
    return [
        "Chinese text as rows of WordPiece ids in which every word is known, for whole-word masking. "
        "Made with `wwmcorpus`.",
        "",
        f"- signature: `{manifest.signature}`",
        "",
        "```python",
        "from datasets import load_dataset",
        "from transformers import AutoTokenizer",
        "from wwmcorpus import WholeWordMaskCollator",
        "",
        'folder = "."  # this folder',
        'rows = load_dataset(folder, split="train")',
        'collate = WholeWordMaskCollator(AutoTokenizer.from_pretrained(f"{folder}/tokenizer"))',
        "```",
    ]


def _split_table(manifests: Mapping[str, Manifest], splits: Mapping[str, ExportedSplit]) -> list[str]:
    lines = ["| split | rows | words | pieces | files | fingerprint |", "|---|---|---|---|---|---|"]
    for name, split in splits.items():
        shards = manifests[name].content.shards
        words, pieces = sum(shard.num_words for shard in shards), sum(shard.num_pieces for shard in shards)
        lines.append(
            f"| {name} | {split.num_rows:,} | {words:,} | {pieces:,} | {split.num_files} "
            f"| `{manifests[name].fingerprint}` |"
        )
    return lines


def _column_table(schema: pa.Schema) -> list[str]:
    lines = ["| column | type | what |", "|---|---|---|"]
    for field in schema:
        kind = f"list of {field.type.value_type}" if pa.types.is_list(field.type) else str(field.type)
        lines.append(f"| {field.name} | {kind} | {_COLUMNS[field.name]} |")
    return lines


def _recipe(manifest: Manifest) -> list[str]:
    content = manifest.content
    return [
        f"- segmenter: `{content.segmenter}`",
        f"- tokenizer: `{content.tokenizer}`, {content.num_pieces:,} pieces, in `tokenizer/`",
        f"- at most {content.config['max_length']:,} pieces a row, packed by "
        f"`{content.config['pairs'] or content.config['pack']}`",
        f"- {len(content.inputs):,} inputs of {sum(each.size_bytes for each in content.inputs):,} bytes; "
        "`manifest.json` has their names and hashes, and the whole configuration",
    ]


def _figures(manifest: Manifest) -> list[str]:
    content = manifest.content
    lines = ["| | |", "|---|---|"]
    lines += [f"| {name} | {count:,} |" for name, count in content.counts.items()]
    lines += [f"| rejected: {reason} | {count:,} |" for reason, count in content.rejected.items()]
    return lines
