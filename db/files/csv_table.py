"""A text file as a table: its layout and types found once per state of the file, and the Select that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from crosslens.errors import SourceError

from ..engines.duckdb_dialect import DuckDbDialect, Struct, named
from ..engines.duckdb_session import settings, spill_folder
from .csv_types import (
    TEXT,
    UNKNOWN,
    CsvType,
    Meaning,
    first_type,
    fits,
    stored_as,
    twin,
    value_of,
    wider_types,
)
from .encoding import WHOLE_BYTES, FileState, beginning, detect_encoding, in_utf8, opened
from .layout import Layout, detect_layout
from .options import TextOptions

_SAMPLE_CELLS = 200_000
_SAMPLE_ROWS = 1_000
_CHECKED_ROWS = 20_000
"""How many rows of a large file decide; each further value is checked when it is read."""
LINE_BYTES = 1 << 24
"""Longer lines are refused."""
_BUFFER_BYTES = 1 << 25
_REJECTS = 10_000
_TESTS_AT_ONCE = 250

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Text files of one layout. `checked`: every value of the files was seen to fit its column's type.

    `sources` are what the user named, `paths` what is read: copies in UTF-8 where needed. `rows` is None until counted.
    """

    sources: tuple[Path, ...]
    paths: tuple[Path, ...]
    layout: Layout
    types: tuple[CsvType, ...]
    options: TextOptions
    checked: bool
    rows: int | None
    bytes_per_row: float

    @property
    def native(self) -> bool:
        """Whether DuckDB may read the types itself; a value it refused would drop its whole line when lines may be."""
        return self.checked and not self.options.skip_bad_lines


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that does not fit the others: where it is and what is wrong."""

    path: Path
    line: int
    problem: str


@lru_cache(maxsize=512)
def describe_csv(states: tuple[FileState, ...], options: TextOptions, whole: bool = False) -> CsvTable:
    """Find layout and types of files of one shape; `whole`: look at every value, however large they are."""
    table = _bare(states, options)
    size = sum(state.size for state in states)
    whole = whole or (size <= WHOLE_BYTES and not any(state.path.suffix.lower() == ".gz" for state in states))
    with _reading(whole=whole).cursor() as connection:
        try:
            sample = _sample(connection, table)
            types, decimal = _first_types(sample, len(table.layout.names), options)
            table = replace(table, types=types)
            return _settled(connection, table, decimal, whole=whole)
        except duckdb.Error as error:
            raise unreadable(error, table) from error


@cache
def _reading(*, whole: bool) -> duckdb.DuckDBPyConnection:
    """Return a database without tables to read files with; a new one for each of a thousand files would cost more.

    With one thread a LIMIT ends the reading of a large file at once; with several they read on for a while.
    """
    threads: dict[str, Any] = {} if whole else {"threads": 1}
    return duckdb.connect(":memory:", config={**settings(), **threads})


def csv_select(table: CsvTable, row_number: str | None = None, *, skip_bad_lines: bool | None = None) -> sa.Select[Any]:
    """Return the Select of all columns; `row_number` adds one that counts rows as they stand in the files."""
    source = _reader(table, [stored_as(type_, native=table.native) for type_ in table.types], skip_bad_lines)
    columns = [
        value_of(source.c[name], type_, native=table.native).label(quoted_name(name, True))
        for name, type_ in zip(table.layout.names, table.types, strict=True)
    ]
    if row_number is not None:
        columns.append(sa.func.row_number().over().label(quoted_name(row_number, True)))
    return sa.select(*columns).select_from(source)


def bad_lines(table: CsvTable, limit: int) -> tuple[tuple[BadLine, ...], int]:
    """Return the first `limit` lines that do not fit, and how many there are; reads everything once."""
    found: list[BadLine] = []
    total = 0
    with duckdb.connect(":memory:", config=settings()) as connection:
        for source, path in zip(table.sources, table.paths, strict=True):
            rejects = named("store_rejects", True), named("rejects_limit", _REJECTS)
            one = replace(table, paths=(path,), sources=(source,))
            reader = _reader(one, ["VARCHAR"] * len(table.types), None, *rejects)
            last = reader.c[table.layout.names[-1]]
            _run(connection, sa.select(sa.func.count(), sa.func.max(last)).select_from(reader))
            errors = sa.table("reject_errors", *map(sa.column, ("line_byte_position", "error_message", "error_type")))
            rows = _run(connection, sa.select(*errors.c).order_by(errors.c.line_byte_position))
            seen = dict.fromkeys(row[0] for row in rows)
            total += len(seen)
            first = list(seen)[: max(0, limit - len(found))]
            numbers = dict(zip(first, _line_numbers(path, first), strict=True))
            words = {place: _problem(message, kind) for place, message, kind in reversed(rows)}
            found += [BadLine(source, numbers[place], words[place]) for place in first]
            connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    return tuple(found), total


def unreadable(error: Exception, table: CsvTable) -> SourceError:
    """Return why a text file cannot be read as a table, with the lines that are wrong where some are."""
    names = " and ".join(path.name for path in table.sources[:2])
    try:
        lines, total = bad_lines(table, limit=5)
    except (duckdb.Error, OSError, SourceError):  # it cannot even be searched: DuckDB's words must do
        lines, total = (), 0
    if not lines:
        message = str(error).splitlines()[0] if str(error) else "nothing"
        return SourceError(
            f"{names} cannot be read as a table.",
            why=f"DuckDB says: {message}.",
            do="Set delimiter, quote or skip in the options of the connection, or save the file anew as CSV.",
            path=str(table.sources[0]),
        )
    shown = "; ".join(f"line {line.line:,}: {line.problem}" for line in lines)
    more = f"; and {total - len(lines):,} more" if total > len(lines) else ""
    counted = "1 line" if total == 1 else f"{total:,} lines"
    return SourceError(
        f"{lines[0].path.name} has {counted} unlike the others.",
        why=f"The table has {len(table.layout.names)} columns. In {shown}{more}.",
        do="Mend the file, or set the option bad_lines to “skip” to leave these lines out.",
        path=str(lines[0].path),
        lines=tuple(line.line for line in lines),
        total=total,
    )


def _bare(states: tuple[FileState, ...], options: TextOptions) -> CsvTable:
    """Return a table without types: encodings settled, layout taken from the first file."""
    folder = Path(spill_folder()) / "text"
    paths = []
    for state in states:
        encoding, mixed = (options.encoding, False) if options.encoding else detect_encoding(state)
        paths.append(in_utf8(state, encoding, mixed_ends=mixed, folder=folder))
    text = beginning(paths[0], "utf-8")
    layout = detect_layout(text, options)
    lines = max(1, text.count("\n"))
    return CsvTable(
        sources=tuple(state.path for state in states),
        paths=tuple(paths),
        layout=layout,
        types=(TEXT,) * len(layout.names),
        options=options,
        checked=True,
        rows=None,
        bytes_per_row=max(1.0, len(text.encode()) / lines),
    )


def _sample(connection: Cursor, table: CsvTable) -> list[tuple[Any, ...]]:
    rows = max(20, min(_SAMPLE_ROWS, _SAMPLE_CELLS // len(table.layout.names)))
    return _run(connection, csv_select(table, skip_bad_lines=True).limit(rows))


def _first_types(
    rows: Sequence[tuple[Any, ...]], width: int, options: TextOptions
) -> tuple[tuple[CsvType, ...], str | None]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    decimal = options.decimal
    types = tuple(first_type(values, decimal) for values in columns)
    if decimal is None and any(type_.meaning is Meaning.COMMA_FLOAT for type_ in types):
        decimal = ","  # one column shows how numbers are written in this file
        types = tuple(first_type(values, decimal) for values in columns)
    return types, decimal


def _settled(connection: Cursor, table: CsvTable, decimal: str | None, *, whole: bool) -> CsvTable:
    """Widen types until every value fits: of the whole files, or of their first rows."""
    source = _reader(table, ["VARCHAR"] * len(table.types), True)
    columns: Any = source.c
    if not whole:
        first = sa.select(*columns).select_from(source).limit(_CHECKED_ROWS).subquery("first")
        source, columns = first, first.c
    types = list(table.types)
    rest = [wider_types(type_, decimal) for type_ in types]
    doubtful = [number for number, type_ in enumerate(types) if type_ != TEXT]
    rows: int | None = None
    while doubtful or rows is None:
        tests = [_test(columns[table.layout.names[number]], types[number]) for number in doubtful]
        rows, results = _tested(connection, source, tests)
        again = []
        for number, result in zip(doubtful, results, strict=True):
            if types[number] == UNKNOWN:
                types[number] = TEXT if result is None else first_type(result, decimal)
                rest[number] = wider_types(types[number], decimal)
            elif result is False:
                types[number], *others = rest[number]
                rest[number] = tuple(others)
            else:
                continue
            if types[number] != TEXT:
                again.append(number)
        doubtful = again
    types = _without_ambiguous_dates(connection, source, columns, table, types)
    return replace(table, types=tuple(types), checked=whole, rows=rows if whole else None)


def _tested(connection: Cursor, source: Any, tests: Sequence[sa.ColumnElement[Any]]) -> tuple[int, list[Any]]:
    """Return the number of rows and the result of each test; not all at once, for plans grow with their square."""
    rows, results = 0, []
    for start in range(0, max(1, len(tests)), _TESTS_AT_ONCE):
        some = tests[start : start + _TESTS_AT_ONCE]
        rows, *found = _run(connection, sa.select(sa.func.count(), *some).select_from(source))[0]
        results += found
    return rows, results


def _without_ambiguous_dates(
    connection: Cursor, source: Any, columns: Any, table: CsvTable, types: list[CsvType]
) -> list[CsvType]:
    """Keep dates as text where 03/04/2024 could be a day of March or of April in every single row."""
    pairs = [(number, other) for number, type_ in enumerate(types) if (other := twin(type_)) is not None]
    if not pairs:
        return types
    tests = [sa.func.bool_and(fits(columns[table.layout.names[number]], other)) for number, other in pairs]
    results = _run(connection, sa.select(*tests).select_from(source))[0]
    ambiguous = {number for (number, _), both in zip(pairs, results, strict=True) if both is not False}
    return [TEXT if number in ambiguous else type_ for number, type_ in enumerate(types)]


def _test(column: sa.ColumnElement[Any], type_: CsvType) -> sa.ColumnElement[Any]:
    if type_ == UNKNOWN:  # two values to guess from, NULL where there is none
        ends = sa.func.list_value(sa.func.min(column), sa.func.max(column))
        return sa.case((sa.func.count(column) > 0, ends), else_=sa.null())
    return sa.func.bool_and(fits(column, type_))


def _reader(table: CsvTable, stored: Sequence[str], skip_bad_lines: bool | None, *more: Any) -> Any:
    """Return DuckDB's CSV reader as something to select from, nothing left to its own guesses."""
    layout = table.layout
    skip = table.options.skip_bad_lines if skip_bad_lines is None else skip_bad_lines
    arguments = [
        named("auto_detect", False),
        named("columns", Struct(dict(zip(layout.names, stored, strict=True)))),
        named("delim", layout.delimiter),
        named("quote", layout.quote),
        named("escape", layout.escape),
        named("header", layout.header),
        named("skip", layout.skip),
        named("nullstr", sa.func.list_value(*table.options.nulls)),
        named("max_line_size", LINE_BYTES),
        named("buffer_size", _BUFFER_BYTES),  # else sixteen of the longest lines, all in memory
        named("strict_mode", True),
        # Not ignore_errors: behind a line with a stray quote, that silently loses good lines.
        *((named("store_rejects", True), named("rejects_limit", 1)) if skip and not more else ()),
        *more,
    ]
    paths = sa.func.list_value(*(str(path) for path in table.paths))
    names = (quoted_name(name, True) for name in layout.names)
    return sa.func.read_csv(paths, *arguments).table_valued(*(sa.column(name) for name in names)).alias("file")


def _run(connection: Cursor, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
    text = statement.compile(dialect=DuckDbDialect(), compile_kwargs={"literal_binds": True})
    return connection.execute(str(text)).fetchall()


def _line_numbers(path: Path, places: Sequence[int]) -> list[int]:
    """Return the numbers of the lines that begin at byte positions, which rise."""
    numbers, line, done = [], 1, 0
    with opened(path) as file:
        for place in places:
            while done < place and (block := file.read(min(1 << 20, place - done))):
                line += block.count(b"\n") or block.count(b"\r")
                done += len(block)
            numbers.append(line)
    return numbers


def _problem(message: str, kind: str) -> str:
    found = message.rpartition("Found:")[2].strip()
    if kind in ("MISSING COLUMNS", "TOO MANY COLUMNS") and found.isdecimal():
        return f"{found} fields"
    return {
        "UNQUOTED VALUE": "a quote that is not closed, or text behind it",
        "LINE SIZE OVER MAXIMUM": "a line longer than 16 MB",
        "INVALID ENCODING": "bytes that are no UTF-8",
    }.get(kind, kind.lower())
