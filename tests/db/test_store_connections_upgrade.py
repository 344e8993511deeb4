"""A project of the first version learns where passwords are kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from crosslens.relational import ConnectionSpec
from crosslens.runs import StoredConnection
from db.store import SqlProjects


def test_where_a_password_is_kept_is_remembered_and_the_password_is_not(tmp_path: Path) -> None:
    spec = ConnectionSpec("postgresql", "shop", "db", 5432, "ann", credential="c1", password_variable="V", secret="s3")
    with closing(SqlProjects().open(tmp_path / "p", create=True)) as project:
        project.save_connection(StoredConnection("1", "shop", spec))
        kept = project.connections()[0].spec
    assert (kept.credential, kept.password_variable, kept.secret) == ("c1", "V", None)
    assert b"s3" not in b"".join(file.read_bytes() for file in (tmp_path / "p").iterdir() if file.is_file())


def test_a_project_of_the_first_version_is_brought_up_to_date_with_its_connections(tmp_path: Path) -> None:
    with closing(SqlProjects().open(tmp_path / "p", create=True)) as project:
        project.save_connection(StoredConnection("1", "shop.db", ConnectionSpec("sqlite", "shop.db")))
    with closing(sqlite3.connect(tmp_path / "p" / "project.db")) as database:
        for name in ("credential", "password_variable"):
            database.execute(f"ALTER TABLE connections DROP COLUMN {name}")
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.commit()
    with closing(SqlProjects().open(tmp_path / "p")) as project:
        assert project.connections()[0].spec == ConnectionSpec("sqlite", "shop.db")
