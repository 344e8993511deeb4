import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event

from crosslens import ProjectError, StorageError
from db.store import SqlProjects, schema


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    with SqlProjects().open(folder, create=True) as store:
        store.save_setting("theme", "dark")
    return folder


def execute(folder, *statements):
    with closing(sqlite3.connect(folder / "project.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def assert_tells(error, *, do):
    """A message is three sentences that say what, why and what to do."""
    assert error.what.endswith(".")
    assert error.why.endswith(".")
    assert do in error.do


def test_a_folder_without_a_project_is_not_one(tmp_path):
    with pytest.raises(ProjectError, match="not a Crosslens project") as caught:
        SqlProjects().open(tmp_path)
    assert_tells(caught.value, do="make a new project")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_not_made_by_looking(tmp_path):
    with pytest.raises(ProjectError, match="not a Crosslens project"):
        SqlProjects().open(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectError, match="cannot be used"):
        SqlProjects().open(tmp_path / "file" / "project", create=True)
    with pytest.raises(ProjectError, match="not a Crosslens project"):
        SqlProjects().open(tmp_path / "file")


@pytest.mark.parametrize("create", [False, True])
def test_the_project_db_of_another_program_is_left_alone(tmp_path, create):
    execute(tmp_path, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0001')")
    before = (tmp_path / "project.db").read_bytes()
    with pytest.raises(ProjectError, match="not a Crosslens project"):
        SqlProjects().open(tmp_path, create=create)
    assert (tmp_path / "project.db").read_bytes() == before


def test_an_empty_file_is_no_project_until_one_is_made(tmp_path):
    (tmp_path / "project.db").write_bytes(b"")
    with pytest.raises(ProjectError, match="not a Crosslens project"):
        SqlProjects().open(tmp_path)
    with SqlProjects().open(tmp_path, create=True) as store:
        assert store.runs() == ()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_file_is_said_to_be_damaged(folder, content):
    (folder / "project.db").write_bytes(content)
    with pytest.raises(ProjectError, match="damaged") as caught:
        SqlProjects().open(folder)
    assert_tells(caught.value, do="backup")


def test_a_file_damaged_further_in_is_said_to_be_damaged_when_read(folder):
    pages = bytearray((folder / "project.db").read_bytes())
    pages[4096:] = b"\xa5" * (len(pages) - 4096)
    (folder / "project.db").write_bytes(pages)
    with pytest.raises(ProjectError, match="damaged"):
        SqlProjects().open(folder).runs()


def test_a_folder_that_may_not_be_written_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(ProjectError, match="cannot be written") as caught:
        SqlProjects().open(folder)
    assert_tells(caught.value, do="permission")


def test_a_file_that_turns_read_only_is_explained(folder):
    with SqlProjects().open(folder) as store:
        store._engine.dispose()
        event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        with pytest.raises(ProjectError, match="cannot be written"):
            store.save_setting("theme", "light")


def test_a_full_disk_is_a_storage_error_and_what_was_saved_stays(folder):
    with SqlProjects().open(folder) as store:
        store._engine.dispose()
        event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(StorageError, match="full") as caught:
            store.save_setting("long", "x" * 1_000_000)
        assert store.setting("theme") == "dark"
    assert_tells(caught.value, do="Free some space")


def test_a_project_another_process_keeps_writing_to_is_busy(folder, monkeypatch):
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    with SqlProjects().open(folder) as store, closing(sqlite3.connect(folder / "project.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProjectError, match="busy") as caught:
            store.save_setting("theme", "light")
        assert store.setting("theme") == "dark"
    assert_tells(caught.value, do="Try again")


def test_a_project_that_vanishes_is_not_written_into_nothing(folder):
    with SqlProjects().open(folder) as store:
        shutil.rmtree(folder)
        with pytest.raises(StorageError, match="gone"):
            store.save_setting("theme", "light")


@pytest.fixture
def newer(folder):
    execute(folder, "UPDATE alembic_version SET version_num = '9999'")
    return folder


def test_a_project_of_a_newer_version_may_be_looked_at(newer):
    with SqlProjects().open(newer, lock=True) as store:
        assert store.read_only
        assert store.setting("theme") == "dark"
        assert not (newer / "project.lock").exists()
        assert store.run_folder("run-1").parent.name == "runs"
    assert not (newer / "runs").exists()


def test_a_project_of_a_newer_version_is_not_written(newer):
    with SqlProjects().open(newer, create=True) as store:
        with pytest.raises(ProjectError, match="newer version") as caught:
            store.save_setting("theme", "light")
        assert store.setting("theme") == "dark"
    assert_tells(caught.value, do="Install the newer version")


def test_a_newer_version_that_moved_things_is_explained(newer):
    execute(newer, "ALTER TABLE settings RENAME COLUMN value TO text")
    with SqlProjects().open(newer) as store, pytest.raises(ProjectError, match="newer version"):
        store.setting("theme")


def test_a_project_of_this_version_is_writable(folder):
    with SqlProjects().open(folder) as store:
        assert not store.read_only
