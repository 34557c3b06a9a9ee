"""A report in, lines on a console out: tables and bars on a terminal, plain lines in a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from wwmcorpus.report import bars, tables
from wwmcorpus.report.bars import Chart
from wwmcorpus.report.figures import Report
from wwmcorpus.report.formats import count, percent, plain, shortened, size, visible
from wwmcorpus.report.tables import Table

_EIGHTHS = " ▏▎▍▌▋▊▉"
#: Examples of each reason; the page has more, the file all.
_NUM_EXAMPLES = 3
#: Cells from which on parts stand side by side, and the splits in a table.
_WIDE, _MEDIUM = 110, 96
_LONGEST_BAR, _SHORTEST_BAR, _GAP = 32, 8, 2


def print_report(report: Report, console: Console) -> None:
    """Print a report as the console can show it."""
    if console.is_terminal:
        for part in _parts(report, console.width):
            console.print(part)
    else:
        for line in report_lines(report):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def report_lines(report: Report) -> Iterator[str]:
    """Give a report as plain lines, one figure a line: ``documents: 1,234 (of 1,240 read)``."""
    yield f"corpus {visible(report.name)}"
    yield f"signature {report.signature}"
    yield from _split_lines(report)
    for table in _tables(report):
        yield f"\n{table.title}"
        for row in table.rows:
            yield f"  {row.name}: {row.value}" + (f" ({row.note})" if row.note else "")
    for chart in _charts(report):
        yield f"\n{chart.title} ({chart.label}: {chart.unit})"
        for each in chart.bars:
            notes = ", ".join(part for part in (percent(each.share), each.note) if part)
            yield f"  {each.label}: {each.value} ({notes}) {_bar(each.length, _LONGEST_BAR)}".rstrip()
    yield from _examples(report)


def _tables(report: Report) -> list[Table]:
    found = [
        tables.text_table(report),
        tables.rows_table(report),
        tables.words_table(report),
        tables.cleaning_table(report),
        tables.time_table(report),
    ]
    return [table for table in found if table.rows]


def _charts(report: Report) -> list[Chart]:
    found = [
        bars.word_length_chart(report),
        bars.row_length_chart(report),
        bars.words_chart(report),
        bars.longer_words_chart(report),
        bars.unknown_chart(report),
        bars.stages_chart(report),
        bars.reasons_chart(report),
    ]
    return [chart for chart in found if chart.bars]


def _examples(report: Report) -> Iterator[str]:
    """Give the first of what was left out, by reason, and the file that lists all of it."""
    for reason in report.reasons:
        for example in reason.examples[:_NUM_EXAMPLES]:
            place = f"{visible(example.source)} at {example.offset}"
            yield f"  {plain(reason.name)}: {place} ({shortened(example.detail)})"
    if report.rejections_file:
        yield f"  all of it: {report.rejections_file}"


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    """Give what a terminal of ``width`` cells shows, two parts side by side where it is wide."""
    yield Text(visible(report.name), style="bold")
    yield Text(report.signature, style="cyan")
    if width >= _MEDIUM:
        yield _splits(report)
    else:
        yield from map(Text, _split_lines(report))
    parts = [_titled(table.title, _table(table)) for table in _tables(report)]
    room = (width - 2) // 2 if width >= _WIDE else width
    charts = _charts(report)
    parts += [_titled(chart.title, _chart(chart, room)) for chart in charts]
    step = 2 if width >= _WIDE else 1
    for begin in range(0, len(parts), step):
        yield ""
        grid = Grid.grid(padding=(0, 2), expand=True)
        for _ in range(step):
            grid.add_column(ratio=1)
        grid.add_row(*parts[begin : begin + step])
        yield grid
    for line in _examples(report):
        yield Text(line, style="dim", overflow="fold")


def _split_lines(report: Report) -> Iterator[str]:
    for split in report.splits:
        yield (
            f"split {split.name}: {count(split.num_rows)} rows, {count(split.num_words)} words, "
            f"{count(split.num_pieces)} pieces, {percent(split.fill) or 'not'} full, "
            f"{size(split.size_bytes)} in {count(split.num_shards)} shards"
        )
        yield f"fingerprint {split.fingerprint}"


def _titled(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), body)


def _splits(report: Report) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for name in ("split", "rows", "words", "pieces", "full", "shards", "size", "fingerprint"):
        grid.add_column(name, justify="left" if name in ("split", "fingerprint") else "right", overflow="fold")
    for split in report.splits:
        grid.add_row(
            split.name,
            count(split.num_rows),
            count(split.num_words),
            count(split.num_pieces),
            percent(split.fill),
            count(split.num_shards),
            size(split.size_bytes),
            split.fingerprint[:16],
        )
    return grid


def _table(table: Table) -> Grid:
    grid = Grid(box=None, show_header=False, pad_edge=False)
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    for row in table.rows:
        grid.add_row(Text(row.name), Text(row.value), Text(row.note))
    return grid


def _chart(chart: Chart, width: int) -> Grid:
    grid = Grid(box=None, show_header=False, pad_edge=False)
    columns = {
        "label": [each.label for each in chart.bars],
        "value": [each.value for each in chart.bars],
        "share": [percent(each.share) for each in chart.bars],
        "note": [each.note for each in chart.bars],
    }
    taken = sum(max(map(cell_len, column)) + _GAP for column in columns.values())
    room = max(min(width - taken, _LONGEST_BAR), _SHORTEST_BAR)
    columns["bar"] = [_bar(each.length, room) for each in chart.bars]
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width // 3, 8))
    for _ in range(2):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(style="dim", no_wrap=True)
    for cells in zip(*(columns[name] for name in ("label", "value", "share", "bar", "note")), strict=True):
        grid.add_row(*map(Text, cells))
    return grid


def _bar(length: float, room: int) -> str:
    """Give a bar of ``length``, in [0, 1], of ``room`` cells; what is not nothing has an eighth of a cell."""
    eighths = max(round(length * room * 8), 1 if length else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
