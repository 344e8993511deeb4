"""The predictions of the test rows, to look through and to take away; and scoring of every row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from core.outputs import exported
from crosslens.runs import RunRecord

from .. import exports
from ..charts import numbers
from ..fonts import SPACE
from ..session import Notice, Session
from ..widgets.buttons import Button
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted
from ..widgets.views import DataTable, SearchBox
from .export_predictions import ExportDialog, export_predictions
from .results_loading import Background
from .results_parts import fit_columns
from .results_row import WAIT_MILLISECONDS
from .results_rows import RowsModel


class PredictionsTab(QWidget):
    """Shows, filters and exports predictions."""

    def __init__(self, session: Session, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._background = session, background
        self._run: RunRecord | None = None
        self._output = ""
        self.dialog: ExportDialog | None = None
        self.rows = RowsModel(self)
        self.table = DataTable()
        self._summary = Muted()
        self._empty = EmptyState(
            "results", self.tr("No predictions"), self.tr("This run ended before its test rows were predicted.")
        )
        self._empty.hide()
        self._build()

    def show_rows(self, run: RunRecord, rows: pa.Table, output: str = "") -> None:
        """Show the test rows of a run, or of one of its outputs."""
        self._run, self._output = run, output
        self.rows.set_rows(rows)
        self._empty.setVisible(not rows.num_rows)
        self._bench.setVisible(bool(rows.num_rows))
        self._bench.setEnabled(True)
        fit_columns(self.table)
        self._tell()

    def export(self, kind: str) -> None:
        """Ask where, and write the rows shown as "csv", "parquet" or "xlsx"."""
        if self._run is None:
            return
        name = f"{self._run.title or self._run.model} {self.tr('predictions')}"
        path = exports.ask_path(self, self.tr("Export predictions"), name, kind)
        if path is None:
            return
        rows = exported(self.rows.shown(), self._output)
        self._background.ask(
            "export",
            lambda: write_rows(rows, path),
            lambda _: self._session.notify(_written(self, path, rows.num_rows)),
            self._session.fail,
        )

    def score(self) -> None:
        """Ask what goes where, and queue the prediction of every row."""
        if self._run is not None and self._session.project is not None:
            words = self.tr("Score with {model}").format(model=self._run.title or self._run.model)
            self.dialog = export_predictions(self._session, self._run, words, self)

    def _build(self) -> None:
        search = SearchBox(self.tr("Find rows"))
        self._typed = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._typed.timeout.connect(lambda: self._search(search.text()))
        search.textChanged.connect(lambda _: self._typed.start())
        self.table.setModel(self.rows)
        self.table.setAccessibleName(self.tr("Predictions"))
        self.table.setSelectionBehavior(DataTable.SelectionBehavior.SelectRows)
        self.table.horizontalHeader().setSortIndicator(0, Qt.SortOrder.DescendingOrder)
        self.table.setSortingEnabled(True)
        tools = QHBoxLayout()
        tools.setSpacing(SPACE)
        tools.addWidget(search, 1)
        tools.addWidget(self._menu_button(self.tr("Export these rows"), self.export))
        every = Button(self.tr("Score every row…"))
        every.clicked.connect(lambda _: self.score())
        tools.addWidget(every)
        self._bench = QWidget()
        column = QVBoxLayout(self._bench)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addLayout(tools)
        column.addWidget(self._summary)
        column.addWidget(self.table, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        self._bench.setEnabled(False)  # nothing can be taken away before there are rows
        layout.addWidget(self._bench)
        layout.addWidget(self._empty)

    def _menu_button(self, words: str, act: Callable[[str], None]) -> Button:
        button = Button(words)
        menu = QMenu(button)
        menu.addAction(self.tr("CSV…"), lambda: act("csv"))
        menu.addAction(self.tr("Parquet…"), lambda: act("parquet"))
        menu.addAction(self.tr("Excel…"), lambda: act("xlsx"))
        button.setMenu(menu)
        return button

    def _search(self, text: str) -> None:
        self.rows.search(text)
        self._tell()

    def _tell(self) -> None:
        rows = self.rows.shown()
        if not rows.num_rows:
            self._summary.setText(self.tr("No row contains this."))
            return
        predicted = float(rows["probability"].to_numpy().mean())
        observed = float(rows["label"].to_numpy().mean())
        words = self.tr("{count} test rows: predicted {predicted} on average, observed {observed}.")
        self._summary.setText(
            words.format(
                count=numbers.whole(rows.num_rows),
                predicted=numbers.percent(predicted),
                observed=numbers.percent(observed),
            )
        )


def write_rows(rows: pa.Table, path: Path) -> None:
    """Write rows as CSV, Parquet or Excel by the ending of `path`; StorageError if the disk refuses."""
    from core.export.files import write_file  # not needed before the first export
    from core.export.stream import RowStream

    write_file(RowStream(rows.schema, (rows,), rows.num_rows), path)


def _written(speaker: QWidget, path: Path, rows: int) -> Notice:
    words = speaker.tr("{count} rows are in {path}.").format(count=numbers.whole(rows), path=path)
    return Notice(words, tone="good")
