"""An installation that is stopped, by the window's Stop or by Ctrl+C, leaves what was there before and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.plugins.library import Library
from core.plugins.rows import Standing
from core.plugins.state import read_state
from crosslens._processes import is_alive, start_of
from crosslens.errors import Stopped

from .conftest import MAIN
from .wheels import MODEL, make_plugin, plugin_id

SLOW = "import os, pathlib, time\npathlib.Path({mark!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n"


def slow(folder: Path, mark: Path, *, version: str = "1.0") -> Path:
    """Return a wheel whose import says so in the file `mark`, and then takes a minute."""
    code = SLOW.format(mark=str(mark)) + MODEL.format(model="plush", title="Plush")
    return make_plugin(folder, "plush", code=code, version=version)


def stop_when(happened: Callable[[], bool]) -> Callable[[], None]:
    def check() -> None:
        if happened():
            raise Stopped("Stopped.")

    return check


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "lock")


def test_a_stop_while_files_are_looked_at_or_unpacked_leaves_nothing(library: Library, tmp_path: Path) -> None:
    library.folder.mkdir(parents=True)
    wheel = make_plugin(tmp_path, "plush")
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    library.install(wheel, check=count)
    library.remove("plush")
    for stopped_at in range(0, calls, max(1, calls // 6)):
        left = iter(range(stopped_at))
        with pytest.raises(Stopped):
            library.install(wheel, check=stop_when(lambda left=left: next(left, None) is None))
        assert library.rows() == ()
        assert not (library.folder / plugin_id("plush")).exists()
        assert not list(library.folder.glob(".unpacking-*"))


def test_a_stop_during_the_import_ends_the_process_and_leaves_nothing(library: Library, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    library.seconds = 60.0
    with pytest.raises(Stopped):
        library.install(slow(tmp_path, mark), check=stop_when(lambda: mark.exists() and bool(mark.read_text())))
    pid = int(mark.read_text())
    assert not is_alive(pid, start_of(pid))
    assert library.rows() == ()
    assert read_state(library.folder).trusted == ()
    assert contents(library.folder) == ["loading", "state.json"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_stopped_update_leaves_the_version_that_was_there(library: Library, tmp_path: Path, version: str) -> None:
    before = library.install(make_plugin(tmp_path / "before", "plush"))
    files = contents(library.folder)
    mark = tmp_path / "mark"
    with pytest.raises(Stopped):
        library.install(slow(tmp_path, mark, version=version), check=stop_when(mark.exists))
    assert library.row("plush") == before
    assert contents(library.folder) == files
    assert library.start() == ()  # the import that was stopped is not held against the version that stays


def test_a_stop_while_changed_files_are_looked_into_accepts_none_of_them(library: Library, tmp_path: Path) -> None:
    row = library.install(make_plugin(tmp_path, "plush"))
    mark = tmp_path / "mark"
    module = library.folder / row.key / "1.0" / "site" / "plush" / "__init__.py"
    module.write_text(SLOW.format(mark=str(mark)) + module.read_text())
    with pytest.raises(Stopped):
        library.enable(row.key, check=stop_when(mark.exists))
    assert library.row("plush").standing is Standing.CHANGED


def test_an_import_that_took_too_long_is_not_held_against_the_plugin_later(library: Library, tmp_path: Path) -> None:
    library.seconds = 0.5
    library.install(slow(tmp_path, tmp_path / "mark"))
    assert library.row("plush").standing is Standing.BROKEN
    library.seconds = 10.0
    library.install(make_plugin(tmp_path / "mended", "plush"))
    assert library.start() == ()
    assert library.row("plush").standing is Standing.ENABLED


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child on Windows")
def test_ctrl_c_in_a_terminal_leaves_nothing_behind(tmp_path: Path) -> None:
    mark, data = tmp_path / "mark", tmp_path / "data"
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "plugin", "install", str(slow(tmp_path, mark)), "--yes"],
        env={**os.environ, "CROSSLENS_DATA": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and to every process it started
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, "Stopped: nothing was installed." in errors) == (1, True), errors
    pid = int(mark.read_text())
    assert not is_alive(pid, start_of(pid))
    assert contents(data / "plugins") == ["loading", "state.json"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_installation_leaves_no_process_and_a_plugin_that_is_off(library: Library, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "plugin", "install", str(slow(tmp_path, mark)), "--yes"],
        env={**os.environ, "CROSSLENS_DATA": str(library.folder.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    pid, process_start = int(mark.read_text()), start_of(int(mark.read_text()))
    process.kill()
    process.wait()
    while is_alive(pid, process_start) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(pid, process_start)
    library.start()
    assert library.row("plush").standing is Standing.DISABLED
    assert not list(library.folder.glob(".unpacking-*"))
