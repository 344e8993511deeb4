"""A fresh database on a real server for each test module; skipped, with the way to run it, where there is no server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import psycopg
import pymysql
import pytest

from core.connections import connection_from_text
from crosslens.relational import ConnectionSpec
from db.engines import Session, open_session

from .start import CERTIFICATE, MARIADB, POSTGRESQL

READER = "reader"


@dataclass(frozen=True)
class Server:
    """A database of our own: `owner` may do anything, `reader` only read; `run` executes as owner."""

    owner: ConnectionSpec
    reader: ConnectionSpec

    @property
    def is_postgresql(self) -> bool:
        return self.owner.dialect == "postgresql"

    def quoted(self, name: str) -> str:
        mark = '"' if self.is_postgresql else "`"
        return mark + name.replace(mark, mark * 2) + mark

    def run(self, *statements: str) -> None:
        with closing(connect(self.owner)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(connect(self.owner)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())


def connect(spec: ConnectionSpec) -> Any:
    if spec.dialect == "postgresql":
        return psycopg.connect(
            host=spec.host, port=spec.port, user=spec.username, password=spec.secret, dbname=spec.database,
            autocommit=True,
        )  # fmt: skip
    return pymysql.connect(
        host=spec.host, port=spec.port, user=spec.username, password=spec.secret or "", database=spec.database,
        charset="utf8mb4", autocommit=True,
    )  # fmt: skip


def admin(variable: str) -> ConnectionSpec:
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"no server: set {variable}, or run `make test-servers`")
    return connection_from_text(url)


def new_database(variable: str) -> Iterator[Server]:
    root = admin(variable)
    name, reader, password = f"t_{uuid4().hex[:12]}", f"r_{uuid4().hex[:12]}", f"pässword {uuid4().hex[:8]}' \\ %s"
    is_postgresql = root.dialect == "postgresql"
    literal = password.replace("'", "''") if is_postgresql else password.replace("\\", "\\\\").replace("'", "\\'")
    server = Server(replace(root, database=name), replace(root, database=name, username=reader, secret=password))
    base = Server(root, root)
    base.run(f"CREATE DATABASE {name}" + ("" if is_postgresql else " CHARACTER SET utf8mb4"))
    if is_postgresql:
        base.run(f"CREATE ROLE {reader} LOGIN PASSWORD '{literal}'", f"GRANT pg_read_all_data TO {reader}")
    else:
        base.run(f"CREATE USER {reader}@'%' IDENTIFIED BY '{literal}'", f"GRANT SELECT ON {name}.* TO {reader}@'%'")
    yield server
    if is_postgresql:
        base.run(f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {reader}")
    else:
        # A client that goes away does not end its query here; what a test left running would slow all others down.
        left = base.ask(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
        base.run(*(f"KILL {number}" for (number,) in left), f"DROP DATABASE {name}", f"DROP USER {reader}")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    yield from new_database(POSTGRESQL)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    yield from new_database(MARIADB)


@pytest.fixture(scope="module", params=[POSTGRESQL, MARIADB], ids=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A database on each kind of server in turn."""
    yield from new_database(request.param)


@pytest.fixture
def opened() -> Iterator[Callable[[ConnectionSpec], Session]]:
    """Open sessions that are closed afterwards."""
    sessions: list[Session] = []

    def open_one(spec: ConnectionSpec) -> Session:
        sessions.append(open_session(spec))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.close()


@pytest.fixture
def certificate() -> str:
    path = os.environ.get(CERTIFICATE)
    if not path:
        pytest.skip(f"no certificate: set {CERTIFICATE}, or run `make test-servers`")
    return path
