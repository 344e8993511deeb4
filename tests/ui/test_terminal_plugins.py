"""`crosslens plugin block | unblock | blocked` and installations, as they are typed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from core.files import write_json
from core.plugins import looking
from core.plugins.described import Described, DescribedModel
from core.plugins.joining import host_of
from core.plugins.library import Library
from core.plugins.looking import DescribeAnswer
from core.plugins.processes import WorkerOf
from core.plugins.stopping import Check
from crosslens import Task
from tests.zoo.wheels import make_plugin, plugin_id
from ui.terminal import cli
from ui.terminal.parts import Parts

KEY = plugin_id("plush")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def describe(worker: WorkerOf, output: Path, *, check: Check, **_: Any) -> None:
        check()
        model = DescribedModel(worker.name, worker.name.title(), "", Task.CTR, ())
        write_json(output, DescribeAnswer(Described((model,), seconds=0.1)))

    monkeypatch.setattr(looking, "describe_in_a_process", describe)
    monkeypatch.setattr("core.plugins.shelf.entry_points", lambda _: ())
    return Library(tmp_path / "data" / "plugins", ("python", "main.py"))


@pytest.fixture
def typed(library: Library, capsys: pytest.CaptureFixture[str]) -> Any:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("not needed for this command")

    parts = Parts(("crosslens",), never, never, never, never, lambda: library, lambda: host_of((), library))

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run(["plugin", *map(str, arguments)], parts)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_plugin_is_blocked_listed_and_unblocked(typed: Any, tmp_path: Path) -> None:
    wheel = make_plugin(tmp_path, "plush")
    assert typed("install", wheel, "--yes")[0] == 0
    assert "plush is blocked" in typed("block", "plush", "--reason", "It steals passwords.")[1]
    listed = typed("blocked")[1]
    assert KEY in listed and "It steals passwords." in listed
    for refused in (("enable", "plush"), ("install", wheel, "--yes")):
        code, _, errors = typed(*refused)
        assert (code, f"crosslens plugin unblock {KEY}" in errors) == (1, True)
    assert "crosslens plugin enable plush" in typed("unblock", "plush")[1]
    assert "Nothing is blocked on this computer." in typed("blocked")[1]
    assert typed("enable", "plush")[0] == 0


def test_the_block_list_as_json(typed: Any) -> None:
    assert json.loads(typed("block", KEY, "--json")[1]) == {"what": KEY}
    assert json.loads(typed("blocked", "--json")[1]) == [{"what": KEY}]
    assert "it can be installed" in typed("unblock", KEY)[1]
    assert json.loads(typed("blocked", "--json")[1]) == []


@pytest.mark.parametrize("arguments", [("block", "nobody"), ("unblock", "nobody")])
def test_what_cannot_be_done_is_said_with_what_to_do(typed: Any, arguments: tuple[str, ...]) -> None:
    code, _, errors = typed(*arguments)
    assert code == 1
    assert "nobody" in errors.splitlines()[0]
    assert len(errors.splitlines()) == 2


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a process on Windows")
def test_ctrl_c_stops_an_installation_and_leaves_nothing(
    typed: Any, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: WorkerOf, __: Path, *, check: Check, **___: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        check()

    monkeypatch.setattr(looking, "describe_in_a_process", interrupted)
    code, _, errors = typed("install", make_plugin(tmp_path, "plush"), "--yes")
    assert code == 1
    assert "Press Ctrl+C again to leave at once." in errors
    assert "Stopped: nothing was installed." in errors
    assert library.rows() == ()
    assert not (library.folder / KEY).exists()
