"""Saved connections: named, renamed, deleted; what was learned from them stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crosslens import ProjectError
from crosslens.relational import ConnectionSpec
from crosslens.runs import RunRecord, RunStatus, StoredConnection
from db.store import SqlProjects

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SHOP = StoredConnection("c1", "shop", ConnectionSpec("postgresql", "shop", host="db", credential="k1"), NOW)
BANK = StoredConnection("c2", "bank", ConnectionSpec("sqlite", "/data/bank.db"))


@pytest.fixture
def store(tmp_path: Path):
    with SqlProjects().open(tmp_path / "project", create=True) as store:
        for connection in (SHOP, BANK):
            store.save_connection(connection)
        yield store


def test_a_connection_gets_another_name_and_nothing_else_changes(store) -> None:
    store.rename_connection("c1", "  Größe der   Läden ")
    assert store.connections() == (replace(SHOP, name="Größe der Läden"), BANK)


@pytest.mark.parametrize("name", ["", "   ", "\t\n"])
def test_a_connection_is_never_without_a_name(store, name: str) -> None:
    with pytest.raises(ProjectError, match="needs a name"):
        store.rename_connection("c1", name)
    assert store.connections() == (SHOP, BANK)


def test_two_connections_may_have_the_same_name(store) -> None:
    store.rename_connection("c2", "shop")
    assert [connection.name for connection in store.connections()] == ["shop", "shop"]


def test_a_deleted_connection_is_gone_from_the_file(store, tmp_path: Path) -> None:
    store.delete_connection("c1")
    with SqlProjects().open(tmp_path / "project") as again:
        assert again.connections() == (BANK,)


def test_the_runs_of_a_deleted_connection_stay_readable(store) -> None:
    run = RunRecord("run-1", "net", "Net", RunStatus.FINISHED, NOW, 'format = 1\n[source]\ndatabase = "shop"\n')
    store.save_run(run)
    store.delete_connection("c1")
    assert store.run("run-1") == run


@pytest.mark.parametrize("act", [lambda store: store.rename_connection("c9", "x"), lambda s: s.delete_connection("c9")])
def test_a_connection_that_is_gone_is_said(store, act) -> None:
    with pytest.raises(ProjectError, match="no such saved connection") as caught:
        act(store)
    assert caught.value.facts["connection"] == "c9"
    assert caught.value.do


def test_a_deleted_connection_can_be_saved_again(store) -> None:
    store.delete_connection("c1")
    store.save_connection(SHOP)
    assert store.connections() == (SHOP, BANK)
