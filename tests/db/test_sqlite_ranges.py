"""A large SQLite table read by another process gives the very rows that Python's own driver gives, or is read by it."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import db.extract as extract_module
from crosslens.errors import SourceError, Stopped
from crosslens.relational import Comparison, ConnectionSpec, FilterSpec, QuerySpec
from db.columns import Kind, WiderKinds, tuple_batches
from db.engines import sqlite_ranges
from db.engines.sqlite import SqliteSession, database_uri
from db.engines.sqlite_ranges import TYPES, Reader
from db.engines.sqlite_reader import Connection, Misfit

from .helpers import exists, lookup, make_database, opened, query, ref, rows_of, table_of

ROWS = 1_000
BATCH = 64
SHOP = f"""
CREATE TABLE users(id INTEGER PRIMARY KEY, city TEXT);
CREATE TABLE shown(id INTEGER PRIMARY KEY, user_id INTEGER, price REAL, device TEXT, at TIMESTAMP, seen BOOLEAN, x);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, shown_id INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
INSERT INTO shown SELECT i, i % 7, i / 4.0, 'device ' || (i % 3), '2024-01-01 00:00:' || (i % 60), i % 2,
  CASE WHEN i > {ROWS // 2} THEN i * 0.5 ELSE i END FROM n;
INSERT INTO users SELECT DISTINCT user_id, 'city ' || user_id FROM shown WHERE user_id > 0;
INSERT INTO clicks SELECT id, id FROM shown WHERE id % 5 = 0;
"""
COLUMNS = [("shown", name) for name in ("id", "user_id", "price", "device", "at", "seen", "x")]
USERS = lookup("users", "users", (ref("shown", "user_id"), "id"))
CLICKS = exists("clicks", "clicks", (ref("shown", "id"), "shown_id"))
ALL = query("shown", *COLUMNS, ("users", "city"), joins=(USERS,))


@pytest.fixture
def answers(monkeypatch) -> list[object]:
    """Make small tables large and wait for the reader, whose answers are collected."""
    seen: list[object] = []
    is_ready, answer = Reader.is_ready, Reader.answer

    def when_ready(reader: Reader, *, wait: bool) -> bool:
        deadline = time.monotonic() + 30
        while not is_ready(reader, wait=True):
            assert time.monotonic() < deadline
        return True

    def collected(reader: Reader, seconds: float) -> object:
        seen.append(answer(reader, seconds))
        return seen[-1]

    monkeypatch.setattr(sqlite_ranges, "LARGE_ROWS", BATCH)
    monkeypatch.setattr(extract_module, "BATCH_ROWS", BATCH)
    monkeypatch.setattr(Reader, "is_ready", when_ready)
    monkeypatch.setattr(Reader, "answer", collected)
    return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "shop.db", SHOP)


def _read(path: Path, wanted: QuerySpec, folder: Path) -> tuple[pa.Table, str]:
    with opened(path) as source:
        snapshot = source.extract(wanted, folder)
        assert snapshot.rows == source.count(wanted)
        return table_of(snapshot), snapshot.fingerprint


def _by_hand(path: Path, wanted: QuerySpec, folder: Path) -> tuple[pa.Table, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_ranges, "LARGE_ROWS", 10**9)
        return _read(path, wanted, folder)


def _rows(answers: list[object]) -> int:
    return sum(len(answer[0]) for answer in answers if isinstance(answer, list))


QUERIES = {
    "lookups": ALL,
    "filters": replace(
        ALL,
        filters=(
            FilterSpec(ref("users", "city"), Comparison.NOT_EQUAL, "city' 3"),
            FilterSpec(ref("shown", "price"), Comparison.LESS, 200.5),
        ),
    ),
    "what has to be worked out first": replace(ALL, joins=(USERS, CLICKS), columns=(*ALL.columns, ref("clicks"))),
}


@pytest.mark.parametrize("wanted", QUERIES.values(), ids=QUERIES)
def test_the_reader_process_gives_what_the_own_driver_gives(wanted, path: Path, answers, tmp_path: Path) -> None:
    table, fingerprint = _read(path, wanted, tmp_path / "a")
    assert _rows(answers) > table.num_rows / 3
    by_hand, same = _by_hand(path, wanted, tmp_path / "b")
    assert fingerprint == same
    assert table.equals(by_hand)


@pytest.mark.parametrize("clicks", [(), (CLICKS,)], ids=["in pieces", "as a whole"])
@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE shown SET device = CAST(x'ff41' AS TEXT) WHERE id = {ROWS // 2}",
        f"UPDATE shown SET device = x'0001' WHERE id = {ROWS // 2}",
        f"UPDATE shown SET x = 'N/A' WHERE id = {ROWS - 5}",
        f"UPDATE shown SET x = {2**60 + 1} WHERE id = {ROWS - 5}",
        f"UPDATE shown SET price = 1e300 WHERE id > {ROWS // 2}",
        f"UPDATE shown SET seen = 7 WHERE id = {ROWS - 5}",
        f"UPDATE shown SET at = 20240101 WHERE id = {ROWS - 5}",
        f"UPDATE shown SET at = NULL, device = NULL, price = NULL, x = NULL WHERE id < {ROWS // 2}",
        "UPDATE shown SET device = 'a' || char(0) || 'b'",
        "DELETE FROM shown WHERE id % 3 = 0 OR id BETWEEN 300 AND 500",
        f"UPDATE shown SET id = {2**63 - 1} WHERE id = 7; UPDATE shown SET id = {-(2**63)} WHERE id = 8",
        "UPDATE shown SET id = -id",
    ],
)
def test_whatever_the_reader_cannot_tell_exactly_is_read_again(change, clicks, path, answers, tmp_path: Path) -> None:
    make_database(path, change)
    wanted = replace(ALL, joins=(USERS, *clicks), columns=(*ALL.columns, *(ref(join.name) for join in clicks)))
    table, _ = _read(path, wanted, tmp_path / "a")
    assert answers
    assert table.equals(_by_hand(path, wanted, tmp_path / "b")[0])


VALUES = st.one_of(
    st.none(),
    st.integers(-2, 2),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.sampled_from(["1", "1.5", "2024-01-01", "", "\0"]),
    st.binary(max_size=3),
)
COLUMN = st.tuples(
    st.sampled_from(["", "INTEGER", "TEXT", "REAL", "NUMERIC", "BOOLEAN"]),
    st.sampled_from(sorted(TYPES)),
    st.lists(VALUES, min_size=3, max_size=3) | st.lists(st.none() | st.text(max_size=3), min_size=3, max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(COLUMN, min_size=1, max_size=4))
def test_on_any_table_the_reader_gives_the_same_arrays_or_refuses(tmp_path_factory, columns: list) -> None:
    path = tmp_path_factory.mktemp("any") / "t.db"
    names = [f"c{number}" for number in range(len(columns))]
    with closing(sqlite3.connect(path)) as connection, connection:
        declared = ", ".join(f"{name} {column[0]}" for name, column in zip(names, columns, strict=True))
        connection.execute(f"CREATE TABLE t(id INTEGER PRIMARY KEY, {declared})")
        marks = ", ".join("?" for _ in names)
        rows = zip(*(column[2] for column in columns), strict=True)
        connection.executemany(f"INSERT INTO t({', '.join(names)}) VALUES ({marks})", rows)
        stored = connection.execute(f"SELECT {', '.join(names)} FROM t ORDER BY id").fetchall()
    kinds = [column[1] for column in columns]
    texts = [name for name, kind in zip(names, kinds, strict=True) if kind is Kind.TEXT]
    wrong = " + ".join(f"(typeof({name}) NOT IN ('text', 'null'))" for name in texts) or "0"
    sql = f"SELECT {', '.join(names)}, {wrong} FROM t WHERE id BETWEEN :first AND :last ORDER BY id"
    job = {"uri": database_uri(path), "sql": sql, "parameters": {}, "types": [TYPES[kind] for kind in kinds]}
    try:
        (batch,) = Connection({**job, "rows": 16, "checked": True}).batches(1, 3)
    except Misfit:
        return
    try:
        (expected,) = tuple_batches([stored], kinds)
    except WiderKinds as wider:
        pytest.fail(f"{columns} needs {wider.kinds}, and was read")
    assert [array.to_pylist() for array in batch.columns] == [array.to_pylist() for array in expected]
    assert [array.type for array in batch.columns] == [array.type for array in expected]


def test_the_readers_connection_cannot_write(path: Path) -> None:
    job = {"uri": database_uri(path), "types": [], "rows": 1, "parameters": {}, "checked": False}
    connection = Connection(job)
    for sql in (
        "DELETE FROM users",
        "DROP TABLE users",
        "CREATE TABLE t(x)",
        "VACUUM INTO 'x.db'",
    ):
        with pytest.raises(Exception, match=r"read|transaction"):
            connection._run(sql).read_all()


def test_a_statement_that_writes_is_refused_before_a_reader_is_started(path: Path) -> None:
    session = SqliteSession(ConnectionSpec("sqlite", str(path)))
    with closing(session), pytest.raises(SourceError, match="only ever read"):
        session.run("EXPLAIN QUERY PLAN ATTACH 'x.db' AS x")


def _starting(monkeypatch, before: Callable[[], object]) -> None:
    start = Reader.__init__

    def started(reader: Reader, job: object) -> None:
        before()
        start(reader, job)

    monkeypatch.setattr(Reader, "__init__", started)


def test_rows_committed_since_the_snapshot_began_are_not_mixed_in(path, answers, tmp_path: Path, monkeypatch) -> None:
    make_database(path, "PRAGMA journal_mode=WAL")
    before, _ = _by_hand(path, ALL, tmp_path / "b")
    _starting(monkeypatch, lambda: make_database(path, "UPDATE shown SET device = 'new'"))
    table, _ = _read_once(path, tmp_path / "a")
    assert answers == []
    assert table.equals(before)


def test_rows_committed_while_the_reader_reads_are_not_mixed_in(path, answers, tmp_path: Path) -> None:
    make_database(path, "PRAGMA journal_mode=WAL")
    before, _ = _by_hand(path, ALL, tmp_path / "b")

    def write(rows: int, total: int, seconds: float, size: int) -> None:
        if answers and len(answers) < 5:
            make_database(path, "UPDATE shown SET device = 'newer'")

    with opened(path) as source:
        table = table_of(source.extract(ALL, tmp_path / "a", progress=write))
    assert _rows(answers) > ROWS / 3
    assert table.equals(before)


def _read_once(path: Path, folder: Path) -> tuple[pa.Table, str]:
    with opened(path) as source:
        snapshot = source.extract(ALL, folder)
    return table_of(snapshot), snapshot.fingerprint


def test_a_reader_that_is_killed_costs_nothing_but_time(
    path: Path, answers, tmp_path: Path, monkeypatch, caplog
) -> None:
    ask, asked = Reader.ask, []

    def killed(reader: Reader, rows: tuple[int, int]) -> None:
        asked.append(rows)
        if len(asked) == 9:
            reader._process.kill()
            reader._process.wait()
        ask(reader, rows)

    monkeypatch.setattr(Reader, "ask", killed)
    wanted = replace(ALL, columns=ALL.columns[:4])  # none of which has to be widened, so that there is one pass
    table, _ = _read(path, wanted, tmp_path / "a")
    assert table.equals(_by_hand(path, wanted, tmp_path / "b")[0])
    assert "reader process ended early" in caplog.text


def test_without_the_driver_everything_is_read_by_hand(path, answers, tmp_path: Path, monkeypatch, caplog) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ImportError('no such driver')")
    monkeypatch.setattr(sqlite_ranges, "_READER", broken)
    table, _ = _read(path, ALL, tmp_path / "a")
    assert table.num_rows == ROWS
    assert "no such driver" in caplog.text


def test_stop_ends_the_reader_within_a_second_and_leaves_nothing(path, answers, tmp_path: Path, monkeypatch) -> None:
    slow = """
    CREATE TABLE many(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO many SELECT i FROM n;
    """
    make_database(path, slow)
    started: list[float] = []
    processes: list[subprocess.Popen] = []
    endless = replace(ALL, filters=(FilterSpec(ref("shown", "x"), Comparison.GREATER, 0),))

    def hang(reader: Reader, rows: object) -> None:  # the reader is asked for nothing, and answers nothing
        processes.append(reader._process)
        started.append(time.monotonic())

    monkeypatch.setattr(Reader, "ask", hang)
    with opened(path) as source, pytest.raises(Stopped):
        source.extract(
            endless, tmp_path / "a", should_stop=lambda: bool(started) and time.monotonic() - started[0] > 0.3
        )
    assert time.monotonic() - started[0] < 1.3
    assert processes[0].poll() is not None
    assert list((tmp_path / "a").iterdir()) == []


def test_the_reader_ends_when_nobody_listens_any_more(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", str(sqlite_ranges._READER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    endless = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < :last"
    job = {"uri": database_uri(path), "sql": endless, "parameters": {}, "types": ["int64"], "threads": 1, "rows": 16}
    with process:
        process.stdin.write(json.dumps({**job, "checked": False}).encode() + b"\n[0, 0]\n")
        process.stdin.flush()
        time.sleep(0.6)
        assert process.poll() is None
        started = time.monotonic()
        process.stdin.close()
        process.wait(5)
        assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("script", "by_ranges"),
    [
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, x)", True),
        ("CREATE TABLE t(x, y)", True),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY DESC, x)", False),
        ("CREATE TABLE t(id INT PRIMARY KEY, x)", False),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, x) WITHOUT ROWID", False),
        ("CREATE TABLE t(id, x INTEGER, PRIMARY KEY (id, x))", False),
        ("CREATE TABLE u(x); CREATE VIEW t AS SELECT x, 1 AS y FROM u", False),
        ("CREATE TABLE t(rowid, x, PRIMARY KEY (x))", False),
    ],
)
def test_only_sqlites_own_row_numbers_part_a_table(script, by_ranges, tmp_path: Path, monkeypatch) -> None:
    parted: list[object] = []
    start = sqlite_ranges.RangeReading.__init__
    monkeypatch.setattr(
        sqlite_ranges.RangeReading, "__init__", lambda self, *given: (parted.append(given), start(self, *given))[1]
    )
    path = make_database(tmp_path / "x.db", script)
    with opened(path) as source:
        snapshot = source.extract(query("t", ("t", "x")), tmp_path / "out")
    assert rows_of(snapshot) == []
    assert bool(parted) is by_ranges


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    if sys.platform == "linux":
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        if children.exists():
            assert children.read_text().split() == []
