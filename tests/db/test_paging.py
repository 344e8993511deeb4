"""The browser's pages: in key order, without gaps or repeats, shown so that nothing overflows."""

import json
from pathlib import Path

import pytest

from crosslens.errors import QueryError
from crosslens.relational import TableRef
from db.paging import display_value

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
