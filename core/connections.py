"""A connection as people write it: a path or a URL. Passwords are taken out at once and never put back in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec

FILE_DIALECTS = frozenset({"sqlite", "duckdb", "files"})
"""Dialects whose database is a file or a folder."""
PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
"""The port a server listens on unless told otherwise."""

TITLES: Mapping[str, str] = {
    "sqlite": "SQLite",
    "duckdb": "DuckDB",
    "files": "Files",
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
}
"""What the kinds of databases are called; others go by the name of their dialect."""

_URL = re.compile(r"(?P<dialect>[A-Za-z][\w+.-]*)://(?P<rest>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
_FAMILIES = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mariadb"}
_PASSWORD_OPTIONS = ("password", "passwd", "pwd")
_FILE_ENDINGS = frozenset({".csv", ".tsv", ".txt", ".gz", ".parquet", ".arrow", ".feather", ".ipc"})
_SQLITE_MARK, _DUCKDB_MARK = b"SQLite format 3\x00", b"DUCK"


def connection_from_text(text: str) -> ConnectionSpec:
    """Return the connection a URL (`postgresql://ann@db.example.com/shop`) or the path of a file or folder names.

    A password in the URL becomes `secret`. SourceError if the URL cannot be read; it never repeats the text.
    """
    url = _URL.fullmatch(text.strip())
    return connection_from_path(Path(text)) if url is None else _from_url(url["dialect"].lower(), url["rest"])


def connection_from_path(path: Path) -> ConnectionSpec:
    """Return the connection to a file or folder, by its first bytes where it has any, else by its ending."""
    place = path.expanduser().absolute()
    return ConnectionSpec(_file_dialect(place), str(place))


def connection_text(connection: ConnectionSpec) -> str:
    """Return the connection for reading: a path, or a URL without password and options."""
    if connection.dialect in FILE_DIALECTS:
        return connection.database
    user = f"{quote(connection.username, safe='')}@" if connection.username else ""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.dialect}://{user}{host}{port}/{quote(connection.database, safe='')}"


def connection_kind(connection: ConnectionSpec) -> str:
    """Return what kind of database a connection leads to: "PostgreSQL"."""
    return TITLES.get(connection.dialect, connection.dialect)


def connection_place(connection: ConnectionSpec) -> str:
    """Return where the database is: the folder of a file, or server and user."""
    if connection.dialect in FILE_DIALECTS:
        return str(Path(connection.database).parent)
    usual = PORTS.get(connection.dialect, 0)
    port = f":{connection.port}" if connection.port not in (0, usual) else ""
    user = f"{connection.username}@" if connection.username else ""
    return f"{user}{connection.host or 'localhost'}{port}"


def _from_url(dialect: str, rest: str) -> ConnectionSpec:
    family, _, _ = dialect.partition("+")
    if family in FILE_DIALECTS:
        path = unquote(rest.partition("?")[0]).removeprefix("/")
        return ConnectionSpec(family, str(Path(path).expanduser().absolute()))
    # The last @ ends the password, so that a password with an @ that nobody escaped still works.
    before, at, after = rest.rpartition("@")
    username, _, password = before.partition(":")
    if {"/", "?"} & set(username):  # the @ stands in an option
        username, at, after = "", "", rest
    place, _, query = after.partition("?")
    authority, _, database = place.partition("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    hidden = [options.pop(name) for name in _PASSWORD_OPTIONS if name in options]
    secret = unquote(password) if at and password else next(iter(hidden), None)
    found = _AUTHORITY.fullmatch(authority)
    host, port = (found["host"].strip("[]"), found["port"]) if found else ("", None)
    return ConnectionSpec(
        dialect=_FAMILIES.get(family, dialect),
        database=unquote(database),
        host=unquote(host),
        port=_port(port),
        username=unquote(username),
        options=options,
        secret=secret,
    )


def _port(text: str | None) -> int:
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise SourceError(
            "The address of the database cannot be read.",
            why="What follows the host's colon is not a port: a number between 1 and 65535.",
            do="Write it as DIALECT://USER@HOST:PORT/DATABASE; write @, / and : in names as %40, %2F and %3A.",
        )
    return int(text)


def _file_dialect(path: Path) -> str:
    if path.is_dir():
        return "files"
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(16)
        if head == _SQLITE_MARK:
            return "sqlite"
        if head[8:12] == _DUCKDB_MARK:
            return "duckdb"
    ending = path.suffix.lower()
    if ending in _FILE_ENDINGS:
        return "files"
    return "duckdb" if ending in (".duckdb", ".ddb") else "sqlite"


def url_with_options(connection: ConnectionSpec) -> str:
    """Return the URL with its options, still without a password: what `connection_from_text` reads back."""
    options = f"?{urlencode(connection.options)}" if connection.options else ""
    return connection_text(connection) + options
