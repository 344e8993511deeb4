"""`crosslens plugin check`: whatever is wrong with a plugin is a line on the page, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.plugin_kit import check
from core.plugin_kit.check import Checked, Verdict, check_plugin
from core.plugin_kit.new import write_plugin
from core.plugin_kit.suite import Failure, Outcome, _first_line, run_suite
from tests.zoo.wheels import MODEL, make_plugin, make_wheel
from ui.terminal.plugin_kit import page

_HONEST = MODEL.format(model="seen", title="seen")


def verdicts(checked: Checked) -> dict[str, Verdict]:
    return {finding.name: finding.verdict for finding in checked.findings}


def said(checked: Checked, name: str) -> str:
    (finding,) = (finding for finding in checked.findings if finding.name == name)
    return " ".join(finding.said)


@pytest.fixture
def no_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run of tests pass at once, where the test is about something else."""
    monkeypatch.setattr(check, "run_suite", lambda *_, **__: Outcome(passed=1))


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("raise RuntimeError('broken inside')", "import", "RuntimeError: broken inside"),
        ("import sys; sys.exit(3)", "import", "exit code 3"),
        ("import os; os.abort()", "import", "ended its process"),
        ("import time; time.sleep(60)", "import", "took more than 2 s"),
        ("", "registers", "implements no hook"),
        (_HONEST.replace('"seen", "seen"', '"other", "seen"'), "registers", "announces the model seen"),
        (_HONEST.replace('"seen", "seen"', '"seen", "Another title"'), "registers", '"Another title"'),
        (_HONEST.replace("crosslens_register_models", "crosslens_register_modells"), "registers", "modells"),
    ],
    ids=["raises", "exits", "aborts", "hangs", "no hook", "another id", "another title", "misspelt hook"],
)
def test_what_fails_before_the_contract_ends_the_check(
    code: str, name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_IMPORT_LIMIT", 2.0 if "sleep" in code else 30.0)
    checked = check_plugin(make_plugin(tmp_path, "seen", code=code or "# nothing"))
    assert not checked.fit
    assert verdicts(checked)[name] is Verdict.FAILED
    assert sentence in said(checked, name)
    assert "contract" not in verdicts(checked)


def test_a_heavy_library_at_import_fails_and_printing_is_told(tmp_path: Path, no_contract: None) -> None:
    heavy = make_plugin(tmp_path, "seen", code=f"import catboost\n{_HONEST}", files={"catboost.py": ""})
    assert "catboost" in said(check_plugin(heavy), "import")
    loud = check_plugin(make_plugin(tmp_path, "seen", code=f"print('hello')\n{_HONEST}"))
    assert verdicts(loud)["import"] is Verdict.NOTED
    assert loud.fit


@pytest.mark.parametrize(
    ("line", "requires", "verdict", "sentence"),
    [
        ("import rich", ["rich"], Verdict.PASSED, "Every package"),
        ("import xdist", [], Verdict.FAILED, "pytest-xdist"),
        ("import no_such_thing", [], Verdict.FAILED, "no_such_thing"),
        ("def build():\n    import no_such_thing", [], Verdict.FAILED, "no_such_thing"),
        ("try:\n    import no_such_thing\nexcept ImportError:\n    pass", [], Verdict.PASSED, "Every package"),
        ("if TYPE_CHECKING:\n    import no_such_thing", [], Verdict.PASSED, "Every package"),
        ("import torch.nn", [], Verdict.NOTED, "torch; name them"),
        ("from core.plugins import store", [], Verdict.NOTED, "core of Crosslens"),
        ("import json, seen.model\nfrom . import model\nfrom crosslens import plain", [], Verdict.PASSED, "Every"),
    ],
)
def test_what_is_imported_is_to_be_a_dependency(
    line: str, requires: list[str], verdict: Verdict, sentence: str, tmp_path: Path, no_contract: None
) -> None:
    unused = {"seen/unused.py": f"TYPE_CHECKING = False\n{line}\n"}
    plugin = make_plugin(tmp_path, "seen", code=_HONEST, files=unused, requires=["numpy", *requires])
    checked = check_plugin(plugin)
    assert verdicts(checked)["needs"] is verdict
    assert sentence in said(checked, "needs")
    assert checked.fit is (verdict is not Verdict.FAILED)


def test_what_an_extra_brings_is_not_there_for_everybody(tmp_path: Path, no_contract: None) -> None:
    unused = {"seen/unused.py": "import pytest\n"}
    plugin = make_plugin(tmp_path, "seen", code=_HONEST, files=unused, requires=["numpy", 'pytest; extra == "dev"'])
    assert "pytest" in said(check_plugin(plugin), "needs")


def test_a_package_the_plugin_brings_counts_as_there(tmp_path: Path, no_contract: None) -> None:
    make_wheel(tmp_path / "house", "pure_leaf", {"leafy/__init__.py": ""})
    unused = {"seen/unused.py": "import leafy\n"}
    plugin = make_plugin(tmp_path, "seen", code=_HONEST, files=unused, requires=["numpy", "pure-leaf"])
    checked = check_plugin(plugin, wheelhouse=tmp_path / "house")
    assert verdicts(checked)["needs"] is Verdict.PASSED


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("AssertionError: the diagonal is not 0\nassert False", "the diagonal is not 0"),
        ("AssertionError: \nNot equal to tolerance\n(0%)", "Not equal to tolerance"),
        ("assert 1 == 2", "assert 1 == 2"),
        ("AssertionError: assert 'blue' == 'green'", "AssertionError: assert 'blue' == 'green'"),
        ("ValueError: no rows", "ValueError: no rows"),
        ("word " * 100, f"{'word ' * 59}word …"),
        ("", "no reason given"),
    ],
)
def test_of_a_failure_the_sentence_is_told(message: str, told: str) -> None:
    assert _first_line(message) == told


def test_a_file_that_cannot_be_installed_is_one_finding(tmp_path: Path) -> None:
    checked = check_plugin(make_plugin(tmp_path, "seen", requires=["no-such-thing"]))
    assert verdicts(checked) == {"file": Verdict.FAILED}
    assert "no-such-thing" in said(checked, "file")


def test_nothing_there_is_one_finding(tmp_path: Path) -> None:
    assert verdicts(check_plugin(tmp_path / "nowhere.whl")) == {"file": Verdict.FAILED}


def test_a_model_that_knows_nothing_breaks_its_contract_in_words(tmp_path: Path) -> None:
    checked = check_plugin(make_plugin(tmp_path, "seen", code=_HONEST))
    assert verdicts(checked)["registers"] is Verdict.NOTED
    assert verdicts(checked)["contract"] is Verdict.FAILED
    assert "it beats the base rate on new rows: " in said(checked, "contract")


def test_a_project_is_checked_with_its_own_tests_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin("seen-plugin", "text-encoder", folder=tmp_path)
    home = tmp_path / "seen-plugin"
    (home / "tests" / "test_contract.py").write_text("def test_the_sky_is_green():\n    assert 'blue' == 'green'\n")
    checked = check_plugin(home)
    assert verdicts(checked)["contract"] is Verdict.PASSED
    assert verdicts(checked)["own tests"] is Verdict.FAILED
    assert "the sky is green: AssertionError" in said(checked, "own tests")
    assert not list(home.rglob("__pycache__"))


def test_an_additive_model_is_told_so_and_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(30, 1, (Failure("test_it_learns_xor_of_two_fields", "assert 0.5 > 0.95"),))
    monkeypatch.setattr(check, "run_suite", lambda *_, **__: outcome)
    checked = check_plugin(make_plugin(tmp_path, "seen", code=_HONEST))
    assert checked.fit
    assert verdicts(checked)["contract"] is Verdict.NOTED


def test_failures_for_one_reason_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(1, 0, (*(Failure(f"test_{word}", "no leaf") for word in "abc"), Failure("test_d", "no twig")))
    monkeypatch.setattr(check, "run_suite", lambda *_, **__: outcome)
    assert "a and 2 more: no leaf d: no twig" in said(
        check_plugin(make_plugin(tmp_path, "seen", code=_HONEST)), "contract"
    )


def test_tests_that_do_not_end_are_ended(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text("import time\n\ndef test_slow():\n    time.sleep(60)\n")
    outcome = run_suite(tmp_path / "test_slow.py", cwd=tmp_path, environment={}, seconds=1.5, bare=True)
    assert outcome.broken == "The tests took more than 2 s."


def test_tests_that_cannot_be_read_are_not_a_success(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text("def helper(:\n")
    outcome = run_suite(tmp_path / "test_none.py", cwd=tmp_path, environment={}, seconds=60, bare=True)
    assert "SyntaxError" in outcome.broken or "invalid syntax" in outcome.broken


def test_the_page_ends_with_the_verdict(tmp_path: Path, no_contract: None) -> None:
    lines = page(check_plugin(make_plugin(tmp_path, "seen", code=_HONEST)))
    assert lines[0] == "seen 1.0"
    assert lines[-1] == "Fit to be given away."
    assert page(check_plugin(tmp_path / "nowhere.whl"))[-1] == "Not yet: 1 of 1 failed."
