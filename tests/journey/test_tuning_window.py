"""Searching parameters by clicks: a real worker trains LightGBM a few times, and the best values fill the form."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt

from core.commands import SampleMade
from core.tuning import TrialState, tunings
from ui.desktop.pages.train_tuning import TuningDialog
from ui.desktop.window import MainWindow

from .clicks import choose_only, click_primary, drop, on_page, prepare, qapp, window

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)


def open_search(window: MainWindow, qtbot: Any, model: str) -> TuningDialog:
    card = window.page.chooser.cards[model]
    qtbot.mouseClick(card, Qt.MouseButton.LeftButton, pos=card.rect().topRight() + card.rect().topLeft() / 2)
    qtbot.waitUntil(lambda: card.search.isVisible() and card.search.isEnabled(), timeout=30_000)
    qtbot.mouseClick(card.search, Qt.MouseButton.LeftButton)
    return next(dialog for dialog in window.page.findChildren(TuningDialog) if dialog.isVisible())


def test_a_search_on_a_dropped_database_fills_the_form_and_goes_on_after_a_stop(
    window: MainWindow, qtbot: Any, sample: SampleMade
) -> None:
    session = window.session
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    click_primary(window, qtbot)
    on_page(window, qtbot, "train")
    choose_only(window, qtbot, "LightGBM")

    dialog = open_search(window, qtbot, "lightgbm")
    dialog.trials.setValue(50)
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dialog.tuning is not None and len(dialog.tuning.trials) >= 2, timeout=120_000)
    qtbot.mouseClick(dialog.halt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dialog.go.isVisible() and not session.jobs, timeout=60_000)
    (kept,) = tunings(session.project.folder)
    assert kept == dialog.tuning
    assert len(kept.trials) < 50

    dialog.trials.setValue(1)
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dialog.go.isVisible() and not session.jobs, timeout=60_000)
    (longer,) = tunings(session.project.folder)
    assert longer.trials[: len(kept.trials)] == kept.trials
    assert len(longer.trials) == len(kept.trials) + 1
    assert all(trial.state is not TrialState.FAILED for trial in longer.trials)

    dialog.trials_view.views[2].canvas.choose_row(len(longer.trials) - 1)
    chosen = dialog.trials_view.chosen_trial()
    qtbot.mouseClick(dialog.use, Qt.MouseButton.LeftButton)
    values = window.page.chooser.forms["lightgbm"].values()
    defaults = {name: longer.trials[0].parameters[name] for name in chosen.parameters}
    assert {**defaults, **values} == chosen.parameters
    assert not dialog.isVisible()
