"""A snapshot is used again while the tables it was read from have not changed, and never after they have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crosslens.relational import ColumnRef, JoinSpec, QuerySpec, Snapshot, TableRef
from db.sources import SqlSources

from .conftest import Server

QUERY = QuerySpec(
    TableRef("seen"),
    (ColumnRef("seen", "id"), ColumnRef("users", "city"), ColumnRef("seen", "mood")),
    (JoinSpec("users", TableRef("users"), ((ColumnRef("seen", "user_id"), "id"),)),),
)

Extract = Callable[[], Snapshot]


def _fill(server: Server) -> None:
    mood = "mood" if server.is_postgresql else "VARCHAR(9)"
    if server.is_postgresql:
        server.run("DROP TYPE IF EXISTS mood CASCADE", "CREATE TYPE mood AS ENUM ('good', 'bad')")
    server.run(
        "DROP TABLE IF EXISTS seen", "DROP TABLE IF EXISTS users", "DROP TABLE IF EXISTS other",
        "CREATE TABLE users(id INTEGER PRIMARY KEY, city VARCHAR(20))",
        f"CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id INTEGER, mood {mood})",
        "CREATE TABLE other(id INTEGER PRIMARY KEY)",
        "INSERT INTO users VALUES (1, 'Bonn'), (2, 'Ulm')",
        "INSERT INTO seen VALUES (1, 1, 'good'), (2, 2, 'bad'), (3, NULL, NULL)",
    )  # fmt: skip


@pytest.fixture
def extract(server: Server, tmp_path: Path) -> Extract:
    _fill(server)

    def read() -> Snapshot:
        with SqlSources().open(server.reader) as source:
            return source.extract(QUERY, tmp_path)

    return read


CHANGES = [
    "INSERT INTO seen VALUES (4, 1, 'bad')",
    "UPDATE seen SET user_id = 1 WHERE id = 2",
    "DELETE FROM seen WHERE id = 3",
    "UPDATE users SET city = 'Köln' WHERE id = 1",
    "TRUNCATE TABLE users",
]


@pytest.mark.parametrize("change", CHANGES)
def test_one_changed_row_of_a_table_of_the_query_is_read_again(change: str, extract: Extract, server: Server) -> None:
    before = extract()
    server.run(change)
    after = extract()
    assert after.key != before.key
    assert after.fingerprint != before.fingerprint


def test_what_was_changed_back_is_read_again(extract: Extract, server: Server) -> None:
    before = extract()
    server.run("UPDATE seen SET user_id = 1 WHERE id = 2", "UPDATE seen SET user_id = 2 WHERE id = 2")
    after = extract()
    assert (after.key == before.key, after.fingerprint == before.fingerprint) == (False, True)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "INSERT INTO other VALUES (1)",
        "CREATE TABLE newer(id INTEGER)",
        "VACUUM ANALYZE seen",
        "SELECT pg_current_xact_id()",
        "BEGIN; INSERT INTO seen VALUES (9, 9, 'bad'); ROLLBACK",
    ],
)
def test_postgresql_reads_nothing_again_while_its_tables_stay(
    elsewhere: str, postgresql: Server, tmp_path: Path
) -> None:
    _fill(postgresql)
    postgresql.run("DROP TABLE IF EXISTS newer")
    with SqlSources().open(postgresql.reader) as source:
        before = source.extract(QUERY, tmp_path)
    written = before.path.stat().st_mtime_ns
    postgresql.run(elsewhere)
    with SqlSources().open(postgresql.reader) as source:
        after = source.extract(QUERY, tmp_path)
    assert after == before
    assert after.path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'",
        "ALTER TABLE users DROP COLUMN city; ALTER TABLE users ADD COLUMN city VARCHAR(20) DEFAULT 'Rom'",
        "DROP TABLE users; CREATE TABLE users(id INTEGER PRIMARY KEY, city VARCHAR(20))",
    ],
)
def test_values_that_change_without_a_row_being_written_are_read_again(
    change: str, postgresql: Server, tmp_path: Path
) -> None:
    _fill(postgresql)
    with SqlSources().open(postgresql.reader) as source:
        before = source.extract(QUERY, tmp_path)
    postgresql.run(change)
    with SqlSources().open(postgresql.reader) as source:
        after = source.extract(QUERY, tmp_path)
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    "made",
    [
        "CREATE VIEW hidden AS SELECT * FROM users",
        "CREATE TABLE hidden(id INTEGER, city VARCHAR(20)) PARTITION BY RANGE (id)",
        "CREATE TABLE hidden(LIKE users); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE hidden(LIKE users); CREATE TABLE child() INHERITS (hidden)",
    ],
)
def test_of_other_things_than_plain_tables_nothing_is_known_but_the_whole_server(
    made: str, postgresql: Server, tmp_path: Path
) -> None:
    _fill(postgresql)
    postgresql.run("DROP VIEW IF EXISTS hidden" if "VIEW" not in made else "SELECT 1")
    postgresql.run(made)
    query = QuerySpec(TableRef("hidden"), (ColumnRef("hidden", "city"),))
    try:
        with SqlSources().open(postgresql.reader) as source:
            before = source.extract(query, tmp_path)
            postgresql.run("INSERT INTO other VALUES (1)")
            assert source.extract(query, tmp_path).key != before.key
    finally:
        kind = "VIEW" if "VIEW" in made else "TABLE"
        postgresql.run(f"DROP {kind} hidden CASCADE")


def test_a_role_that_may_read_some_columns_only_still_reads_them(postgresql: Server, tmp_path: Path) -> None:
    _fill(postgresql)
    role = postgresql.reader.username
    postgresql.run(f"REVOKE pg_read_all_data FROM {role}", f"GRANT SELECT (id, city) ON users TO {role}")
    try:
        with SqlSources().open(postgresql.reader) as source:
            query = QuerySpec(TableRef("users"), (ColumnRef("users", "city"),))
            assert source.extract(query, tmp_path).rows == 2
    finally:
        postgresql.run(f"GRANT pg_read_all_data TO {role}")
