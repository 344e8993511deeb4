"""Plugins in the app's own Python: found by their metadata, and imported by nobody but their worker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from core.files import write_json
from core.plugins import looking
from core.plugins.described import Described, DescribedModel
from core.plugins.entry_points import entry_points
from core.plugins.guard import Problem
from core.plugins.joining import host_of
from core.plugins.library import Library
from core.plugins.looking import DescribeAnswer
from core.plugins.processes import WorkerOf
from core.plugins.rows import Standing
from crosslens import PluginError, Task


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    def describe(worker: WorkerOf, output: Path, **_: Any) -> None:
        write_json(output, DescribeAnswer(Described((DescribedModel(worker.name, worker.name, "", Task.CTR, ()),))))

    monkeypatch.setattr(looking, "describe_in_a_process", describe)
    return Library(tmp_path / "data" / "plugins", ("python", "main.py"))


def announce(site: Path, name: str, code: str = "raise SystemExit") -> Path:
    """Put a distribution with one module into a folder."""
    (site / f"{name}.py").write_text(code)
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nAuthor: A. Author\n")
    (about / "entry_points.txt").write_text(f"[crosslens]\n{name} = {name}\n")
    return site / f"{name}.py"


def test_an_announced_plugin_is_new_until_it_was_looked_into(library: Library, site: Path) -> None:
    announce(site, "zz_stranger")
    row = library.row("zz_stranger")
    assert (row.origin, row.version, row.authors) == ("python", "1.0", ("A. Author",))
    assert row.standing is Standing.NEW
    assert library.describe_pending() == (row.key,)
    assert library.row("zz_stranger").standing is Standing.ENABLED
    assert library.pending() == ()
    assert "zz_stranger" not in sys.modules


def test_a_changed_module_is_looked_into_again(library: Library, site: Path) -> None:
    module = announce(site, "zz_stranger")
    library.describe_pending()
    module.write_text("raise SystemExit  # longer now")
    assert library.row("zz_stranger").standing is Standing.NEW


def test_it_is_disabled_by_us_and_removed_by_pip(library: Library, site: Path) -> None:
    announce(site, "zz_stranger")
    library.describe_pending()
    assert library.disable("zz_stranger").standing is Standing.DISABLED
    assert library.pending() == ()
    with pytest.raises(PluginError, match="python -m pip uninstall zz_stranger"):
        library.remove("zz_stranger")


def test_its_worker_is_told_what_to_import(library: Library, site: Path) -> None:
    announce(site, "zz_stranger")
    key = library.row("zz_stranger").key
    loadable = library.loadable(key)
    assert (loadable.target, loadable.paths) == ("zz_stranger", ())


def test_what_was_not_looked_into_is_named_among_the_problems(library: Library, site: Path) -> None:
    announce(site, "zz_stranger")
    (problem,) = [each for each in host_of((), library).problems() if each.name == "zz_stranger"]
    assert problem.message == "It has not been looked into yet."


def test_unreadable_metadata_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ValueError("odd metadata")

    monkeypatch.setattr("importlib.metadata.entry_points", broken)
    problems: list[Problem] = []
    assert entry_points(problems) == ()
    assert problems[0].message == "The list of installed plugins cannot be read: ValueError: odd metadata."
