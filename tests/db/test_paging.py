"""The browser's pages: in key order, without gaps or repeats, shown so that nothing overflows."""

import json
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslens.errors import QueryError
from crosslens.relational import ConnectionSpec, TableRef
from db.anchors import between, from_anchor, to_anchor
from db.engines.sqlite import SqliteSession
from db.paging import display_value
from db.sources import SqlSources

from .helpers import make_database, opened

TABLES = {
    "numbered": "CREATE TABLE t(id INTEGER PRIMARY KEY, x);"
    " INSERT INTO t VALUES (5, 'e'), (-2, 'a'), (9, 'z'), (7, NULL)",
    "without a key": "CREATE TABLE t(id, x); INSERT INTO t VALUES (-2, 'a'), (5, 'e'), (7, NULL), (9, 'z')",
    "text key": "CREATE TABLE t(id TEXT PRIMARY KEY, x) WITHOUT ROWID;"
    " INSERT INTO t VALUES ('é', 1), ('B', 2), ('a', 3)",
    "compound key": "CREATE TABLE t(a, b, PRIMARY KEY (b, a)) WITHOUT ROWID;"
    " INSERT INTO t VALUES (1,1), (2,1), (1,2), (2,2)",
    "hidden row numbers": 'CREATE TABLE t("rowid", "OID"); INSERT INTO t VALUES (3, 1), (2, 2), (1, 3)',
    "a view": "CREATE TABLE s(x); INSERT INTO s VALUES (3), (1), (2); CREATE VIEW t AS SELECT x FROM s ORDER BY x",
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("size", [1, 2, 3, 200])
def test_pages_put_together_are_the_table(kind: str, size: int, tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES[kind])) as source:
        whole = source.page(TableRef("t")).rows
        rows, after = [], None
        while True:
            page = source.page(TableRef("t"), after=after, rows=size)
            rows += page.rows
            if page.anchor is None:
                break
            after = tuple(json.loads(json.dumps(page.anchor)))
    assert tuple(rows) == whole
    assert len(set(whole)) == len(whole) >= 3


def test_numbered_rows_come_in_key_order(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES["numbered"])) as source:
        assert [row[0] for row in source.page(TableRef("t")).rows] == [-2, 5, 7, 9]


def test_an_empty_table_is_one_empty_page(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", "CREATE TABLE t(x)")) as source:
        page = source.page(TableRef("t"))
    assert (page.rows, page.anchor, page.columns[0].name) == ((), None, "x")


def test_a_page_far_behind_is_as_quick_as_the_first(tmp_path: Path) -> None:
    script = """
    CREATE TABLE t(id INTEGER PRIMARY KEY, x);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50000) INSERT INTO t SELECT x, x FROM n;
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        page = source.page(TableRef("t"), after=(49_990,), rows=200)
    assert [row[0] for row in page.rows] == list(range(49_991, 50_001))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (5, 5),
        (2.5, 2.5),
        ("short", "short"),
        (bytes(12), "‹12 bytes›"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 500 + "…"),
        (float("inf"), "∞"),
        (float("-inf"), "-∞"),
    ],
)
def test_values_are_shown_short(value: object, shown: object) -> None:
    assert display_value(value) == shown


def test_an_anchor_of_another_table_is_refused(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", TABLES["compound key"])
    with opened(path) as source, pytest.raises(QueryError, match="cannot be found again"):
        source.page(TableRef("t"), after=(1,))


# ------------------------------------------------------------------------------------------------ both ways


NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 999)"
LONG = {
    "row numbers": f"CREATE TABLE t(x); {NUMBERS} INSERT INTO t SELECT x FROM n",
    "far apart": f"CREATE TABLE t(x INTEGER PRIMARY KEY); {NUMBERS} INSERT INTO t SELECT x * 1000000 - 7 FROM n",
    "text key": "CREATE TABLE t(x TEXT PRIMARY KEY) WITHOUT ROWID;"
    f" {NUMBERS} INSERT INTO t SELECT printf('user_%05d', x) FROM n",
    "compound key": "CREATE TABLE t(x TEXT, y INTEGER, PRIMARY KEY (x, y)) WITHOUT ROWID;"
    f" {NUMBERS} INSERT INTO t SELECT printf('%03d', x / 4), x % 4 FROM n",
    "key of bytes": f"CREATE TABLE t(x BLOB PRIMARY KEY, y) WITHOUT ROWID;"
    f" {NUMBERS} INSERT INTO t SELECT cast(printf('%04d', x) AS BLOB), x FROM n",
    "a view": f"CREATE TABLE s(x); {NUMBERS} INSERT INTO s SELECT x FROM n; CREATE VIEW t AS SELECT x FROM s",
}


def _travel(anchor: object) -> tuple[object, ...] | None:
    return None if anchor is None else tuple(json.loads(json.dumps(anchor)))


@pytest.mark.parametrize("kind", LONG)
def test_going_back_shows_what_going_forward_showed(kind: str, tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", LONG[kind])) as source:
        pages = [source.page(TableRef("t"), rows=300)]
        while pages[-1].anchor is not None:
            pages.append(source.page(TableRef("t"), rows=300, after=_travel(pages[-1].anchor)))
        assert [len(page.rows) for page in pages] == [300, 300, 300, 100]
        back = pages[-1]
        for expected in pages[-2::-1]:
            back = source.page(TableRef("t"), rows=300, before=_travel(back.start))
            assert back.rows == expected.rows
            assert (back.start, back.anchor) == (expected.start, expected.anchor)
    assert pages[0].start is None


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_near_lands_near_and_fills_the_page(kind: str, share: float, tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", LONG[kind])) as source:
        page = source.page(TableRef("t"), near=share, rows=50)
        rows, before = 0, page.start
        while before is not None:
            in_front = source.page(TableRef("t"), before=_travel(before), rows=400)
            rows, before = rows + len(in_front.rows), in_front.start
    assert len(page.rows) == 50
    assert rows == pytest.approx(min(950, 1000 * share), abs=60)
    assert (page.start is None) == (share == 0)
    assert (page.anchor is None) == (share == 1)


def test_an_empty_table_has_no_middle(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", "CREATE TABLE t(x INTEGER PRIMARY KEY)")) as source:
        page = source.page(TableRef("t"), near=0.5)
    assert (page.rows, page.anchor, page.start) == ((), None, None)


def test_rows_of_one_value_have_a_middle_too(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", "CREATE TABLE t(x INTEGER); INSERT INTO t VALUES (5)")) as source:
        page = source.page(TableRef("t"), near=0.5)
    assert (page.rows, page.anchor, page.start) == (((5,),), None, None)


def test_a_text_key_whose_values_are_of_all_types_is_walked_whole(tmp_path: Path) -> None:
    script = """
    CREATE TABLE t("rowid", "_rowid_", "oid", PRIMARY KEY ("rowid", "oid"));
    INSERT INTO t VALUES (NULL, 1, 1), (NULL, 2, NULL), (3, 3, 1), (3, 4, 2), ('é', 5, NULL), ('é', 6, 2),
      (x'00', 7, 1);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        whole = source.page(TableRef("t")).rows
        assert len(whole) == 7
        page = source.page(TableRef("t"), rows=2)
        seen = list(page.rows)
        while page.anchor is not None:
            page = source.page(TableRef("t"), rows=2, after=_travel(page.anchor))
            seen += page.rows
        assert tuple(seen) == whole
        back = source.page(TableRef("t"), rows=4, before=_travel(page.start))
    assert back.rows == whole[2:6]


ANY_KEY = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates()
    | st.datetimes() | st.times() | st.decimals(allow_nan=False, allow_infinity=False) | st.uuids()
    | st.timedeltas(timedelta(days=-999), timedelta(days=999))
)  # fmt: skip


@given(st.lists(ANY_KEY, max_size=3))
def test_any_key_travels_as_json(key: list[object]) -> None:
    travelled = from_anchor(_travel(to_anchor(key)))
    assert travelled == tuple(key)
    assert [type(value) for value in travelled] == [type(value) for value in key]


@pytest.mark.parametrize("anchor", [("\x00nothing:1",), ("\x00date:today",), ("\x00decimal:x",)])
def test_an_anchor_that_cannot_be_read_is_refused(anchor: tuple[str], tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES["numbered"])) as source, pytest.raises(QueryError):
        source.page(TableRef("t"), after=anchor)


@given(st.sampled_from([0.0, 0.1, 0.5, 0.99]), st.tuples(st.integers(), st.integers()))
def test_the_middle_of_two_numbers_lies_between_them(share: float, ends: tuple[int, int]) -> None:
    assert min(ends) <= between(min(ends), max(ends), share) <= max(ends)


@given(
    st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    st.lists(st.from_regex(r"[a-z0-9]{9}", fullmatch=True), min_size=2, max_size=2),
)
def test_the_middle_of_two_texts_lies_between_them(share: float, ends: list[str]) -> None:
    low, high = sorted(ends)
    assert low <= between(low, high, share)
    assert between(low, high, share)[:9] <= high


@pytest.mark.parametrize(
    ("low", "high", "middle"),
    [
        (0, 10, 5),
        (-(2**62), 2**62, 0),
        (0.0, 1.0, 0.5),
        (date(2024, 1, 1), date(2024, 1, 3), date(2024, 1, 2)),
        (datetime(2024, 1, 1), datetime(2024, 1, 3), datetime(2024, 1, 2)),
        (Decimal(1), Decimal(2), Decimal("1.5")),
        (UUID(int=0), UUID(int=8), UUID(int=4)),
        (1, "a", None),
        (None, None, None),
        (b"a", b"c", None),
    ],
)
def test_the_middle_of_two_keys(low: object, high: object, middle: object) -> None:
    assert between(low, high, 0.5) == middle


def test_turning_a_page_looks_at_no_other_table_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_database(tmp_path / "t.db", "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 2)")
    sources, connection = SqlSources(), ConnectionSpec("sqlite", str(path))
    with sources.open(connection) as source:
        source.tables()
    with monkeypatch.context() as patch, sources.open(connection) as source:
        patch.setattr(SqliteSession, "tables", lambda _: pytest.fail("looked at every table"))
        assert source.page(TableRef("t")).rows == ((1, 2),)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("ALTER TABLE t DROP COLUMN b")
    with sources.open(connection) as source:
        assert source.page(TableRef("t")).rows == ((1,),)
