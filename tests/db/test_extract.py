"""Rows that reach the project are exactly the rows of the query, whole or not at all."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import db.engines.sqlite_ranges as sqlite_ranges
import db.extract as extract_module
from crosslens.errors import QueryError, SourceError, Stopped, StorageError
from crosslens.relational import ColumnRef, Comparison, FilterSpec, QuerySpec
from db.sources import SqlSource

from .helpers import exists, lookup, make_database, opened, query, ref, rows_of, table_of

USERS = lookup("users", "users", (ref("impressions", "user_id"), "id"))
ITEMS = lookup("items", "items", (ref("impressions", "item_id"), "id"))
BRANDS = lookup("brands", "brands", (ref("items", "brand_id"), "id"))
CLICKS = exists("clicks", "clicks", (ref("impressions", "id"), "impression_id"))
CONVERSIONS = exists("conversions", "conversions", (ref("clicks", "id"), "click_id"))
TIME = ref("impressions", "shown_at")
ID = ("impressions", "id")
NUMBERS = """
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) INSERT INTO t SELECT x, x % 10 FROM n;
"""


def _numbers(path: Path, rows: int) -> Path:
    return make_database(path, "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER);" + NUMBERS.format(rows))


def _rows(source: SqlSource, wanted: QuerySpec, folder: Path) -> list:
    snapshot = source.extract(wanted, folder)
    rows = rows_of(snapshot)
    assert snapshot.rows == len(rows) == source.count(wanted)
    return rows


def test_lookups_flags_and_chains_stand_beside_each_row_of_the_base(shop, tmp_path: Path) -> None:
    columns = [ID, ("users", "city"), ("brands", "name"), ("items", "price"), ("clicks",), ("conversions",)]
    wanted = query("impressions", *columns, joins=(USERS, ITEMS, BRANDS, CLICKS, CONVERSIONS))
    assert _rows(shop, wanted, tmp_path / "out") == [
        (1, "Bonn", "Acme", 9.5, 1, 0),
        (2, "Bonn", None, 20.0, 0, 0),
        (3, "Ulm", "Acme", 9.5, 1, 1),
        (4, None, None, None, 0, 0),
    ]


def test_a_flag_behind_a_lookup(shop, tmp_path: Path) -> None:
    liked = exists("other", "impressions", (ref("users", "id"), "user_id"))
    wanted = query("impressions", ID, ("other",), joins=(USERS, liked))
    assert _rows(shop, wanted, tmp_path / "out") == [(1, 1), (2, 1), (3, 1), (4, 0)]


def test_compound_keys_join_on_all_their_columns(tmp_path: Path) -> None:
    script = """
    CREATE TABLE p(x, y, v, PRIMARY KEY (x, y)); CREATE TABLE c(id INTEGER PRIMARY KEY, a, b);
    INSERT INTO p VALUES (1, 1, 'in'), (1, 2, 'out'); INSERT INTO c VALUES (1, 1, 2), (2, 1, 3), (3, 1, NULL);
    """
    join = lookup("p", "p", (ref("c", "a"), "x"), (ref("c", "b"), "y"))
    with opened(make_database(tmp_path / "x.db", script)) as source:
        wanted = query("c", ("c", "id"), ("p", "v"), joins=(join,))
        assert _rows(source, wanted, tmp_path / "out") == [(1, "out"), (2, None), (3, None)]


def test_all_rows_come_in_the_order_of_the_key_and_a_limit_takes_the_latest_by_time(shop, tmp_path: Path) -> None:
    wanted = query("impressions", ID, time=TIME)
    assert _rows(shop, wanted, tmp_path / "a") == [(1,), (2,), (3,), (4,)]
    assert _rows(shop, replace(wanted, limit=2), tmp_path / "b") == [(3,), (1,)]
    assert _rows(shop, replace(wanted, limit=99), tmp_path / "c") == [(4,), (2,), (3,), (1,)]


def test_equal_times_are_ordered_by_the_key(tmp_path: Path) -> None:
    script = "CREATE TABLE t(id TEXT PRIMARY KEY, at); INSERT INTO t VALUES ('c', 1), ('a', 1), ('b', 1), ('d', 0)"
    with opened(make_database(tmp_path / "x.db", script)) as source:
        wanted = query("t", ("t", "id"), time=ref("t", "at"))
        assert _rows(source, wanted, tmp_path / "a") == [("a",), ("b",), ("c",), ("d",)]
        assert _rows(source, replace(wanted, limit=2), tmp_path / "b") == [("b",), ("c",)]
        assert _rows(source, replace(wanted, limit=9), tmp_path / "c") == [("d",), ("a",), ("b",), ("c",)]


def test_a_limit_without_time_takes_the_first_rows(shop, tmp_path: Path) -> None:
    assert _rows(shop, query("impressions", ID, limit=2), tmp_path / "out") == [(1,), (2,)]


def test_a_table_without_key_comes_in_the_order_it_was_written(tmp_path: Path) -> None:
    script = "CREATE TABLE t(x, y); INSERT INTO t VALUES (3, 1), (1, 1), (2, 1)"
    with opened(make_database(tmp_path / "x.db", script)) as source:
        wanted = query("t", ("t", "x"), time=ref("t", "y"))
        assert _rows(source, wanted, tmp_path / "out") == [(3,), (1,), (2,)]


def test_a_view_can_be_the_base(shop_path: Path, tmp_path: Path) -> None:
    make_database(shop_path, "CREATE VIEW shown AS SELECT id, user_id * 10 AS u FROM impressions WHERE id < 3")
    with opened(shop_path) as source:
        wanted = query("shown", ("shown", "id"), ("shown", "u"))
        assert _rows(source, wanted, tmp_path / "out") == [(1, 10), (2, 10)]


@pytest.mark.parametrize(
    ("column", "operator", "value", "ids"),
    [
        (("users", "city"), Comparison.EQUAL, "Bonn", [1, 2]),
        (("users", "city"), Comparison.EQUAL, "x' OR '1'='1", []),
        (("users", "age"), Comparison.IS_NULL, None, [3, 4]),
        (("users", "age"), Comparison.NOT_NULL, None, [1, 2]),
        (ID, Comparison.GREATER, 2, [3, 4]),
        (ID, Comparison.GREATER_EQUAL, 2, [2, 3, 4]),
        (ID, Comparison.LESS, 2, [1]),
        (ID, Comparison.LESS_EQUAL, 2.5, [1, 2]),
        (ID, Comparison.NOT_EQUAL, 2, [1, 3, 4]),
        (("clicks",), Comparison.EQUAL, True, [1, 3]),
    ],
)
def test_a_filter_keeps_matching_rows(column, operator, value, ids, shop, tmp_path: Path) -> None:
    wanted = query("impressions", ID, joins=(USERS, CLICKS), filters=(FilterSpec(ref(*column), operator, value),))
    assert _rows(shop, wanted, tmp_path / "out") == [(number,) for number in ids]


def test_a_filter_that_compares_with_nothing_is_refused(shop) -> None:
    with pytest.raises(QueryError, match="compares with nothing"):
        shop.count(query("impressions", ID, filters=(FilterSpec(ref(*ID), Comparison.EQUAL, None),)))


def test_the_sql_shown_has_its_values_and_can_be_run_as_it_is(shop, shop_path: Path) -> None:
    condition = FilterSpec(ref("users", "city"), Comparison.NOT_EQUAL, "O'Hara: 5%")
    sql = shop.sql(query("impressions", ID, joins=(USERS,), filters=(condition,), time=TIME, limit=2))
    assert "'O''Hara: 5%'" in sql
    with closing(sqlite3.connect(shop_path)) as connection:
        assert connection.execute(sql).fetchall() == [(3,), (1,)]


def test_joins_nobody_asks_for_are_not_sent(shop) -> None:
    assert "JOIN" not in shop.sql(query("impressions", ID, joins=(USERS, CLICKS)))
    assert shop.sql(query("impressions", ID, ("brands", "name"), joins=(USERS, ITEMS, BRANDS))).count("JOIN") == 2


def test_columns_offers_every_column_and_flag(shop) -> None:
    offered = [str(column) for column, _ in shop.columns(query("impressions", joins=(USERS, CLICKS)))]
    assert offered == [
        "impressions.id", "impressions.user_id", "impressions.item_id", "impressions.shown_at",
        "users.id", "users.age", "users.city", "clicks",
    ]  # fmt: skip


def test_types_are_plain_and_named_in_the_file(shop, tmp_path: Path) -> None:
    columns = [ID, ("users", "city"), ("items", "price"), ("impressions", "shown_at"), ("clicks",)]
    schema = table_of(shop.extract(query("impressions", *columns, joins=(USERS, ITEMS, CLICKS)), tmp_path / "o")).schema
    assert schema.types == [pa.int64(), pa.string(), pa.float64(), pa.string(), pa.int64()]
    assert schema.names == ["c0", "c1", "c2", "c3", "c4"]
    assert schema.field(3).metadata == {b"source": b"impressions", b"column": b"shown_at", b"type": b"timestamp"}


def test_a_column_that_changes_its_type_late_becomes_text_from_the_first_row(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    path = _numbers(tmp_path / "x.db", 95)
    make_database(path, "UPDATE t SET x = 'N/A' WHERE id = 90; UPDATE t SET x = 2.5 WHERE id = 40")
    with opened(path) as source:
        rows = _rows(source, query("t", ("t", "id"), ("t", "x")), tmp_path / "out")
    assert (rows[0], rows[39], rows[89]) == ((1, "1"), (40, "2.5"), (90, "N/A"))


def test_text_that_is_not_utf8_comes_with_replacement_marks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    path = _numbers(tmp_path / "x.db", 35)
    make_database(path, "UPDATE t SET x = CAST(x'c3' AS TEXT) WHERE id = 25")
    with opened(path) as source:
        rows = _rows(source, query("t", ("t", "id"), ("t", "x")), tmp_path / "out")
        assert source.page(source.tables()[0].ref).rows[24] == (25, "�")
    assert rows[24] == (25, "�")
    assert [row[0] for row in rows] == list(range(1, 36))


def test_no_rows_make_a_whole_file(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", "CREATE TABLE t(a INTEGER, b TEXT)")) as source:
        snapshot = source.extract(query("t", ("t", "a"), ("t", "b")), tmp_path / "out")
    assert table_of(snapshot).schema.types == [pa.int64(), pa.string()]
    assert rows_of(snapshot) == []


def test_progress_counts_up_to_the_total(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    seen: list[tuple[int, int]] = []
    with opened(_numbers(tmp_path / "x.db", 25)) as source:
        wanted = query("t", ("t", "x"))
        source.extract(wanted, tmp_path / "out", progress=lambda rows, total, seconds, size: seen.append((rows, total)))
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_an_unchanged_query_on_an_unchanged_source_is_read_once(shop, tmp_path: Path) -> None:
    first = shop.extract(query("impressions", ID), tmp_path / "out")
    first.path.touch()
    moved = tmp_path / "moved"
    (tmp_path / "out").rename(moved)
    again = shop.extract(query("impressions", ID), moved)
    assert again == replace(first, path=moved / first.path.name)
    assert len(list(moved.iterdir())) == 2


def test_another_query_or_a_changed_source_is_another_snapshot(shop_path: Path, tmp_path: Path) -> None:
    with opened(shop_path) as source:
        first = source.extract(query("impressions", ID), tmp_path / "out")
        limited = source.extract(query("impressions", ID, limit=3), tmp_path / "out")
    make_database(shop_path, "UPDATE impressions SET id = 40 WHERE id = 4")
    with opened(shop_path) as source:
        changed = source.extract(query("impressions", ID), tmp_path / "out")
    assert len({first.key, limited.key, changed.key}) == 3
    assert len({first.fingerprint, limited.fingerprint, changed.fingerprint}) == 3


def test_the_same_content_elsewhere_has_the_same_fingerprint_and_another_key(shop_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(shop_path.read_bytes())
    snapshots = []
    for path in (shop_path, copy):
        with opened(path) as source:
            snapshots.append(source.extract(query("impressions", ID), tmp_path / "out"))
    assert snapshots[0].fingerprint == snapshots[1].fingerprint
    assert snapshots[0].key != snapshots[1].key


@pytest.mark.parametrize("damage", ["cut the file", "no file", "odd words", "unknown key"])
def test_a_damaged_snapshot_is_read_again(damage: str, shop, tmp_path: Path) -> None:
    first = shop.extract(query("impressions", ID), tmp_path / "out")
    sidecar = first.path.with_suffix(".json")
    if damage == "cut the file":
        os.truncate(first.path, 100)
    elif damage == "no file":
        first.path.unlink()
    elif damage == "odd words":
        sidecar.write_text("{")
    else:
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "new": 1}))
    again = shop.extract(query("impressions", ID), tmp_path / "out")
    assert again.fingerprint == first.fingerprint
    assert rows_of(again) == [(1,), (2,), (3,), (4,)]


def test_stop_between_batches_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    seen: list[int] = []
    with opened(_numbers(tmp_path / "x.db", 100)) as source:
        with pytest.raises(Stopped):
            source.extract(
                query("t", ("t", "x")),
                tmp_path / "out",
                progress=lambda rows, total, seconds, size: seen.append(rows),
                should_stop=lambda: len(seen) >= 3,
            )
        assert seen == [10, 20, 30]
        assert list((tmp_path / "out").iterdir()) == []
        assert source.extract(query("t", ("t", "x")), tmp_path / "out").rows == 100


def test_what_a_killed_extraction_left_is_removed_by_the_next_one_and_nothing_else(shop, tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {number: f".key.arrow.{number}.tmp" for number in (ended.pid, os.getppid())}
    for name in (*names.values(), ".other.tmp", "kept.arrow"):
        (tmp_path / name).write_bytes(b"half")
    shop.extract(query("impressions", ID), tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.read_bytes() == b"half"}
    assert left == {names[os.getppid()], ".other.tmp", "kept.arrow"}


def test_stop_interrupts_a_query_that_has_not_given_a_row_yet(tmp_path: Path) -> None:
    slow = "CREATE VIEW v AS SELECT a.id AS id, a.x AS x FROM t a, t b, t c WHERE a.x + b.x + c.x < 0"
    path = make_database(_numbers(tmp_path / "x.db", 3000), slow)
    started = time.monotonic()
    with opened(path) as source, pytest.raises(Stopped):
        source.extract(query("v", ("v", "x")), tmp_path / "out", should_stop=lambda: time.monotonic() - started > 0.3)
    assert time.monotonic() - started < 1.3
    assert not list(tmp_path.rglob("*.arrow*"))


def _fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the device that is always full behind the temporary file's name."""
    real = Path.open
    temporary = f".arrow.{os.getpid()}.tmp"

    def open_full(path: Path, *args: object, **kwargs: object) -> object:
        return real(Path("/dev/full") if path.name.endswith(temporary) else path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_full)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_said_with_the_room_needed_and_left(tmp_path: Path, monkeypatch) -> None:
    with opened(_numbers(tmp_path / "x.db", 50_000)) as source:
        source.tables()
        _fill_disk(monkeypatch)
        with pytest.raises(StorageError, match="The disk is full") as caught:
            source.extract(query("t", ("t", "id"), ("t", "x")), tmp_path / "out")
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert caught.value.facts["needed"] == 50_000 * 2 * 8
    assert caught.value.facts["free"] > 0
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(shop, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        shop.extract(query("impressions", ID), tmp_path / "file" / "out")


def test_a_source_that_vanishes_while_it_is_read_gives_no_snapshot(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    path = _numbers(tmp_path / "x.db", 100)

    def vanish(rows: int, total: int, seconds: float, size: int) -> None:
        path.unlink(missing_ok=True)

    with opened(path) as source, pytest.raises(SourceError, match="There is no file"):
        source.extract(query("t", ("t", "x")), tmp_path / "out", progress=vanish)
    assert list((tmp_path / "out").iterdir()) == []


def test_another_programs_commits_do_not_reach_a_snapshot_that_has_begun(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(extract_module, "BATCH_ROWS", 10)
    path = make_database(tmp_path / "x.db", "PRAGMA journal_mode=WAL")
    _numbers(path, 100)

    def delete_all(rows: int, total: int, seconds: float, size: int) -> None:
        make_database(path, "DELETE FROM t")

    with opened(path) as source:
        snapshot = source.extract(query("t", ("t", "id")), tmp_path / "out", progress=delete_all)
        assert rows_of(snapshot) == [(number,) for number in range(1, 101)]
        assert source.extract(query("t", ("t", "id")), tmp_path / "out").rows == 0


@pytest.mark.parametrize("large", [100_000, 10**9], ids=["by a reader process", "by hand"])
def test_memory_stays_flat_whatever_the_rows(large: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_ranges, "LARGE_ROWS", large)
    with opened(_numbers(tmp_path / "x.db", 300_000)) as source:
        held: list[int] = []
        before = pa.total_allocated_bytes()
        tracemalloc.start()

        def look(rows: int, total: int, seconds: float, size: int) -> None:
            held.append(pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[0])

        source.extract(query("t", ("t", "id"), ("t", "x")), tmp_path / "out", progress=look)
        tracemalloc.stop()
    assert max(held[10:]) < 1.5 * max(held[:10])
    assert 0 < max(held) < 300_000 * 16


def test_a_limit_below_one_is_refused(shop) -> None:
    with pytest.raises(QueryError, match="at least 1"):
        shop.count(QuerySpec(query("impressions").base, (ColumnRef("impressions", "id"),), limit=0))
