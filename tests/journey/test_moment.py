"""What is known only after the prediction is named when a recipe says when the prediction is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

import main

ROWS = 3_000


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Calls of which nobody says yes within the first seconds; what is known before them tells a little."""
    random = np.random.default_rng(5)
    job = random.integers(0, 6, ROWS)
    duration = random.exponential(200, ROWS).astype(int)
    logit = -3 + 0.006 * duration + 0.3 * (job == 2)
    yes = (random.random(ROWS) < 1 / (1 + np.exp(-logit))) & (duration > 20)
    table = pa.table(
        {
            "age": random.integers(18, 90, ROWS),
            "job": [f"job {number}" for number in job],
            "duration": duration,
            "y": np.where(yes, "yes", "no"),
        }
    )
    pa_csv.write_csv(table, tmp_path / "calls.csv")
    return tmp_path / "calls.csv"


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.main(list(arguments)) == 0
    told = capfd.readouterr()
    return " ".join((told.out + told.err).split())


def test_a_recipe_with_a_moment_names_the_field_that_is_known_later_and_keeps_naming_it(
    calls: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("recipe", "calls.csv", "--label", "y", "--model", "logistic", "--out", "calls.toml")
    assert "duration is probably known only later" not in said(capfd, *asked)
    assert "duration is probably known only later" in said(capfd, *asked, "--moment", "before the call")
    assert 'moment = "before the call"' in (tmp_path / "calls.toml").read_text(encoding="utf-8")
    trained = said(capfd, "train", "calls.toml", "--project", "project", "--threads", "1")
    assert "duration is probably known only later" in trained
    assert "Logistic regression" in trained
