"""Opening `project.db`: the engine, which revision the file has, and how it gets to the present one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path

from sqlalchemy import URL, Column, Connection, Engine, MetaData, String, Table, create_engine, event, insert, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from .tables import METADATA

REVISIONS = ("0001", "0002")
"""Every revision this version knows, oldest first. Written out so that Alembic is imported only when it has work."""

APPLICATION_ID = 0x43524C53
"""Marks the file as ours ("CRLS"), whatever else is called project.db."""

BUSY_SECONDS = 10.0

_IMMEDIATE = "crosslens_immediate"

_REVISION = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False)
)  # as Alembic makes it


class State(Enum):
    """What a project.db is to this version."""

    EMPTY = "empty"
    FOREIGN = "foreign"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def connect(path: Path) -> Engine:
    """Return an engine on `path`; transactions begin when SQLAlchemy says so, not when sqlite3 guesses."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Hold the write lock for one short transaction, committed at the end.

    Immediate, so that a writer waits for its turn instead of failing half-way with what it has read.
    """
    with engine.execution_options(**{_IMMEDIATE: True}).begin() as connection:
        yield connection


def state_of(connection: Connection) -> State:
    """Return what the file is."""
    if connection.scalar(text("PRAGMA application_id")) != APPLICATION_ID:
        tables = connection.scalar(text("SELECT count(*) FROM sqlite_master"))
        return State.FOREIGN if tables else State.EMPTY
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision == REVISIONS[-1]:
        return State.CURRENT
    return State.OLDER if revision in REVISIONS else State.NEWER


def bring_up_to_date(engine: Engine) -> None:
    """Take an EMPTY or OLDER file to the present revision, wholly or not at all.

    Another process may have been faster: what the file is, is asked again under the write lock. A new file gets its
    tables at once, without Alembic, whose import would keep a window waiting.
    """
    _use_write_ahead_log(engine)
    with writing(engine) as connection:
        if state_of(connection) is State.EMPTY:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            METADATA.create_all(connection)
            _REVISION.create(connection)
            connection.execute(insert(_REVISION).values(version_num=REVISIONS[-1]))
        else:
            _upgrade(connection)


def back_up(engine: Engine) -> Path:
    """Copy an OLDER file to `project.before-<revision>.db` beside it, whole, before it is brought up to date."""
    with engine.connect() as connection:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        source = connection.connection.driver_connection
        path = Path(str(engine.url.database)).with_suffix(f".before-{REVISIONS[REVISIONS.index(str(revision)) + 1]}.db")
        temporary = path.with_suffix(".tmp")
        with closing(sqlite3.connect(temporary)) as target:
            assert isinstance(source, sqlite3.Connection)
            source.backup(target)
    temporary.replace(path)
    return path


def _use_write_ahead_log(engine: Engine) -> None:
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        raw.close()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic's configuration expands %, which a path may hold.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
