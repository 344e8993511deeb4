"""Test users of a next-item run: what they chose, what they are recommended, and why, by occlusion."""

from __future__ import annotations

import pyarrow as pa
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.commands import ExplainRecommendation, RecommendationExplained, RecommendToUser, UserRecommended
from crosslens.runs import RunRecord

from ..charts import numbers
from ..fonts import SPACE
from ..session import Session
from ..widgets.buttons import Button
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted, Title
from ..widgets.views import DataTable, SearchBox
from .export_predictions import ExportDialog, export_predictions
from .results_parts import Pictures, Scrolling, fit_columns
from .results_row import WAIT_MILLISECONDS
from .results_rows import RowsModel

TOP = 10
_LISTED_ROWS = 11


class UsersTab(QWidget):
    """Test users left; history, recommendations and reasons of the chosen one right."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunRecord | None = None
        self._user: int | None = None
        self._answer: UserRecommended | None = None
        self.dialog: ExportDialog | None = None
        self.users, self.history, self.items = RowsModel(self), RowsModel(self), RowsModel(self)
        self.table, self.history_table, self.item_table = DataTable(), DataTable(), DataTable()
        self.pictures = Pictures(session)
        self._wait = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._wait.timeout.connect(self.ask)
        self._stack = QStackedWidget()
        self._build()

    def show_users(self, run: RunRecord, users: pa.Table) -> None:
        """Show the test users of a run and ask about the first."""
        self._run, self._user, self._answer = run, None, None
        self._every.setEnabled(True)
        shown = users.drop_columns(["recommended"]) if "recommended" in users.column_names else users
        self.users.set_rows(shown)
        self._stack.setCurrentIndex(1 if users.num_rows else 0)
        self._detail.hide()
        if users.num_rows:
            fit_columns(self.table)
            self.table.selectRow(0)

    def choose_line(self, line: int) -> None:
        """Ask about the user on a line of the table."""
        if line < 0:
            return
        user = self.users.at(line)
        if user != self._user:
            self._user = user
            self._wait.start()

    def ask(self) -> None:
        """Ask the worker what is recommended to the chosen user."""
        if self._run is None or self._user is None or self._session.project is None:
            return
        command = RecommendToUser(self._session.project.folder, self._run.id, self._user, TOP)
        self._session.ask("recommend", command, self.show_answer, busy=self.tr("Ranking all items for the user…"))

    def show_answer(self, answer: UserRecommended) -> None:
        """Show history and recommendations, and ask why the first item is recommended."""
        if answer.user != self._user:
            return
        self._answer = answer
        self._detail.show()
        self._headline.setText(self._words(answer))
        self._fill(self.history, self.history_table, _history_rows(answer))
        self._fill(self.items, self.item_table, _item_rows(answer, self.tr("chosen next")))
        self._reasons.setText("")
        if answer.items:
            self.item_table.selectRow(0)
        else:
            self.pictures.show_picture("why", None)

    def choose_item(self, line: int) -> None:
        """Ask why the item on a line of the list is recommended."""
        if self._answer is None or self._run is None or self._session.project is None or line < 0:
            return
        item = self._answer.items[self.items.at(line)].id
        command = ExplainRecommendation(self._session.project.folder, self._run.id, self._answer.user, item, TOP)
        self._session.ask("why item", command, self.show_reasons, busy=self.tr("Removing one event after the other…"))

    def show_reasons(self, answer: RecommendationExplained) -> None:
        """Show what each event lends to the item, unless another user was chosen meanwhile."""
        if answer.user != self._user:
            return
        self.pictures.show_picture("why", answer.bars)
        self._reasons.setText(self._reason_words(answer))

    def score(self) -> None:
        """Ask what goes where, and queue the lists of every user of the source."""
        if self._run is not None and self._session.project is not None:
            words = self.tr("Recommend with {model}").format(model=self._run.title or self._run.model)
            self.dialog = export_predictions(self._session, self._run, words, self, top=TOP)

    def _build(self) -> None:
        empty = EmptyState(
            "results", self.tr("No users to look at"), self.tr("This run ended before its test users were ranked.")
        )
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * SPACE)
        splitter.addWidget(self._make_side())
        splitter.addWidget(Scrolling(self._make_detail(), self.tr("The chosen user")))
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([270, 540])
        self._stack.addWidget(empty)
        self._stack.addWidget(splitter)
        self._stack.setCurrentWidget(splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self._stack, 1)
        self._detail.hide()  # the scroll area has shown it

    def _make_side(self) -> QWidget:
        search = SearchBox(self.tr("Find users"))
        self._typed = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._typed.timeout.connect(lambda: self.users.search(search.text()))
        search.textChanged.connect(lambda _: self._typed.start())
        _set_up(self.table, self.users, self.tr("Test users"))
        self.table.setSortingEnabled(True)
        self.table.selectionModel().currentRowChanged.connect(lambda now, _: self.choose_line(now.row()))
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addWidget(search)
        column.addWidget(self.table, 1)
        self._every = Button(self.tr("Recommend to every user…"))
        self._every.clicked.connect(lambda _: self.score())
        self._every.setEnabled(False)
        column.addWidget(self._every)
        return side

    def _make_detail(self) -> QWidget:
        self._headline = Title(level=2)
        self._headline.setWordWrap(True)
        self._reasons = QLabel(wordWrap=True)
        _set_up(self.history_table, self.history, self.tr("History, latest first"))
        _set_up(self.item_table, self.items, self.tr("Recommended items"))
        self.item_table.selectionModel().currentRowChanged.connect(lambda now, _: self.choose_item(now.row()))
        tables = QHBoxLayout()
        tables.setSpacing(2 * SPACE)
        for words, table, share in (
            (self.tr("History"), self.history_table, 1),
            (self.tr("Recommended"), self.item_table, 1),
        ):
            column = QVBoxLayout()
            column.setSpacing(SPACE)
            column.addWidget(Title(words, level=3))
            column.addWidget(table)
            tables.addLayout(column, share)
        self._detail = QWidget()
        column = QVBoxLayout(self._detail)
        column.setContentsMargins(0, 0, SPACE, SPACE)
        column.setSpacing(2 * SPACE)
        column.addWidget(self._headline)
        column.addLayout(tables)
        column.addWidget(self.pictures)
        column.addWidget(self._reasons)
        column.addWidget(Muted(self.tr("Similarity by text is shown beside, and is no reason by itself.")))
        column.addStretch(1)
        self._detail.hide()
        return self._detail

    def _fill(self, model: RowsModel, table: DataTable, rows: pa.Table) -> None:
        model.set_rows(rows)
        fit_columns(table, widest=260)
        place = model.names.index("item")
        table.horizontalHeader().setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
        row = table.verticalHeader().defaultSectionSize()
        table.setMinimumHeight(_LISTED_ROWS * row + table.horizontalHeader().sizeHint().height())

    def _words(self, answer: UserRecommended) -> str:
        if answer.target_rank is None:
            words = self.tr("User {name}: chose {item} next, which cannot be found because it was chosen before.")
            return words.format(name=answer.name, item=answer.target.title)
        words = self.tr("User {name}: chose {item} next, at rank {rank}")
        return words.format(name=answer.name, item=answer.target.title, rank=numbers.number(answer.target_rank, 0))

    def _reason_words(self, answer: RecommendationExplained) -> str:
        parts = []
        if answer.removal:
            words = self.tr("Without {events} the item would not be among the first {top}.")
            parts.append(words.format(events=", ".join(answer.removal), top=answer.top))
        alike = [effect for effect in answer.effects if effect.similarity is not None]
        if alike:
            best = max(alike, key=lambda effect: effect.similarity or 0.0)
            words = self.tr("Most similar by text: {item} (cosine {value}).")
            parts.append(words.format(item=best.title, value=numbers.number(best.similarity or 0.0, 2)))
        return "\n".join((*parts, answer.method))


def _set_up(table: DataTable, model: RowsModel, name: str) -> None:
    table.setModel(model)
    table.setAccessibleName(name)
    table.setSelectionBehavior(DataTable.SelectionBehavior.SelectRows)
    table.setSelectionMode(DataTable.SelectionMode.SingleSelection)


def _history_rows(answer: UserRecommended) -> pa.Table:
    """Return the history, the latest event first; of a time the day, so that the item has room."""
    events = answer.history[::-1]
    times = [event.time.partition(" ")[0] for event in events]
    columns = {"item": [event.title for event in events], **({"when": times} if any(times) else {})}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _item_rows(answer: UserRecommended, chosen: str) -> pa.Table:
    notes = pa.array([chosen if item.is_target else "" for item in answer.items], pa.string())
    return pa.table(
        {
            "rank": pa.array([item.rank for item in answer.items], pa.int64()),
            "item": pa.array([item.title for item in answer.items], pa.string()),
            "score": pa.array([item.score for item in answer.items], pa.float64()),
            **({"note": notes} if any(item.is_target for item in answer.items) else {}),
        }
    )
