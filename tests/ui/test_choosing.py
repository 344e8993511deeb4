"""Runs are meant by what people know of them: a piece of the id, the model, or that it is the latest."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crosslens.errors import ProjectError
from crosslens.runs import RunRecord, RunStatus
from ui.terminal.choosing import find_run

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(name: str, model: str, status: RunStatus = RunStatus.FINISHED) -> RunRecord:
    return RunRecord(name, model, model.title(), status, NOW, "")


RUNS = (
    run("20260103-esmm-c3", "esmm", RunStatus.FAILED),
    run("20260103-autoint-c4", "autoint", RunStatus.STOPPED),
    run("20260102-esmm-b2", "esmm"),
    run("20260101-esmm-a1", "esmm"),
    run("20260101-esmm-a1-again", "esmm"),
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("20260101-esmm-a1", "20260101-esmm-a1"),
        ("b2", "20260102-esmm-b2"),
        ("20260102", "20260102-esmm-b2"),
        ("c3", "20260103-esmm-c3"),
        ("esmm", "20260102-esmm-b2"),
        ("autoint", "20260103-autoint-c4"),
        ("latest", "20260103-autoint-c4"),
    ],
)
def test_a_run_is_found_by_what_is_known_of_it(said: str, meant: str) -> None:
    assert find_run(said, RUNS).id == meant


@pytest.mark.parametrize(
    ("said", "sentence"),
    [("20260103", "names of 2 runs"), ("lightgbm", "no run “lightgbm”"), ("", "no run"), ("ESMM", "no run")],
)
def test_a_run_that_is_not_clear_is_answered_with_those_there_are(said: str, sentence: str) -> None:
    with pytest.raises(ProjectError, match=sentence) as caught:
        find_run(said, RUNS)
    assert "20260103-autoint-c4" in caught.value.do


def test_in_a_project_without_runs_one_is_to_be_trained() -> None:
    with pytest.raises(ProjectError, match="no run") as caught:
        find_run("latest", ())
    assert "Train" in caught.value.do


def test_of_many_runs_a_few_are_named() -> None:
    many = tuple(run(f"run-{number:03d}", "esmm") for number in range(50))
    with pytest.raises(ProjectError) as caught:
        find_run("other", many)
    assert caught.value.do.count("run-") == 5
    assert "all 50" in caught.value.do
