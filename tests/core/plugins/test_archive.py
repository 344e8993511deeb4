"""What is looked at before a plugin is installed: paths, links, sizes, names, hashes, tags, requirements."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.plugins.archive import opened_plugin
from core.plugins.host_packages import HostPackages
from crosslens import PluginError
from tests.zoo.wheels import make_bundle, make_plugin, make_wheel, manifest, plugin_id

HOST = HostPackages(
    needed={"crosslens": "0.1.0", "numpy": "2.4.6", "torch": "2.13.0"},
    beside={"idna": "3.7", "oldie": "1.0"},
    modules={"numpy": "numpy", "torch": "torch", "functorch": "torch"},
)


def refusal(path: Path, **more: Any) -> str:
    """Return everything that is said against a file."""
    with pytest.raises(PluginError) as caught, opened_plugin(path, host=HOST, **more):
        pass
    return str(caught.value)


def test_a_good_wheel_is_known_without_running_any_of_it(tmp_path: Path) -> None:
    wheel = make_plugin(
        tmp_path, "plush", code="raise SystemExit", requires=["numpy>=2", "crosslens"], headers=["License: MIT"]
    )
    with opened_plugin(wheel, host=HOST) as plugin:
        assert (plugin.manifest.id, plugin.manifest.name, plugin.wheel.licence) == (plugin_id("plush"), "plush", "MIT")
        assert [(each.name, each.version) for each in plugin.needs.shared] == [
            ("numpy", "2.4.6"),
            ("crosslens", "0.1.0"),
        ]
        assert plugin.wheel.names == ("plush",)
        assert plugin.files == 6


def with_entries(*infos: zipfile.ZipInfo | str) -> Callable[[Path], None]:
    def add(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive:
            for info in infos:
                archive.writestr(info, b"x")

    return add


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    return info


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("../evil.py", "leads out of its folder"),
        ("plush/../../evil.py", "leads out of its folder"),
        ("..\\evil.py", "leads out of its folder"),
        ("/etc/evil", "is an absolute path"),
        ("C:/evil.py", "is an absolute path"),
        ("plush/aux.py", "is the name of a device"),
        ("plush/a:b", "is not a path every system can have"),
        ("plush//a", "is not a path every system can have"),
        ("plush/" + "x" * 300, "is too long a path"),
        ("PLUSH/model.py", "comes twice"),
        (special("plush/link", stat.S_IFLNK), "is a link"),
        (special("plush/pipe", stat.S_IFIFO), "is neither a file nor a folder"),
        ("plush/extra.py", "is not listed in its RECORD"),
    ],
)
def test_a_path_that_is_no_plain_file_of_its_own_is_refused(
    tmp_path: Path, entry: zipfile.ZipInfo | str, said: str
) -> None:
    wheel = make_plugin(tmp_path, "plush")
    with_entries(entry)(wheel)
    assert said in refusal(wheel)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": {"evil.pth": "import os"}}, "a .pth file"),
        ({"files": {"numpy/__init__.py": ""}}, "its module numpy would take the place of a package of Crosslens"),
        ({"files": {"functorch.py": ""}}, "a package of Crosslens (torch)"),
        ({"files": {"core/__init__.py": ""}}, "a part of Crosslens (core)"),
        ({"files": {"Main.py": ""}}, "a part of Crosslens (main)"),
        ({"files": {"json.py": ""}}, "a module of Python"),
        ({"files": {"sitecustomize.py": ""}}, "a module of Python"),
        ({"files": {"plush-1.0.data/scripts/run": ""}}, "outside of the plugin's folder"),
        ({"files": {"plush-1.0.data/data/etc/x": ""}}, "outside of the plugin's folder"),
        ({"files": {"plush-1.0.data/purelib/x.pth": ""}}, "a .pth file"),
        ({"record": {"plush/model.py": "sha256=AAAA"}}, "is not what its RECORD says"),
        ({"record": {"plush/model.py": ""}}, "is not listed in its RECORD"),
        ({"record": {"plush/model.py": "md5=AAAA"}}, "has no SHA-256"),
        ({"record": {"gone.py": "sha256=AAAA"}}, "listed in its RECORD but not there"),
        ({"files": {f"plush/f{number}.py": "" for number in range(5_001)}}, "5,000 are the most"),
        ({"files": {"plush/bomb": b"\0" * (30 << 20)}}, "as only a zip bomb does"),
        ({"headers": ["Requires-Python: >=4"]}, "needs Python >=4"),
        ({"tags": "cp27-cp27m-win32"}, "is built for cp27-cp27m-win32; this app runs on Python 3."),
        ({"changes": {"api": '["7"]'}}, "written for plugin API 7; this app speaks API 1"),
        ({"changes": {"requires_app": '">=99"'}}, "needs Crosslens >=99"),
        ({"changes": {"version": '"2.0"'}}, "its manifest says version 2.0, the wheel 1.0"),
        ({"changes": {"entry": '"core"'}}, "has the entry core"),
        ({"files": {"plush/crosslens_plugin.toml": "x = "}}, "it is not TOML"),
        ({"requires": ["numpy<2"]}, "plush needs numpy<2, this app has 2.4.6."),
        ({"requires": ["nowhere>=1"]}, "plush needs nowhere>=1, which this app does not have."),
        ({"requires": ["oldie>=2"]}, "plush needs oldie>=2, this Python has 1.0."),
        ({"requires": ["x @ https://example.org/x.whl"]}, "nothing is fetched"),
    ],
)
def test_what_would_do_harm_or_cannot_run_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in refusal(make_plugin(tmp_path, "plush", **changes))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.org/plush-1.0-py3-none-any.whl", "it is an address"),
        ("plush-1.0.tar.gz", "source distribution"),
        ("nothing-1.0-py3-none-any.whl", "there is no such file"),
        ("plush", "it is a folder"),
        ("odd.whl", "its name is not that of a wheel"),
        ("torn-1.0-py3-none-any.whl", "cannot be read as a zip file"),
    ],
)
def test_other_things_than_wheels_and_bundles_are_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "plush").mkdir()
    for made in ("plush-1.0.tar.gz", "odd.whl", "torn-1.0-py3-none-any.whl"):
        (tmp_path / made).write_bytes(b"no zip")
    assert said in refusal(Path(name) if ":" in name else tmp_path / name)


def test_a_wheel_without_a_manifest_is_no_plugin(tmp_path: Path) -> None:
    assert "it is not a Crosslens plugin" in refusal(make_wheel(tmp_path, "plain", {"plain/__init__.py": ""}))


def test_a_bundle_brings_what_the_app_does_not_have(tmp_path: Path) -> None:
    plush = make_plugin(tmp_path, "plush", requires=["fluff>1", "numpy"])
    old = make_wheel(tmp_path, "fluff", {"fluff/__init__.py": ""}, version="1.5", requires=["down"])
    new = make_wheel(tmp_path, "fluff", {"fluff/__init__.py": ""}, version="1.10", requires=["down"])
    down = make_wheel(tmp_path, "down", {"down.py": ""})
    unasked = make_wheel(tmp_path, "json", {"json.py": ""})
    bundle = make_bundle(tmp_path / "plush.crosslens-plugin", plush, [old, new, down, unasked])
    with opened_plugin(bundle, host=HOST) as plugin:
        assert [(wheel.name, wheel.version) for wheel in plugin.needs.private] == [("fluff", "1.10"), ("down", "1.0")]
    with opened_plugin(plush, host=HOST, wheelhouse=tmp_path) as plugin:
        assert len(plugin.needs.private) == 2


@pytest.mark.parametrize(
    ("wheel", "said"),
    [
        ({"version": "1.0"}, "plush needs fluff>1, its wheelhouse has 1.0."),
        ({"version": "2.0", "requires": ["numpy<2"]}, "fluff needs numpy<2, this app has 2.4.6."),
        ({"version": "2.0", "requires": ["gone"]}, "fluff needs gone, which this app does not have."),
    ],
)
def test_what_a_bundle_lacks_is_named(tmp_path: Path, wheel: dict[str, Any], said: str) -> None:
    plush = make_plugin(tmp_path, "plush", requires=["fluff>1"])
    fluff = make_wheel(tmp_path, "fluff", {"fluff.py": ""}, **wheel)
    assert said in refusal(make_bundle(tmp_path / "p.crosslens-plugin", plush, [fluff]))


@pytest.mark.parametrize(
    ("sums", "said"),
    [("", "differ about"), ("00  {name}\n", "is not what its SHA256SUMS says"), ("00  other.whl\n", "differ about")],
)
def test_a_bundle_must_be_what_its_hashes_say(tmp_path: Path, sums: str, said: str) -> None:
    plush = make_plugin(tmp_path, "plush")
    bundle = make_bundle(tmp_path / "p.crosslens-plugin", plush, sums=sums.format(name=plush.name))
    assert said in refusal(bundle)


def test_manifests_of_tests_are_manifests() -> None:
    assert 'id = "plush"' in manifest("plush")
