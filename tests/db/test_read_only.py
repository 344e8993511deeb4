"""Nothing that reaches the connection may write: not the file, not another file, not the guards themselves."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

import db.engines.sqlite as sqlite_engine
from crosslens.errors import QueryError, SourceError, Stopped
from crosslens.relational import ConnectionSpec
from db.engines.sqlite import SqliteSession, database_uri, guarded_connection

from .helpers import make_database

ODD_PATHS = ("plain.db", "a?b.db", "a#b.db", "100%.db", "with space.db", "Größe-имя.db", "a&b=c.db", "%41.db", "a'b.db")

REFUSED = "not authorized|authorization denied"
WRITES = (
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "DROP TABLE t",
    "CREATE TABLE u(x)",
    "CREATE TEMP TABLE u(x)",
    "CREATE INDEX i ON t(x)",
    "ALTER TABLE t ADD COLUMN y",
    "ATTACH 'other.db' AS other",
    "VACUUM",
    "VACUUM INTO 'other.db'",
    "REINDEX",
    "ANALYZE",
    "PRAGMA query_only=off",
    "PRAGMA journal_mode=WAL",
    "PRAGMA writable_schema=1",
    "PRAGMA user_version=5",
    "PRAGMA schema_version=5",
    "PRAGMA wal_checkpoint",
    "PRAGMA temp_store_directory='/'",
    "SELECT load_extension('x')",
    "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n",
    "SAVEPOINT s",
)


@pytest.mark.parametrize("statement", WRITES)
def test_every_way_to_write_is_refused_and_leaves_nothing(statement: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_database(tmp_path / "t.db", "CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    with closing(guarded_connection(path)) as connection, pytest.raises(sqlite3.DatabaseError, match=REFUSED):
        connection.execute(statement)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["t.db"]


def test_without_the_authorizer_a_file_could_be_written_so_the_guard_is_needed(tmp_path: Path) -> None:
    path = make_database(tmp_path / "t.db", "CREATE TABLE t(x)")
    with closing(sqlite3.connect(database_uri(path), uri=True)) as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "other.db")])
    assert (tmp_path / "other.db").exists()


def test_query_only_and_mode_ro_hold_even_without_the_authorizer(tmp_path: Path) -> None:
    path = make_database(tmp_path / "t.db", "CREATE TABLE t(x)")
    with closing(guarded_connection(path)) as connection:
        connection.set_authorizer(None)
        assert connection.execute("PRAGMA query_only").fetchone() == (1,)
        connection.execute("PRAGMA query_only=0")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("name", ODD_PATHS)
def test_any_file_name_opens_and_no_other_file_appears(name: str, tmp_path: Path) -> None:
    make_database(tmp_path / "made.db", "CREATE TABLE t(x); INSERT INTO t VALUES (7)").rename(tmp_path / name)
    session = SqliteSession(ConnectionSpec("sqlite", str(tmp_path / name)))
    assert [table.ref.name for table in session.tables()] == ["t"]
    session.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_database_in_write_ahead_mode_shows_what_was_committed_last(tmp_path: Path) -> None:
    path = make_database(tmp_path / "t.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        session = SqliteSession(ConnectionSpec("sqlite", str(path)))
        assert session.with_row_counts(session.tables())[0].rows == 1
        before = session.identity()
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        assert session.identity() != before
        session.close()


def test_an_immutable_uri_reads_a_write_ahead_database_without_files_beside_it(tmp_path: Path) -> None:
    path = make_database(tmp_path / "t.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    with closing(guarded_connection(path, immutable=True)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert [file.name for file in tmp_path.iterdir()] == ["t.db"]


def test_a_write_ahead_database_in_a_folder_nobody_can_write_is_read_as_it_is(tmp_path: Path, monkeypatch) -> None:
    def guarded(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
        if not immutable:  # what SQLite says where it cannot make its index file; as root no folder is read-only
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorname = "SQLITE_CANTOPEN"
            raise error
        return guarded_connection(path, immutable=True)

    monkeypatch.setattr(sqlite_engine, "guarded_connection", guarded)
    path = make_database(tmp_path / "t.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    session = SqliteSession(ConnectionSpec("sqlite", str(path)))
    assert [table.ref.name for table in session.tables()] == ["t"]
    session.close()
    with pytest.raises(SourceError, match="could not be opened"):  # other databases need no such file
        SqliteSession(ConnectionSpec("sqlite", str(make_database(tmp_path / "u.db", "CREATE TABLE u(x)"))))


ENDLESS = "CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


def _count_endless(session: SqliteSession) -> None:
    session.fetch(sa.select(sa.func.count()).select_from(sa.table("endless")))


def test_a_query_that_never_ends_meets_its_time_limit(tmp_path: Path) -> None:
    session = SqliteSession(ConnectionSpec("sqlite", str(make_database(tmp_path / "t.db", ENDLESS))))
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"within 0\.3 seconds"), session.watch(seconds=0.3):
        _count_endless(session)
    assert time.monotonic() - started < 1.5
    session.close()


def test_stop_interrupts_a_query_that_never_ends(tmp_path: Path) -> None:
    session = SqliteSession(ConnectionSpec("sqlite", str(make_database(tmp_path / "t.db", ENDLESS))))
    started = time.monotonic()
    with pytest.raises(Stopped), session.watch(should_stop=lambda: time.monotonic() - started > 0.2):
        _count_endless(session)
    assert time.monotonic() - started < 1.2
    session.close()


def test_an_error_of_the_stop_function_itself_is_not_lost(tmp_path: Path) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    session = SqliteSession(ConnectionSpec("sqlite", str(make_database(tmp_path / "t.db", ENDLESS))))
    with pytest.raises(ZeroDivisionError), session.watch(should_stop=broken):
        _count_endless(session)
    session.close()
