"""The plugins under examples/ are what strangers would write: `crosslens plugin check` finds nothing wrong in them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from core.plugin_kit.check import Verdict, check_plugin
from core.plugins.manifest import MANIFEST_NAME, parse_manifest

_EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("crosslens-*"))
_MARKS = {"crosslens-dcn": pytest.mark.slow}


@pytest.mark.parametrize(
    "example", [pytest.param(path, id=path.name, marks=_MARKS.get(path.name, ())) for path in _EXAMPLES]
)
def test_an_example_is_fit_to_be_given_away(example: Path) -> None:
    checked = check_plugin(example)
    found = {finding.name: finding for finding in checked.findings}
    assert {"file", "manifest", "needs", "import", "registers", "contract", "own tests"} == set(found)
    assert [each for each in checked.findings if each.verdict is not Verdict.PASSED] == []
    assert " passed" in found["contract"].said[0]


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.name)
def test_project_and_manifest_of_an_example_say_the_same(example: Path) -> None:
    project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (place,) = example.glob(f"*/{MANIFEST_NAME}")
    manifest = parse_manifest(place.read_text(encoding="utf-8"))
    assert manifest.version == project["version"]
    assert manifest.licence == project["license"]
    assert manifest.authors == tuple(author["name"] for author in project["authors"])
    assert list(project["entry-points"]["crosslens"].values()) == [manifest.entry]


def test_the_examples_are_the_three_kinds_a_guide_can_point_at() -> None:
    assert [path.name for path in _EXAMPLES] == ["crosslens-cross-tables", "crosslens-dcn", "crosslens-text-encoder"]
