"""The tables of `project.db`. Columns have the names of the fields of the records they keep."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC as ISO text of fixed width, so that text order is time order; naive times are taken as UTC."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Return the text SQLite keeps."""
        if value is None:
            return None
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        return None if value is None else datetime.fromisoformat(value)


METADATA = MetaData()

CONNECTIONS = Table(
    "connections",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("dialect", String, nullable=False),
    Column("database", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("username", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("last_used", UtcDateTime),
    Column("credential", Text, nullable=False, server_default=""),
    Column("password_variable", Text, nullable=False, server_default=""),
)

PREPARATIONS = Table(
    "preparations",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("changed", UtcDateTime, nullable=False),
)

# `process_start` belongs to the store alone: it tells a living worker from a stranger who was given its pid.
RUNS = Table(
    "runs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("created", UtcDateTime, nullable=False, index=True),
    Column("recipe", Text, nullable=False),
    Column("finished", UtcDateTime),
    Column("seconds", Float),
    Column("data_fingerprint", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("starred", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", String, nullable=False),
)

# SQLite keeps NaN as NULL, so the figures are nullable and NULL is read back as NaN.
METRICS = Table(
    "metrics",
    METADATA,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("rows", Integer, nullable=False),
    Column("positives", Integer, nullable=False),
)

SETTINGS = Table(
    "settings",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
