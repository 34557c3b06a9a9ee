"""Rows of a corpus in, lines for people out: where they come from, their words, their pieces, one masked draw.

Lines are ``rich.text.Text``: a terminal shows colours, everything else (and ``str``) the same characters without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wwmcorpus.align import Vocabulary
from wwmcorpus.errors import ConfigError
from wwmcorpus.masking import Masking, mask_rows
from wwmcorpus.records import Rows
from wwmcorpus.report.formats import visible

if TYPE_CHECKING:
    from wwmcorpus.corpus import Corpus

LEGEND = "A space separates pieces of one word, a bar words. [MASK]=x asks for x; y=x put y, x=x left x in its place."
POSITIONS_LEGEND = "A space separates pieces of one word, a bar words. y@7: the piece that belongs here is now at 7."
#: Words take turns.
_WORD_STYLES = ("", "cyan")
_SPECIAL, _BETWEEN, _UNKNOWN = "dim", "dim", "yellow"
_MASKED, _RANDOM, _KEPT, _ANSWER = "bold red", "bold magenta", "bold green", "dim"
_PAIR_LABELS = {
    "nsp": ("the second segment follows the first", "the second segment is of another document"),
    "sop": ("the segments are in order", "the segments have changed places"),
}

#: Pieces of one word in, the same as they are shown out.
_Join = Callable[[list[Text]], Text]


def print_rows(
    corpus: Corpus,
    console: Console,
    first: int = 0,
    number: int = 3,
    masking: Masking | None = None,
    seed: int = 0,
) -> None:
    """Print rows of a corpus.

    Args:
        corpus: The corpus.
        console: Where; in colour if it is a terminal.
        first: The first row, from 0.
        number: How many rows; fewer where the corpus ends before.
        masking: How one draw of the rows is masked; None for no draw.
        seed: Of the draw.

    Raises:
        ConfigError: there is no row ``first``.
    """
    if not 0 <= first < max(len(corpus), 1):
        raise ConfigError("no such row", value=first, where=str(corpus.path), fix=_range(len(corpus)))
    for index in range(first, min(first + number, len(corpus))):
        console.print(Text(f"row {index}", style="bold"))
        _print_labelled(console, row_lines(corpus, index, masking, seed))
        console.print()
    if len(corpus) == 0:
        console.print("The corpus has no rows.")
    elif masking is not None:
        console.print(LEGEND if masking.predicts == "words" else POSITIONS_LEGEND, markup=False, style="dim")


def row_lines(corpus: Corpus, index: int, masking: Masking | None = None, seed: int = 0) -> Iterator[tuple[str, Text]]:
    """Give the lines of one row with their labels: ``from``, ``pair``, ``words``, ``pieces``, ``masked``.

    Rows of sentence pairs have two lines, A and B, for each of the last three: their token types 0 and 1.
    """
    rows, vocabulary = corpus.rows([index]), corpus.vocabulary
    yield "from", Text(_places(provenance(corpus, index)))
    if rows.pair_label is not None:
        label = int(rows.pair_label[0])
        meanings = _PAIR_LABELS.get(str(corpus.manifest.content.config.get("pairs")))
        yield "pair", Text(f"label {label}" + (f": {meanings[label]}" if meanings else ""))
    segments = _segments(rows)
    for name, part in segments:
        yield f"words{name}", words_line(part, 0, vocabulary)
    for name, part in segments:
        yield f"pieces{name}", pieces_line(part, 0, vocabulary)
    if masking is not None:
        draw = _draw(rows, vocabulary, masking, seed, epoch=0)
        for name, part in segments:
            begin = int(part.bounds[0])
            yield f"masked{name}", _line(draw[begin : int(part.bounds[1])], _starts(part, 0), _spaced, " | ")


def provenance(corpus: Corpus, index: int) -> list[tuple[str, int]]:
    """Give the documents that a row holds pieces of: for each the name of its source, and where it begins there."""
    import pyarrow as pa

    shards = corpus.manifest.content.shards
    ends = np.cumsum([shard.num_rows for shard in shards])
    home = int(np.searchsorted(ends, index, side="right"))
    place = index - int(ends[home]) + shards[home].num_rows
    table = pa.ipc.open_stream(pa.memory_map(str(corpus.path / shards[home].name))).read_all()
    found = table.select(["source_index", "document_offset"]).slice(place, 1).to_pylist()[0]
    names = [source.name for source in corpus.manifest.content.inputs]
    return [
        (names[source], offset) for source, offset in zip(found["source_index"], found["document_offset"], strict=True)
    ]


def words_line(rows: Rows, index: int, vocabulary: Vocabulary) -> Text:
    """Give the words of one row, separated by spaces, special pieces included: ``play ##ing`` is ``playing``."""
    return _line(_pieces(rows, index, vocabulary), _starts(rows, index), _joined, " ")


def pieces_line(rows: Rows, index: int, vocabulary: Vocabulary) -> Text:
    """Give the pieces of one row: a space inside a word, a bar between words."""
    return _line(_pieces(rows, index, vocabulary), _starts(rows, index), _spaced, " | ")


def masked_line(
    rows: Rows, index: int, vocabulary: Vocabulary, masking: Masking, seed: int = 0, epoch: int = 0
) -> Text:
    """Give one masked draw of a row: what the model sees, with the answer behind each piece that it must give.

    ``[MASK]=外`` was masked, ``山=外`` replaced by another piece, ``外=外`` chosen but left as it is. With a scheme
    that predicts positions ``衣@3`` asks where in the row the piece that belongs here stands now: at 3, [CLS] at 0.
    """
    draw = _draw(rows, vocabulary, masking, seed, epoch)
    return _line(draw[rows.bounds[index] : rows.bounds[index + 1]], _starts(rows, index), _spaced, " | ")


def _draw(rows: Rows, vocabulary: Vocabulary, masking: Masking, seed: int, epoch: int) -> list[Text]:
    """Give the pieces of all rows in one masked draw."""
    masked = mask_rows(rows, vocabulary, masking, seed, epoch)
    by_position = masking.predicts == "positions"
    shown = []
    for seen, true, label, asked in zip(
        masked.input_ids.tolist(), rows.input_ids.tolist(), masked.labels.tolist(), masked.masked, strict=True
    ):
        if not asked:
            shown.append(_piece(seen, vocabulary))
            continue
        style = _MASKED if seen == vocabulary.mask_id else _KEPT if seen == true else _RANDOM
        answer = f"@{label}" if by_position else f"={visible(vocabulary.pieces[label])}"
        shown.append(Text.assemble((visible(vocabulary.pieces[seen]), style), (answer, _ANSWER)))
    return shown


def _pieces(rows: Rows, index: int, vocabulary: Vocabulary) -> list[Text]:
    return [_piece(i, vocabulary) for i in rows.input_ids[rows.bounds[index] : rows.bounds[index + 1]].tolist()]


def _piece(piece_id: int, vocabulary: Vocabulary) -> Text:
    special = _SPECIAL if piece_id in vocabulary.special.values() else ""
    style = _UNKNOWN if piece_id == vocabulary.unk_id else special
    return Text(visible(vocabulary.pieces[piece_id]), style=style)


def _starts(rows: Rows, index: int) -> NDArray[np.bool_]:
    return rows.word_start[rows.bounds[index] : rows.bounds[index + 1]]


def _line(pieces: list[Text], word_start: NDArray[np.bool_], join: _Join, between: str) -> Text:
    """Put pieces together, word by word."""
    line = Text()
    numbers = np.cumsum(word_start).tolist()
    for number, group in groupby(zip(numbers, pieces, strict=True), key=lambda numbered: numbered[0]):
        parts = [piece for _, piece in group]
        word = join(parts)
        if parts[0].style != _SPECIAL:
            word.stylize_before(_WORD_STYLES[number % len(_WORD_STYLES)])
        line.append(between if line else "", style=_BETWEEN).append_text(word)
    return line


def _spaced(pieces: list[Text]) -> Text:
    return Text(" ").join(pieces)


def _joined(pieces: list[Text]) -> Text:
    """Put the pieces of a word together as its letters stood: without the marks of those that continue a run."""
    return Text("").join(piece[2:] if piece.plain.startswith("##") and len(piece) > 2 else piece for piece in pieces)


def _segments(rows: Rows) -> list[tuple[str, Rows]]:
    """Give the one row of ``rows`` as it is; a pair as its two segments."""
    if rows.token_type_ids is None:
        return [("", rows)]
    middle, end = int(np.count_nonzero(rows.token_type_ids == 0)), len(rows.input_ids)
    bounds = {" A": [0, middle], " B": [middle, end]}
    return [
        (name, Rows(rows.input_ids, rows.word_start, np.array(places), rows.row_ids)) for name, places in bounds.items()
    ]


def _places(found: list[tuple[str, int]]) -> str:
    """Give documents in one line, those of one source together: ``news.txt at 0, 532; law.txt at 12``."""
    return "; ".join(
        f"{visible(name)} at {', '.join(str(offset) for _, offset in places)}"
        for name, places in groupby(found, key=lambda place: place[0])
    )


def _print_labelled(console: Console, lines: Iterator[tuple[str, Text]]) -> None:
    if not console.is_terminal:
        found = list(lines)
        width = max(len(label) for label, _ in found) + 2
        for label, line in found:
            console.print(Text.assemble(f"{label:<{width}}", line), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, line in lines:
        grid.add_row(label, line)
    console.print(grid)


def _range(num_rows: int) -> str:
    return f"The corpus has {num_rows} rows, numbered from 0." if num_rows else "The corpus has no rows."
