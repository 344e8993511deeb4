"""A funnel by clicks: ESMM is trained on a dropped shop, looked at head by head, exported and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QPushButton

from core.commands import SampleMade
from core.outputs import OUTPUTS, output_title
from crosslens.runs import RunStatus
from crosslens.schema import FieldRole
from ui.desktop.window import MainWindow

from .clicks import (
    choose_only,
    click_primary,
    drop,
    export_report,
    look_at_every_tab,
    on_page,
    prepare,
    qapp,
    window,
)

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)
QUICK = {"epochs": 2, "layers": (8,), "batch_size": 512}
TABS = ("Quality", "Funnel", "Why", "One row", "Predictions", "Compare")


def go_to_training(window: MainWindow, qtbot: Any) -> None:
    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    choose_only(window, qtbot, "ESMM")
    window.page.chooser.forms["esmm"].set_values(QUICK)


def button(window: MainWindow, words: str) -> QPushButton:
    return next(each for each in window.page.findChildren(QPushButton) if each.text() == words and each.isVisible())


def choose_then(window: MainWindow, qtbot: Any, words: str) -> None:
    """Choose what may follow a click on the Prepare page."""
    then = next(box for box in window.page.findChildren(QComboBox) if box.accessibleName().startswith("What may"))
    place = then.findText(words)
    assert place >= 0
    then.setCurrentIndex(place)
    then.activated.emit(place)
    qtbot.waitUntil(lambda: not window.session.busy, timeout=60_000)


def test_a_dropped_shop_becomes_a_funnel_model_whose_every_head_is_measured_explained_and_exported(
    window: MainWindow, qtbot: Any, sample: SampleMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.session
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    assert [field.name for field in session.draft.fields.with_role(FieldRole.CONVERSION)] == ["conversions"]
    go_to_training(window, qtbot)
    panel = window.page.panel
    click_primary(window, qtbot)
    qtbot.waitUntil(lambda: bool(session.runs()) and not session.jobs, timeout=90_000)
    (run,) = session.runs()
    assert (run.model, run.status, run.error) == ("esmm", RunStatus.FINISHED, "")
    figures = panel._facts.text()
    for output in OUTPUTS:
        assert f"{output_title(output)} AUC 0." in figures

    assert look_at_every_tab(window, qtbot) == TABS
    page = window.page
    names = {row[0] for row in page.funnel.pictures.view("outputs").picture.rows}
    assert names == {"pCTR", "pCVR", "pCTCVR"}
    seen = {}
    for output in OUTPUTS:
        qtbot.mouseClick(page.outputs.button(output), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(
            lambda output=output: page._content is not None and page._content.output == output, timeout=30_000
        )
        page.tabs.setCurrentWidget(page.quality)
        table = page.quality._pictures.view("metrics").picture
        assert page._content.evidence is not None
        assert page._content.faithfulness is not None
        seen[output] = [row for row in table.rows if row[0] in ("AUC", "Positives")]
    assert len({str(rows) for rows in seen.values()}) == len(OUTPUTS)

    page.tabs.setCurrentWidget(page.row)
    row = page.row
    qtbot.waitUntil(lambda: row._output == output and row._detail.isVisible() and not session.busy, timeout=60_000)
    assert row._pictures.view("waterfall").picture.steps

    page.tabs.setCurrentWidget(page.predictions)
    qtbot.waitUntil(lambda: page.predictions._bench.isEnabled(), timeout=30_000)
    qtbot.mouseClick(button(window, "Score every row…"), Qt.MouseButton.LeftButton)
    dialog = page.predictions.dialog
    dialog.format.setCurrentIndex(dialog.format.findData("parquet"))
    dialog.path.setText(str(tmp_path / "scores.parquet"))
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: (tmp_path / "scores.parquet").exists() and not session.jobs, timeout=60_000)
    assert {f"probability_{output}" for output in OUTPUTS} <= set(pq.read_schema(tmp_path / "scores.parquet").names)

    html = export_report(window, qtbot, tmp_path / "bericht.html", monkeypatch)
    for words in ("ESMM", "The funnel", "pCTR", "pCVR", "pCTCVR"):
        assert words in html


def test_without_conversions_a_funnel_model_cannot_be_chosen_and_says_why(
    window: MainWindow, qtbot: Any, sample: SampleMade
) -> None:
    session = window.session
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    choose_then(window, qtbot, "nothing more")
    assert not session.draft.fields.with_role(FieldRole.CONVERSION)
    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    card = window.page.chooser.cards["esmm"]
    assert not card.check.isEnabled()
    assert "Conversion label" in card.obstacle

    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    choose_then(window, qtbot, "conversions")
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(card.check.isEnabled, timeout=10_000)
