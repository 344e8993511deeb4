"""One row: why it got its prediction, and what would happen if its values were others."""

from __future__ import annotations

import pyarrow as pa
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.commands import ExplainRow, RowExplained, RowField
from crosslens.explanations import ExplanationKind
from crosslens.runs import RunRecord

from ..charts import numbers
from ..fonts import SPACE
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted, Title
from ..widgets.views import DataTable, SearchBox
from .results_parts import Pictures, Scrolling, fit_columns
from .results_rows import RowsModel

WAIT_MILLISECONDS = 250
"""How long to wait after a key or an edit before asking the worker again."""


class RowTab(QWidget):
    """Test rows left; waterfall and what-if of the chosen one right."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunRecord | None = None
        self.rows = RowsModel(self)
        self._changes: dict[str, str] = {}
        self._row: int | None = None
        self._output = ""
        self._wait = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._wait.timeout.connect(self.ask)
        self.table = DataTable()
        self._stack = QStackedWidget()
        self._editors: dict[str, ValueBox] = {}
        self._build()

    def show_rows(self, run: RunRecord, rows: pa.Table, output: str = "") -> None:
        """Show the test rows of a run's output and explain the one with the highest prediction."""
        self._run, self._row, self._changes, self._output = run, None, {}, output
        self.rows.set_rows(rows)
        self._refuse(self._obstacle(run, rows))
        if self._stack.currentIndex() == 1:
            fit_columns(self.table)
            self.table.selectRow(0)

    def choose_line(self, line: int) -> None:
        """Explain the row on a line of the table."""
        if line < 0:
            return
        row = self.rows.at(line)
        if row != self._row:
            self._row, self._changes = row, {}
            self._wait.start()

    def change(self, field: str, value: str) -> None:
        """Ask what the prediction would be with another value; the row's own value takes the change back."""
        self._changes[field] = value
        self._wait.start()

    def take_back(self) -> None:
        """Forget all changes."""
        self._changes = {}
        self.ask()

    def ask(self) -> None:
        """Ask the worker about the chosen row with the changes made so far."""
        if self._run is None or self._row is None or self._session.project is None:
            return
        folder = self._session.project.folder
        command = ExplainRow(folder, self._run.id, self._row, dict(self._changes), self._output)
        self._session.ask("explain-row", command, self.show_answer, busy=self.tr("Explaining the row…"))

    def show_answer(self, answer: RowExplained) -> None:
        """Show prediction, waterfall and the values to change, unless another row was chosen meanwhile."""
        if answer.row != self._row:
            return
        self._detail.show()
        self._headline.setText(self._words(answer))
        self._pictures.show_picture("waterfall", answer.waterfall)
        self._fill_editors(answer)
        self._back.setEnabled(bool(self._changes))

    def _build(self) -> None:
        self._empty = EmptyState("results", self.tr("No rows to explain"), "")
        self._sentence = Muted()
        search = SearchBox(self.tr("Find rows"))
        self._typed = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._typed.timeout.connect(lambda: self.rows.search(search.text()))
        search.textChanged.connect(lambda _: self._typed.start())
        self.table.setModel(self.rows)
        self.table.setAccessibleName(self.tr("Test rows"))
        self.table.setSelectionBehavior(DataTable.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(DataTable.SelectionMode.SingleSelection)
        self.table.horizontalHeader().setSortIndicator(0, Qt.SortOrder.DescendingOrder)
        self.table.setSortingEnabled(True)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self.choose_line(now.row()))
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addWidget(search)
        column.addWidget(self.table, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * SPACE)
        splitter.addWidget(left)
        splitter.addWidget(Scrolling(self._make_detail(), self.tr("The chosen row")))
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([270, 540])
        self._stack.addWidget(self._empty)
        self._stack.addWidget(splitter)
        self._stack.setCurrentWidget(splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self._sentence)
        layout.addWidget(self._stack, 1)
        self._detail.hide()  # the scroll area has shown it

    def _make_detail(self) -> QWidget:
        self._headline = Title(level=2)
        self._headline.setWordWrap(True)
        self._pictures = Pictures(self._session)
        self._back = Button(self.tr("Take changes back"), weight=Weight.QUIET, icon_name="undo")
        self._back.clicked.connect(self.take_back)
        self._form = QFormLayout()
        self._form.setVerticalSpacing(SPACE)
        self._form.setHorizontalSpacing(2 * SPACE)
        head = QHBoxLayout()
        head.addWidget(Title(self.tr("What if?"), level=3), 1)
        head.addWidget(self._back)
        self._detail = QWidget()
        column = QVBoxLayout(self._detail)
        column.setContentsMargins(0, 0, SPACE, SPACE)
        column.setSpacing(2 * SPACE)
        column.addWidget(self._headline)
        column.addWidget(self._pictures)
        column.addLayout(head)
        column.addLayout(self._form)
        column.addStretch(1)
        self._detail.hide()
        return self._detail

    def _obstacle(self, run: RunRecord, rows: pa.Table) -> str:
        spec = next((model for model in self._session.models if model.id == run.model), None)
        if not rows.num_rows:
            return self.tr("This run ended before its test rows were predicted.")
        if spec is None:
            return self.tr("The plugin of this model is not installed any more.")
        if ExplanationKind.CONTRIBUTIONS not in spec.explains:
            return self.tr("{model} cannot explain single rows.").format(model=spec.title)
        return ""

    def _refuse(self, why: str) -> None:
        self._sentence.setText(why)
        self._sentence.setVisible(bool(why))
        self._stack.setCurrentIndex(0 if why else 1)
        self._detail.hide()

    def _words(self, answer: RowExplained) -> str:
        now = numbers.percent(answer.probability, 1)
        if self._changes:
            before = numbers.percent(answer.original_probability, 1)
            return self.tr("Predicted {now}, before the changes {before}").format(now=now, before=before)
        if answer.label is None:
            return self.tr("Predicted {now}").format(now=now)
        observed = self.tr("it happened") if answer.label else self.tr("it did not happen")
        return self.tr("Predicted {now}; {observed}").format(now=now, observed=observed)

    def _fill_editors(self, answer: RowExplained) -> None:
        if list(self._editors) != [field.name for field in answer.fields]:
            self._make_editors([field.name for field in answer.fields])
        for field in answer.fields:
            self._fill_editor(self._editors[field.name], field)

    def _make_editors(self, names: list[str]) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self._editors = {name: _editor(name) for name in names}
        for name, editor in self._editors.items():
            self._form.addRow(QLabel(name), editor)
            editor.activated.connect(lambda _, name=name: self._edited(name))
            editor.line.editingFinished.connect(lambda name=name: self._edited(name))

    def _fill_editor(self, editor: ValueBox, field: RowField) -> None:
        if editor.hasFocus() and editor.line.isModified():
            return
        text = field.value or ""
        editor.setProperty("shown", text)
        editor.clear()
        editor.addItems([text, *(choice for choice in field.choices if choice != text)])
        editor.setCurrentIndex(0)
        font = editor.font()
        font.setBold(field.name in self._changes)
        editor.setFont(font)

    def _edited(self, name: str) -> None:
        editor = self._editors[name]
        if editor.currentText() != editor.property("shown"):
            editor.setProperty("shown", editor.currentText())
            self.change(name, editor.currentText())

    def editor(self, name: str) -> ValueBox:
        """Return the box that changes a field."""
        return self._editors[name]


class ValueBox(QComboBox):
    """A value of a field: one the model knows, or anything typed; empty is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.setLineEdit(self.line)


def _editor(name: str) -> ValueBox:
    editor = ValueBox()
    editor.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    editor.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    editor.setMinimumContentsLength(12)
    editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    editor.setAccessibleName(name)
    editor.line.setPlaceholderText(editor.tr("missing"))
    return editor
