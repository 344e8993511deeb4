"""Connections as people write them; passwords come out and never go back in."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.connections import connection_from_text, connection_text, url_with_options
from crosslens.errors import SourceError
from crosslens.plain import to_plain
from crosslens.relational import ConnectionSpec

WORDS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() == text)


@pytest.mark.parametrize(
    ("text", "expected", "secret"),
    [
        ("postgresql://ann:pw@db.example.com:5433/shop",
         ConnectionSpec("postgresql", "shop", "db.example.com", 5433, "ann"), "pw"),
        ("postgres://ann@db/shop", ConnectionSpec("postgresql", "shop", "db", 0, "ann"), None),
        ("postgresql+psycopg2://db/shop", ConnectionSpec("postgresql", "shop", "db"), None),
        ("mysql+pymysql://ann:a@b@db/shop", ConnectionSpec("mysql", "shop", "db", 0, "ann"), "a@b"),
        ("mariadb://db/shop?ssl_ca=/ca.pem&charset=utf8",
         ConnectionSpec("mariadb", "shop", "db", options={"ssl_ca": "/ca.pem", "charset": "utf8"}), None),
        ("postgresql://db/shop?options=a@b",
         ConnectionSpec("postgresql", "shop", "db", options={"options": "a@b"}), None),
        ("postgresql://[::1]:5432/shop?password=pw", ConnectionSpec("postgresql", "shop", "::1", 5432), "pw"),
        ("mssql+pyodbc://ann:pw@db/shop", ConnectionSpec("mssql+pyodbc", "shop", "db", 0, "ann"), "pw"),
        ("sqlite:////data/shop.db", ConnectionSpec("sqlite", "/data/shop.db"), None),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(text: str, expected: ConnectionSpec, secret: str | None) -> None:
    found = connection_from_text(text)
    assert (found, found.secret) == (expected, secret)
    assert secret is None or secret not in url_with_options(found)


@given(user=WORDS, password=WORDS, database=WORDS)
def test_any_names_and_passwords_survive_the_way_through_a_url(user: str, password: str, database: str) -> None:
    quoted = [quote(part, safe="") for part in (user, password, database)]
    found = connection_from_text("postgresql://{}:{}@db/{}".format(*quoted))
    assert (found.username, found.secret, found.database) == (user, password, database)
    again = connection_from_text(connection_text(found))
    assert (again, again.secret) == (found, None)


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_a_sentence_without_the_password(port: str) -> None:
    with pytest.raises(SourceError) as caught:
        connection_from_text(f"postgresql://ann:hush@db:{port}/shop")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "dialect"),
    [
        ("x.db", b"SQLite format 3\x00rest", "sqlite"),
        ("x.db", b"12345678DUCK5678", "duckdb"),
        ("x.duckdb", None, "duckdb"),
        ("x.csv", b"a,b\n", "files"),
        ("x.parquet", b"PAR1", "files"),
        ("x", b"", "sqlite"),
    ],
)
def test_a_file_is_known_by_its_first_bytes_or_its_ending(
    name: str, content: bytes | None, dialect: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert connection_from_text(str(path)) == ConnectionSpec(dialect, str(path))


def test_a_folder_is_a_folder_of_files(tmp_path: Path) -> None:
    assert connection_from_text(str(tmp_path)).dialect == "files"


def test_what_is_plain_holds_no_secret() -> None:
    assert "hush" not in repr(to_plain(ConnectionSpec("postgresql", "shop", secret="hush")))
