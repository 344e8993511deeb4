"""`crosslens plugin new | check | bundle` as they are typed: exit codes, sentences, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.plugin_kit.check import Checked, Finding, Verdict
from ui.terminal import plugin_kit
from ui.terminal.cli import Parts, run


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("these commands need no other room")


NOBODY = Parts(("crosslens",), _never, _never, _never, _never, _never, _never)


def typed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any]:
    code = run(["plugin", *map(str, arguments), "--json"], NOBODY)
    return code, json.loads(capsys.readouterr().out)


def test_new_says_what_it_wrote_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugin", "new", "my-model", "--folder", str(tmp_path)], NOBODY) == 0
    said = capsys.readouterr().out
    assert "my_model/model.py" in said.replace("\\", "/")
    assert "crosslens plugin check" in said


def test_new_refuses_a_bad_name_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = typed(capsys, "new", "Größe", "--folder", tmp_path)
    assert code == 1
    assert "Größe" in answer["error"]["what"]
    assert answer["error"]["do"]


def test_bundle_names_the_file_and_its_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "new", "my-model", "--folder", tmp_path)
    code, answer = typed(capsys, "bundle", tmp_path / "my-model", "--out", tmp_path / "out")
    assert code == 0
    assert Path(answer["path"]).stat().st_size == answer["bytes"]
    assert len(answer["sha256"]) == 64


def test_check_of_something_else_has_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = typed(capsys, "check", tmp_path)
    assert code == 1
    assert answer["fit"] is False
    assert answer["findings"][0]["verdict"] == "failed"


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASSED, 0), (Verdict.NOTED, 0), (Verdict.FAILED, 1)])
def test_the_exit_code_is_the_verdict(
    verdict: Verdict, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Checked("mine 1.0", (Finding("file", verdict, ("First.", "Second."), 1.25),))
    monkeypatch.setattr(plugin_kit, "check_plugin", lambda *_, **__: found)
    assert run(["plugin", "check", "anything.whl"], NOBODY) == code
    said = capsys.readouterr().out
    assert "First. (1.2 s)" in said
    assert "Second." in said


def test_a_check_without_pytest_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.plugin_kit import check
    from tests.zoo.wheels import MODEL, make_plugin

    monkeypatch.setattr(check, "find_spec", lambda _: None)
    wheel = make_plugin(tmp_path, "seen", code=MODEL.format(model="seen", title="seen"))
    code, answer = typed(capsys, "check", wheel)
    assert code == 1
    assert "pip install pytest" in answer["findings"][-1]["said"][-1]
