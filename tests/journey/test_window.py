"""From what is dropped on the real window to an exported report, with real workers, by clicks and keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv as pa_csv
import pytest

from core.commands import SampleMade
from core.sample import generate_shop
from ui.desktop.window import MainWindow

from .clicks import drop, export_report, look_at_every_tab, prepare, qapp, take_joins, train_logistic, window

__all__ = ["qapp", "window"]

pytestmark = pytest.mark.qt_log_ignore("^This plugin does not support", extend=True)
ROWS = 4_000


def duckdb_file(folder: Path) -> Path:
    shop = generate_shop(rows=ROWS, seed=3, preset="default")
    path = folder / "größe.duckdb"
    with duckdb.connect(str(path)) as connection:
        for info in shop.infos:
            rows = shop.tables[info.ref.name]
            connection.register("rows", rows)
            connection.execute(f'CREATE TABLE "{info.ref.name}" AS SELECT * FROM rows')
            connection.unregister("rows")
    return path


def csv_folder(folder: Path) -> Path:
    shop = generate_shop(rows=ROWS, seed=3, preset="default")
    path = folder / "größe"
    path.mkdir()
    for name, rows in shop.tables.items():
        pa_csv.write_csv(rows, path / f"{name}.csv")
    return path


def test_a_dropped_database_becomes_an_exported_report(
    window: MainWindow, qtbot: Any, sample: SampleMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.session
    drop(window, sample.database)
    prepare(window, qtbot, "impressions")
    assert "read-only" in session.overview.read_only.lower()
    train_logistic(window, qtbot)

    assert look_at_every_tab(window, qtbot) == ("Quality", "Why", "One row", "Predictions", "Compare")
    html = export_report(window, qtbot, tmp_path / "bericht.html", monkeypatch)
    assert "Logistic regression" in html
    assert "impressions" in html


@pytest.mark.parametrize("make", [duckdb_file, csv_folder])
def test_dropped_tables_without_keys_become_an_exported_report_once_guesses_are_taken(
    make: Callable[[Path], Path], window: MainWindow, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(window, make(tmp_path))
    prepare(window, qtbot, "impressions")
    take_joins(window, qtbot, "users", "items", "clicks")
    train_logistic(window, qtbot)
    html = export_report(window, qtbot, tmp_path / "bericht.html", monkeypatch)
    assert "Logistic regression" in html
    assert "impressions" in html
