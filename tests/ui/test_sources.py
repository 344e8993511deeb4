"""Names, places and URLs of connections, and their encryption in one vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslens.errors import SourceError
from crosslens.relational import ConnectionSpec
from ui.desktop.sources import (
    holds_tables,
    is_guarded,
    is_same_source,
    read_url,
    source_key,
    source_name,
    source_place,
    without_secret,
)
from ui.desktop.ssl_options import Ssl, SslMode, read_ssl, ssl_options

SERVER = ConnectionSpec("postgresql", "shop", "db.example.org", 6432, "ann", secret="s3cret")
FILE = ConnectionSpec("sqlite", "/data/shop.db")


def test_a_url_gives_its_password_away_as_a_secret_only() -> None:
    connection = read_url("postgresql://ann:s3cret@db.example.org:6432/shop?sslmode=require")
    assert connection.secret == "s3cret"
    assert connection.options == {"sslmode": "require"}
    assert "s3cret" not in repr(connection)
    assert "s3cret" not in source_key(connection)


def test_what_is_no_url_is_said_in_sentences() -> None:
    with pytest.raises(SourceError, match="not the URL") as caught:
        read_url("shop at home")
    assert "dialect://" in caught.value.do


@pytest.mark.parametrize(
    ("connection", "name", "place"),
    [
        (FILE, "shop.db", "/data"),
        (SERVER, "shop", "postgresql  ·  ann@db.example.org:6432"),
        (ConnectionSpec("mariadb", "", "db", 3306), "db", "mariadb  ·  db"),
        (ConnectionSpec("postgresql", "shop"), "shop", "postgresql  ·  localhost"),
    ],
)
def test_a_source_is_called_by_its_file_or_database_and_has_a_place(
    connection: ConnectionSpec, name: str, place: str
) -> None:
    assert source_name(connection) == name
    assert Path(source_place(connection)) == Path(place)


@pytest.mark.parametrize(("dialect", "guarded"), [("duckdb", True), ("mysql", True), ("mssql+pyodbc", False)])
def test_only_engines_that_enforce_it_are_called_read_only(dialect: str, guarded: bool) -> None:
    assert is_guarded(ConnectionSpec(dialect, "x")) is guarded


def test_a_moved_file_is_the_same_source_and_another_server_is_not() -> None:
    assert is_same_source(FILE, ConnectionSpec("sqlite", "/elsewhere/shop.db"))
    assert not is_same_source(FILE, ConnectionSpec("duckdb", "/data/shop.db"))
    assert not is_same_source(SERVER, ConnectionSpec("postgresql", "shop", "other", 6432, "ann"))


def test_what_is_written_down_has_neither_secret_nor_secret_options() -> None:
    kept = without_secret(
        ConnectionSpec("postgresql", "shop", options={"Password": "p", "sslmode": "require"}, secret="s")
    )
    assert (kept.secret, kept.options) == (None, {"sslmode": "require"})


@pytest.mark.parametrize(
    ("file", "holds"), [("a.csv", True), ("sub/b.parquet", True), ("c.csv.gz", True), ("d.md", False)]
)
def test_a_folder_of_files_is_known_by_them(file: str, holds: bool, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    assert holds_tables(tmp_path) is holds


PATHS = st.sampled_from(["", "/etc/ca.pem"])


@given(
    dialect=st.sampled_from(["postgresql", "mysql", "mariadb"]),
    mode=st.sampled_from([mode for mode in SslMode if mode not in (SslMode.OFFERED, SslMode.DISABLE)]),
    files=st.tuples(PATHS, PATHS, PATHS),
)
def test_encryption_survives_the_way_through_the_drivers_options(
    dialect: str, mode: SslMode, files: tuple[str, str, str]
) -> None:
    ssl = Ssl(mode, *files)
    assert read_ssl(dialect, {"connect_timeout": "5", **ssl_options(dialect, ssl)}) == (ssl, {"connect_timeout": "5"})


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
def test_no_encryption_is_an_option_of_its_own_and_the_drivers_way_is_none(dialect: str) -> None:
    assert ssl_options(dialect, Ssl()) == {}
    assert len(ssl_options(dialect, Ssl(SslMode.DISABLE, "/etc/ca.pem"))) == 1


def test_a_mode_of_the_drivers_own_is_left_as_it_is() -> None:
    assert read_ssl("postgresql", {"sslmode": "prefer"}) == (Ssl(), {"sslmode": "prefer"})
