"""What a table of pairs links to a row is proposed as its several values: the tags of a user."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from crosslens.relational import ConnectionSpec, JoinKind, TableRef
from db.sources import SqlSources

from . import links
from .helpers import make_database, opened


def _open(engine: str, folder: Path, *, timed: bool) -> ConnectionSpec:
    path = folder / f"x.{engine}"
    if engine == "sqlite":
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            links.create(connection.execute, "TIMESTAMP", "?", timed=timed)
    else:
        with duckdb.connect(str(path)) as target:
            links.create(target.execute, "TIMESTAMP", "?", timed=timed)
    return ConnectionSpec(engine, str(path))


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_the_tags_of_a_user_are_what_a_plain_evaluation_says(engine: str, timed: bool, tmp_path: Path) -> None:
    with SqlSources().open(_open(engine, tmp_path, timed=timed)) as source:
        links.check(source, timed=timed)


def test_tags_are_offered_behind_their_pairs_and_not_beyond_a_moment(tmp_path: Path) -> None:
    with SqlSources().open(_open("sqlite", tmp_path, timed=True)) as source:
        proposals = source.propose_joins(TableRef("seen"))
    tags = links.tags_of(proposals)
    (pairs,) = (each for each in proposals if each.join.name == tags.join.on[0][0].source)
    assert tags.join.kind is JoinKind.VALUES
    assert tags.kinds == (JoinKind.EXISTS, JoinKind.COUNT, JoinKind.VALUES)
    assert tags.reason == "through user_tags: user_tags.user_id, user_tags.tag_id"
    assert (pairs.join.kind, str(pairs.join.up_to)) == (JoinKind.COUNT, "seen.t")
    assert not tags.is_guess


TABLES = "CREATE TABLE users(id INTEGER PRIMARY KEY); CREATE TABLE tags(id INTEGER PRIMARY KEY, name TEXT);"
UNDECLARED = "CREATE TABLE user_tags(user_id INTEGER, tag_id INTEGER);"
KEYS = "user_id INTEGER REFERENCES users(id), tag_id INTEGER REFERENCES tags(id)"


@pytest.mark.parametrize(
    ("pairs", "offered"),
    [
        (f"CREATE TABLE user_tags({KEYS});", {False}),
        (f"CREATE TABLE user_tags(id INTEGER PRIMARY KEY, {KEYS});", {False}),
        (f"CREATE TABLE user_tags(id INTEGER PRIMARY KEY, {KEYS}, weight REAL, UNIQUE (user_id, tag_id));", {False}),
        (f"CREATE TABLE user_tags(id INTEGER PRIMARY KEY, {KEYS}, at TIMESTAMP);", set()),
        (f"CREATE TABLE user_tags(id INTEGER PRIMARY KEY, {KEYS}, weight REAL);", set()),
        ("CREATE TABLE user_tags(user_id INTEGER REFERENCES users(id), tag_id INTEGER REFERENCES gone(id));", set()),
        ("CREATE TABLE friends(user_id INTEGER REFERENCES users(id), friend_id INTEGER REFERENCES users(id));", set()),
        (UNDECLARED, {True}),
    ],
)  # fmt: skip
def test_only_tables_of_pairs_are_links(pairs: str, offered: set[bool], tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", TABLES + pairs)) as source:
        proposals = source.propose_joins(TableRef("users"))
    assert {each.is_guess for each in proposals if each.join.kind is JoinKind.VALUES} == offered
