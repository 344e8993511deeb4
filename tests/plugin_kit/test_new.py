"""`crosslens plugin new`: what it writes is a plugin, for every kind and every name that can be one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.plugin_kit.new import KINDS, write_plugin
from core.plugins.manifest import parse_manifest
from crosslens.errors import PluginError
from ui.terminal.plugin_kit_parser import KINDS as OFFERED


def manifest_of(home: Path):  # type: ignore[no-untyped-def]
    (place,) = home.glob("*/crosslens_plugin.toml")
    return parse_manifest(place.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_readable_manifest_and_modules_that_compile(kind: str, tmp_path: Path) -> None:
    files = write_plugin("my-plugin", kind, folder=tmp_path, author="Ä. Author")
    manifest = manifest_of(tmp_path / "my-plugin")
    assert manifest.entry == "my_plugin"
    assert manifest.authors == ("Ä. Author",)
    assert [each.id for each in (*manifest.models, *manifest.text_encoders)] == ["my-plugin"]
    for file in files:
        assert "$" not in file.read_text(encoding="utf-8"), file
        if file.suffix == ".py":
            compile(file.read_text(encoding="utf-8"), str(file), "exec")


def test_the_command_line_offers_the_kinds_there_are() -> None:
    assert tuple(KINDS) == OFFERED


def test_two_plugins_never_have_the_same_identity(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_plugin(f"{name}-plugin", folder=tmp_path)
    assert manifest_of(tmp_path / "one-plugin").id != manifest_of(tmp_path / "other-plugin").id


@pytest.mark.parametrize(
    "name",
    ["", " ", "Größe", "My-Plugin", "a b", "../x", "a/b", "-a", "a-", "a--b", "a.b", "日本", "a" * 61, "';", "9th"],
)  # fmt: skip
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as refusal:
        write_plugin(name, folder=tmp_path)
    assert repr(name) in refusal.value.what
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["core", "json", "numpy", "crosslens", "main", "torch"])
def test_a_name_that_would_hide_a_package_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be called") as refusal:
        write_plugin(name, folder=tmp_path)
    assert "would hide" in refusal.value.why


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("kept")
    with pytest.raises(PluginError, match="is there already"):
        write_plugin("mine", folder=tmp_path)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["kept.txt"]


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no kind") as refusal:
        write_plugin("mine", "transformer", folder=tmp_path)
    assert "next-item" in refusal.value.do


@given(author=st.text(max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_author_gives_files_that_can_be_read(author: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("author")
    write_plugin("mine-plugin", folder=folder, author=author)
    assert len(manifest_of(folder / "mine-plugin").authors) == 1
    tomllib.loads((folder / "mine-plugin" / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_it_writes_pass(kind: str, tmp_path: Path) -> None:
    write_plugin("fresh-plugin", kind, folder=tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-qt"],
        cwd=tmp_path / "fresh-plugin",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", [["check", "--select", "E,F,W,I,UP,B", "--ignore", "B905"], ["format", "--check"]])
def test_what_it_writes_is_tidy(command: list[str], kind: str, tmp_path: Path) -> None:
    write_plugin("tidy-plugin", kind, folder=tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "120", "."],
        cwd=tmp_path / "tidy-plugin",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
