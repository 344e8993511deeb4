"""Rows as a file, by its ending: whole or not there, block by block, and stopped between blocks.

CSV is written as it is: a text that a spreadsheet would take for a formula stays that text, because a program that
reads the file wants the value. In Excel files it is text in every cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from crosslens.errors import DataError, StorageError

from ..files import replace_file
from .plain_cells import flat, flat_schema
from .stream import RowStream

_PARQUET_ROWS = 1 << 16

Check = Callable[[], None]


def _nothing() -> None:
    return None


def write_file(stream: RowStream, path: Path, check: Check = _nothing) -> int:
    """Write the rows to `path` by its ending; return how many. What was there is replaced at the very end.

    `check` is called between blocks and may raise; then, and after any error, nothing is left behind. StorageError for
    an unknown ending or a full disk, DataError for what the format cannot hold.
    """
    write = _writer(path)
    written = 0

    def to(temporary: Path) -> None:
        nonlocal written
        try:
            written = write(stream, temporary, check)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{path.name} cannot hold these rows.",
                why=str(error),
                do="Export them as Parquet, which keeps every type.",
            ) from error

    replace_file(path.absolute(), to)
    return written


def check_ending(path: Path) -> None:
    """Raise StorageError for a file that `write_file` would not know how to write."""
    _writer(path)


def _writer(path: Path) -> Callable[[RowStream, Path, Check], int]:
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise StorageError(
            f"{path.name} has an ending that cannot be written.", do="Use .csv or .parquet, or .xlsx for Excel."
        )
    return write


def _write_csv(stream: RowStream, path: Path, check: Check) -> int:
    written = 0
    with pa_csv.CSVWriter(path, flat_schema(stream.schema)) as writer:
        for batch in stream.blocks(check):
            writer.write_batch(flat(batch))
            written += batch.num_rows
    return written


def _write_parquet(stream: RowStream, path: Path, check: Check) -> int:
    written = 0
    with pq.ParquetWriter(path, stream.schema) as writer:
        for batch in stream.blocks(check, _PARQUET_ROWS):
            writer.write_batch(batch)
            written += batch.num_rows
    return written


def _write_excel(stream: RowStream, path: Path, check: Check) -> int:
    from .excel import write_excel  # only who wants a workbook pays for its library

    return write_excel(stream, path, check)


WRITERS: Mapping[str, Callable[[RowStream, Path, Check], int]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".xlsx": _write_excel,
}
"""How rows are written, by the ending of the file."""
