"""Nothing that reaches a DuckDB file may write or look elsewhere, and nothing runs longer than it may."""

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from crosslens.errors import QueryError, SourceError, Stopped, UserError
from crosslens.relational import ConnectionSpec
from db.columns import Kind
from db.engines.duckdb import DuckDbSession

from .duckdb_helpers import make_duckdb

WRITES = (
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "DROP TABLE t",
    "CREATE TABLE u(x INT)",
    "CREATE TEMP TABLE u(x INT)",
    "CREATE MACRO f() AS 1",
    "ALTER TABLE t ADD COLUMN y INT",
    "ATTACH 'other.db' AS other",
    "ATTACH ':memory:' AS other",
    "COPY t TO 'other.csv'",
    "COPY (SELECT 1) TO 'other.csv' (USE_TMP_FILE false)",
    "EXPORT DATABASE 'other'",
    "IMPORT DATABASE 'other'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "VACUUM",
    "SET threads = 1",
    "SET VARIABLE a = 1",
    "RESET threads",
    "PRAGMA threads = 1",
    "PRAGMA enable_profiling",
    "CALL force_checkpoint()",
    "BEGIN",
    "USE t",
    "CREATE SECRET (TYPE s3)",
    "EXPLAIN ANALYZE SELECT 1",
    "WITH n AS (INSERT INTO t VALUES (2) RETURNING x) SELECT * FROM n",
    "WITH n AS (UPDATE t SET x = 2 RETURNING x) SELECT * FROM n",
    "WITH n AS (DELETE FROM t RETURNING x) SELECT * FROM n",
    "WITH n AS (COPY (SELECT 1) TO 'other.csv' (USE_TMP_FILE false)) SELECT * FROM n",
    "SELECT * FROM (WITH n AS (COPY (SELECT 1) TO 'other.csv') SELECT * FROM n)",
    "SELECT * FROM query('WITH n AS (COPY (SELECT 1) TO ''other.csv'') SELECT * FROM n')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "SELECT 1); DROP TABLE t; SELECT (2",
    "",
    "-- nothing",
    "SELECT",
)
OUTSIDE = (
    "SELECT * FROM read_csv('outside.csv')",
    "SELECT * FROM 'outside.csv'",
    "SELECT * FROM read_text('outside.csv')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM sniff_csv('outside.csv')",
    "SELECT * FROM read_json('https://example.org/x.json')",
)
ENDLESS = sa.select(sa.func.count()).select_from(sa.func.range(10**15).table_valued("n"))


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckDbSession]:
    monkeypatch.chdir(tmp_path)
    path = make_duckdb(tmp_path / "t.duckdb", "CREATE TABLE t(x INT UNIQUE); INSERT INTO t VALUES (1)")
    (tmp_path / "outside.csv").write_text("secret\n1\n")
    session = DuckDbSession(ConnectionSpec("duckdb", str(path)))
    yield session
    session.close()


@pytest.mark.parametrize("statement", WRITES)
def test_every_way_to_write_is_refused_and_leaves_nothing(statement: str, session, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(QueryError):
        session.columns_of(statement)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("statement", WRITES)
def test_text_inside_a_statement_of_ours_passes_the_same_guard(statement: str, session, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    inner = sa.select(sa.literal_column("*")).select_from(sa.text(f"({statement}) AS q"))
    with pytest.raises(UserError):
        session.fetch(inner)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("statement", [write for write in WRITES if "COPY" in write or "INSERT" in write])
def test_the_file_would_be_safe_even_without_our_guard(statement: str, session, tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error):
        session._connection.execute(statement).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside.csv", "t.duckdb"]


@pytest.mark.parametrize("statement", OUTSIDE)
def test_nothing_outside_the_file_can_be_read(statement: str, session) -> None:
    rows = sa.select(sa.func.count()).select_from(sa.text(f"({statement}) AS q"))
    with pytest.raises(UserError):
        session.fetch(rows)


def test_variables_of_this_program_are_no_tables(session) -> None:
    secret = {"password": ["hush"]}
    assert secret
    with pytest.raises(QueryError):
        session.columns_of("SELECT * FROM secret")


def test_a_select_of_any_reading_form_gives_its_columns(session) -> None:
    select = (
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i, x AS "Größe" FROM n, t'
    )
    assert [(column.name, column.database_type) for column in session.columns_of(select)] == [
        ("i", "INTEGER"),
        ("Größe", "INTEGER"),
    ]


def test_two_columns_of_one_name_are_refused_in_a_sentence(session) -> None:
    with pytest.raises(QueryError, match="Two columns of the SELECT are called “x”"):
        session.columns_of("SELECT x, x AS X FROM t")


def test_an_error_in_a_select_is_said_in_the_words_of_the_database(session) -> None:
    with pytest.raises(QueryError, match="nowhere"):
        session.columns_of("SELECT * FROM nowhere")


def test_a_query_that_never_ends_meets_its_time_limit(session) -> None:
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"within 0\.3 seconds"), session.watch(seconds=0.3):
        session.fetch(ENDLESS)
    assert time.monotonic() - started < 1.3


def test_stop_interrupts_a_query_that_never_ends(session) -> None:
    started = time.monotonic()
    with pytest.raises(Stopped), session.watch(should_stop=lambda: time.monotonic() - started > 0.2):
        session.fetch(ENDLESS)
    assert time.monotonic() - started < 1.2


def test_stop_ends_a_stream_between_its_batches(session) -> None:
    numbers = sa.select(sa.column("range")).select_from(sa.func.range(10**12).table_valued("n"))
    started, seen = time.monotonic(), 0
    with pytest.raises(Stopped), session.watch(should_stop=lambda: time.monotonic() - started > 0.2):
        for arrays in session.batches(numbers, (Kind.INTEGER,), rows=1000):
            seen += len(arrays[0])
    assert seen
    assert time.monotonic() - started < 1.2


def test_an_error_of_the_stop_function_itself_is_not_lost(session) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), session.watch(should_stop=broken):
        session.fetch(ENDLESS)


def test_after_a_stop_the_session_reads_on(session) -> None:
    with pytest.raises(Stopped), session.watch(should_stop=lambda: True):
        session.fetch(ENDLESS)
    assert session.fetch(sa.select(sa.func.count()).select_from(sa.table("t"))) == [(1,)]


def test_the_badge_says_what_enforces_it(session) -> None:
    assert session.read_only.startswith("Read-only, enforced by DuckDB")


def test_a_database_another_connection_writes_to_is_locked(tmp_path: Path) -> None:
    path = make_duckdb(tmp_path / "w.duckdb", "CREATE TABLE t(x INT)")
    with duckdb.connect(str(path)), pytest.raises(SourceError, match="open for writing"):
        DuckDbSession(ConnectionSpec("duckdb", str(path)))
