"""A header and rows of text in; a table on a terminal, aligned lines in a file, or a table in Markdown, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wwmcorpus.report.formats import visible


def print_table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], is_text: bool = False) -> None:
    """Print a table as wide as the terminal; where there is none, lines as long as they are.

    Of numbers, all columns but the first stand to the right; of text, none.
    """
    if not console.is_terminal:
        for line in aligned_lines(header, rows, is_text):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(header):
        table.add_column(Text(name), justify="right" if place and not is_text else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)


def aligned_lines(header: Sequence[str], rows: Sequence[Sequence[str]], is_text: bool = False) -> Iterator[str]:
    """Give a table as lines of text, the first column to the left, the others to the right unless they are text."""
    table = [[visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            " " * (width - cell_len(cell)) + cell if place and not is_text else cell + " " * (width - cell_len(cell))
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], is_text: bool = False) -> list[str]:
    """Give a table in Markdown, numbers to the right; what would end a cell is escaped."""
    lines = [header, ["---", *("---" if is_text else "---:" for _ in header[1:])], *rows]
    return ["| " + " | ".join(visible(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
