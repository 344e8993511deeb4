"""A new SQLite database from Arrow tables, with keys and indexes: the sample and exports. Never an existing file."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import UserDefinedType

from crosslens.errors import DataError, StorageError
from crosslens.relational import ColumnType, TableInfo

from .errors import storage_error

BATCH_ROWS = 16_384
SQLITE = sqlite_dialect.dialect(paramstyle="named")
_WORDS = {
    ColumnType.INTEGER: "INTEGER",
    ColumnType.FLOAT: "REAL",
    ColumnType.DECIMAL: "NUMERIC",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TEXT: "TEXT",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.BINARY: "BLOB",
    ColumnType.OTHER: "",
}


class Declared(UserDefinedType[Any]):
    """A type in the words it is declared with."""

    cache_ok = True

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **_: Any) -> str:
        """Return the words."""
        return self.words


def write_database(path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
    """Write `tables` with the rows of the same name; StorageError if `path` exists or cannot be written.

    Columns are matched by name. Dates and times are stored as ISO text, booleans as 0/1.
    """
    _refuse_existing(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(temporary, tables, rows)
        _refuse_existing(path)
        temporary.rename(path)
    except OSError as error:
        raise storage_error(error, path) from error
    except sqlite3.OperationalError as error:
        raise sqlite_storage_error(error, path) from error
    except sqlite3.IntegrityError as error:
        raise DataError(
            f"{path.name} was not written.",
            why=f"Its rows break one of its own keys. SQLite says: {error}.",
            do="Remove the repeated or missing keys.",
        ) from error


def _write_whole(path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _fill(connection, tables, rows)
        _to_disk(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _fill(connection: sqlite3.Connection, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
    # Until the rename nobody knows the file, so a crash may leave it half done: no journal, no waiting for the disk.
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    metadata = sa.MetaData()
    built = {table.ref.name: _table(metadata, table) for table in tables}
    for table in tables:
        _add_foreign_keys(table, built)
    connection.execute("BEGIN")
    for table in tables:
        connection.execute(str(CreateTable(built[table.ref.name]).compile(dialect=SQLITE)))
        _insert(connection, table, rows[table.ref.name])
    for schema in built.values():
        for index in sorted(schema.indexes, key=lambda index: str(index.name)):
            connection.execute(str(CreateIndex(index).compile(dialect=SQLITE)))
    connection.execute("COMMIT")
    connection.execute("ANALYZE")


def _table(metadata: sa.MetaData, table: TableInfo) -> sa.Table:
    name = table.ref.name
    columns = [
        sa.Column(
            quoted_name(column.name, True),
            Declared(column.database_type or _WORDS[column.type]),
            nullable=column.nullable,
            autoincrement=False,
        )
        for column in table.columns
    ]
    constraints: list[sa.Constraint] = [sa.UniqueConstraint(*_names(key)) for key in table.unique_keys]
    if table.primary_key:
        constraints.append(sa.PrimaryKeyConstraint(*_names(table.primary_key)))
    return sa.Table(quoted_name(name, True), metadata, *columns, *constraints)


def _add_foreign_keys(table: TableInfo, schemas: Mapping[str, sa.Table]) -> None:
    """Add keys and an index on each; columns are passed as objects, because SQLAlchemy splits names at dots."""
    schema = schemas[table.ref.name]
    for key in table.foreign_keys:
        target = schemas[key.target.name]
        theirs = [target.c[column] for column in key.target_columns]
        schema.append_constraint(sa.ForeignKeyConstraint(_names(key.columns), theirs))
        if table.primary_key[: len(key.columns)] != key.columns:
            name = quoted_name(f"ix_{table.ref.name}_{'_'.join(key.columns)}", True)
            sa.Index(name, *(schema.c[column] for column in key.columns))


def _names(columns: Sequence[str]) -> list[str]:
    return [quoted_name(column, True) for column in columns]


def _insert(connection: sqlite3.Connection, table: TableInfo, rows: pa.Table) -> None:
    names = [column.name for column in table.columns]
    target = sa.table(quoted_name(table.ref.name, True), *(sa.column(quoted_name(name, True)) for name in names))
    # Positional marks: parameters named after columns would have to survive every odd name.
    statement = sa.insert(target).values({name: sa.literal_column("?") for name in names})
    connection.executemany(str(statement.compile(dialect=SQLITE)), _tuples(rows.select(names)))


def _tuples(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
        yield from zip(*(storable(column).to_pylist() for column in batch.columns), strict=True)


def storable(column: pa.Array) -> pa.Array:
    """Return values as SQLite keeps them: dates and times as ISO text, decimals as text with all digits."""
    if pa.types.is_dictionary(column.type):
        return storable(column.dictionary_decode())
    if pa.types.is_timestamp(column.type):
        return _iso(column)
    if pa.types.is_date(column.type) or pa.types.is_decimal(column.type):
        return column.cast(pa.string())
    return column


def _iso(column: pa.Array) -> pa.Array:
    """Return "2024-05-01 12:30:00", with a fraction only where the column has one."""
    whole = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    if pc.all(pc.equal(whole.cast(column.type), column), skip_nulls=True).as_py():
        column = whole
    return pc.strftime(column, format="%Y-%m-%d %H:%M:%S")


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise StorageError(
            f"{path} already exists.",
            why="A new database never replaces a file.",
            do="Choose another name, or move the file away.",
            path=str(path),
        )


def sqlite_storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    """SQLite keeps the system's error to itself and says only what kind it was."""
    code = getattr(error, "sqlite_errorname", None) or ""
    number = errno.ENOSPC if code.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")) else errno.EIO
    return storage_error(OSError(number, str(error)), path)
