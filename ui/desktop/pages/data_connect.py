"""Connect to a server: the connections that were saved, the form for another one, and what came of trying it.

A password stays with the form until one leaves the panel; if the connection was made, it is then the session's or the
system's keyring's to keep.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.commands import OpenSource, SourceOverview
from crosslens.relational import ConnectionSpec

from ..fonts import SPACE
from ..opening import open_saved, open_source
from ..session import Session
from ..sources import is_same_source, source_name
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted, Title
from ..worker_client import Failure, Request
from .data_connect_answer import AnswerLines, Said
from .data_connect_form import ConnectionForm
from .data_saved import SavedConnections


class ConnectPanel(QScrollArea):
    """Saved connections, the form, Connect and Test. `left` tells that one goes back."""

    left = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._asked: ConnectionSpec | None = None
        self._testing: Request | None = None
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.form, self.lines, self.saved = ConnectionForm(), AnswerLines(), SavedConnections(session)
        self.test_button = Button(self.tr("Test"))
        self.connect_button = Button(self.tr("Connect"), weight=Weight.PRIMARY)
        self.back_button = Button(self.tr("Back"), weight=Weight.QUIET)
        self._lay_out()
        self.form.said.connect(self.lines.say)
        self.form.submitted.connect(self.connect_now)
        self.test_button.clicked.connect(lambda: self.test())
        self.connect_button.clicked.connect(lambda: self.connect_now())
        self.back_button.clicked.connect(lambda: self.left.emit())
        self.saved.changed.connect(self._show_saved)

    def begin(self, connection: ConnectionSpec | None = None) -> None:
        """Start with an empty form, or with a saved connection whose password is to be typed."""
        self._asked = connection
        self.lines.say(Said())
        self.form.start(connection, lasting=self._session.services.credentials.is_lasting)
        self.saved.refresh()
        self._show_saved()
        self.verticalScrollBar().setValue(0)

    @property
    def answer(self) -> str:
        """Return what is said about the last test."""
        return self.lines.text

    @property
    def testing(self) -> bool:
        """Whether a test is under way."""
        return self._testing is not None

    def test(self) -> None:
        """Try the connection without opening it, or stop trying."""
        if self._testing is not None:
            self._testing.stop()
            return
        connection = self.form.complete()
        if connection is None:
            return
        command = OpenSource(connection)
        request = self._session.request(command, None, lambda failure: self._failed(request, failure), lane="aside")
        request.finished.connect(lambda overview: self._worked(request, overview))
        request.stopped.connect(lambda: self._end_test(request))
        self._testing = request
        self.lines.say(Said())
        self._name_test()

    def connect_now(self) -> None:
        """Open the connection: in the project that asked for its password, else in its own, made or found again."""
        connection, session = self.form.complete(), self._session
        if connection is None:
            return
        remember = self.form.remember.isChecked()

        def opened() -> None:
            if connection.secret is not None:
                session.connections.keep_secret(connection, connection.secret, remember=remember)

        if self._asked is not None and session.project is not None and is_same_source(self._asked, connection):
            open_saved(session, connection, opened)
        else:
            open_source(session, connection, opened)

    def hideEvent(self, event: QHideEvent) -> None:
        """Forget the password when one goes elsewhere."""
        super().hideEvent(event)
        self.form.forget()
        if self._testing is not None:
            self._testing.stop()

    def _lay_out(self) -> None:
        self.title, self._new = Title("", level=1), Title(self.tr("Another one"), level=2)
        hint = Muted(self.tr("Everything is read, nothing is written. Best with a user who may do nothing but SELECT."))
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        for button in (self.connect_button, self.test_button, self.back_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        inner = QWidget()
        inner.setMaximumWidth(860)
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 3 * SPACE)
        column.setSpacing(SPACE + 4)
        for widget in (self.title, hint, self.saved, self._new, self.form):
            column.addWidget(widget)
        column.addLayout(buttons)
        column.addWidget(self.lines)
        column.addStretch(1)
        outer = QWidget()
        row = QHBoxLayout(outer)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(inner, 100)
        row.addStretch(1)
        self.setWidget(outer)

    def _show_saved(self) -> None:
        """Show the list, unless there is none or a password is being asked for."""
        asked, listed = self._asked, self._asked is None and self.saved.count > 0
        self.saved.setVisible(listed)
        self._new.setVisible(listed)
        words = self.tr("Connections") if listed else self.tr("Connect to a server")
        if asked is not None:
            words = self.tr("Password for {name}").format(name=source_name(asked))
        self.title.setText(words)

    def _worked(self, request: Request, overview: SourceOverview) -> None:
        if request is not self._testing:
            return
        self._end_test(request)
        words = self.tr("It works: %n table(s) can be read.", "", len(overview.tables))
        if overview.read_only:
            self.lines.say(Said(words, overview.read_only, "good", self.tr("read-only")))
        else:
            self.lines.say(Said(words, self._not_enforced(), "warn", self.tr("read-only not enforced")))

    def _not_enforced(self) -> str:
        return self.tr(
            "Crosslens only reads, but nothing in this database keeps it from writing. "
            "Use a user who may do nothing but SELECT."
        )

    def _failed(self, request: Request, failure: Failure) -> None:
        if request is self._testing:
            self._end_test(request)
            self.lines.say(Said.of(failure))

    def _end_test(self, request: Request) -> None:
        if request is self._testing:
            self._testing = None
            self._name_test()

    def _name_test(self) -> None:
        self.test_button.setText(self.tr("Testing… Stop") if self._testing is not None else self.tr("Test"))
        self.test_button.updateGeometry()
