"""Connect to a server: where it is, who one is, how the way there is guarded. Passwords pass through and are not kept.

What is typed as a password leaves its box before anything is asked; it is held by this panel until one leaves it, and
then, if the connection was made, by the session or the system's keyring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.commands import OpenSource, SourceOverview
from core.connections import url_with_options
from crosslens.errors import UserError
from crosslens.relational import ConnectionSpec

from ..fonts import SPACE
from ..opening import open_project, open_saved, open_source
from ..session import Session
from ..sources import default_port, is_file, is_guarded, read_url, source_name, source_place, without_secret
from ..ssl_options import Ssl, SslMode, has_ssl, read_ssl, ssl_options
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Card
from ..widgets.labels import Badge, Elided, Muted, Title
from ..widgets.views import roomy
from ..worker_client import Failure, Request

OTHER = ""
"""The kind that stands for any other dialect."""
PASSWORD, VARIABLE, OWN = "password", "variable", "own"
PASTED = 3
"""More letters than that at once were pasted, not typed."""


class ConnectPanel(QScrollArea):
    """The form, what came of a test, and the connections that were saved. `left` tells that one goes back."""

    left = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._secret: str | None = None
        self._credential = ""
        self._testing: Request | None = None
        self._url_length = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._make_boxes()
        self._make_answer()
        self._lay_out()
        self._watch()

    def begin(self, connection: ConnectionSpec | None = None) -> None:
        """Start with an empty form, or with a saved connection whose password is to be typed."""
        self._forget_secret()
        self._say()
        self._credential = "" if connection is None else connection.credential
        self._fill(connection or ConnectionSpec("postgresql", "", port=default_port("postgresql")))
        lasting = self._session.services.credentials.is_lasting
        self.remember.setVisible(lasting)
        self.remember.setChecked(lasting)
        self._passing.setVisible(not lasting)
        self._title.setText(
            self.tr("Connect to a server")
            if connection is None
            else self.tr("Password for {name}").format(name=source_name(connection))
        )
        self._show_saved()
        (self.host if connection is None else self.password).setFocus()

    @property
    def connection(self) -> ConnectionSpec:
        """Return what the form describes, without a secret."""
        way = self.way.currentData()
        return ConnectionSpec(
            dialect=self._dialect,
            database=self.database.text().strip(),
            host=self.host.text().strip(),
            port=self.port.value(),
            username=self.username.text().strip(),
            options=self._options(),
            credential=(self._credential or uuid4().hex) if way == PASSWORD else "",
            password_variable=self.variable.text().strip() if way == VARIABLE else "",
        )

    @property
    def answer(self) -> str:
        """Return what is said about the last test."""
        return "\n".join(label.text() for label in (self._what, self._more) if label.text())

    def test(self) -> None:
        """Try the connection without opening it, or stop trying."""
        if self._testing is not None:
            self._testing.stop()
            return
        if not self._complete():
            return
        command = OpenSource(self._with_secret())
        request = self._session.request(command, None, lambda failure: self._failed(request, failure), lane="aside")
        request.finished.connect(lambda overview: self._worked(request, overview))
        request.stopped.connect(lambda: self._end_test(request))
        self._testing = request
        self._say()
        self._name_test()

    def connect_now(self) -> None:
        """Open the connection: its project is made, or found again."""
        if not self._complete():
            return
        connection, session, remember = self._with_secret(), self._session, self.remember.isChecked()

        def opened() -> None:
            if connection.secret is not None:
                session.keep_secret(connection, connection.secret, remember=remember)

        open_source(session, connection, opened)

    def hideEvent(self, event: QHideEvent) -> None:
        """Forget the password when one goes elsewhere."""
        super().hideEvent(event)
        self._forget_secret()
        if self._testing is not None:
            self._testing.stop()

    @property
    def _dialect(self) -> str:
        return str(self.kind.currentData()) or self.dialect.text().strip()

    def _make_boxes(self) -> None:
        self.url = QLineEdit()
        self.url.setPlaceholderText("postgresql://reader@db.example.org:5432/shop")
        self.kind, self.way, self.ssl = QComboBox(), QComboBox(), QComboBox()
        for words, dialect in (
            ("PostgreSQL", "postgresql"), ("MariaDB", "mariadb"), ("MySQL", "mysql"), (self.tr("Another one"), OTHER),
        ):  # fmt: skip
            self.kind.addItem(words, dialect)
        for words, way in (
            (self.tr("Password"), PASSWORD),
            (self.tr("Password in an environment variable"), VARIABLE),
            (self.tr("As the driver does by itself (.pgpass, option file, socket)"), OWN),
        ):
            self.way.addItem(words, way)
        for words, mode in (
            (self.tr("As driver and server agree"), SslMode.OFFERED),
            (self.tr("Always"), SslMode.REQUIRE),
            (self.tr("Always, and check the certificate"), SslMode.VERIFY_CA),
            (self.tr("Always, and check certificate and host name"), SslMode.VERIFY_FULL),
            (self.tr("Never"), SslMode.DISABLE),
        ):
            self.ssl.addItem(words, mode)
        self.dialect, self.host, self.database, self.username = (QLineEdit() for _ in range(4))
        self.dialect.setPlaceholderText("mssql+pyodbc")
        self.host.setPlaceholderText("localhost")
        self.port = QSpinBox(minimum=0, maximum=65_535)
        self.port.setSpecialValueText(self.tr("usual"))
        self.password = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self.variable = QLineEdit()
        self.variable.setPlaceholderText("SHOP_PASSWORD")
        self.remember = QCheckBox(self.tr("Remember it in this computer’s keyring"))
        self._passing = Muted(self.tr("This computer has no keyring: the password is kept until Crosslens closes."))
        self.files = tuple(QLineEdit() for _ in range(3))
        self._rest: Mapping[str, str] = {}

    def _make_answer(self) -> None:
        self._badge, self._what, self._more = Badge(), QLabel(), Muted()
        self._what.setWordWrap(True)
        self._what.setTextFormat(Qt.TextFormat.PlainText)
        for label in (self._what, self._more):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.test_button = Button(self.tr("Test"))
        self.connect_button = Button(self.tr("Connect"), weight=Weight.PRIMARY)
        self.back_button = Button(self.tr("Back"), weight=Weight.QUIET)

    def _watch(self) -> None:
        self.url.textChanged.connect(self._see_url)
        self.url.editingFinished.connect(self._read_url)
        self.kind.currentIndexChanged.connect(lambda _: self._show_kind())
        self.way.currentIndexChanged.connect(lambda _: self._show_rows())
        self.ssl.currentIndexChanged.connect(lambda _: self._show_rows())
        self.password.returnPressed.connect(self.connect_now)
        self.test_button.clicked.connect(lambda: self.test())
        self.connect_button.clicked.connect(lambda: self.connect_now())
        self.back_button.clicked.connect(lambda: self.left.emit())

    def _lay_out(self) -> None:
        self._title = Title("", level=1)
        self._form = form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        place = QHBoxLayout()
        place.setSpacing(SPACE)
        place.addWidget(self.host, 1)
        place.addWidget(Muted(self.tr("port"), wrap=False))
        place.addWidget(self.port)
        for words, field in (
            (self.tr("Paste a URL"), self.url),
            (self.tr("Kind"), self.kind),
            (self.tr("Dialect"), self.dialect),
            (self.tr("Server"), place),
            (self.tr("Database"), self.database),
            (self.tr("User"), self.username),
            (self.tr("Sign in with"), self.way),
            (self.tr("Password"), self.password),
            ("", self.remember),
            ("", self._passing),
            (self.tr("Variable"), self.variable),
            (self.tr("Encrypt (SSL)"), self.ssl),
            (self.tr("Authority"), self._file_line(0, self.tr("Certificate of the authority"))),
            (self.tr("Certificate"), self._file_line(1, self.tr("Your own certificate"))),
            (self.tr("Key"), self._file_line(2, self.tr("Key of your certificate"))),
        ):
            form.addRow(words, field)
        self._name_all()
        card = Card()
        card.body.addLayout(form)
        self._set_inside(card)

    def _set_inside(self, card: Card) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        buttons.addWidget(self.connect_button)
        buttons.addWidget(self.test_button)
        buttons.addWidget(self.back_button)
        buttons.addStretch(1)
        said = QHBoxLayout()
        said.setSpacing(SPACE)
        said.addWidget(self._badge, 0, Qt.AlignmentFlag.AlignTop)
        said.addWidget(self._what, 1)
        self._saved = QVBoxLayout()
        self._saved.setSpacing(0)
        inner = QWidget()
        inner.setMaximumWidth(720)
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 3 * SPACE)
        column.setSpacing(SPACE + 4)
        column.addWidget(self._title)
        column.addWidget(
            Muted(self.tr("Everything is read, nothing is written. Best with a user who may do nothing but SELECT."))
        )
        column.addWidget(card)
        column.addLayout(buttons)
        column.addLayout(said)
        column.addWidget(self._more)
        column.addLayout(self._saved)
        column.addStretch(1)
        outer = QWidget()
        row = QHBoxLayout(outer)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(inner, 100)
        row.addStretch(1)
        self.setWidget(outer)

    def _name_all(self) -> None:
        for box, name in (
            (self.url, self.tr("URL of the database")),
            (self.kind, self.tr("Kind of database")),
            (self.dialect, self.tr("Dialect of SQLAlchemy")),
            (self.host, self.tr("Name or address of the server")),
            (self.port, self.tr("Port")),
            (self.database, self.tr("Name of the database")),
            (self.username, self.tr("User")),
            (self.way, self.tr("How to sign in")),
            (self.password, self.tr("Password")),
            (self.variable, self.tr("Environment variable that holds the password")),
            (self.ssl, self.tr("When to encrypt")),
        ):
            box.setAccessibleName(name)
            roomy(box)
        for combo in (self.kind, self.way, self.ssl):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(18)

    def _file_line(self, place: int, name: str) -> QWidget:
        box = self.files[place]
        box.setAccessibleName(name)
        roomy(box)
        choose = Button(self.tr("Choose…"))
        choose.setAccessibleName(self.tr("Choose: {what}").format(what=name))
        choose.setFixedHeight(box.minimumHeight())
        choose.clicked.connect(lambda: self._choose_file(box, name))
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(box, 1)
        layout.addWidget(choose)
        box.setProperty("line", line)
        return line

    def _choose_file(self, box: QLineEdit, name: str) -> None:
        path, _ = QFileDialog.getOpenFileName(self, name, str(Path.home()))
        if path:
            box.setText(path)

    def _show_kind(self) -> None:
        known = {default_port(str(self.kind.itemData(row))) for row in range(self.kind.count())}
        if self.port.value() in known:
            self.port.setValue(default_port(self._dialect))
        self._show_rows()

    def _show_rows(self) -> None:
        way, dialect, mode = self.way.currentData(), self.kind.currentData(), SslMode(self.ssl.currentData())
        lasting = self._session.services.credentials.is_lasting
        ssl = has_ssl(str(dialect))
        files = ssl and mode not in (SslMode.OFFERED, SslMode.DISABLE)
        for field, visible in (
            (self.dialect, dialect == OTHER),
            (self.password, way == PASSWORD),
            (self.remember, way == PASSWORD and lasting),
            (self._passing, way == PASSWORD and not lasting),
            (self.variable, way == VARIABLE),
            (self.ssl, ssl),
            *((box.property("line"), files) for box in self.files),
        ):
            self._form.setRowVisible(field, visible)

    def _fill(self, connection: ConnectionSpec) -> None:
        place = self.kind.findData(connection.dialect)
        self.kind.setCurrentIndex(place if place >= 0 else self.kind.findData(OTHER))
        self.dialect.setText("" if place >= 0 else connection.dialect)
        self.host.setText(connection.host)
        self.port.setValue(connection.port or default_port(connection.dialect))
        self.database.setText(connection.database)
        self.username.setText(connection.username)
        self.variable.setText(connection.password_variable)
        way = VARIABLE if connection.password_variable else PASSWORD
        self.way.setCurrentIndex(self.way.findData(way))
        self._fill_options(connection)
        self._show_rows()

    def _fill_options(self, connection: ConnectionSpec) -> None:
        ssl, self._rest = read_ssl(connection.dialect, without_secret(connection).options)
        self.ssl.setCurrentIndex(self.ssl.findData(ssl.mode))
        for box, path in zip(self.files, (ssl.authority, ssl.certificate, ssl.key), strict=True):
            box.setText(path)

    def _options(self) -> dict[str, str]:
        ssl = Ssl(SslMode(self.ssl.currentData()), *(box.text().strip() for box in self.files))
        return {**self._rest, **ssl_options(self._dialect, ssl)}

    def _see_url(self, text: str) -> None:
        """Take a pasted URL over at once: its password does not stay in the box."""
        pasted = len(text) - self._url_length > PASTED
        self._url_length = len(text)
        if pasted:
            self._read_url()

    def _read_url(self) -> None:
        text = self.url.text().strip()
        if not text:
            return
        try:
            connection = read_url(text)
        except UserError as error:
            self._say(error.what, " ".join(part for part in (error.why, error.do) if part), tone="bad")
            return
        self._say()
        if is_file(connection):
            self._say(self.tr("This is a file."), self.tr("Open it with “Open a database file…”."), tone="warn")
            return
        if connection.secret is not None:
            self._secret = connection.secret
            self._show_secret()
        self.url.blockSignals(True)
        self.url.setText(url_with_options(without_secret(connection)))
        self.url.blockSignals(False)
        self._url_length = len(self.url.text())
        self._fill(connection)

    def _complete(self) -> bool:
        """Whether the form can be used; says what is missing."""
        if self.url.text() and "://" in self.url.text() and not self.database.text() and not self.host.text():
            self._read_url()
        if not self._dialect:
            self._say(self.tr("Which kind of database is it?"), self.tr("Name SQLAlchemy’s dialect."), tone="warn")
            return False
        if not self.database.text().strip() and not self.host.text().strip():
            self._say(self.tr("Where is the database?"), self.tr("Fill in server and database."), tone="warn")
            return False
        return True

    def _with_secret(self) -> ConnectionSpec:
        """Return the connection with the password; the box is empty afterwards."""
        if typed := self.password.text():
            self._secret = typed
            self._show_secret()
        connection = self.connection
        self._credential = connection.credential or self._credential
        return replace(connection, secret=self._secret if self.way.currentData() == PASSWORD else None)

    def _show_secret(self) -> None:
        self.password.clear()
        self.password.setPlaceholderText(self.tr("entered; type to replace it"))

    def _forget_secret(self) -> None:
        self._secret = None
        self.password.clear()
        self.password.setPlaceholderText("")
        self.url.clear()
        self._url_length = 0

    def _worked(self, request: Request, overview: SourceOverview) -> None:
        if request is not self._testing:
            return
        self._end_test(request)
        words = self.tr("It works: %n table(s) can be read.", "", len(overview.tables))
        if overview.read_only:
            self._say(words, overview.read_only, tone="good", badge=self.tr("read-only"))
        else:
            self._say(words, _not_enforced(self), tone="warn", badge=self.tr("read-only not enforced"))

    def _failed(self, request: Request, failure: Failure) -> None:
        if request is self._testing:
            self._end_test(request)
            self._say(failure.what, " ".join(part for part in (failure.why, failure.do) if part), tone="bad")

    def _end_test(self, request: Request) -> None:
        if request is self._testing:
            self._testing = None
            self._name_test()

    def _name_test(self) -> None:
        self.test_button.setText(self.tr("Testing… Stop") if self._testing is not None else self.tr("Test"))
        self.test_button.updateGeometry()

    def _say(self, what: str = "", more: str = "", *, tone: str = "note", badge: str = "") -> None:
        self._what.setText(what)
        self._more.setText(more)
        icons = {"good": "lock", "warn": "warn", "bad": "bad", "note": "note"}
        words = badge or {"bad": self.tr("failed"), "warn": self.tr("not yet")}.get(tone, "")
        self._badge.show_as(words, tone=tone, icon_name=icons[tone])
        for label in (self._badge, self._what, self._more):
            label.setVisible(bool(what))
        self._what.setAccessibleName(f"{words}: {what}" if what else "")

    def _show_saved(self) -> None:
        while (item := self._saved.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
        lines = [*self._of_project(), *self._of_others()]
        if lines:
            self._saved.addWidget(Title(self.tr("Saved connections"), level=3))
        for line in lines:
            self._saved.addWidget(line)

    def _of_project(self) -> list[QWidget]:
        session = self._session
        saved = () if session.project is None else session.project.connections()
        return [
            _SavedLine(
                each.spec,
                each.name,
                partial(open_saved, session, each.spec),
                partial(session.forget_secret, each.spec) if each.spec.credential else None,
            )
            for each in saved
            if not is_file(each.spec)
        ]

    def _of_others(self) -> list[QWidget]:
        session = self._session
        here = None if session.project is None else str(session.project.folder)
        lines: list[QWidget] = []
        for recent in session.preferences.recent():
            if "://" in recent.database and recent.folder != here:
                spec = read_url(recent.database)
                act = partial(open_project, session, Path(recent.folder))
                lines.append(_SavedLine(spec, source_name(spec), act))
        return lines


class _SavedLine(QWidget):
    """A saved connection: its name as a button, where it is, its badge, and a way to have its password forgotten."""

    def __init__(
        self, connection: ConnectionSpec, name: str, act: Callable[[], None], forget: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        button = Button(name, weight=Weight.QUIET, icon_name="server")
        button.setAccessibleName(self.tr("Open saved connection {name}").format(name=name))
        button.clicked.connect(lambda: act())
        badge = Badge()
        if is_guarded(connection):
            badge.show_as(self.tr("read-only"), tone="good", icon_name="lock")
        else:
            badge.show_as(self.tr("read-only not enforced"), tone="warn", icon_name="warn")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(button)
        layout.addWidget(Elided(source_place(connection)), 1)
        layout.addWidget(badge)
        if forget is not None:
            layout.addWidget(self._forget_button(name, forget))

    def _forget_button(self, name: str, forget: Callable[[], None]) -> Button:
        button = Button(self.tr("Forget password"), weight=Weight.LINK)
        button.setAccessibleName(self.tr("Forget the password of {name}").format(name=name))
        button.clicked.connect(lambda: forget())
        button.clicked.connect(lambda: button.setEnabled(False))
        return button


def _not_enforced(panel: QWidget) -> str:
    return panel.tr(
        "Crosslens only reads, but nothing in this database keeps it from writing. "
        "Use a user who may do nothing but SELECT."
    )
