"""What a path or a URL leads to, and what to call a connection. No Qt, and no driver is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from core.connections import FILE_DIALECTS, PORTS, connection_from_text, connection_place, connection_text
from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec

PROJECT_FILE = "project.db"
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3", ".s3db", ".sl3", ".duckdb", ".ddb")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet", ".arrow", ".feather", ".ipc")
MOST_LOOKED_AT = 2_000
"""How many entries of a folder are looked at before it counts as one without rows."""
SECRET_OPTIONS = frozenset({"password", "passwd", "pwd", "sslpassword", "secret", "token"})
"""Options that hold a secret: they are never written down."""


def holds_tables(folder: Path) -> bool:
    """Whether a folder has at least one file with rows in it, itself or one level below."""
    for pattern in ("*", "*/*"):
        if any(file.name.lower().endswith(TABLE_SUFFIXES) for file in islice(folder.glob(pattern), MOST_LOOKED_AT)):
            return True
    return False


def read_url(text: str) -> ConnectionSpec:
    """Return the connection a SQLAlchemy URL describes, its password as `secret`; SourceError if it is none."""
    if "://" not in text:
        raise SourceError(
            "This is not the URL of a database.",
            do="Write it as dialect://user@host:port/database, for example postgresql://reader@db.example.org/shop.",
        )
    return connection_from_text(text)


def is_file(connection: ConnectionSpec) -> bool:
    """Whether the source is a file or a folder on this computer."""
    return connection.dialect in FILE_DIALECTS


def source_name(connection: ConnectionSpec) -> str:
    """Return a short name: of the file, the folder, or the database."""
    if is_file(connection):
        return Path(connection.database).name
    return connection.database or connection.host or connection.dialect


def source_place(connection: ConnectionSpec) -> str:
    """Return where it is: the folder of a file, or kind, server and user."""
    place = connection_place(connection)
    return place if is_file(connection) else f"{connection.dialect}  ·  {place}"


def source_key(connection: ConnectionSpec) -> str:
    """Return one line that stands for the source: the path of a file, else its URL without password and options."""
    return connection_text(connection)


def is_same_source(first: ConnectionSpec, second: ConnectionSpec) -> bool:
    """Whether two connections lead to the same data; a file may have been moved together with its project."""
    if first.dialect != second.dialect:
        return False
    if is_file(first):
        return Path(first.database).name == Path(second.database).name
    return source_key(first) == source_key(second)


def default_port(dialect: str) -> int:
    """Return the usual port of a server, 0 if it is not known."""
    return PORTS.get(dialect, 0)


def is_guarded(connection: ConnectionSpec) -> bool:
    """Whether the database itself will keep Crosslens from writing."""
    return is_file(connection) or connection.dialect in PORTS


def without_secret(connection: ConnectionSpec) -> ConnectionSpec:
    """Return a connection as it may be written down."""
    options: Mapping[str, str] = {
        name: value for name, value in connection.options.items() if name.lower() not in SECRET_OPTIONS
    }
    return replace(connection, secret=None, options=options)
