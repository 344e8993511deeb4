"""Nothing a person types or we do can change a server's data, and nothing runs longer than it may."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from crosslens.errors import CrosslensError, QueryError, SourceError, Stopped, UserError
from crosslens.relational import ConnectionSpec
from db.columns import Kind, WiderKinds
from db.engines import Session
from db.engines.generic import GenericSession
from db.own_select import own_select

from .conftest import Server, connect

Opened = Callable[[ConnectionSpec], Session]
SECONDS_TO_END = 1.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""A second; more where other programs keep the processors busy."""


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    server.run("CREATE TABLE t (id int PRIMARY KEY, x varchar(20))", "INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    return server


def rows_of(session: Session, text: str) -> list[tuple[Any, ...]]:
    return session.fetch(sa.select(sa.text("*")).select_from(own_select(text).columns().subquery("own")))


WRITES = [
    "INSERT INTO t VALUES (3, 'x')",
    "UPDATE t SET x = 'x'",
    "DELETE FROM t",
    "DROP TABLE t",
    "CREATE TABLE made (x int)",
    "TRUNCATE TABLE t",
    "ALTER TABLE t ADD y int",
    "GRANT SELECT ON t TO PUBLIC",
]


@pytest.mark.parametrize("statement", WRITES)
def test_the_server_refuses_to_write_even_for_its_owner(statement: str, filled: Server, opened: Opened) -> None:
    session: Any = opened(filled.owner)
    with pytest.raises(QueryError), session._reading():
        session._connection.exec_driver_sql(statement)
    assert filled.ask("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, None)]
    assert session.fetch(sa.select(sa.literal(1))) == [(1,)]  # the session stays usable


@pytest.mark.parametrize(
    "text",
    [
        *WRITES,
        "SELECT 1; DROP TABLE t",
        "SELECT 1) AS own; DROP TABLE t; --",
        "SELECT * INTO made FROM t",
        "SELECT * FROM t INTO OUTFILE '/tmp/crosslens-outfile'",
        "SELECT * FROM t FOR UPDATE",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "COPY t TO '/tmp/crosslens-outfile'",
        "COPY t TO PROGRAM 'touch /tmp/crosslens-outfile'",
        "CALL something()",
        "SELECT '",
        "SELECT /* ",
        "SELECT * FROM nothing_of_that_name",
        "",
        ";",
    ],
)
def test_an_own_select_is_one_statement_that_reads_or_a_sentence(text: str, filled: Server, opened: Opened) -> None:
    session = opened(filled.owner)
    with pytest.raises(QueryError) as caught:
        session.columns_of(text)
    assert caught.value.what
    assert filled.ask("SELECT count(*) FROM t") == [(2,)]


def test_functions_that_write_are_refused_by_postgresql(postgresql: Server, opened: Opened) -> None:
    postgresql.run("CREATE SEQUENCE s", "CREATE TABLE w (x int)")
    postgresql.run("CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO w VALUES (1) RETURNING x'")
    session = opened(postgresql.owner)
    for text in ("SELECT nextval('s')", "SELECT setval('s', 9)", "SELECT w()"):
        with pytest.raises(QueryError, match="only ever read"):
            rows_of(session, text)
    assert postgresql.ask("SELECT count(*) FROM w") == [(0,)]


def test_switching_the_default_off_does_not_make_postgresql_writable(postgresql: Server, opened: Opened) -> None:
    postgresql.run("CREATE SEQUENCE s2")
    session = opened(postgresql.owner)
    rows_of(session, "SELECT set_config('default_transaction_read_only', 'off', false)")
    with pytest.raises(QueryError, match="only ever read"):
        rows_of(session, "SELECT nextval('s2')")
    with session.snapshot(), pytest.raises(QueryError):
        rows_of(session, "SELECT set_config('transaction_read_only', 'off', true)")


@pytest.mark.parametrize("comment", ["/*! DROP TABLE t */", "/*M! INTO OUTFILE 'x' */"])
def test_comments_that_mariadb_executes_are_refused(comment: str, mariadb: Server, opened: Opened) -> None:
    with pytest.raises(QueryError, match="comment"):
        opened(mariadb.reader).columns_of(f"SELECT 1 {comment}")


FOREVER = {
    "postgresql": "SELECT count(*) AS n FROM generate_series(1, 10000000000) a",
    "mariadb": "SELECT count(*) AS n FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c",
}


@pytest.mark.parametrize("kind", ["own", "generic"])
def test_what_runs_forever_is_ended_at_its_time_limit(kind: str, filled: Server) -> None:
    with closing(_session(kind, filled)) as session:
        started = time.monotonic()
        with pytest.raises(QueryError, match=r"within 0\.3 seconds"), session.watch(seconds=0.3):
            rows_of(session, FOREVER[filled.owner.dialect])
        assert time.monotonic() - started < 0.3 + SECONDS_TO_END
        assert session.fetch(sa.select(sa.literal(1))) == [(1,)]


@pytest.mark.parametrize("kind", ["own", "generic"])
def test_stop_ends_what_runs_within_a_second(kind: str, filled: Server) -> None:
    stop = threading.Event()
    with closing(_session(kind, filled)) as session:
        threading.Timer(0.3, stop.set).start()
        started = time.monotonic()
        with pytest.raises(Stopped), session.watch(should_stop=stop.is_set):
            rows_of(session, FOREVER[filled.owner.dialect])
        assert time.monotonic() - started < 0.3 + SECONDS_TO_END


def _session(kind: str, server: Server) -> Session:
    from db.engines import open_session

    if kind == "own":
        return open_session(server.reader)
    driver = "postgresql+psycopg" if server.is_postgresql else "mysql+pymysql"
    return GenericSession(replace(server.owner, dialect=driver))


@pytest.fixture(scope="module")
def many(server: Server) -> Server:
    server.run("CREATE TABLE many (id int PRIMARY KEY, x varchar(400))")
    if server.is_postgresql:
        server.run("INSERT INTO many SELECT n, repeat('x', 300) FROM generate_series(1, 100000) n", "ANALYZE many")
    else:
        server.run("INSERT INTO many SELECT seq, repeat('x', 300) FROM seq_1_to_100000", "ANALYZE TABLE many")
    return server


def _many() -> sa.Select[Any]:
    return sa.select(sa.column("id").label("c0"), sa.column("x").label("c1")).select_from(sa.table("many"))


def test_stop_in_the_middle_of_an_extraction_ends_it_within_a_second(many: Server, opened: Opened) -> None:
    session = opened(many.reader)
    stopped = 0.0
    seen = 0

    def stop() -> bool:
        return stopped > 0

    with pytest.raises(Stopped), session.watch(should_stop=stop), session.snapshot():
        for batch in session.batches(_many(), (Kind.INTEGER, Kind.TEXT), rows=1000):
            seen += len(batch[0])
            if not stopped:
                stopped = time.monotonic()
            time.sleep(0.01)
    assert time.monotonic() - stopped < SECONDS_TO_END
    assert 0 < seen < 100_000
    assert session.fetch(sa.select(sa.func.count()).select_from(sa.table("many"))) == [(100_000,)]


def test_a_reading_given_up_early_leaves_the_session_usable(many: Server, opened: Opened) -> None:
    session = opened(many.reader)
    batches = session.batches(_many(), (Kind.INTEGER, Kind.TEXT), rows=10)
    next(batches)
    batches.close()
    with pytest.raises(WiderKinds) as wider:
        list(session.batches(_many(), (Kind.INTEGER, Kind.INTEGER), rows=10))
    assert wider.value.kinds == (Kind.INTEGER, Kind.MIXED)
    assert session.fetch(sa.select(sa.literal(1))) == [(1,)]


def test_an_error_in_the_last_row_is_a_sentence_and_leaves_the_session_usable(
    postgresql: Server, opened: Opened
) -> None:
    session = opened(postgresql.reader)
    number = sa.func.generate_series(1, 5000).column_valued("n")
    failing = sa.select(number.label("c0"), (1 // (number - 5000)).label("c1"))
    read = 0
    with pytest.raises(QueryError, match="division by zero"):
        for batch in session.batches(failing, (Kind.INTEGER, Kind.INTEGER), rows=100):
            read += len(batch[0])
    assert read > 0
    assert session.fetch(sa.select(sa.literal(1))) == [(1,)]


def test_a_snapshot_sees_one_state_and_its_identity_stays(many: Server, opened: Opened) -> None:
    session = opened(many.reader)
    count = sa.select(sa.func.count()).select_from(sa.table("many"))
    with session.snapshot():
        before, identity = session.fetch(count), session.identity()
        many.run("INSERT INTO many VALUES (0, 'new')")
        assert session.fetch(count) == before
        assert session.identity() == identity
    assert session.fetch(count)[0][0] == before[0][0] + 1
    assert session.identity() != identity
    many.run("DELETE FROM many WHERE id = 0")


def test_identity_is_the_same_while_nothing_changes(filled: Server, opened: Opened) -> None:
    # Servers tidy up behind earlier writes for a while, and other tests write to the same one; then nothing moves.
    for _ in range(200):
        first, second = opened(filled.reader).identity(), opened(filled.reader).identity()
        if first == second:
            break
        time.sleep(0.2)
    assert first == second


def test_no_transaction_is_left_open_while_the_user_thinks(filled: Server, opened: Opened) -> None:
    session: Any = opened(filled.reader)
    session.tables()
    session.fetch(sa.select(sa.literal(1)))
    if filled.is_postgresql:
        state = f"SELECT state FROM pg_stat_activity WHERE usename = '{filled.reader.username}'"
        assert filled.ask(state) == [("idle",)]
    else:
        own = f"trx_mysql_thread_id = {session._thread}"
        assert filled.ask(f"SELECT count(*) FROM information_schema.innodb_trx WHERE {own}") == [(0,)]


def test_a_server_that_goes_away_in_mid_extraction_is_a_sentence(many: Server, opened: Opened) -> None:
    session: Any = opened(many.reader)
    with pytest.raises(SourceError, match="closed the connection"), session.snapshot():
        batches = session.batches(_many(), (Kind.INTEGER, Kind.TEXT), rows=100)
        next(batches)
        _end_session_of(session, many)
        list(batches)


def _end_session_of(session: Any, server: Server) -> None:
    if server.is_postgresql:
        server.run(f"SELECT pg_terminate_backend({session._raw.info.backend_pid})")
    else:
        server.run(f"KILL CONNECTION {session._thread}")


def test_a_lock_is_waited_for_only_so_long(server: Server, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    server.run("CREATE TABLE locked (id int PRIMARY KEY)")
    session: Any = opened(server.reader)
    with closing(connect(server.owner)) as other, other.cursor() as cursor:
        if server.is_postgresql:
            session._connection.exec_driver_sql("SET lock_timeout = '200ms'")
            session._connection.commit()
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        else:
            with session._raw.cursor() as own:
                own.execute("SET SESSION lock_wait_timeout = 1")
            cursor.execute("LOCK TABLES locked WRITE")
        with pytest.raises(QueryError, match="locked"):
            session.fetch(sa.select(sa.column("id")).select_from(sa.table("locked")))


def test_errors_of_the_world_have_three_sentences(filled: Server, opened: Opened) -> None:
    session = opened(filled.reader)
    with pytest.raises(UserError) as caught:
        session.fetch(sa.select(sa.column("nope")).select_from(sa.table("t")))
    error = caught.value
    assert isinstance(error, CrosslensError)
    assert error.what and error.why and error.do
