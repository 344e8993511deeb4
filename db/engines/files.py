"""Files as a database: CSV, TSV, Parquet and Arrow files opened in place as views of a DuckDB in memory.

Once the views are made, DuckDB may open these files and no others. It could still write to them, as to any file it may
open; that no statement does is seen to by the guard, which every statement passes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.parquet as pa_parquet
import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql import quoted_name

from crosslens.errors import QueryError, SourceError, UserError
from crosslens.relational import ColumnInfo, ConnectionSpec, TableInfo, TableRef

from ..columns import Kind, WiderKinds
from ..errors import check_readable, missing_source
from ..files.arrow import in_file_format
from ..files.csv_table import CsvTable, bad_lines, csv_select, describe_csv, unreadable
from ..files.csv_types import DOES_NOT_FIT
from ..files.encoding import FileState, detect_encoding
from ..files.listing import FileTable, Format, list_tables
from ..files.options import TextOptions, text_options
from ..files.plain_text import NotPlain, RowIndex, plain_index, read_rows, readable, rows_from
from .duckdb_dialect import DuckDbDialect, Place, named
from .duckdb_errors import reading_error
from .duckdb_session import DuckSession, column_info, fitted, settings, spill_folder
from .simple_statements import Asked, simply_asked

_ROW_ID = "file_row"
_NUMBERED = "crosslens rows"
"""The schema of the views that number their rows; counting costs time, so the plain views do not."""


class _DoesNotFit(QueryError):
    """A value of a large file does not fit the type its first rows suggested; never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A table with its files: `text` for text files, `arrow` the name its Arrow files are registered under."""

    table: FileTable
    states: tuple[FileState, ...]
    columns: tuple[ColumnInfo, ...] = ()
    row_id: str = _ROW_ID
    text: CsvTable | None = None
    arrow: str = ""


class FilesSession(DuckSession):
    """An open file, or a folder of files."""

    def __init__(self, connection: ConnectionSpec) -> None:
        path = Path(connection.database)
        self._options = text_options(connection.options)
        self._arrow: dict[str, pa_dataset.Dataset] = {}
        self._opened: dict[TableRef, _Opened] = {}
        self._problems: dict[TableRef, UserError] = {}
        self._listed = list_tables(path)
        self._places: dict[tuple[str | None, str], Place] = {}
        super().__init__(path, duckdb.connect(":memory:", config=settings()), DuckDbDialect(places=self._places))
        try:
            self._open_all()
            self._lock()
        except BaseException:
            self.close()
            raise

    @property
    def read_only(self) -> str:
        """Return the badge's sentence, and what is left out because the options say so."""
        return " ".join(("Read-only: files are opened in place and never written.", *self._left_out()))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Nothing to do: `identity` refuses files that have changed since they were opened."""
        yield

    def identity(self) -> Mapping[str, str | int]:
        """Return a digest of names, sizes and times; SourceError if a file has changed since it was opened."""
        digest = hashlib.blake2b(repr(self._options).encode(), digest_size=16)
        for opened in self._opened.values():
            for state in opened.states:
                if _state(state.path) != state:
                    raise _changed(state.path)
                digest.update(f"{state.path}\0{state.size}\0{state.modified}\0".encode())
        return {"path": str(self._path.resolve()), "files": len(self._listed), "digest": digest.hexdigest()}

    # ------------------------------------------------------------------------------------------------ reflecting

    def tables(self) -> tuple[TableInfo, ...]:
        """Return one table per file; a file that cannot be opened has no columns."""
        known = [
            TableInfo(ref, opened.columns, problem=str(self._problems.get(ref, "")))
            for ref, opened in self._opened.items()
        ]
        return tuple(sorted(known, key=lambda table: (table.ref.schema or "", table.ref.name)))

    def with_row_counts(self, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
        """Count where a file says how many rows it has, or has been read wholly; estimate large text files."""
        return tuple(self._with_rows(table) for table in tables)

    def row_id(self, table: TableInfo) -> str | None:
        """Return the name under which rows are numbered as they stand in their files."""
        opened = self._opened.get(table.ref)
        return opened.row_id if opened is not None and opened.columns else None

    def _with_rows(self, table: TableInfo) -> TableInfo:
        opened = self._opened[table.ref]
        if not opened.columns:
            return table
        if opened.text is None:
            return replace(table, rows=sum(_rows_of(state, opened.table.format) for state in opened.states))
        if opened.text.rows is not None:
            return replace(table, rows=opened.text.rows)
        if any(state.path.suffix.lower() == ".gz" for state in opened.states):
            return table
        size = sum(state.size for state in opened.states)
        return replace(table, rows=int(size / opened.text.bytes_per_row), rows_are_estimated=True)

    # ------------------------------------------------------------------------------------------------ reading

    def fetch(self, statement: sa.Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return all rows; where a value does not fit, look at the whole file once and read again."""
        asked = simply_asked(statement)
        if asked is not None and not asked.columns:
            rows = self._counted(self._opened[TableRef(asked.table, asked.schema)])
            if rows is not None:
                return [(rows,)]
        try:
            return super().fetch(statement)
        except _DoesNotFit:
            self._look_at_everything()
            return super().fetch(statement)

    def batches(
        self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind], *, rows: int
    ) -> Generator[list[pa.Array], None, None]:
        """Stream Arrow batches; where a value does not fit, look at the whole file once and ask to start again."""
        asked = simply_asked(self._in_order_anyway(statement))
        plain = None if asked is None else self._plain_batches(asked, kinds, rows)
        if plain is not None:
            yield from plain
            return
        try:
            yield from super().batches(statement, kinds, rows=rows)
        except _DoesNotFit:
            self._look_at_everything()
            raise WiderKinds(self._fitting_kinds(statement, kinds)) from None

    # ------------------------------------------------------------------------------------------------ plain text

    def rows_at(self, table: TableInfo, first: int, rows: int) -> list[tuple[Any, ...]] | None:
        """Return at most `rows` rows from the row number `first` (from 1) on; None where nothing leads to them.

        Their values are those of `fetch`, columns in the order of `table`.
        """
        opened = self._opened[table.ref]
        index = _plain_index(opened)
        names = [column.name for column in opened.columns]
        if opened.text is None or index is None or not readable(opened.text, names):
            return None
        try:
            arrays = rows_from(opened.text, index, names, first - 1, rows, go_on=self._raise_if_told_to_stop)
        except NotPlain:
            return None
        return list(zip(*(array.to_pylist() for array in arrays), strict=True))

    def count_rows(self, table: TableInfo) -> int | None:
        """Return how many rows a table has, where that is known or can be seen without parting its lines."""
        return self._counted(self._opened[table.ref])

    def _counted(self, opened: _Opened) -> int | None:
        try:
            index = _plain_index(opened)
            return None if index is None else index.rows(go_on=self._raise_if_told_to_stop)
        except NotPlain:
            return None

    def _plain_batches(
        self, asked: Asked, kinds: Sequence[Kind], rows: int
    ) -> Generator[list[pa.Array], None, None] | None:
        """Return the batches of columns that Arrow can read from the file itself; None where it cannot."""
        opened = self._opened[TableRef(asked.table, asked.schema)]
        index = _plain_index(opened)
        known = {column.name: kind for column, kind in zip(opened.columns, self.kinds(opened.columns), strict=True)}
        if opened.text is None or index is None or not asked.columns or not known.keys() >= set(asked.columns):
            return None
        widened = [known[name] not in (kind, Kind.INTEGER) for name, kind in zip(asked.columns, kinds, strict=True)]
        if any(widened) or not readable(opened.text, asked.columns):
            return None
        return self._read(opened.text, index, asked.columns, kinds, rows)

    def _read(
        self, text: CsvTable, index: RowIndex, names: Sequence[str], kinds: Sequence[Kind], rows: int
    ) -> Generator[list[pa.Array], None, None]:
        try:
            for arrays in read_rows(text, index, names, go_on=self._raise_if_told_to_stop):
                fitting = fitted(arrays, kinds)
                for start in range(0, len(fitting[0]), rows):
                    yield [array.slice(start, rows) for array in fitting]
        except NotPlain:
            raise WiderKinds(tuple(kinds)) from None  # the same once more, by DuckDB now

    def _number_of(self, table: sa.TableClause) -> str | None:
        place = self._places.get((table.schema, table.name))
        return None if place is None else place.row_id

    def _explained(self, error: Exception) -> UserError:
        text = str(error)
        if DOES_NOT_FIT in text:
            return _DoesNotFit(f"{self.name} holds a value that does not fit the type of its column.")
        try:
            self.identity()
            for opened in self._opened.values():
                if opened.text is not None and any(str(path) in text for path in opened.text.paths):
                    for state in opened.states:
                        detect_encoding(state)
                    return unreadable(error, opened.text)
        except SourceError as found:
            return found
        return reading_error(error, self._path)

    # ------------------------------------------------------------------------------------------------ opening

    def _open_all(self) -> None:
        for schema in sorted({table.ref.schema for table in self._listed if table.ref.schema is not None}):
            self._define(CreateSchema(schema))
        self._define(CreateSchema(_NUMBERED))
        for number, table in enumerate(self._listed):
            try:
                self._open(table, number)
            except UserError as error:
                if len(self._listed) == 1:
                    raise
                self._problems[table.ref] = error
                self._opened[table.ref] = _Opened(table, ())

    def _open(self, table: FileTable, number: int) -> None:
        opened = _Opened(table, tuple(_state(path) for path in table.paths))
        try:
            if table.format is Format.CSV:
                opened = replace(opened, text=describe_csv(opened.states, self._options))
                if table.loose and len(self._listed) > 1 and not _is_table(opened.text):
                    return
            elif table.format is Format.ARROW:
                opened = replace(opened, arrow=f"arrow {number}")
                paths = [str(in_file_format(path, Path(spill_folder()) / "arrow")) for path in table.paths]
                self._arrow[opened.arrow] = pa_dataset.dataset(paths, format="ipc")
                self._connection.register(opened.arrow, self._arrow[opened.arrow])
            self._show(opened, number)
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise _unreadable_file(error, table.paths[0]) from error

    def _show(self, opened: _Opened, number: int) -> None:
        """Make the views of a table, the plain one and the one with numbered rows."""
        plain = _select(opened)
        relation = self._connection.sql(self._written(plain))
        columns = tuple(
            column_info(name, str(type_)) for name, type_ in zip(relation.columns, relation.types, strict=True)
        )
        row_id = _free_name(_ROW_ID, columns)
        opened = replace(opened, columns=columns, row_id=row_id)
        ref = opened.table.ref
        place = Place(_NUMBERED, f"rows {number}", row_id)
        self._define(sa.CreateView(plain, ref.name, schema=ref.schema, or_replace=True))
        self._define(sa.CreateView(_select(opened, row_id), place.name, schema=place.schema, or_replace=True))
        self._places[ref.schema, ref.name] = place
        self._opened[ref] = opened

    def _lock(self) -> None:
        paths = {path for opened in self._opened.values() if opened.text is None for path in opened.table.paths}
        paths |= {path for opened in self._opened.values() if opened.text for path in opened.text.paths}
        allowed = [str(path) for path in sorted(paths)]
        self._connection.execute("SET allowed_paths = $paths", {"paths": allowed})
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _look_at_everything(self) -> None:
        """Give every text file that was judged by its first rows the types that all its values fit."""
        for number, table in enumerate(self._listed):
            opened = self._opened.get(table.ref)
            if opened is not None and opened.text is not None and not opened.text.checked:
                text = describe_csv(opened.states, self._options, whole=True)
                self._show(replace(opened, text=text), number)

    def _fitting_kinds(self, statement: sa.Select[*tuple[Any, ...]], kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        return tuple(
            max(kind, wanted) for kind, wanted in zip(kinds, self.kinds(self._columns_of(statement)), strict=True)
        )

    def _define(self, element: Any) -> None:
        self._connection.execute(self._written(element))

    def _written(self, element: Any) -> str:
        return str(element.compile(dialect=DuckDbDialect(), compile_kwargs={"literal_binds": True}))

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = super()._new_cursor()
        for name, dataset in self._arrow.items():  # what is registered is known to one cursor only
            cursor.register(name, dataset)
        return cursor

    def _left_out(self) -> tuple[str, ...]:
        if not self._options.skip_bad_lines:
            return ()
        texts = [opened for opened in self._opened.values() if opened.text is not None]
        counts = [(opened.table.paths[0].name, _bad_count(opened.states, self._options)) for opened in texts]
        return tuple(f"{count:,} bad lines of {name} are left out, as chosen." for name, count in counts if count)


@lru_cache(maxsize=512)
def _bad_count(states: tuple[FileState, ...], options: TextOptions) -> int:
    return bad_lines(describe_csv(states, options), limit=0)[1]


def _plain_index(opened: _Opened) -> RowIndex | None:
    return None if opened.text is None else plain_index(opened.text)


def _is_table(text: CsvTable | None) -> bool:
    """Whether a text file beside tables is one too, and not a licence or a note."""
    return text is not None and len(text.types) > 1 and text.layout.agreement == 1.0 and text.layout.skip == 0


def _select(opened: _Opened, row_id: str | None = None) -> sa.Select[Any]:
    if opened.text is not None:
        return csv_select(opened.text, row_id)
    source: Any
    if opened.arrow:
        source = sa.table(quoted_name(opened.arrow, True))
    else:
        paths = sa.func.list_value(*(str(path) for path in opened.table.paths))
        source = sa.func.read_parquet(paths, named("union_by_name", True)).table_valued("x").alias("file")
    columns: list[Any] = [sa.literal_column("*")]
    if row_id is not None:
        columns.append(sa.func.row_number().over().label(quoted_name(row_id, True)))
    return sa.select(*columns).select_from(source)


def _rows_of(state: FileState, format_: Format) -> int:
    if format_ is Format.PARQUET:
        return int(pa_parquet.read_metadata(state.path).num_rows)
    path = in_file_format(state.path, Path(spill_folder()) / "arrow")
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        return sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))


def _free_name(name: str, columns: Sequence[ColumnInfo]) -> str:
    taken = {column.name.casefold() for column in columns}
    while name in taken:
        name += "_"
    return name


def _state(path: Path) -> FileState:
    try:
        state = FileState.of(path)
    except OSError as error:
        raise missing_source(path) from error
    check_readable(path)
    return state


def _changed(path: Path) -> SourceError:
    return SourceError(
        f"{path.name} has changed since it was opened.",
        why="A program wrote to it, or put another file in its place.",
        do="Wait until that program has finished, then open it again.",
        path=str(path),
    )


def _unreadable_file(error: Exception, path: Path) -> SourceError:
    message = str(error).strip().splitlines()
    if message and "Not implemented" in message[0]:
        return SourceError(
            f"{path.name} holds values of a kind that cannot be read.",
            why=f"DuckDB says: {message[0]}.",
            do="Write it anew with that column as another type (numbers of 16 bits as floats of 32, for instance).",
            path=str(path),
        )
    return SourceError(
        f"{path.name} cannot be read.",
        why=f"The file is damaged or not what its name says: {message[0] if message else 'no reason is given'}",
        do="Copy it again, or write it anew.",
        path=str(path),
    )
