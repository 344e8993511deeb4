"""Joins proposed from names and types where no key says so, and what to-many tables are offered as."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.commands import ProposeQuery
from core.jobs.browse import propose
from core.services import JobControl
from crosslens.relational import ColumnInfo, ColumnRef, ColumnType, ForeignKey, JoinKind, QuerySpec, TableInfo, TableRef
from db import sources
from db.guesses import guess_keys, words
from db.proposals import MOST, best_time, propose_joins

from .helpers import make_database, opened, ref

INTEGER, TEXT = ColumnType.INTEGER, ColumnType.TEXT


def table(name: str, /, *columns: str, key: tuple[str, ...] = (), **types: ColumnType) -> TableInfo:
    infos = tuple(ColumnInfo(column, types.get(column, INTEGER)) for column in columns)
    return TableInfo(TableRef(name), infos, primary_key=key)


def guessed(*tables: TableInfo) -> set[str]:
    return {
        f"{ref.name}.{','.join(key.columns)} = {key.target.name}.{','.join(key.target_columns)}"
        for ref, keys in guess_keys(tables).items()
        for key in keys
    }


USERS = table("users", "id", "name", key=("id",), name=TEXT)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ((USERS, table("seen", "user_id")), {"seen.user_id = users.id"}),
        ((USERS, table("seen", "userId")), {"seen.userId = users.id"}),
        ((USERS, table("Seen", "USER_ID")), {"Seen.USER_ID = users.id"}),
        ((USERS, table("seen", "buyer_user_id")), {"seen.buyer_user_id = users.id"}),
        ((USERS, table("seen", "user")), {"seen.user = users.id"}),
        ((table("user", "id", key=("id",)), table("seen", "user_id")), {"seen.user_id = user.id"}),
        ((table("dim_user", "id", key=("id",)), table("seen", "user_id")), {"seen.user_id = dim_user.id"}),
        ((table("categories", "id", key=("id",)), table("t", "category_id")), {"t.category_id = categories.id"}),
        ((table("boxes", "box_no", key=("box_no",)), table("t", "box_no")), {"t.box_no = boxes.box_no"}),
        ((table("users", "user_id", "x", key=("user_id",)), table("t", "user_id")), {"t.user_id = users.user_id"}),
        ((table("crm", "customer_no", "x", key=("customer_no",)), table("t", "customer_no")), {
            "t.customer_no = crm.customer_no"}),
        # without keys, as in files: the column named like its table, or the first one that looks like a key
        ((table("movies", "movie_id", "title", title=TEXT), table("ratings", "user", "movie_id")), {
            "ratings.movie_id = movies.movie_id"}),
        ((table("users", "id", "x"), table("seen", "n", "user_id")), {"seen.user_id = users.id"}),
        ((table("o", "order_id", "line_no", key=("order_id", "line_no")), table("s", "n", "line_no", "order_id")), {
            "s.order_id,line_no = o.order_id,line_no"}),
        ((table("employees", "id", "boss_employee_id", key=("id",)),), {"employees.boss_employee_id = employees.id"}),
        # nothing to be guessed
        ((USERS, table("seen", "user_id", user_id=TEXT)), set()),
        ((USERS, table("seen", "id", key=("id",))), set()),
        ((USERS, table("seen", "n", "name", "user_name", name=TEXT, user_name=TEXT)), set()),
        ((USERS, table("seen", "n", "amount", "grid")), set()),
    ],
)  # fmt: skip
def test_names_and_types_suggest_keys(tables: tuple[TableInfo, ...], expected: set[str]) -> None:
    assert guessed(*tables) == expected


def test_a_declared_key_is_not_guessed_again() -> None:
    seen = TableInfo(TableRef("seen"), (ColumnInfo("user_id", INTEGER),), foreign_keys=(
        ForeignKey(("user_id",), TableRef("users"), ("id",)),))  # fmt: skip
    assert guessed(USERS, seen) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_id", ["user", "id"]),
        ("userId", ["user", "id"]),
        ("HTTPServerID", ["http", "server", "id"]),
        ("Größe (cm)", ["grösse", "cm"]),
        ("имя_id", ["имя", "id"]),
        ("%s", ["s"]),
        ("", []),
    ],
)
def test_names_are_made_of_words(name: str, expected: list[str]) -> None:
    assert list(words(name)) == expected


FILES = """
CREATE TABLE users(user_id INTEGER, city TEXT);
CREATE TABLE tags(item_id INTEGER, tag TEXT);
CREATE TABLE seen(n INTEGER, user_id INTEGER, item_id INTEGER, shown_at TIMESTAMP);
CREATE TABLE visits(user_id INTEGER, page TEXT, visited_at TIMESTAMP);
INSERT INTO users VALUES (1, 'Ulm'), (2, 'Bonn'); INSERT INTO tags VALUES (1, 'a'), (1, 'b');
INSERT INTO seen VALUES (1, 1, 1, '2024-01-01'), (2, 2, 1, '2024-01-02'), (3, 1, 2, '2024-01-03');
INSERT INTO visits VALUES (1, 'x', '2024-01-02');
"""


def test_guesses_are_marked_measured_and_never_taken_by_themselves(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", FILES)) as source:
        proposal = propose(source, TableRef("seen"), JobControl())
    assert proposal.query.joins == ()
    users = next(each for each in proposal.proposals if each.join.name == "users")
    assert (users.is_guess, users.reason) == (True, "names match: seen.user_id = users.user_id")
    past = next(each for each in proposal.proposals if each.join.name == "visits")
    assert (past.is_guess, past.join.kind, past.join.up_to) == (True, JoinKind.COUNT, ref("seen", "shown_at"))
    facts = {facts.name: facts for facts in proposal.facts}
    assert (facts["users"].match_rate, facts["users"].max_partners) == (1.0, 1)
    with opened(tmp_path / "x.db") as source:
        taken = propose(source, TableRef("seen"), JobControl(), guesses=True).query.joins
    assert [join.name for join in taken] == ["users"]
    assert set(users.kinds) == {JoinKind.LOOKUP, JoinKind.EXISTS, JoinKind.COUNT, JoinKind.VALUES}


EVENTS = """
CREATE TABLE users(id INTEGER PRIMARY KEY);
CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), shown_at TIMESTAMP);
CREATE TABLE clicks(id INTEGER PRIMARY KEY, seen_id INTEGER REFERENCES seen(id), clicked_at TIMESTAMP);
CREATE TABLE visits(user_id INTEGER REFERENCES users(id), page TEXT, visited_at TIMESTAMP);
CREATE TABLE notes(user_id INTEGER REFERENCES users(id), note TEXT);
"""


def test_events_are_offered_as_labels_or_as_the_past_of_the_row(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", EVENTS)) as source:
        found = {each.join.name: each for each in source.propose_joins(TableRef("seen"))}
    clicks, visits, before = found["clicks"], found["visits"], found["seen (user_id)"]
    assert (clicks.join.kind, clicks.join.time, clicks.join.up_to) == (JoinKind.EXISTS, "clicked_at", None)
    assert clicks.up_to == ref("seen", "shown_at")
    assert clicks.kinds == (JoinKind.EXISTS, JoinKind.COUNT, JoinKind.LATEST, JoinKind.VALUES)
    for past in (visits, before):
        assert (past.join.kind, past.join.up_to) == (JoinKind.COUNT, ref("seen", "shown_at"))
        assert not past.is_guess
    assert visits.reason == "the same users: visits.user_id"
    assert "notes" not in found


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"id": INTEGER, "at": ColumnType.TIMESTAMP}, "at"),
        ({"day": ColumnType.DATE, "at": ColumnType.TIMESTAMP}, "at"),
        ({"updated_at": ColumnType.TIMESTAMP, "created_at": ColumnType.TIMESTAMP}, "created_at"),
        ({"id": INTEGER, "created": INTEGER}, "created"),
        ({"id": INTEGER, "timestamp": INTEGER}, "timestamp"),
        ({"id": INTEGER, "plate": TEXT, "format": TEXT}, None),
    ],
)
def test_the_best_time_is_one_by_type_or_by_name(columns: dict[str, ColumnType], expected: str | None) -> None:
    assert best_time(table("t", *columns, **columns)) == expected


def test_a_join_that_takes_too_long_to_measure_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "JOIN_SECONDS", 0.2)
    script = """
    CREATE TABLE seen(id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO seen VALUES (1, 1);
    CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;
    """
    join = sources.JoinSpec("endless", TableRef("endless"), ((ref("seen", "n"), "x"),))
    with opened(make_database(tmp_path / "x.db", script)) as source:
        facts = source.join_facts(QuerySpec(TableRef("seen"), ()), join)
    assert facts.problem.startswith("Not measured: it took more than 0.2 seconds.")
    assert (facts.rows_before, facts.match_rate) == (0, 0)


def test_two_thousand_tables_are_proposed_for_within_seconds() -> None:
    many = [
        table(f"table_{number}", "id", *(f"table_{(number * 7 + step) % 2000}_id" for step in range(20)), key=("id",))
        for number in range(2000)
    ]
    started = time.process_time()
    found = propose_joins(many[0], {each.ref: each for each in many})
    assert len(found) == MOST
    assert all(each.is_guess for each in found)
    assert time.process_time() - started < 10


def test_a_proposal_can_start_from_an_own_select() -> None:
    assert ProposeQuery.__dataclass_fields__["select"].default == ""
    own = TableInfo(TableRef("query"), (ColumnInfo("user_id", INTEGER),), is_view=True)
    (found,) = propose_joins(own, {USERS.ref: USERS})
    assert found.join.on == ((ColumnRef("query", "user_id"), "id"),)
