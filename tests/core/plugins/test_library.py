"""Installing, changing, blocking and removing, with a description made up instead of a process."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.files import write_json
from core.plugins import looking, shelf, store
from core.plugins.described import Described, DescribedModel, DescribedParameter
from core.plugins.joining import host_of, listed
from core.plugins.library import Library
from core.plugins.looking import DescribeAnswer
from core.plugins.processes import WorkerOf
from core.plugins.rows import Standing
from core.plugins.state import read_state, write_state
from crosslens import PluginError, Task
from tests.zoo.wheels import make_plugin, plugin_id

WIDTH = DescribedParameter("width", "int", 3, "Width")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def describe(worker: WorkerOf, output: Path, **_: Any) -> None:
        model = DescribedModel(worker.name, worker.name, "", Task.CTR, (WIDTH,))
        write_json(output, DescribeAnswer(Described((model,), seconds=0.1)))

    monkeypatch.setattr(looking, "describe_in_a_process", describe)
    monkeypatch.setattr(shelf, "entry_points", lambda _: ())
    return Library(tmp_path / "data" / "plugins", ("python", "main.py"))


def models(library: Library) -> list[str]:
    return [model.id for model in host_of((), library).models()]


def test_an_installed_plugin_is_enabled_and_its_models_are_there(library: Library, tmp_path: Path) -> None:
    row = library.install(make_plugin(tmp_path, "plush"))
    assert (row.key, row.standing, row.seconds) == (plugin_id("plush"), Standing.ENABLED, 0.1)
    host = host_of((), library)
    assert host.worker_of("plush") == row.key
    assert host.model("plush").parameters().width == 3
    assert library.loadable(row.key).paths == tuple(
        library.folder / row.key / "1.0" / part for part in ("deps", "site")
    )


def test_a_described_model_is_neither_built_nor_loaded_here(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    spec = host_of((), library).model("plush")
    with pytest.raises(PluginError, match="cannot run in this process"):
        spec.build(spec.parameters())
    with pytest.raises(PluginError, match="cannot run in this process"):
        spec.load(tmp_path)


def test_disabled_plugins_are_silent_and_come_back(library: Library, tmp_path: Path) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    assert library.disable(key).standing is Standing.DISABLED
    assert models(library) == []
    assert host_of((), library).problems() == ()
    assert library.enable(key).standing is Standing.ENABLED
    assert models(library) == ["plush"]


def test_a_host_sees_what_is_installed_when_it_is_refreshed(library: Library, tmp_path: Path) -> None:
    host = host_of((), library)
    library.install(make_plugin(tmp_path, "plush"))
    assert host.models() == ()
    host.refresh()
    assert host.model("plush").title == "plush"


@pytest.mark.parametrize("what", ["change", "add", "remove", "link"])
def test_files_that_are_not_those_installed_put_the_plugin_out_until_confirmed(
    library: Library, tmp_path: Path, what: str
) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    folder = library.folder / key / "1.0" / "site" / "plush"
    {
        "change": lambda: (folder / "model.py").write_text("changed = True"),
        "add": lambda: (folder / "extra.py").write_text(""),
        "remove": lambda: (folder / "model.py").unlink(),
        "link": lambda: ((folder / "model.py").unlink(), (folder / "model.py").symlink_to(tmp_path)),
    }[what]()
    row = library.row(key)
    assert row.standing is Standing.CHANGED
    assert "was changed since it was installed. It is not used until you say so." in row.sentence
    assert models(library) == []
    with pytest.raises(PluginError, match="is not used"):
        library.loadable(key)
    if what != "link":
        assert library.enable(key).standing is Standing.ENABLED


def test_a_change_that_hides_behind_size_and_time_is_found_before_anything_is_loaded(
    library: Library, tmp_path: Path
) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    file = library.folder / key / "1.0" / "site" / "plush" / "model.py"
    facts = file.stat()
    file.write_bytes(bytes(reversed(file.read_bytes())))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert library.row(key).standing is Standing.ENABLED  # a list reads no contents
    with pytest.raises(PluginError, match=r"model\.py was changed"):
        library.loadable(key)


def test_another_file_than_the_one_agreed_to_is_not_installed(library: Library, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="another file than the one you agreed to"):
        library.install(make_plugin(tmp_path, "plush"), sha256="00")
    assert library.rows() == ()


def test_a_file_is_asked_about_once(library: Library, tmp_path: Path) -> None:
    row = library.install(make_plugin(tmp_path, "plush"))
    library.remove(row.key)
    assert library.trusts(row.sha256)
    assert not library.trusts("00")


@pytest.mark.parametrize("by", ["key", "sha256"])
def test_blocked_plugins_are_neither_used_nor_installed(library: Library, tmp_path: Path, by: str) -> None:
    wheel = make_plugin(tmp_path, "plush")
    row = library.install(wheel)
    blocked = {getattr(row, by): "It steals passwords."}
    write_state(library.folder, replace(read_state(library.folder), blocked=blocked))
    row = library.row("plush")
    assert (row.standing, row.sentence) == (
        Standing.BLOCKED,
        "This plugin is blocked on this computer: It steals passwords.",
    )
    assert models(library) == []
    attempts = (
        lambda: library.enable(row.key),
        lambda: library.install(wheel),
        lambda: library.loadable(row.key),
    )
    for attempt in attempts:
        with pytest.raises(PluginError, match="steals passwords"):
            attempt()


@pytest.mark.parametrize("by", ["name", "key", "sha256"])
def test_what_is_blocked_is_disabled_when_it_is_unblocked(library: Library, tmp_path: Path, by: str) -> None:
    row = library.install(make_plugin(tmp_path, "plush"))
    assert library.block(getattr(row, by), "It steals passwords").name == "plush"
    assert library.row("plush").sentence == "This plugin is blocked on this computer: It steals passwords."
    (line,) = library.blocked()
    assert (line.what, line.name) == (row.sha256 if by == "sha256" else row.key, "plush")
    assert library.unblock("plush").name == "plush"
    assert library.blocked() == ()
    assert library.row("plush").standing is Standing.DISABLED
    assert library.enable(row.key).standing is Standing.ENABLED


@pytest.mark.parametrize("what", [plugin_id("plush"), "sha256"])
def test_a_plugin_that_is_not_here_can_be_blocked(library: Library, tmp_path: Path, what: str) -> None:
    wheel = make_plugin(tmp_path, "plush")
    what = hashlib.sha256(wheel.read_bytes()).hexdigest() if what == "sha256" else what
    library.block(what.upper())
    with pytest.raises(PluginError, match="blocked on this computer: No reason was given") as caught:
        library.install(wheel)
    assert caught.value.do.endswith(f"crosslens plugin unblock {what}")
    library.unblock(what.upper())
    assert library.install(wheel).standing is Standing.ENABLED


def test_only_what_names_a_plugin_is_blocked_and_only_what_is_blocked_unblocked(
    library: Library, tmp_path: Path
) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    for attempt in (lambda: library.block("plusch"), lambda: library.block("0" * 63)):
        with pytest.raises(PluginError, match="There is no plugin"):
            attempt()
    for wanted in ("plush", plugin_id("plush"), "nobody"):
        with pytest.raises(PluginError, match="is not blocked"):
            library.unblock(wanted)
    assert library.row("plush").standing is Standing.ENABLED


def test_an_update_replaces_and_the_older_files_go_with_the_next_start(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    row = library.install(make_plugin(tmp_path, "plush", version="1.1"))
    assert (row.version, row.former) == ("1.1", "1.0")
    assert library.put_out_interrupted() == ()
    assert library.row("plush").former == "1.0"  # a training may still use it
    library.start()
    assert [path.name for path in (library.folder / row.key).iterdir()] == ["1.1"]
    assert library.row("plush").former == ""
    assert models(library) == ["plush"]


def test_installing_the_same_version_again_replaces_its_files(library: Library, tmp_path: Path) -> None:
    key = library.install(make_plugin(tmp_path / "a", "plush", files={"plush/old.py": ""})).key
    library.install(make_plugin(tmp_path / "b", "plush", files={"plush/new.py": ""}))
    names = {path.name for path in (library.folder / key / "1.0" / "site" / "plush").iterdir()}
    assert "new.py" in names
    assert "old.py" not in names


def test_the_id_of_another_plugin_is_refused(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    other = make_plugin(tmp_path, "thief", changes={"id": f'"{plugin_id("plush")}"'})
    with pytest.raises(PluginError, match="thief has the id of plush, which is installed"):
        library.install(other)


def test_two_plugins_with_one_model_id_leave_it_to_the_first(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    library.install(make_plugin(tmp_path, "other", changes={"name": '"plush"'}))
    rows = [row for row in library.rows() if row.name == "plush"]
    with pytest.raises(PluginError, match="2 plugins are called plush"):
        library.row("plush")
    assert models(library) == ["plush"]
    assert {library.row(row.key).key for row in rows} == {plugin_id("plush"), plugin_id("other")}


def test_removing_leaves_nothing(library: Library, tmp_path: Path) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    library.remove("plush")
    assert library.rows() == ()
    assert not (library.folder / key).exists()
    with pytest.raises(PluginError, match="There is no plugin 'plush'"):
        library.row("plush")


def test_safe_mode_leaves_strangers_out(library: Library, tmp_path: Path) -> None:
    library.install(make_plugin(tmp_path, "plush"))
    safe = Library(library.folder, library.program, safe=True)
    assert models(safe) == []
    (row,) = safe.rows()
    assert (row.standing, row.sentence) == (Standing.LEFT_OUT, "The app runs in safe mode.")
    for attempt in (lambda: safe.enable(row.key), lambda: safe.install(tmp_path / "plush-1.0-py3-none-any.whl")):
        with pytest.raises(PluginError, match="neither installed nor enabled in safe mode"):
            attempt()
    safe.disable(row.key)
    assert library.row(row.key).standing is Standing.DISABLED


@pytest.mark.parametrize("text", ["", "{", '{"plugins": 3}', '{"unknown": 1}'])
def test_a_state_file_that_cannot_be_read_leaves_installed_plugins_off(
    library: Library, tmp_path: Path, text: str
) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    (library.folder / "state.json").write_text(text)
    assert library.row(key).standing is Standing.DISABLED
    assert models(library) == []
    assert library.enable(key).standing is Standing.ENABLED


def test_half_an_installation_is_no_plugin_and_is_cleared_away(library: Library, tmp_path: Path) -> None:
    key = library.install(make_plugin(tmp_path, "plush")).key
    (library.folder / key / "1.0" / store.RECORD_NAME).write_text("{")
    assert library.rows() == ()
    library.start()


def test_a_full_disk_leaves_the_former_version_in_place(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.install(make_plugin(tmp_path, "plush"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "unpack_wheel", full)
    with pytest.raises(Exception, match="disk is full"):
        library.install(make_plugin(tmp_path, "plush", version="1.1"))
    assert library.row("plush").version == "1.0"
    assert models(library) == ["plush"]


def test_built_in_plugins_are_listed_after_strangers(library: Library, tmp_path: Path) -> None:
    from plugins import builtin_plugins

    library.install(make_plugin(tmp_path, "plush"))
    rows = listed(library, host_of(builtin_plugins(), library))
    assert [row.name for row in rows][:2] == ["plush", "arm-net"]
    assert {row.standing for row in rows[1:]} == {Standing.BUILT_IN}
    assert "text-encoders" in [row.name for row in rows]
