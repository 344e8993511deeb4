"""`crosslens demo` as a newcomer runs it, on fewer rows."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

import main
from ui.terminal import demo as demo_module

from .conftest import plain_json


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def opened(out: Path) -> list[list[str]]:
    """Run the demo as if there were a display, and note which program it starts for the window."""
    calls: list[list[str]] = []

    def note(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_module, "has_display", lambda: True)
        patch.setattr(demo_module, "missing_packages", lambda: ())
        patch.setattr(demo_module, "subprocess", SimpleNamespace(run=note))
        assert main.main(["demo", "--rows", "3000", "--threads", "1", "--out", str(out)]) == 0
    return calls


def test_it_leaves_report_predictions_and_summary(opened: list[list[str]], out: Path) -> None:
    summary = plain_json(out / "summary.json")
    assert [model["model"] for model in summary["models"]] == ["arm-net", "lightgbm", "logistic"]
    assert all({"task", "rows", "metrics", "seconds", "interactions"} <= model.keys() for model in summary["models"])
    assert {"arm-net", "lightgbm"} == summary["against_logistic"].keys()
    assert (out / "report.html").stat().st_size > 50_000
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    assert pq.read_metadata(out / "predictions.parquet").num_rows == 3000


def test_the_planted_pairs_are_ranked_by_every_model(opened: list[list[str]], out: Path) -> None:
    planted = plain_json(out / "summary.json")["planted"]
    pair = next(each for each in planted if set(each["fields"]) == {"user.segment", "category.name"})
    assert set(pair["rank"]) == {"arm-net", "lightgbm", "logistic"}
    assert pair["rank"]["lightgbm"] <= 3


def test_the_window_opens_in_a_process_of_its_own(opened: list[list[str]], out: Path) -> None:
    assert opened == [[*main.PROGRAM, "open", str(out / "project")]]


def test_it_replaces_its_own_folder_and_no_other(opened: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert main.main(["demo", "--rows", "3000", "--out", str(tmp_path), "--no-window"]) == 1
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"
