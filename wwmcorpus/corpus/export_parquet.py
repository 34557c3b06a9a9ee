"""A corpus in, a folder of Parquet files with a card out: what ``datasets`` and the hub read as it is.

OUTPUT/data/train-00000-of-00002.parquet   the names that push_to_hub gives
OUTPUT/tokenizer/                          what gives the ids a meaning
OUTPUT/manifest.json                       what each split was made from, and what was left out
OUTPUT/README.md                           the card
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from wwmcorpus.corpus.export_card import ExportedSplit, dataset_card
from wwmcorpus.corpus.export_folder import copy_tokenizer, verified_splits, whole_folder
from wwmcorpus.corpus.reader import Corpus
from wwmcorpus.corpus.shards import shard_schema
from wwmcorpus.errors import ConfigError, CorpusError
from wwmcorpus.files import write_json

#: Arrow bytes of a row group: what is held in memory.
_GROUP_BYTES = 32 * 1024 * 1024
_COMPRESSION_LEVEL = 3


@dataclass(frozen=True, slots=True)
class ParquetExport:
    """What was written.

    Attributes:
        folder: Where.
        splits: By name.
    """

    folder: Path
    splits: dict[str, ExportedSplit]

    def lines(self) -> list[str]:
        """Say it in a line for each split."""
        return [
            f"{split}, {made.num_rows:,} rows in {made.num_files} files, {made.file_bytes:,} bytes"
            for split, made in self.splits.items()
        ]


def export_parquet(
    corpus: str | Path,
    output: str | Path,
    max_shard_bytes: int = 500_000_000,
    advance: Callable[[int], None] = lambda _: None,
) -> ParquetExport:
    """Write a corpus, or all splits of one, as Parquet with zstd; the folder is there whole or not at all.

    Columns have the corpus's names and types: ``input_ids`` list<uint16> (int32 for large vocabularies),
    ``word_start`` list<bool>, ``source_index`` list<int32>, ``document_offset`` list<int64>; of sentence pairs also
    ``token_type_ids`` list<int8> and ``pair_label`` int8. A split without rows has no files: ``datasets`` opens none.
    Files are a function of the rows and of pyarrow's version.

    Args:
        corpus: A corpus folder, or the root of one with splits.
        output: The folder to write; absent or empty.
        max_shard_bytes: A file is closed once it has so many bytes; a row group may take it somewhat further.
        advance: Told of bytes of the corpus: of each twice, when it is checked and when it is written.

    Raises:
        ConfigError: ``max_shard_bytes`` is no size.
        CorpusError: the corpus is absent, damaged or without rows, or the output exists.
    """
    if max_shard_bytes < 1:
        raise ConfigError("not a size", value=max_shard_bytes, where="max_shard_bytes", fix="Use at least 1.")
    output = Path(output)
    with whole_folder(output, "wwmcorpus export-corpus") as folder:
        splits = verified_splits(corpus, advance)
        if not any(map(len, splits.values())):
            raise CorpusError("a corpus without rows", value=str(corpus), fix="Export one that has rows.")
        (folder / "data").mkdir()
        written = {
            split: _write_split(found, split, folder / "data", max_shard_bytes, advance)
            for split, found in splits.items()
        }
        manifests = {split: found.manifest for split, found in splits.items()}
        copy_tokenizer(next(iter(splits.values())), folder)
        write_json(folder / "manifest.json", {split: found.content.values() for split, found in manifests.items()})
        (folder / "README.md").write_text(dataset_card(manifests, written, output.name), "utf-8", newline="\n")
    return ParquetExport(output, written)


def _write_split(
    corpus: Corpus, split: str, folder: Path, max_shard_bytes: int, advance: Callable[[int], None]
) -> ExportedSplit:
    schema = shard_schema(corpus.vocabulary.num_pieces, corpus.has_pairs)
    files = _RollingFiles(folder, schema, max_shard_bytes)
    for shard in corpus.manifest.content.shards:
        for batch in _batches(corpus.path / shard.name):
            files.add(batch)
        advance(shard.size_bytes)
    paths = files.close()
    for index, path in enumerate(paths):
        path.rename(folder / f"{split}-{index:05d}-of-{len(paths):05d}.parquet")
    return ExportedSplit(len(paths), len(corpus), files.num_bytes, files.file_bytes, schema)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as stored, pa.ipc.open_stream(stored) as reader:
        yield from reader


class _RollingFiles:
    """Writes batches to one file after the other, each closed once it is large enough.

    Attributes:
        num_bytes: Arrow bytes so far.
        file_bytes: Bytes of the closed files.
    """

    def __init__(self, folder: Path, schema: pa.Schema, max_shard_bytes: int) -> None:
        self._folder, self._schema, self._max_shard_bytes = folder, schema, max_shard_bytes
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._open: tuple[pa.OSFile, pq.ParquetWriter] | None = None
        self._paths: list[Path] = []
        self.num_bytes = self.file_bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes
        self.num_bytes += batch.nbytes
        if self._waiting_bytes >= min(_GROUP_BYTES, self._max_shard_bytes):
            self._write_group()

    def close(self) -> list[Path]:
        """Write what waits; give the files, none where there was no row."""
        if self._waiting:
            self._write_group()
        if self._open is not None:
            self._close(*self._open)
        return self._paths

    def _write_group(self) -> None:
        file, writer = self._open = self._open or self._begin()
        table = pa.Table.from_batches(self._waiting, self._schema)
        writer.write_table(table, row_group_size=table.num_rows)
        self._waiting, self._waiting_bytes = [], 0
        if file.tell() >= self._max_shard_bytes:
            self._close(file, writer)

    def _begin(self) -> tuple[pa.OSFile, pq.ParquetWriter]:
        self._paths.append(self._folder / f"{len(self._paths)}.part")
        file = pa.OSFile(str(self._paths[-1]), "wb")
        writer = pq.ParquetWriter(
            file,
            self._schema,
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=False,  # ids have too many values: larger and slower with one
            write_page_checksum=True,
        )
        return file, writer

    def _close(self, file: pa.OSFile, writer: pq.ParquetWriter) -> None:
        writer.close()
        file.close()
        self._open = None
        self.file_bytes += self._paths[-1].stat().st_size
