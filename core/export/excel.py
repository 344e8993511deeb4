"""Rows as an Excel workbook of one sheet, row by row: memory stays flat whatever their number.

Text is written as text, so that "=1+1" from a database is never calculated. Numbers keep their digits: whole numbers
and decimals beyond the 15 digits of a spreadsheet become text, and so do dates it cannot count (before 1900).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pyarrow as pa
import xlsxwriter

from crosslens.errors import DataError

from .plain_cells import flat_column
from .stream import RowStream

MOST_ROWS = 1_048_576
"""Rows of a sheet, the one with the names included."""
MOST_COLUMNS = 16_384
MOST_LETTERS = 32_767
_DIGITS = 15
_EXACT = 1_000_000_000_000_000
_FIRST_DAY = dt.datetime(1900, 3, 1)
"""Spreadsheets believe in a 29 February 1900; days before it are counted differently by each."""
_ROWS_AT_ONCE = 1024


def write_excel(stream: RowStream, path: Path, check: Callable[[], None]) -> int:
    """Write the rows to `path`, return how many; DataError for what a sheet cannot hold. `check` may raise to stop."""
    refuse_too_large(stream)
    # What waits to be packed lies beside the file: it needs the same disk, and goes with its folder.
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as waiting, path.open("wb") as file:
        watched = _Watched(file, check)
        book = xlsxwriter.Workbook(watched, {"constant_memory": True, "tmpdir": waiting})
        try:
            written = _fill(book, stream, check)
            book.close()
        except BaseException:
            watched.discards = True
            _abandon(book)
            raise
    return written


def _abandon(book: Any) -> None:
    """Let a workbook go that will not be packed: the library would do it when the workbook is collected."""
    book.fileclosed = True
    for sheet in book.worksheets():
        sheet.row_data_fh.close()


def refuse_too_large(stream: RowStream) -> None:
    """Raise DataError for more rows or columns than a sheet has."""
    if stream.rows is not None and stream.rows >= MOST_ROWS:
        raise _too_many(stream.rows)
    if len(stream.schema) > MOST_COLUMNS:
        raise DataError(
            f"{len(stream.schema):,} columns do not fit into an Excel sheet.",
            why=f"A sheet has {MOST_COLUMNS:,}.",
            do="Export as CSV or Parquet.",
        )


def _too_many(rows: int) -> DataError:
    return DataError(
        f"{rows:,} rows do not fit into an Excel sheet.",
        why=f"A sheet has {MOST_ROWS:,} rows, the names of the columns included.",
        do="Export as CSV or Parquet, or to a new table of a database.",
        rows=rows,
    )


class _Watched:
    """A file that looks at Stop whenever something is written: packing a large workbook takes a while."""

    def __init__(self, file: IO[bytes], check: Callable[[], None]) -> None:
        self._file, self._check = file, check
        self.discards = False

    def write(self, data: bytes) -> int:
        """Write, unless told to stop; once abandoned, take what the library still writes and drop it."""
        if self.discards:
            return len(data)
        self._check()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _fill(book: Any, stream: RowStream, check: Callable[[], None]) -> int:
    sheet = book.add_worksheet("Predictions")
    head = book.add_format({"bold": True})
    formats = [_format(book, field.type) for field in stream.schema]
    for place, name in enumerate(stream.schema.names):
        sheet.write_string(0, place, name[:MOST_LETTERS], head)
    sheet.freeze_panes(1, 0)
    row = 0
    for batch in stream.blocks(check, _ROWS_AT_ONCE):
        if row + batch.num_rows >= MOST_ROWS:
            raise _too_many(row + batch.num_rows)
        for cells in zip(*(_cells(column) for column in batch.columns), strict=True):
            row += 1
            for place, cell in enumerate(cells):
                if cell is not None:
                    _write(sheet, row, place, cell, formats[place])
    return row


def _format(book: Any, kind: pa.DataType) -> Any:
    if pa.types.is_date(kind):
        return book.add_format({"num_format": "yyyy-mm-dd"})
    return book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}) if pa.types.is_timestamp(kind) else None


def _cells(column: pa.Array) -> list[Any]:
    """Return values as `_write` takes them: times of day and the like as text."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return list(column.to_pylist())
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("us", kind.tz), safe=False)
        return [None if value is None else value.replace(tzinfo=None) for value in naive.to_pylist()]
    if pa.types.is_time(kind):
        return list(column.cast(pa.string()).to_pylist())
    return list(flat_column(column).to_pylist())


def _write(sheet: Any, row: int, place: int, cell: Any, form: Any) -> None:
    if isinstance(cell, str):
        if len(cell) > MOST_LETTERS:
            raise _too_long(cell, row)
        sheet.write_string(row, place, cell)
    elif isinstance(cell, bool):
        sheet.write_boolean(row, place, cell)
    elif isinstance(cell, (dt.date, dt.datetime)):
        _write_moment(sheet, row, place, cell, form)
    elif _is_beyond(cell):
        sheet.write_string(row, place, str(cell))
    else:
        sheet.write_number(row, place, cell)


def _is_beyond(number: float | Decimal) -> bool:
    """Whether a spreadsheet would lose digits of a number, or has no word for it."""
    if isinstance(number, int):
        return abs(number) >= _EXACT
    if isinstance(number, Decimal):
        return not number.is_finite() or len(number.as_tuple().digits) > _DIGITS
    return not math.isfinite(number)


def _write_moment(sheet: Any, row: int, place: int, cell: dt.date, form: Any) -> None:
    moment = cell if isinstance(cell, dt.datetime) else dt.datetime.combine(cell, dt.time())
    if moment < _FIRST_DAY:
        sheet.write_string(row, place, cell.isoformat(*([" "] if isinstance(cell, dt.datetime) else [])))
    else:
        sheet.write_datetime(row, place, moment, form)


def _too_long(cell: str, row: int) -> DataError:
    return DataError(
        f"A text of {len(cell):,} letters in row {row:,} does not fit into an Excel cell.",
        why=f"A cell holds {MOST_LETTERS:,}.",
        do="Export as CSV or Parquet, or leave the column out.",
    )
