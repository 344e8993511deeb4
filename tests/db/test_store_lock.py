import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from crosslens import ProjectError
from crosslens._processes import _start_by_ps, start_of, this_host
from db.store import SqlProjects, schema
from db.store.lock import Holder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    SqlProjects().open(folder, create=True).close()
    return folder


@pytest.fixture
def lock_path(folder):
    return folder / "project.lock"


def held_by(path, **holder):
    path.write_text(json.dumps({"host": this_host(), "pid": os.getpid(), "start": "", **holder}))


def a_dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_window_is_told_who_has_the_project(folder):
    with SqlProjects().open(folder, lock=True), pytest.raises(ProjectError, match="another window") as caught:
        SqlProjects().open(folder, lock=True)
    assert str(os.getpid()) in caught.value.why


def test_a_worker_shares_the_project_with_the_window(folder):
    with SqlProjects().open(folder, lock=True) as window, SqlProjects().open(folder) as worker:
        worker.save_setting("theme", "dark")
        assert window.setting("theme") == "dark"


def test_a_closed_window_lets_the_next_one_in(folder, lock_path):
    SqlProjects().open(folder, lock=True).close()
    assert not lock_path.exists()
    with SqlProjects().open(folder, lock=True):
        assert json.loads(lock_path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("start", ["", "another start"])
def test_the_lock_of_a_process_that_has_ended_is_taken_over(folder, lock_path, start):
    held_by(lock_path, pid=a_dead_pid(), start=start)
    with SqlProjects().open(folder, lock=True):
        assert json.loads(lock_path.read_text())["pid"] == os.getpid()


def test_a_lock_whose_pid_was_given_to_a_stranger_is_taken_over(folder, lock_path):
    held_by(lock_path, start="long before this process")
    with SqlProjects().open(folder, lock=True):
        assert json.loads(lock_path.read_text())["start"] == start_of(os.getpid())


def test_a_lock_of_another_host_is_respected_and_says_how_to_override_it(folder, lock_path):
    held_by(lock_path, host="studio-pc", pid=a_dead_pid())
    with pytest.raises(ProjectError, match="studio-pc") as caught:
        SqlProjects().open(folder, lock=True)
    assert str(lock_path) in caught.value.do
    assert lock_path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"strange": 1}'])
def test_a_half_written_lock_is_respected_at_first_and_taken_over_later(folder, lock_path, text):
    lock_path.write_text(text)
    with pytest.raises(ProjectError, match="another window") as caught:
        SqlProjects().open(folder, lock=True)
    assert "few seconds" in caught.value.do
    long_ago = time.time() - 60
    os.utime(lock_path, (long_ago, long_ago))
    with SqlProjects().open(folder, lock=True):
        assert json.loads(lock_path.read_text())["pid"] == os.getpid()


def test_closing_leaves_the_lock_of_another_alone(folder, lock_path):
    store = SqlProjects().open(folder, lock=True)
    held_by(lock_path, host="studio-pc")
    store.close()
    assert json.loads(lock_path.read_text())["host"] == "studio-pc"


def test_a_project_that_cannot_be_opened_leaves_no_lock(tmp_path):
    with pytest.raises(ProjectError):
        SqlProjects().open(tmp_path, lock=True)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_window_does_not_keep_the_project(folder):
    code = (
        "import sys, time; from pathlib import Path; from db.store import SqlProjects\n"
        "store = SqlProjects().open(Path(sys.argv[1]), lock=True); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as window:
        assert window.stdout.readline().strip() == b"held"
        with pytest.raises(ProjectError, match="another window"):
            SqlProjects().open(folder, lock=True)
        window.kill()
    with SqlProjects().open(folder, lock=True) as store:
        assert store.runs() == ()


def test_of_many_windows_one_gets_the_stale_lock(folder, lock_path):
    held_by(lock_path, pid=a_dead_pid())
    code = (
        "import sys; from pathlib import Path; from crosslens import ProjectError; from db.store import SqlProjects\n"
        "try: store = SqlProjects().open(Path(sys.argv[1]), lock=True)\n"
        "except ProjectError: print('refused', flush=True)\n"
        "else: print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder)]
    windows = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = sorted(window.stdout.readline().strip() for window in windows)
    for window in windows:
        window.communicate("")
    assert answers == ["held", "refused", "refused"]


def test_a_stale_lock_is_taken_over_only_while_nobody_else_can(folder, lock_path, monkeypatch):
    held_by(lock_path, pid=a_dead_pid())
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(folder / "project.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProjectError, match="busy"):
            SqlProjects().open(folder, lock=True)
    assert json.loads(lock_path.read_text())["pid"] != os.getpid()


def test_a_holder_of_this_host_that_lives_is_not_gone():
    assert not Holder.me().is_gone
    assert not Holder("another-host", a_dead_pid()).is_gone
    assert Holder(this_host(), a_dead_pid()).is_gone


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no ps")
def test_systems_without_proc_ask_ps():
    assert _start_by_ps(os.getpid()) == _start_by_ps(os.getpid()) != ""
    assert _start_by_ps(a_dead_pid()) == ""
