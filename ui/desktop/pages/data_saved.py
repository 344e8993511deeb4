"""Saved connections: open, rename, forget the password, delete; by mouse, menu and keyboard."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from crosslens.runs import StoredConnection

from ..fonts import SPACE
from ..models.connections import Column, ConnectionsModel, Entry
from ..opening import open_project, open_saved
from ..session import Session
from ..sources import read_url, source_name
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Title
from ..widgets.views import DataTable

WIDEST = 220
"""How wide a column grows with its words; the place takes what is left."""
MOST_LINES = 6
"""How many connections are shown before the list scrolls."""


class SavedConnections(QWidget):
    """The project's connections, and the servers other projects were opened with. `changed`: others are shown."""

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.model = ConnectionsModel(self)
        self.model.renamed.connect(lambda entry, name: session.connections.rename(entry.saved, name))
        self.view = self._make_view()
        self._make_actions()
        more = Button("", weight=Weight.QUIET, icon_name="more")
        more.setAccessibleName(self.tr("What to do with the chosen connection"))
        more.setToolTip(more.accessibleName())
        more.setMenu(self.menu)
        head = QHBoxLayout()
        head.addWidget(Title(self.tr("Saved connections"), level=3), 1)
        head.addWidget(more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE // 2)
        layout.addLayout(head)
        layout.addWidget(self.view)
        session.connections.changed.connect(self.refresh)
        self.refresh()

    @property
    def count(self) -> int:
        """Return how many connections are listed."""
        return self.model.rowCount()

    @property
    def chosen(self) -> Entry | None:
        """Return the chosen connection."""
        return self.model.entry(self.view.currentIndex().row())

    def refresh(self) -> None:
        """List what is saved now; the chosen line stays chosen where it can."""
        row, project = max(self.view.currentIndex().row(), 0), self._session.project
        entries = (*self._of_project(), *self._of_others())
        self.model.show_entries(entries, editable=project is not None and not project.read_only)
        lines = min(max(len(entries), 1), MOST_LINES)
        rows = lines * self.view.verticalHeader().defaultSectionSize()
        self.view.setFixedHeight(self.view.horizontalHeader().sizeHint().height() + rows + 2)
        if entries:
            self.view.setCurrentIndex(self.model.index(min(row, len(entries) - 1), Column.NAME))
        self._allow()
        self.changed.emit()

    def open_chosen(self) -> None:
        """Open the chosen connection, or the project that has it."""
        entry = self.chosen
        if entry is None:
            return
        if entry.project:
            open_project(self._session, Path(entry.project))
        else:
            open_saved(self._session, entry.saved.spec)

    def rename_chosen(self) -> None:
        """Let the name of the chosen connection be typed anew."""
        index = self.view.currentIndex().siblingAtColumn(Column.NAME)
        if self.model.flags(index) & Qt.ItemFlag.ItemIsEditable:
            self.view.setCurrentIndex(index)
            self.view.edit(index)

    def forget_password(self) -> None:
        """Forget the password of the chosen connection."""
        entry = self.chosen
        if entry is not None and self._session.connections.forget_secret(entry.saved.spec):
            said = self.tr("The password of “{name}” is forgotten. It is asked for when you open it next.")
            self._session.notify(said.format(name=entry.saved.name), tone="good")

    def delete_chosen(self) -> None:
        """Delete the chosen connection after asking."""
        entry = self.chosen
        if entry is None or not self.delete_action.isEnabled():
            return
        question = DeleteQuestion(entry.saved, self)
        if question.ask():
            self._session.connections.delete(entry.saved, with_password=question.with_password)
        question.deleteLater()

    def _of_project(self) -> list[Entry]:
        return [Entry(saved) for saved in self._session.connections.saved()]

    def _of_others(self) -> list[Entry]:
        project = self._session.project
        here = None if project is None else str(project.folder)
        entries = []
        for recent in self._session.preferences.recent():
            if "://" in recent.database and recent.folder != here:
                spec = read_url(recent.database)
                entries.append(Entry(StoredConnection("", source_name(spec), spec), recent.folder))
        return entries

    def _make_view(self) -> DataTable:
        view = DataTable()
        view.setAccessibleName(self.tr("Saved connections"))
        view.setModel(self.model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)  # F2 is an action of ours
        heads = view.horizontalHeader()
        heads.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        heads.setMaximumSectionSize(WIDEST)
        heads.setSectionResizeMode(Column.PLACE, QHeaderView.ResizeMode.Stretch)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.activated.connect(lambda _: self.open_chosen())
        view.selectionModel().currentChanged.connect(lambda *_: self._allow())
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._open_menu)
        return view

    def _make_actions(self) -> None:
        self.menu = QMenu(self)
        self.open_action = self._action(self.tr("Open"), self.open_chosen)
        self.rename_action = self._action(self.tr("Rename…"), self.rename_chosen, "F2")
        self.forget_action = self._action(self.tr("Forget password"), self.forget_password)
        self.delete_action = self._action(self.tr("Delete…"), self.delete_chosen, "Del")
        self.menu.aboutToShow.connect(self._allow)

    def _action(self, words: str, act: object, keys: str = "") -> QAction:
        action = QAction(words, self.view)
        if keys:
            action.setShortcut(QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            self.view.addAction(action)
        action.triggered.connect(lambda _: act())  # type: ignore[operator]
        self.menu.addAction(action)
        return action

    def _open_menu(self, place: QPoint) -> None:
        index = self.view.indexAt(place)
        if index.isValid():
            self.view.setCurrentIndex(index)
            self.menu.popup(self.view.viewport().mapToGlobal(place))

    def _allow(self) -> None:
        """Enable what can be done with the chosen connection."""
        entry, project = self.chosen, self._session.project
        own = entry is not None and not entry.project and project is not None and not project.read_only
        self.open_action.setEnabled(entry is not None)
        self.rename_action.setEnabled(own)
        self.delete_action.setEnabled(own)
        # Whether the keyring holds one is not looked up: asking a locked keyring would have the system ask the user.
        self.forget_action.setEnabled(own and bool(entry and entry.saved.spec.credential))


class DeleteQuestion(QMessageBox):
    """Asks whether a saved connection may go, and its password with it; says what stays."""

    def __init__(self, saved: StoredConnection, parent: QWidget) -> None:
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle(self.tr("Delete a saved connection"))
        self.setText(self.tr("Delete the connection “{name}”?").format(name=saved.name))
        self.setInformativeText(
            self.tr(
                "The database itself is not touched. What was trained on it stays readable; to train it again, "
                "Crosslens will ask for the password."
            )
            if saved.spec.credential
            else self.tr("The database itself is not touched, and what was trained on it stays.")
        )
        self._password: QCheckBox | None = None
        if saved.spec.credential:
            self._password = QCheckBox(self.tr("Forget its password as well"))
            self._password.setChecked(True)
            self.setCheckBox(self._password)
        self.delete_button = self.addButton(self.tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        self.keep_button = self.addButton(self.tr("Keep it"), QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.keep_button)

    @property
    def with_password(self) -> bool:
        """Whether the password is to be forgotten as well."""
        return self._password is not None and self._password.isChecked()

    def ask(self) -> bool:
        """Return whether the connection is to be deleted."""
        self.exec()
        return self.clickedButton() is self.delete_button
