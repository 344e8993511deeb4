"""Whatever is wrong with a file is said in a sentence."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import db.engines.sqlite as sqlite_engine
from crosslens.errors import QueryError, SourceError
from crosslens.relational import ConnectionSpec, TableRef
from db.errors import source_error, storage_error
from db.sources import SqlSources

from .helpers import SHOP, make_database, opened, query


def _message(path: Path) -> str:
    with pytest.raises(SourceError) as caught, opened(path) as source:
        source.tables()
    assert caught.value.why
    assert caught.value.do
    return caught.value.what


def test_a_missing_file(tmp_path: Path) -> None:
    assert _message(tmp_path / "gone.db") == f"There is no file {tmp_path / 'gone.db'}."
    assert not (tmp_path / "gone.db").exists()


def test_a_folder(tmp_path: Path) -> None:
    assert _message(tmp_path) == f"{tmp_path} is a folder."


@pytest.mark.parametrize("content", [b"a,b\n1,2\n" * 200, b"%PDF-1.7" + bytes(2000), os.urandom(4096)])
def test_not_a_database_or_an_encrypted_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(content)
    assert _message(tmp_path / "x.db") == "x.db is not an SQLite database."


def test_an_empty_file_is_a_database_without_tables(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    assert _message(tmp_path / "x.db") == "x.db has no tables."


def test_a_damaged_file(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", "CREATE TABLE t(x);" + "INSERT INTO t VALUES (zeroblob(3000));" * 50)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.db is damaged"), opened(path) as source:
        source.tables()


def test_a_file_cut_short_while_it_is_read(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", "CREATE TABLE t(x);" + "INSERT INTO t VALUES (hex(randomblob(3000)));" * 99)
    with opened(path) as source:
        source.tables()
        os.truncate(path, 8192)
        with pytest.raises(SourceError, match=r"x\.db (is damaged|could not be read)"):
            source.extract(query("t", ("t", "x")), tmp_path / "out")
    assert [file.name for file in tmp_path.rglob("*")] == ["x.db"]


def test_a_file_another_program_has_locked(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sqlite_engine, "LOCK_SECONDS", 0.1)
    path = make_database(tmp_path / "x.db", SHOP)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert _message(path) == "x.db is locked."


def test_a_journal_left_by_a_crash_is_explained(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", "CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(9000))")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        for _ in range(20):
            writer.execute("INSERT INTO t VALUES (randomblob(9000))")
        for file in tmp_path.glob("x.db*"):
            (tmp_path / file.name.replace("x.db", "crashed.db")).write_bytes(file.read_bytes())
    assert (tmp_path / "crashed.db-journal").exists()
    assert (
        _message(tmp_path / "crashed.db")
        == "crashed.db was left open by a program that stopped in the middle of writing."
    )


def test_a_file_deleted_after_opening(shop, shop_path: Path) -> None:
    shop.tables()
    shop_path.unlink()
    with pytest.raises(SourceError, match="There is no file"):
        shop.page(TableRef("users"))


def test_a_file_replaced_after_opening(shop, shop_path: Path, tmp_path: Path) -> None:
    shop.tables()
    make_database(tmp_path / "new.db", SHOP).replace(shop_path)
    with pytest.raises(SourceError, match="has been replaced"):
        shop.page(TableRef("users"))


def test_a_file_that_may_not_be_read(shop_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, whom nothing is denied
    assert _message(shop_path) == "shop.db may not be read."


@pytest.mark.parametrize(
    ("dialect", "what", "do"),
    [
        ("nosuchdialect", "“nosuchdialect” is not known", "pip install"),
        ("oracle+oracledb", "driver for oracle", "pip install oracledb"),
    ],
)
def test_a_dialect_or_driver_that_is_not_installed(dialect: str, what: str, do: str) -> None:
    connection = ConnectionSpec(dialect, "x", "db.invalid", secret="hush")
    with pytest.raises(SourceError, match=what) as caught, SqlSources().open(connection):
        pass
    assert do in caught.value.do
    assert "hush" not in str(caught.value)


def test_an_unknown_table_names_the_nearest(shop) -> None:
    with pytest.raises(QueryError, match="no table “impresions”") as caught:
        shop.table(TableRef("impresions"))
    assert caught.value.facts["near"] == ("impressions",)
    assert caught.value.do == "Did you mean “impressions”?"


def test_an_unknown_column_names_the_nearest(shop) -> None:
    with pytest.raises(QueryError, match="Did you mean “user_id”"):
        shop.count(query("impressions", ("impressions", "userid")))


def test_a_view_over_nothing_is_listed_and_refused_when_read(tmp_path: Path) -> None:
    path = make_database(tmp_path / "x.db", "CREATE TABLE t(x); CREATE VIEW v AS SELECT x FROM t; DROP TABLE t")
    with opened(path) as source:
        assert [(table.ref.name, table.columns) for table in source.tables()] == [("v", ())]
        with pytest.raises(QueryError, match="“v” cannot be read"):
            source.page(TableRef("v"))


def test_a_view_that_fails_while_it_is_read(tmp_path: Path) -> None:
    view = "CREATE VIEW v AS SELECT json_extract(x, '$') AS y FROM t"
    path = make_database(tmp_path / "x.db", f"CREATE TABLE t(x); INSERT INTO t VALUES ('no json'); {view}")
    with opened(path) as source, pytest.raises(QueryError, match="malformed JSON"):
        source.page(TableRef("v"))


def test_a_table_dropped_after_opening(shop, shop_path: Path) -> None:
    shop.tables()
    make_database(shop_path, "DROP TABLE conversions")
    with pytest.raises(QueryError, match="no such table"):
        shop.page(TableRef("conversions"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("SQLITE_BUSY_SNAPSHOT", SourceError), ("SQLITE_IOERR_READ", SourceError), ("SQLITE_ERROR", QueryError)],
)
def test_extended_codes_find_their_sentence(name: str, kind: type, tmp_path: Path) -> None:
    error = sqlite3.OperationalError("words {of} SQLite")
    error.sqlite_errorname = name
    assert type(source_error(error, tmp_path / "x.db")) is kind


def test_a_full_disk_names_the_room_there_is_and_the_room_needed(tmp_path: Path) -> None:
    error = storage_error(OSError(errno.ENOSPC, "full"), tmp_path / "deep" / "x.arrow", needed=5_200_000_000)
    assert "About 5.2 GB are needed." in error.why
    assert str(tmp_path) in error.why
    assert error.facts["free"] > 0
