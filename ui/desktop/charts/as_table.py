"""Every picture as a table: for the "Show as table" of each plot, for CSV files, for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator

from core.display import (
    Align,
    BarList,
    Cell,
    HeatMap,
    InteractionGraph,
    LineChart,
    Picture,
    Series,
    Table,
    TableColumn,
    Waterfall,
)


def as_table(picture: Picture) -> Table:
    """Return the numbers behind `picture`; a table is returned as it is."""
    if isinstance(picture, Table):
        return picture
    if isinstance(picture, HeatMap):
        return _heat_map(picture)
    if isinstance(picture, BarList):
        return _bars(picture)
    if isinstance(picture, LineChart):
        return _lines(picture)
    if isinstance(picture, Waterfall):
        return _waterfall(picture)
    return _graph(picture)


def _right(name: str) -> TableColumn:
    return TableColumn(name, Align.RIGHT)


def _named(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _heat_map(picture: HeatMap) -> Table:
    columns = [TableColumn("Row"), TableColumn("Column"), _right(_named("Value", picture.unit))]
    columns += [_right("Rows")] if picture.counts else []
    columns += [TableColumn("Supported")] if picture.greyed else []
    rows = tuple(_heat_map_row(picture, i, j) for i in range(len(picture.rows)) for j in _columns_to_list(picture, i))
    greyed = tuple(
        bool(picture.greyed) and picture.greyed[i][j]
        for i in range(len(picture.rows))
        for j in _columns_to_list(picture, i)
    )
    return Table(picture.title, tuple(columns), rows, greyed, picture.note)


def is_symmetric(picture: HeatMap) -> bool:
    """Whether the map shows every pair of one list of names twice."""
    size = range(len(picture.rows))
    return picture.rows == picture.columns and all(
        picture.values[i][j] == picture.values[j][i] for i in size for j in range(i)
    )


def _columns_to_list(picture: HeatMap, row: int) -> range:
    return range(row + 1, len(picture.columns)) if is_symmetric(picture) else range(len(picture.columns))


def _heat_map_row(picture: HeatMap, i: int, j: int) -> tuple[Cell, ...]:
    row: tuple[Cell, ...] = (picture.rows[i], picture.columns[j], picture.values[i][j])
    row += (picture.counts[i][j],) if picture.counts else ()
    return (*row, not picture.greyed[i][j]) if picture.greyed else row


def _bars(picture: BarList) -> Table:
    columns = [TableColumn("Name"), _right(_named("Value", picture.unit))]
    columns += [_right("Low"), _right("High")] if picture.low else []
    rows: list[tuple[Cell, ...]] = list(zip(picture.labels, picture.values, strict=True))
    if picture.low:
        rows = [(*row, low, high) for row, low, high in zip(rows, picture.low, picture.high, strict=True)]
    return Table(picture.title, tuple(columns), tuple(rows), picture.greyed, picture.note)


def _lines(picture: LineChart) -> Table:
    banded = any(series.low for series in picture.series)
    columns = [TableColumn("Line"), _right(picture.x_label or "x"), _right(picture.y_label or "y")]
    columns += [_right("Low"), _right("High")] if banded else []
    rows = tuple(row for series in picture.series for row in _points(series, banded))
    return Table(picture.title, tuple(columns), rows, note=picture.note)


def _points(series: Series, banded: bool) -> Iterator[tuple[Cell, ...]]:
    for index, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
        band: tuple[Cell, ...] = (series.low[index], series.high[index]) if series.low else (None, None)
        yield (series.name, x, y, *(band if banded else ()))


def _waterfall(picture: Waterfall) -> Table:
    columns = (
        TableColumn("Step"),
        _right(_named("Change", picture.unit)),
        _right(_named("After", picture.unit)),
    )
    rows: list[tuple[Cell, ...]] = [("Baseline", None, picture.baseline)]
    level = picture.baseline
    for label, change in picture.steps:
        level += change
        rows.append((label, change, level))
    rows.append(("Total", None, picture.total))
    return Table(picture.title, columns, tuple(rows), note=picture.note)


def _graph(picture: InteractionGraph) -> Table:
    columns = (TableColumn("First"), TableColumn("Second"), _right("Strength"), TableColumn("Label"))
    rows = tuple((edge.first, edge.second, edge.strength, edge.label) for edge in picture.edges)
    return Table(picture.title, columns, rows, tuple(edge.greyed for edge in picture.edges), picture.note)
