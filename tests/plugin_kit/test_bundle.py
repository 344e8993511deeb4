"""`crosslens plugin bundle`: one file that holds the plugin and what it needs, and nothing that was fetched."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from core.plugin_kit.build import build_wheel
from core.plugin_kit.bundle import write_bundle
from core.plugin_kit.new import write_plugin
from core.plugins.archive import opened_plugin
from crosslens.errors import PluginError
from tests.zoo.wheels import make_plugin, make_wheel


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_plugin("packed-plugin", folder=folder, author="A. Author")
    return folder / "packed-plugin"


def test_a_project_becomes_a_file_that_can_be_installed(project: Path, tmp_path: Path) -> None:
    written = write_bundle(project, tmp_path)
    assert written.path.name == "packed-plugin-0.1.0.crosslens-plugin"
    with opened_plugin(written.path) as plugin:
        assert plugin.manifest.name == "packed-plugin"
        assert plugin.sha256 == written.sha256
    assert any(shared.startswith("numpy ") for shared in written.shared)
    assert written.private == ()


def test_building_leaves_nothing_behind_in_the_project(project: Path, tmp_path: Path) -> None:
    before = sorted(project.rglob("*"))
    build_wheel(project, tmp_path)
    assert sorted(project.rglob("*")) == before


def test_the_same_project_gives_the_same_file(project: Path, tmp_path: Path) -> None:
    one, other = (write_bundle(project, tmp_path / name) for name in ("one", "other"))
    assert one.sha256 == other.sha256


def test_what_the_app_lacks_comes_along_and_every_wheel_has_its_hash(tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path, "needsleaf", requires=["pure-leaf>=2"])
    for version in ("1.0", "2.1"):
        make_wheel(tmp_path / "house", "pure_leaf", {"pure_leaf/__init__.py": ""}, version=version)
    written = write_bundle(plugin, tmp_path / "out", wheelhouse=tmp_path / "house")
    assert written.private == ("pure-leaf 2.1",)
    with zipfile.ZipFile(written.path) as archive:
        sums = dict(reversed(line.split("  ")) for line in archive.read("SHA256SUMS").decode().splitlines())
        assert set(sums) == {plugin.name, "wheelhouse/pure_leaf-2.1-py3-none-any.whl"}
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == sums[name] for name in sums)


def test_its_author_is_told_how_to_bring_what_the_app_lacks(tmp_path: Path) -> None:
    write_plugin("leafy-plugin", folder=tmp_path)
    settings = tmp_path / "leafy-plugin" / "pyproject.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace('"numpy>=2.0"', '"pure-leaf>=2"'), encoding="utf-8"
    )
    with pytest.raises(PluginError, match=r"needs pure-leaf>=2") as refusal:
        write_bundle(tmp_path / "leafy-plugin")
    assert "--wheelhouse wheels" in refusal.value.do
    assert "author" not in str(refusal.value)


def test_what_is_not_to_be_had_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path, "needsleaf", requires=["pure-leaf>=2"])
    with pytest.raises(PluginError, match="pure-leaf>=2"):
        write_bundle(plugin, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pyproject", "sentence"),
    [
        (None, "has no pyproject.toml"),
        ("[project", "not TOML"),
        ('[build-system]\nbuild-backend = "no_such_backend.api"\n', "no_such_backend, which is not installed"),
        ('[build-system]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = 5\n', "build_meta says"),
    ],
)  # fmt: skip
def test_a_project_that_cannot_be_built_is_refused_in_a_sentence(
    pyproject: str | None, sentence: str, tmp_path: Path
) -> None:
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    with pytest.raises(PluginError) as refusal:
        build_wheel(tmp_path, tmp_path / "out")
    assert sentence in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="not a project"):
        build_wheel(tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.whl"])
def test_a_path_that_is_not_there_is_said_to_be_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(PluginError, match="There is no file or folder") as caught:
        write_bundle(tmp_path / name)
    assert str(tmp_path / name) in caught.value.what
    assert "crosslens plugin new NAME" in caught.value.do
    assert not list(tmp_path.iterdir())


def test_a_backend_that_lies_in_the_project_is_used(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "backend").mkdir(parents=True)
    wheel = make_plugin(tmp_path, "self_built")
    (project / "backend" / "own.py").write_text(
        f"import shutil\n\ndef build_wheel(out, *_):\n    return shutil.copy({str(wheel)!r}, out)\n"
    )
    (project / "pyproject.toml").write_text('[build-system]\nbuild-backend = "own"\nbackend-path = ["backend"]\n')
    assert build_wheel(project, tmp_path / "out").read_bytes() == wheel.read_bytes()
