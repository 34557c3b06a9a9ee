"""What tests of packing share: documents as plain lists of words, and the same as a batch of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from wwmcorpus.align import Vocabulary
from wwmcorpus.corpus.batches import AlignedBatch, PackedRows

VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), 0, 1, 2, 3, 4)
CLS, SEP = VOCABULARY.cls_id, VOCABULARY.sep_id


@dataclass
class PlainSentence:
    """Words, each a list of piece ids that occur nowhere else, and whether a line ends behind them."""

    words: list[list[int]]
    ends_line: bool


@dataclass
class PlainDocument:
    """Sentences and where they come from."""

    sentences: list[PlainSentence]
    source: int
    offset: int

    @property
    def words(self) -> list[list[int]]:
        return [word for sentence in self.sentences for word in sentence.words]


def documents_of(lengths: list[list[tuple[list[int], bool]]]) -> list[PlainDocument]:
    """Number the pieces of documents whose words have these lengths."""
    numbers = iter(range(5, 10_000_000))
    return [
        PlainDocument(
            [PlainSentence([[next(numbers) for _ in range(n)] for n in words], ends) for words, ends in sentences],
            source=index % 3,
            offset=1000 + index,
        )
        for index, sentences in enumerate(lengths)
    ]


def documents(longest_word: int = 12, max_documents: int = 6) -> st.SearchStrategy[list[PlainDocument]]:
    """Documents with empty ones, empty sentences and words longer than a row among them."""
    words = st.lists(st.integers(1, longest_word) | st.integers(1, 3), max_size=12)
    sentences = st.lists(st.tuples(words, st.booleans()), max_size=6)
    return st.lists(sentences, max_size=max_documents).map(documents_of)


def batch_of(some: list[PlainDocument]) -> AlignedBatch:
    """Lay documents out as arrays."""
    sentences = [(index, sentence) for index, document in enumerate(some) for sentence in document.sentences]
    pieces = [[piece for word in sentence.words for piece in word] for _, sentence in sentences]
    return AlignedBatch(
        piece_ids=np.array([piece for sentence in pieces for piece in sentence], dtype=np.int32),
        word_start=np.array([at == 0 for _, s in sentences for word in s.words for at in range(len(word))], dtype=bool),
        sentence_bounds=np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        sentence_document=np.array([index for index, _ in sentences], dtype=np.int64),
        ends_line=np.array([sentence.ends_line for _, sentence in sentences], dtype=bool),
        source_index=np.array([document.source for document in some], dtype=np.int32),
        document_offset=np.array([document.offset for document in some], dtype=np.int64),
    )


@dataclass
class PlainRow:
    """A packed row as lists."""

    ids: list[int]
    starts: list[bool]
    places: list[tuple[int, int]]
    types: list[int] | None = None
    label: int | None = None

    @property
    def words(self) -> list[list[int]]:
        """Its groups: words, and each special piece alone."""
        groups: list[list[int]] = []
        for piece, starts in zip(self.ids, self.starts, strict=True):
            if starts:
                groups.append([])
            groups[-1].append(piece)
        return groups


def plain_rows(*packed: PackedRows) -> list[PlainRow]:
    """Take rows apart."""
    found = []
    for rows in packed:
        for row in range(rows.num_rows):
            pieces = slice(rows.bounds[row], rows.bounds[row + 1])
            entries = slice(rows.provenance_bounds[row], rows.provenance_bounds[row + 1])
            places = zip(rows.source_index[entries].tolist(), rows.document_offset[entries].tolist(), strict=True)
            found.append(
                PlainRow(
                    rows.input_ids[pieces].tolist(),
                    rows.word_start[pieces].tolist(),
                    list(places),
                    None if rows.token_type_ids is None else rows.token_type_ids[pieces].tolist(),
                    None if rows.pair_label is None else int(rows.pair_label[row]),
                )
            )
    return found


def framed(words: list[list[int]], places: list[tuple[int, int]]) -> PlainRow:
    """Put [CLS] and [SEP] around words."""
    groups = [[CLS], *words, [SEP]]
    return PlainRow([p for g in groups for p in g], [at == 0 for g in groups for at in range(len(g))], places)


def check_types(rows: PackedRows) -> None:
    """Check what the declaration of ``PackedRows`` says of its arrays."""
    assert [rows.input_ids.dtype, rows.word_start.dtype, rows.bounds.dtype] == [np.int32, bool, np.int64]
    assert [rows.source_index.dtype, rows.document_offset.dtype] == [np.int32, np.int64]
    assert rows.provenance_bounds.dtype == np.int64
    assert len(rows.bounds) == len(rows.provenance_bounds) == rows.num_rows + 1
    assert rows.bounds[-1] == len(rows.input_ids) == len(rows.word_start)
    assert rows.provenance_bounds[-1] == len(rows.source_index) == len(rows.document_offset)
    if rows.token_type_ids is not None:
        assert rows.token_type_ids.dtype == rows.pair_label.dtype == np.int8
        assert (len(rows.token_type_ids), len(rows.pair_label)) == (len(rows.input_ids), rows.num_rows)


def splitmix(key: int, counter: int) -> int:
    """The counter hash in plain integers."""
    mask = (1 << 64) - 1
    value = (key + (counter % 2**64 + 1) * 0x9E3779B97F4A7C15) & mask
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31
