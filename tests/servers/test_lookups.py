"""Small tables looked up here, on real servers: the rows of the one SELECT, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crosslens.relational import ColumnRef, JoinSpec, QuerySpec, TableRef
from db import lookups
from db.sources import SqlSources

from .conftest import Server

QUERY = QuerySpec(
    TableRef("seen"),
    (
        *(ColumnRef("seen", name) for name in ("id", "user_id")),
        *(ColumnRef("users", name) for name in ("city", "born", "score")),
        ColumnRef("lands", "name"),
    ),
    (
        JoinSpec("users", TableRef("users"), ((ColumnRef("seen", "user_id"), "id"),)),
        JoinSpec("lands", TableRef("lands"), ((ColumnRef("users", "land_id"), "id"),)),
    ),
)


def test_looked_up_rows_are_those_of_the_one_select(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ", ".join(f"({n}, {'NULL' if n % 5 == 0 else n % 60})" for n in range(2_000))
    users = ", ".join(f"({n}, 'Ort \"{n}\", ü', '2000-01-{n % 28 + 1:02d}', {n / 4}, {n % 3})" for n in range(1, 50))
    server.run(
        "CREATE TABLE lands(id BIGINT PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE users(id INTEGER PRIMARY KEY, city VARCHAR(40), born DATE, score NUMERIC(8, 2), land_id INT)",
        "CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id BIGINT)",
        "INSERT INTO lands VALUES (1, 'A'), (2, NULL)",
        f"INSERT INTO users VALUES {users}",
        f"INSERT INTO seen VALUES {rows}",
        *(
            [f"ANALYZE {name}" for name in ("lands", "users", "seen")]
            if server.is_postgresql
            else ["ANALYZE TABLE users"]
        ),
    )
    used: list[Any] = []
    known = lookups.LookedUp.batches
    monkeypatch.setattr(lookups.LookedUp, "batches", lambda *words, **more: used.append(1) or known(*words, **more))
    with SqlSources().open(server.reader) as source:
        ours = source.extract(QUERY, tmp_path / "ours")
        assert used
        monkeypatch.setattr(lookups, "MOST_ROWS", 0)
        theirs = source.extract(QUERY, tmp_path / "theirs")
    assert (ours.rows, ours.fingerprint) == (2_000, theirs.fingerprint)
