"""How single values of PostgreSQL become Python's: what psycopg would refuse or decode comes as the server wrote it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader


class AsText(Loader):
    """The server's own text; bytes that are not UTF-8 (a database in SQL_ASCII) become replacement marks."""

    def load(self, data: Buffer) -> str:
        """Return the text."""
        return bytes(data).decode("utf-8", "replace")


class _Date(DateLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _Timestamp(TimestampLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _Timestamptz(TimestamptzLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


def register_loaders(connection: psycopg.Connection[Any]) -> None:
    """Let dates beyond Python's ("infinity", 20000-01-01, BC), JSON and text in a foreign encoding come as text."""
    for name, loader in (("date", _Date), ("timestamp", _Timestamp), ("timestamptz", _Timestamptz)):
        connection.adapters.register_loader(name, loader)
    for name in ("json", "jsonb", "interval", "time", "timetz", "uuid"):
        connection.adapters.register_loader(name, AsText)
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        for name in ("text", "varchar", "bpchar", "name"):
            connection.adapters.register_loader(name, AsText)


def _or_text(load: Any, data: Buffer) -> Any:
    try:
        return load(data)
    except psycopg.DataError:
        return bytes(data).decode("utf-8", "replace")
