"""Joins, samples, proposals and pages on real servers: the same answers as a plain evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from crosslens.relational import ColumnRef, JoinKind, JoinSpec, QuerySpec, SampleMethod, SampleSpec, TableRef
from db import sources
from db.sources import SqlSource, SqlSources

from ..db.test_rows_beside_rows import (
    EVENTS,
    NOTES,
    UP_TO,
    Data,
    expected_values,
    found_values,
    plain_values,
)
from .conftest import Server, connect

BASE_ROWS = 60


def _random_data() -> Data:
    draw = random.Random(3)

    def day() -> str | None:
        return draw.choice([None, *(f"2024-01-0{number} 00:00:00" for number in range(1, 8))])

    def value() -> str | None:
        return draw.choice([None, "a", "b", 'c"d', "ü, ö", "back\\slash"])

    return Data(
        [(draw.choice([None, 0, 1, 2, 3]), day()) for _ in range(BASE_ROWS)],
        [(draw.choice([None, 0, 1, 2, 3]), day(), value()) for _ in range(80)],
        [(draw.choice([None, *range(1, 80)]), day(), value()) for _ in range(80)],
    )


DATA = _random_data()


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[SqlSource]:
    time = "TIMESTAMP" if server.is_postgresql else "DATETIME"
    server.run(
        f"CREATE TABLE base(id INTEGER PRIMARY KEY, k INTEGER, t {time})",
        f"CREATE TABLE events(id INTEGER PRIMARY KEY, k INTEGER, t {time}, v VARCHAR(20))",
        f"CREATE TABLE notes(id INTEGER PRIMARY KEY, event_id INTEGER, t {time}, v VARCHAR(20),"
        " FOREIGN KEY (event_id) REFERENCES events(id))",
        "CREATE VIEW seen AS SELECT * FROM base",
    )
    connection = connect(server.owner)
    with connection.cursor() as cursor:
        for name, rows in (("base", DATA.base), ("events", DATA.events), ("notes", DATA.notes)):
            marks = ", ".join(["%s"] * (len(rows[0]) + 1))
            numbered = [(number, *row) for number, row in enumerate(rows, 1)]
            cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", numbered)
    connection.close()
    with SqlSources().open(server.reader) as opened:
        yield opened


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("kind", [JoinKind.EXISTS, JoinKind.COUNT, JoinKind.LATEST, JoinKind.VALUES])
def test_a_join_to_many_says_what_a_plain_evaluation_says(
    source: SqlSource, kind: JoinKind, chained: bool, bounded: bool
) -> None:
    column = {JoinKind.EXISTS: ColumnRef.EXISTS, JoinKind.COUNT: ColumnRef.COUNT}.get(kind, "v")
    limit = UP_TO if bounded else None
    events = replace(EVENTS, kind=JoinKind.EXISTS if chained else kind, up_to=limit)
    joins = (events, replace(NOTES, kind=kind, up_to=limit)) if chained else (events,)
    query = QuerySpec(TableRef("base"), (ColumnRef("base", "id"), ColumnRef(joins[-1].name, column)), joins)
    found = plain_values(kind, found_values(source, query))
    assert found == expected_values(DATA, kind, chained=chained, bounded=bounded)
    assert source.count(query) == BASE_ROWS


@pytest.mark.parametrize("table", ["base", "seen"])
def test_samples_are_the_same_each_time(source: SqlSource, table: str) -> None:
    columns = (ColumnRef(table, "id"), ColumnRef(table, "k"))
    query = QuerySpec(TableRef(table), columns, sample=SampleSpec(SampleMethod.RANDOM, 20))
    first, again = (sorted(source.sample(query, 1000).column(0).to_pylist()) for _ in range(2))
    assert first == again
    assert len(set(first)) == 20 == source.count(query)
    users = replace(query, sample=SampleSpec(SampleMethod.USERS, 5, column=ColumnRef(table, "k")))
    rows = source.sample(users, 1000)
    user = set(rows.column(1).to_pylist())
    assert len(user) == 1
    assert rows.num_rows == sum(k in user for k, _ in DATA.base) == source.count(users)


@pytest.mark.parametrize("table", ["base", "seen"])
def test_pages_go_both_ways(source: SqlSource, table: str) -> None:
    first = source.page(TableRef(table), rows=25)
    second = source.page(TableRef(table), rows=25, after=first.anchor)
    assert source.page(TableRef(table), rows=25, before=second.start).rows == first.rows
    assert len({row[0] for row in (*first.rows, *second.rows)}) == 50
    middle = source.page(TableRef(table), rows=5, near=0.5)
    assert len(middle.rows) == 5
    assert middle.start is not None
    assert middle.anchor is not None


def test_joins_are_measured_and_proposed_along_keys_and_names(source: SqlSource) -> None:
    proposals = source.propose_joins(TableRef("events"))
    found = {(proposal.join.name, proposal.join.kind, proposal.is_guess) for proposal in proposals}
    assert ("notes", JoinKind.EXISTS, False) in found
    facts = source.join_facts(QuerySpec(TableRef("base"), ()), EVENTS)
    assert facts.rows_before == BASE_ROWS
    assert facts.match_rate == sum(k is not None for k, _ in DATA.base) / BASE_ROWS


def test_a_large_table_is_sampled_from_all_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 500)
    analyse = "ANALYZE" if server.is_postgresql else "ANALYZE TABLE"
    for name, key in (("numbered", "INTEGER"), ("named", "VARCHAR(20)")):
        server.run(f"CREATE TABLE {name}(id {key} PRIMARY KEY, half INTEGER)")
        rows = ", ".join(f"('{number:05d}', {int(number >= 5000)})" for number in range(10_000))
        server.run(f"INSERT INTO {name} VALUES {rows}", f"{analyse} {name}")
    with SqlSources().open(server.reader) as source:
        for name in ("numbered", "named"):
            join = JoinSpec("other", TableRef("numbered"), ((ColumnRef(name, "half"), "id"),))
            facts = source.join_facts(QuerySpec(TableRef(name), ()), join)
            assert facts.match_rate == 1
            assert 300 <= facts.rows_before <= 500
            (profile,) = source.profile(QuerySpec(TableRef(name), (ColumnRef(name, "half"),)))
            assert profile.sampled
            if name == "numbered" or server.is_postgresql:  # MariaDB's text keys are read from the start
                assert profile.distinct == 2
