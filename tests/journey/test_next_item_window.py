"""Next items by clicks: a database is dropped on the window, a model chosen, its users looked at, a report exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.commands import SampleMade
from crosslens.runs import RunStatus
from ui.desktop.window import MainWindow

from .clicks import choose_only, click_primary, drop, export_report, look_at_every_tab, on_page, prepare, qapp, window

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)


def test_a_dropped_database_becomes_recommendations_with_reasons_and_a_report(
    window: MainWindow, qtbot: Any, sample: SampleMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.session
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    choose_only(window, qtbot, "Item neighbours")
    click_primary(window, qtbot)
    qtbot.waitUntil(lambda: bool(session.runs()) and not session.jobs, timeout=90_000)
    assert {run.model: run.status for run in session.runs()} == {
        "popularity": RunStatus.FINISHED, "item-knn": RunStatus.FINISHED,
    }  # fmt: skip

    assert look_at_every_tab(window, qtbot) == ("Ranking", "Users")
    users = window.page.users
    qtbot.waitUntil(lambda: users.items.rowCount() > 0 and users.pictures.view("why") is not None, timeout=60_000)
    html = export_report(window, qtbot, tmp_path / "bericht.html", monkeypatch)
    assert "Item neighbours" in html
    assert "NDCG@10" in html
