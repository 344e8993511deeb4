"""Thousands of rows that share one key: sorted and counted, never compared with each other, or refused before it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from crosslens.errors import QueryError
from crosslens.relational import (
    ColumnRef,
    ConnectionSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableRef,
)
from db import joins
from db.sources import SqlSource, SqlSources

from .helpers import ref, rows_of

ROWS, SHARED = 100_000, 5
"""Every fifth row has key 0: twenty thousand rows to be compared with twenty thousand."""
SECONDS = 60.0
TABLE = "CREATE TABLE seen(id INTEGER PRIMARY KEY, k INTEGER, t INTEGER, few VARCHAR(20), own VARCHAR(20))"
KEY, TIME = "CASE WHEN n % 5 = 0 THEN 0 ELSE 1 + n / 10 END", "n * 7919 % 100000"


def join(kind: JoinKind, *, bounded: bool) -> JoinSpec:
    limit = ref("seen", "t") if bounded else None
    return JoinSpec("past", TableRef("seen"), ((ref("seen", "k"), "k"),), kind, "t", limit)


def asked(kind: JoinKind, column: str, *, bounded: bool) -> QuerySpec:
    return QuerySpec(TableRef("seen"), (ref("seen", "id"), ref("past", column)), (join(kind, bounded=bounded),))


def answer(source: SqlSource, query: QuerySpec, folder: Path) -> list[tuple[object, ...]]:
    started = time.monotonic()
    return rows_of(source.extract(query, folder, should_stop=lambda: time.monotonic() - started > SECONDS))


def latest(number: int, *, bounded: bool) -> str | None:
    """Return the value of the latest row with the key of row `number`; times are all different."""
    keys = {0: range(0, ROWS, SHARED)}
    rows = (
        keys[0] if number % SHARED == 0 else [n for n in range(number // 10 * 10, number // 10 * 10 + 10) if n % SHARED]
    )
    known = [n for n in rows if not bounded or n * 7919 % ROWS < number * 7919 % ROWS]
    return f"v{max(known, key=lambda n: n * 7919 % ROWS) % 9}" if known else None


def check_latest(source: SqlSource, folder: Path, *, bounded: bool) -> None:
    rows = answer(source, asked(JoinKind.LATEST, "few", bounded=bounded), folder)
    assert len(rows) == ROWS
    for number in (0, 1, 5, 77, 50_000, 99_999, 99_995):
        assert rows[number] == (number, latest(number, bounded=bounded))


def check_counts(source: SqlSource, folder: Path) -> None:
    rows = answer(source, asked(JoinKind.COUNT, ColumnRef.COUNT, bounded=True), folder)
    assert sorted(count for number, count in rows if number % SHARED == 0) == list(range(ROWS // SHARED))


def check_values(source: SqlSource, folder: Path) -> None:
    for bounded in (False, True):
        assert len(answer(source, asked(JoinKind.VALUES, "few", bounded=bounded), folder)) == ROWS
        with pytest.raises(QueryError, match=r"“past\.own” would hold up to 401 M values"):
            answer(source, asked(JoinKind.VALUES, "own", bounded=bounded), folder / "refused")
    assert not (folder / "refused").exists()


@pytest.fixture(scope="module", params=["sqlite", "duckdb"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlSource]:
    path = tmp_path_factory.mktemp("many") / f"x.{request.param}"
    rows = f"INSERT INTO seen SELECT n, {KEY}, {TIME}, 'v' || (n % 9), 'w' || n FROM "
    if request.param == "sqlite":
        numbers = "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 99999) "
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(TABLE)
            connection.execute(f"{numbers}{rows} s")
            connection.commit()
    else:
        with duckdb.connect(str(path)) as target:
            target.execute(TABLE)
            target.execute(f"{rows.replace('n / 10', 'n // 10')} range(100000) r(n)")
    with SqlSources().open(ConnectionSpec(request.param, str(path))) as opened:
        yield opened


@pytest.mark.parametrize("bounded", [False, True])
def test_the_latest_of_twenty_thousand_is_found_by_sorting(source: SqlSource, bounded: bool, tmp_path: Path) -> None:
    check_latest(source, tmp_path, bounded=bounded)


def test_twenty_thousand_are_counted_up_to_each_moment(source: SqlSource, tmp_path: Path) -> None:
    check_counts(source, tmp_path)


def test_few_values_of_many_rows_are_listed_and_many_refused(source: SqlSource, tmp_path: Path) -> None:
    check_values(source, tmp_path)


def test_a_profile_of_endless_lists_is_refused_too(source: SqlSource) -> None:
    with pytest.raises(QueryError, match="take a sample"):
        source.profile(asked(JoinKind.VALUES, "own", bounded=False))


def test_a_sample_makes_endless_lists_bearable(
    source: SqlSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joins, "MOST_LISTED", 41_000)
    query = asked(JoinKind.VALUES, "own", bounded=False)
    sampled = QuerySpec(query.base, query.columns, query.joins, sample=SampleSpec(SampleMethod.RANDOM, 10))
    assert len(answer(source, sampled, tmp_path)) == 10
