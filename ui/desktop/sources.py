"""What a path or a URL leads to, and what to call a connection. No Qt, and no driver is imported.

A file is known by its first bytes before its name is asked; a URL loses its password the moment it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec

PROJECT_FILE = "project.db"
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3", ".s3db", ".sl3", ".duckdb", ".ddb")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet", ".arrow", ".feather", ".ipc")
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
FILE_DIALECTS = frozenset({"sqlite", "duckdb", "files"})
GUARDED_DIALECTS = FILE_DIALECTS | DEFAULT_PORTS.keys()
"""Dialects whose engine enforces read-only access, so that the badge of a saved connection is known beforehand."""

_MAGIC = ((0, b"SQLite format 3\x00", "sqlite"), (8, b"DUCK", "duckdb"), (0, b"PAR1", "files"), (0, b"ARROW1", "files"))
_ALIASES = {
    "postgres": "postgresql", "postgresql+psycopg": "postgresql", "mysql+pymysql": "mysql",
    "mariadb+pymysql": "mariadb", "sqlite+pysqlite": "sqlite",
}  # fmt: skip
_SERVER = r"(?P<host>\[[^\]]+\]|[^/:?@]*)(?::(?P<port>\d*))?(?:/(?P<database>[^?@]*))?(?:\?(?P<query>.*))?"
_URL = re.compile(r"(?P<dialect>\w[\w+]*)://(?:(?P<username>[^:/@]*)(?::(?P<password>[^@]*))?@)?" + _SERVER)
_LOOSE_URL = re.compile(r"(?P<dialect>\w[\w+]*)://(?P<username>[^:/@]*):(?P<password>.*)@" + _SERVER)
"""As SQLAlchemy reads URLs; the second form forgives a password whose @ was not written as %40."""
_PASSWORD_OPTIONS = ("password", "passwd", "pwd")
SECRET_OPTIONS = frozenset({*_PASSWORD_OPTIONS, "sslpassword", "secret", "token"})
"""Options that hold a secret: they are never taken over from a URL."""


@dataclass(frozen=True, slots=True)
class ReadUrl:
    """A URL as read: the connection without its password, and the password if there was one.

    `dropped` names options that hold secrets and were left out.
    """

    connection: ConnectionSpec
    password: str | None = field(default=None, repr=False)
    dropped: tuple[str, ...] = ()


def connection_of(path: Path) -> ConnectionSpec:
    """Return how to reach a file or a folder of files: by its first bytes, then by its suffix, else SQLite."""
    return ConnectionSpec(dialect=dialect_of(path), database=str(path.absolute()))


def dialect_of(path: Path) -> str:
    """Return "sqlite", "duckdb" or "files"; a file that cannot be read is left to the database to complain about."""
    if path.is_dir():
        return "files"
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        head = b""
    for offset, magic, dialect in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return dialect
    name = path.name.lower()
    if name.endswith((".duckdb", ".ddb")):
        return "duckdb"
    return "files" if name.endswith(TABLE_SUFFIXES) else "sqlite"


def holds_tables(folder: Path) -> bool:
    """Whether a folder has at least one file with rows in it, itself or one level below."""
    for pattern in ("*", "*/*"):
        if any(file.name.lower().endswith(TABLE_SUFFIXES) for file in folder.glob(pattern)):
            return True
    return False


def read_url(text: str) -> ReadUrl:
    """Return the connection a SQLAlchemy URL describes; SourceError if it is none."""
    found = _URL.fullmatch(text.strip()) or _LOOSE_URL.fullmatch(text.strip())
    if found is None:
        raise SourceError(
            "This is not the URL of a database.",
            do="Write it as dialect://user@host:port/database, for example postgresql://reader@db.example.org/shop.",
        )
    parts = {name: value or "" for name, value in found.groupdict().items()}
    options = dict(parse_qsl(parts["query"], keep_blank_values=True))
    password = unquote(parts["password"]) or None
    for name, value in options.items():
        password = password or (value if name.lower() in _PASSWORD_OPTIONS else None)
    dropped = tuple(name for name in options if name.lower() in SECRET_OPTIONS)
    connection = ConnectionSpec(
        dialect=_ALIASES.get(parts["dialect"], parts["dialect"]),
        database=unquote(parts["database"]),
        host=unquote(parts["host"]).strip("[]"),
        port=int(parts["port"] or 0),
        username=unquote(parts["username"]),
        options={name: value for name, value in options.items() if name not in dropped},
    )
    return ReadUrl(connection, password, dropped)


def url_of(connection: ConnectionSpec) -> str:
    """Return a connection as a URL to read, never with a password."""
    user = f"{connection.username}@" if connection.username else ""
    port = f":{connection.port}" if connection.port else ""
    options = "&".join(f"{name}={value}" for name, value in connection.options.items())
    tail = f"?{options}" if options else ""
    return f"{connection.dialect}://{user}{connection.host}{port}/{connection.database}{tail}"


def is_file(connection: ConnectionSpec) -> bool:
    """Whether the source is a file or a folder on this computer."""
    return connection.dialect in FILE_DIALECTS


def source_name(connection: ConnectionSpec) -> str:
    """Return a short name: of the file, the folder, or the database."""
    if is_file(connection):
        return Path(connection.database).name
    return connection.database or connection.host or connection.dialect


def source_place(connection: ConnectionSpec) -> str:
    """Return where it is: the folder of a file, or server and user."""
    if is_file(connection):
        return str(Path(connection.database).parent)
    port = f":{connection.port}" if connection.port and connection.port != default_port(connection.dialect) else ""
    user = f"{connection.username}@" if connection.username else ""
    return f"{connection.dialect}  ·  {user}{connection.host or 'localhost'}{port}"


def source_key(connection: ConnectionSpec) -> str:
    """Return one line that stands for the source: the path of a file, else its URL without password and options."""
    return connection.database if is_file(connection) else url_of(replace(connection, options={}))


def default_port(dialect: str) -> int:
    """Return the usual port of a server, 0 if it is not known."""
    return DEFAULT_PORTS.get(dialect, 0)


def is_guarded(connection: ConnectionSpec) -> bool:
    """Whether the database itself will keep Crosslens from writing."""
    return connection.dialect in GUARDED_DIALECTS


def without_secret(connection: ConnectionSpec) -> ConnectionSpec:
    """Return a connection as it may be written down."""
    options: Mapping[str, str] = {
        name: value for name, value in connection.options.items() if name.lower() not in SECRET_OPTIONS
    }
    return replace(connection, secret=None, options=options)

