"""Users, tags, and a table of pairs between them: the same rows for every kind of database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from crosslens.relational import ColumnRef, JoinProposal, QuerySpec, TableRef
from db.sources import SqlSource

USERS = [(1,), (2,), (3,), (4,)]
TAGS = [(1, "red"), (2, "blue"), (3, None), (4, 'gr"een')]
SEEN = [(1, 1, "2024-01-03 00:00:00"), (2, 1, "2024-01-01 00:00:00"), (3, 2, "2024-01-05 00:00:00"), (4, None, None)]
PAIRS = [
    (1, 1, "2024-01-02 00:00:00"), (1, 2, "2024-01-01 00:00:00"), (1, 3, "2024-01-01 00:00:00"),
    (2, 4, "2024-01-04 00:00:00"), (2, 1, None), (3, 2, "2024-01-01 00:00:00"),
]  # fmt: skip


def create(execute: Callable[..., Any], time: str, mark: str, *, timed: bool) -> None:
    """Make the tables: `seen` refers to users, `user_tags` pairs users with tags, with a time or without."""
    when = f", given {time}" if timed else ""
    execute("CREATE TABLE users(id INTEGER PRIMARY KEY)")
    execute("CREATE TABLE tags(id INTEGER PRIMARY KEY, name VARCHAR(9))")
    execute(f"CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id INTEGER, t {time}, "
            "FOREIGN KEY (user_id) REFERENCES users(id))")  # fmt: skip
    execute(f"CREATE TABLE user_tags(user_id INTEGER, tag_id INTEGER{when}, PRIMARY KEY (user_id, tag_id), "
            "FOREIGN KEY (user_id) REFERENCES users(id), FOREIGN KEY (tag_id) REFERENCES tags(id))")  # fmt: skip
    pairs = PAIRS if timed else [pair[:2] for pair in PAIRS]
    for table, rows in (("users", USERS), ("tags", TAGS), ("seen", SEEN), ("user_tags", pairs)):
        for row in rows:
            execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", row)


def tags_of(proposals: tuple[JoinProposal, ...]) -> JoinProposal:
    (found,) = (proposal for proposal in proposals if proposal.join.table.name == "tags")
    return found


def query_of(base: str, proposals: tuple[JoinProposal, ...]) -> QuerySpec:
    """Return the base's key beside the names of the tags that are proposed."""
    by_name = {proposal.join.name: proposal.join for proposal in proposals}
    join = tags_of(proposals).join
    chain = [join]
    while chain[0].on[0][0].source in by_name:
        chain.insert(0, by_name[chain[0].on[0][0].source])
    return QuerySpec(TableRef(base), (ColumnRef(base, "id"), ColumnRef(join.name, "name")), tuple(chain))


def found(source: SqlSource, query: QuerySpec) -> dict[int, list[str]]:
    table = source.sample(query, 100)
    values = [json.loads(each) if isinstance(each, str) else each or [] for each in table.column(1).to_pylist()]
    return dict(zip(table.column(0).to_pylist(), map(sorted, values), strict=True))


def expected(user: int | None, until: str | None, *, timed: bool) -> list[str]:
    """Return the names of a user's tags, with `timed` only those that were given before `until`."""
    names = dict(TAGS)
    known = [tag for one, tag, at in PAIRS if one == user and (not timed or (at and until and at < until))]
    return sorted(name for tag in known if (name := names[tag]) is not None)


def check(source: SqlSource, *, timed: bool) -> None:
    """The tags of each user, and of the user of each row seen, are what a plain evaluation says."""
    users, seen = (source.propose_joins(TableRef(base)) for base in ("users", "seen"))
    assert found(source, query_of("users", users)) == {user: expected(user, None, timed=False) for (user,) in USERS}
    wanted = {number: expected(user, until, timed=timed) for number, user, until in SEEN}
    assert found(source, query_of("seen", seen)) == wanted
    query = query_of("seen", seen)
    facts = source.join_facts(QuerySpec(query.base, (), query.joins[:-1]), query.joins[-1])
    assert (facts.match_rate, facts.max_partners, facts.rows_before) == (0.75, 3, 4)
