"""Samples, limits and the user's own SELECT: fewer rows, the same ones each time, in one SELECT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from crosslens.errors import QueryError
from crosslens.relational import (
    Comparison,
    ConnectionSpec,
    FilterSpec,
    JoinKind,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableRef,
)
from db.sources import SqlSource, SqlSources

from .helpers import exists, lookup, make_database, opened, query, ref, rows_of

ROWS = 4000
USERS = 200
NUMBERS = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS})"
TABLES = {
    "integer key": f"CREATE TABLE t(id INTEGER PRIMARY KEY, u INTEGER, at INTEGER);"
    f" {NUMBERS} INSERT INTO t SELECT x, x * 7 % {USERS}, 9000 - x FROM n",
    "text key": f"CREATE TABLE t(id TEXT PRIMARY KEY, u TEXT, at INTEGER) WITHOUT ROWID;"
    f" {NUMBERS} INSERT INTO t SELECT 'row ' || x, 'user ' || (x * 7 % {USERS}), 9000 - x FROM n",
    "no key": f"CREATE TABLE t(id, u INTEGER, at INTEGER);"
    f" {NUMBERS} INSERT INTO t SELECT x, x * 7 % {USERS}, 9000 - x FROM n",
    "a view": f"CREATE TABLE s(id INTEGER, u INTEGER, at INTEGER); CREATE VIEW t AS SELECT * FROM s;"
    f" {NUMBERS} INSERT INTO s SELECT x, x * 7 % {USERS}, 9000 - x FROM n",
}
ALL = (("t", "id"), ("t", "u"), ("t", "at"))


def _read(source: SqlSource, tmp_path: Path, **rest: object) -> list[tuple[object, ...]]:
    wanted = query("t", *ALL, **rest)
    rows = rows_of(source.extract(wanted, tmp_path / "out"))
    assert source.count(wanted) == len(rows)
    return rows


def _number(row: tuple[object, ...]) -> int:
    return int(str(row[0]).removeprefix("row "))


@pytest.mark.parametrize("kind", TABLES)
def test_a_random_sample_has_so_many_rows_from_all_over_the_table_and_the_same_each_time(
    kind: str, tmp_path: Path
) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES[kind])) as source:
        first = _read(source, tmp_path / "a", sample=SampleSpec(SampleMethod.RANDOM, 400))
        again = _read(source, tmp_path / "b", sample=SampleSpec(SampleMethod.RANDOM, 400))
        other = _read(source, tmp_path / "c", sample=SampleSpec(SampleMethod.RANDOM, 400, seed=1))
    assert len(first) == len(set(first)) == 400
    assert first == again
    assert 10 < len(set(first) & set(other)) < 90  # 40 by chance
    numbers = sorted(_number(row) for row in first)
    assert all(60 < sum(low < number <= low + 1000 for number in numbers) < 150 for low in range(0, ROWS, 1000))
    assert 150 < sum(number % 2 for number in numbers) < 250


@pytest.mark.parametrize("kind", TABLES)
def test_a_sample_of_users_has_all_their_rows(kind: str, tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES[kind])) as source:
        rows = _read(source, tmp_path, sample=SampleSpec(SampleMethod.USERS, 500, column=ref("t", "u")))
    users = {row[1] for row in rows}
    assert len(users) == 25
    assert len(rows) == 500


def test_the_latest_rows_come_oldest_first(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES["integer key"])) as source:
        rows = _read(source, tmp_path, sample=SampleSpec(SampleMethod.LATEST, 3), time=ref("t", "at"))
    assert [row[0] for row in rows] == [3, 2, 1]


def test_a_sample_is_drawn_from_the_rows_the_filters_leave_and_then_limited(tmp_path: Path) -> None:
    few = (FilterSpec(ref("t", "id"), Comparison.LESS_EQUAL, 100),)
    with opened(make_database(tmp_path / "x.db", TABLES["integer key"])) as source:
        rows = _read(source, tmp_path / "a", sample=SampleSpec(SampleMethod.RANDOM, 50), filters=few)
        some = _read(source, tmp_path / "b", sample=SampleSpec(SampleMethod.RANDOM, 50), filters=few, limit=20)
        users = SampleSpec(SampleMethod.USERS, 10, column=ref("t", "u"))
        theirs = _read(source, tmp_path / "c", sample=users, filters=few, limit=7)
    assert len(rows) == 50
    assert all(row[0] <= 100 for row in rows)
    assert some == rows[:20]
    assert len(theirs) == 7


def test_users_may_come_from_a_joined_table_and_rows_without_one_are_left_out(tmp_path: Path) -> None:
    script = TABLES["integer key"] + (
        "; CREATE TABLE people(u INTEGER PRIMARY KEY, home TEXT);"
        " INSERT INTO people SELECT DISTINCT u, 'home ' || (u % 10) FROM t WHERE u < 100"
    )
    home = lookup("people", "people", (ref("t", "u"), "u"))
    seen = exists("seen", "people", (ref("t", "u"), "u"))
    with opened(make_database(tmp_path / "x.db", script)) as source:
        sample = SampleSpec(SampleMethod.USERS, 300, column=ref("people", "home"))
        wanted = QuerySpec(TableRef("t"), (ref("people", "home"), ref("seen")), (home, seen), sample=sample)
        rows = rows_of(source.extract(wanted, tmp_path / "out"))
    assert len({row[0] for row in rows}) == 2
    assert len(rows) == 400
    assert {row[1] for row in rows} == {1}


def test_a_sample_in_duckdb_is_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"CREATE TABLE t AS SELECT range AS id, range * 7 % {USERS} AS u, range AS at FROM range({ROWS})"
        )
    with SqlSources().open(ConnectionSpec("duckdb", str(path))) as source:
        first = _read(source, tmp_path / "a", sample=SampleSpec(SampleMethod.RANDOM, 400))
        again = _read(source, tmp_path / "b", sample=SampleSpec(SampleMethod.RANDOM, 400))
        users = _read(source, tmp_path / "c", sample=SampleSpec(SampleMethod.USERS, 500, column=ref("t", "u")))
    assert (len(first), len({row[1] for row in users}), len(users)) == (400, 25, 500)
    assert first == again


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (SampleSpec(SampleMethod.RANDOM, 0), "at least one row"),
        (SampleSpec(SampleMethod.USERS, 5), "needs the column that says who"),
        (SampleSpec(SampleMethod.LATEST, 5), "without a time"),
        (SampleSpec(SampleMethod.USERS, 5, column=ref("t", "user")), "no column “user”"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused(sample: SampleSpec, words: str, tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES["no key"])) as source, pytest.raises(QueryError, match=words):
        source.count(query("t", *ALL, sample=sample))


# ------------------------------------------------------------------------------------------------ own SELECT


OWN = """
SELECT i.id AS id, i.user_id AS user_id, 'a:b %(c)s' AS note, i.shown_at AS shown_at
FROM impressions AS i -- every one
WHERE i.id < 4; -- that is all
"""


def test_an_own_select_is_profiled_joined_filtered_counted_and_extracted_like_a_table(shop, tmp_path: Path) -> None:
    users = lookup("users", "users", (ref("mine", "user_id"), "id"))
    clicks = exists("clicks", "clicks", (ref("mine", "id"), "impression_id"))
    columns = (ref("mine", "id"), ref("mine", "note"), ref("users", "city"), ref("clicks"))
    wanted = QuerySpec(TableRef("mine"), columns, (users, clicks), select=OWN)
    rows = rows_of(shop.extract(wanted, tmp_path / "a"))
    assert sorted(rows) == [(1, "a:b %(c)s", "Bonn", 1), (2, "a:b %(c)s", "Bonn", 0), (3, "a:b %(c)s", "Ulm", 1)]
    assert shop.count(wanted) == 3
    assert [profile.distinct for profile in shop.profile(wanted)] == [3, 1, 2, 2]
    one = replace(wanted, filters=(FilterSpec(ref("users", "city"), Comparison.EQUAL, "Ulm"),))
    assert shop.count(one) == 1
    assert "every one" in shop.sql(one)
    assert shop.join_facts(replace(wanted, joins=()), users).match_rate == 1
    latest = replace(wanted, sample=SampleSpec(SampleMethod.LATEST, 1), time=ref("mine", "shown_at"))
    assert [row[0] for row in rows_of(shop.extract(latest, tmp_path / "b"))] == [1]


def test_an_own_select_is_read_in_pages(shop) -> None:
    first = shop.page(TableRef("mine"), select=OWN, rows=2)
    rest = shop.page(TableRef("mine"), select=OWN, rows=2, after=first.anchor)
    assert [row[0] for row in (*first.rows, *rest.rows)] == [1, 2, 3]
    assert (first.start, rest.anchor) == (None, None)
    assert shop.page(TableRef("mine"), select=OWN, rows=2, before=rest.start).rows == first.rows


def test_joins_are_guessed_for_an_own_select(shop) -> None:
    proposals = shop.propose_joins(TableRef("mine"), select=OWN)
    found = {(proposal.join.name, proposal.join.kind, proposal.is_guess) for proposal in proposals}
    assert ("users", JoinKind.LOOKUP, True) in found


@pytest.mark.parametrize(
    "select",
    ["DELETE FROM users", "SELECT 1; SELECT 2", "", "SELECT nope FROM users", "SELECT 1) AS t; DROP TABLE users; --"],
)
def test_what_is_not_one_select_is_refused(select: str, shop) -> None:
    with pytest.raises(QueryError):
        shop.count(QuerySpec(TableRef("mine"), (ref("mine", "id"),), select=select or " "))
