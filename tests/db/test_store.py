import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from crosslens import InternalError, ProjectError
from crosslens._processes import start_of, this_host
from crosslens.relational import ConnectionSpec
from crosslens.runs import Metric, RunRecord, RunStatus, StoredConnection, StoredPreparation, new_run_id
from db.store import SqlProjects, schema
from db.store.tables import METADATA

NOW = datetime(2026, 11, 22, 9, 30, 12, 345678, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my project"


@pytest.fixture
def store(folder):
    with SqlProjects().open(folder, create=True) as store:
        yield store


@pytest.fixture
def another(store, folder):
    """The same project, opened a second time: a window beside a worker."""
    with SqlProjects().open(folder) as another:
        yield another


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def a_run(run_id="run-1", **changes):
    run = RunRecord(run_id, "arm-net", "ARM-Net", RunStatus.FINISHED, NOW, "format = 1\n")
    return replace(run, **changes)


def test_a_project_remembers_what_was_saved(store, another):
    connection = StoredConnection("c1", "Shop", ConnectionSpec("sqlite", "/data/shop.db", options={"a": "ü"}), NOW)
    preparation = StoredPreparation("p1", "Clicks", "format = 1\n", NOW)
    store.save_connection(connection)
    store.save_preparation(preparation)
    store.save_setting("theme", "dark")
    assert another.connections() == (connection,)
    assert another.preparations() == (preparation,)
    assert another.setting("theme") == "dark"


def test_a_setting_that_was_never_saved_has_its_default(store):
    assert store.setting("theme") == ""
    assert store.setting("theme", "system") == "system"


def test_saving_again_replaces(store):
    for value in ("light", "dark"):
        store.save_setting("theme", value)
        store.save_preparation(StoredPreparation("p1", value, "", NOW))
        store.save_connection(StoredConnection("c1", value, ConnectionSpec("sqlite", value)))
    assert store.setting("theme") == "dark"
    assert [each.name for each in store.preparations()] == ["dark"]
    assert [each.spec.database for each in store.connections()] == ["dark"]


def test_connections_come_most_recently_used_first_and_never_used_ones_last(store):
    for name, used in (("a", None), ("b", NOW), ("c", NOW + timedelta(seconds=1))):
        store.save_connection(StoredConnection(name, name, ConnectionSpec("sqlite", "x"), used))
    assert [each.id for each in store.connections()] == ["c", "b", "a"]


def test_a_secret_is_nowhere_in_the_project(store, folder):
    spec = ConnectionSpec("postgresql", "shop", host="db", port=5432, username="ana", secret="hunter2-hunter2")
    store.save_connection(StoredConnection("c1", "Shop", spec))
    assert store.connections()[0].spec.secret is None
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(b"postgresql" in path.read_bytes() for path in files)
    assert not any(b"hunter2" in path.read_bytes() for path in files)


figures = st.floats(allow_nan=False)
metrics = st.builds(
    Metric, st.just("auc"), figures, figures, figures, rows=st.integers(0, 2**62), positives=st.integers(0, 2**62)
)
times = st.datetimes(timezones=st.just(UTC))
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
runs = st.builds(
    RunRecord,
    id=st.just("run-1"), model=words, title=words, created=times, recipe=words, finished=st.none() | times,
    status=st.sampled_from([status for status in RunStatus if status is not RunStatus.RUNNING]),
    seconds=st.none() | figures, data_fingerprint=words, error=words, note=words, host=words,
    starred=st.booleans(), deleted=st.booleans(), pid=st.integers(0, 2**31),
    metrics=st.dictionaries(words, metrics, max_size=3).map(
        lambda found: {name: replace(metric, name=name) for name, metric in found.items()}
    ),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=runs)
def test_a_run_comes_back_as_it_was_saved(store, another, run):
    store.save_run(run)
    assert another.run(run.id) == run
    assert list(another.run(run.id).metrics) == list(run.metrics)


def test_a_metric_that_could_not_be_computed_comes_back_as_nan(store, another):
    store.save_run(a_run(metrics={"auc": Metric("auc", math.nan, -math.inf, math.inf, 10, 0)}))
    metric = another.run("run-1").metrics["auc"]
    assert math.isnan(metric.value)
    assert (metric.low, metric.high) == (-math.inf, math.inf)


def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store):
    lisbon = timezone(timedelta(hours=1))
    store.save_run(a_run(created=NOW.astimezone(lisbon), finished=NOW.replace(tzinfo=None)))
    run = store.run("run-1")
    assert (run.created, run.finished) == (NOW, NOW)
    assert run.created.utcoffset() == run.finished.utcoffset() == timedelta(0)


def test_runs_come_newest_first(store):
    for day in (2, 1, 3):
        store.save_run(a_run(f"run-{day}", created=NOW + timedelta(days=day)))
    assert [run.id for run in store.runs()] == ["run-3", "run-2", "run-1"]


def test_a_deleted_run_is_in_the_bin_and_comes_back(store):
    store.save_run(a_run())
    store.save_run(replace(store.run("run-1"), deleted=True))
    assert store.runs() == ()
    assert [run.id for run in store.runs(deleted=True)] == ["run-1"]
    store.save_run(replace(store.run("run-1"), deleted=False))
    assert [run.id for run in store.runs()] == ["run-1"]


def test_a_run_that_does_not_exist_is_named(store):
    with pytest.raises(ProjectError, match="no run run-9"):
        store.run("run-9")


def test_window_and_worker_do_not_undo_each_other(store, another):
    window, worker = store, another
    started = a_run(status=RunStatus.RUNNING, host="elsewhere", pid=1)
    worker.save_run(started)
    seen = window.runs()[0]
    finished = replace(started, status=RunStatus.FINISHED, metrics={"auc": Metric("auc", 0.7, 0.6, 0.8, 10, 5)})
    worker.save_run(finished)
    window.save_run(replace(seen, starred=True, note="look"))
    worker.save_run(replace(finished, seconds=4.0))
    assert window.run("run-1") == replace(finished, starred=True, note="look", seconds=4.0)


def test_fewer_metrics_replace_more(store):
    two = {name: Metric(name, 0.5, 0.4, 0.6, 10, 5) for name in ("auc", "loss")}
    store.save_run(a_run(metrics=two))
    store.save_run(a_run(metrics={"loss": two["loss"]}))
    assert list(store.run("run-1").metrics) == ["loss"]


def test_a_running_run_of_a_living_worker_is_running(store):
    store.save_run(a_run(status=RunStatus.RUNNING, host=this_host(), pid=os.getpid()))
    assert store.runs()[0].status is RunStatus.RUNNING


def test_a_running_run_of_another_host_is_believed(store, dead_pid):
    store.save_run(a_run(status=RunStatus.RUNNING, host="another-computer", pid=dead_pid))
    assert store.runs()[0].status is RunStatus.RUNNING


@pytest.mark.parametrize("host", [this_host(), ""])
def test_a_running_run_without_a_worker_is_interrupted_here_and_in_the_file(store, another, dead_pid, host):
    store.save_run(a_run(status=RunStatus.RUNNING, host=host, pid=dead_pid))
    assert store.runs()[0].status is RunStatus.INTERRUPTED
    with another._engine.begin() as connection:
        assert connection.scalar(text("SELECT status FROM runs")) == "interrupted"


def test_a_stranger_with_the_pid_of_the_worker_is_not_taken_for_it(store):
    store.save_run(a_run(status=RunStatus.RUNNING, host=this_host(), pid=os.getpid()))
    with schema.writing(store._engine) as connection:
        connection.execute(text("UPDATE runs SET process_start = 'long ago'"))
    assert store.run("run-1").status is RunStatus.INTERRUPTED


def test_an_interrupted_run_that_is_resumed_runs_again(store, another, dead_pid):
    store.save_run(a_run(status=RunStatus.RUNNING, host=this_host(), pid=dead_pid))
    interrupted = another.run("run-1")
    another.save_run(replace(interrupted, status=RunStatus.RUNNING, pid=os.getpid()))
    assert store.run("run-1").status is RunStatus.RUNNING


def test_a_killed_worker_leaves_an_interrupted_run(store, folder):
    code = f"""if True:
        import os, sys, time
        from datetime import datetime, UTC
        from pathlib import Path
        from crosslens.runs import RunRecord, RunStatus
        from db.store import SqlProjects
        from crosslens._processes import this_host
        store = SqlProjects().open(Path({str(folder)!r}))
        store.save_run(RunRecord("r", "m", "t", RunStatus.RUNNING, datetime.now(UTC), "", host=this_host(),
                                 pid=os.getpid()))
        print("saved", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as worker:
        assert worker.stdout.readline().strip() == b"saved"
        assert store.run("r").status is RunStatus.RUNNING
        worker.kill()
    assert store.run("r").status is RunStatus.INTERRUPTED


def test_folders_are_made_inside_the_project(store, folder):
    assert store.run_folder("run-1") == folder / "runs" / "run-1"
    assert store.data_folder == folder / "data"
    assert store.run_folder("run-1").is_dir()
    assert store.data_folder.is_dir()


@pytest.mark.parametrize("name", ["", "..", "../elsewhere", "a/b", "a\\b", ".hidden", "/etc", "C:x", "a\0b", "a\n"])
def test_a_run_id_that_is_no_plain_name_never_becomes_a_path(store, name):
    with pytest.raises(ProjectError, match="not the name of a run"):
        store.run_folder(name)
    with pytest.raises(ProjectError, match="not the name of a run"):
        store.save_run(a_run(name))


@pytest.mark.parametrize("name", ["plain", "with space", "ünï €", "100%", "a?b#c", "it's", 'quo"te', "%(here)s"])
def test_a_project_lives_in_a_folder_of_any_name(tmp_path, name):
    folder = tmp_path / name
    with SqlProjects().open(folder, create=True, lock=True) as store:
        store.save_setting("a", "b")
    with SqlProjects().open(folder) as store:
        assert store.setting("a") == "b"
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_creating_an_existing_project_opens_it(store, folder):
    store.save_setting("a", "b")
    with SqlProjects().open(folder, create=True) as again:
        assert again.setting("a") == "b"


def test_a_closed_project_is_not_used_by_accident(store):
    store.close()
    store.close()
    with pytest.raises(InternalError, match="after it was closed"):
        store.runs()


def test_many_writers_lose_nothing(folder, store):
    def write(writer):
        with SqlProjects().open(folder) as mine:
            for number in range(20):
                mine.save_setting(f"{writer}-{number}", "x")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.setting(f"{writer}-{number}") == "x" for writer in range(4) for number in range(20))


def test_two_processes_may_make_the_same_project_at_once(folder):
    code = (
        "import sys; from pathlib import Path; from db.store import SqlProjects\n"
        "SqlProjects().open(Path(sys.argv[1]), create=True).save_setting(sys.argv[2], 'made')"
    )
    makers = [subprocess.Popen([sys.executable, "-c", code, str(folder), name]) for name in ("a", "b")]
    assert [maker.wait() for maker in makers] == [0, 0]
    with SqlProjects().open(folder) as store:
        assert (store.setting("a"), store.setting("b")) == ("made", "made")


def test_opening_a_project_that_is_up_to_date_needs_no_alembic(store, folder):
    code = (
        "import sys; from pathlib import Path; from db.store import SqlProjects\n"
        "SqlProjects().open(Path(sys.argv[1])).runs(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0


def test_opening_a_project_that_is_up_to_date_is_quick(store, folder):
    def opening():
        started = time.perf_counter()
        SqlProjects().open(folder, lock=True).close()
        return time.perf_counter() - started

    assert min(opening() for _ in range(5)) < 0.15


def migrated(path):
    """A project.db made by every migration, one after the other."""
    engine = schema.connect(path)
    with schema.writing(engine) as connection:
        connection.execute(text(f"PRAGMA application_id = {schema.APPLICATION_ID}"))
        schema._upgrade(connection)
    engine.dispose()


def shape(path):
    """Every table with its columns, keys and indexes, as SQLite knows them."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: tuple(
                sorted(tuple(row[1:]) for row in connection.execute(f"PRAGMA {what}({table})"))
                for what in ("table_info", "foreign_key_list", "index_list")
            )
            for table in tables
        }


def test_migrations_lead_to_the_tables_the_code_describes(store, tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrated(tmp_path / "project.db")
    engine = schema.connect(tmp_path / "project.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert schema.state_of(connection) is schema.State.CURRENT
    engine.dispose()


def test_a_new_project_has_the_shape_that_migrations_lead_to(store, folder, tmp_path):
    migrated(tmp_path / "project.db")
    assert shape(folder / "project.db") == shape(tmp_path / "project.db")


def test_a_new_project_is_made_without_alembic(tmp_path):
    code = (
        "import sys; from pathlib import Path; from db.store import SqlProjects; "
        "SqlProjects().open(Path(sys.argv[1]), create=True).close(); assert 'alembic' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "project")], check=False).returncode == 0


def test_an_older_project_is_copied_before_it_is_brought_up_to_date(folder):
    with SqlProjects().open(folder, create=True) as store:
        store.save_setting("colour", "green")
    with closing(sqlite3.connect(folder / "project.db")) as connection:
        for name in ("credential", "password_variable"):
            connection.execute(f"ALTER TABLE connections DROP COLUMN {name}")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    with SqlProjects().open(folder) as store:
        assert store.setting("colour") == "green"
        assert store.connections() == ()
    with closing(sqlite3.connect(folder / "project.before-0002.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT count(*) FROM settings").fetchall() == [(1,)]


def test_migrations_are_found_wherever_the_app_is_installed(tmp_path, monkeypatch):
    installed = tmp_path / "100%s"
    shutil.copytree(Path(schema.__file__).parent / "migrations", installed / "migrations")
    monkeypatch.setattr(schema, "__file__", str(installed / "schema.py"))
    migrated(tmp_path / "project.db")
    with SqlProjects().open(tmp_path) as store:
        assert store.runs() == ()


def test_every_revision_is_known_by_name():
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == schema.REVISIONS


def test_run_ids_sort_by_time_and_are_fit_for_folders():
    first, second = new_run_id("ARM-Net+ (wide)", NOW), new_run_id("arm-net", NOW + timedelta(seconds=1))
    assert first.startswith("20261122-093012-arm-net-wide-")
    assert first < second
    assert len({new_run_id("m", NOW) for _ in range(50)}) > 45
    assert new_run_id("模型", NOW).startswith("20261122-093012-model-")


def test_a_process_that_has_ended_has_no_start(dead_pid):
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""
    assert start_of(dead_pid) == start_of(0) == start_of(-1) == ""


def test_a_process_that_has_ended_but_was_not_waited_for_counts_as_gone():
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        deadline = time.monotonic() + 20
        while start_of(zombie.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert start_of(zombie.pid) == ""
