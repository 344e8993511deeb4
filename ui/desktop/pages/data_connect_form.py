"""The form of a connection: where the server is, who one is, how the way there is guarded. It asks nobody anything.

What is typed as a password leaves its box before anything is asked; the form holds it until it is told to forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from core.connections import TITLES, url_with_options
from crosslens.errors import UserError
from crosslens.relational import ConnectionSpec

from ..fonts import SPACE
from ..sources import default_port, is_file, read_url, without_secret
from ..ssl_options import Ssl, SslMode, has_ssl, read_ssl, ssl_options
from ..widgets.buttons import Button
from ..widgets.cards import Card
from ..widgets.labels import Muted
from ..widgets.views import roomy
from .data_connect_answer import Said

KINDS = ("postgresql", "mariadb", "mysql")
"""Dialects to choose from; the last choice is any other."""
OTHER = ""
"""The kind that stands for any other dialect."""
PASSWORD, VARIABLE, OWN = "password", "variable", "own"
"""Ways to sign in."""
PASTED = 3
"""More letters than that at once were pasted, not typed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What has been chosen so far; `lasting`: whether this computer has a keyring."""

    dialect: str
    way: str = PASSWORD
    mode: SslMode = SslMode.OFFERED
    lasting: bool = False

    @property
    def has_files(self) -> bool:
        """Whether certificates matter."""
        return has_ssl(self.dialect) and self.mode not in (SslMode.OFFERED, SslMode.DISABLE)


SHOWN: Mapping[str, Callable[[Chosen], bool]] = {
    "dialect": lambda chosen: chosen.dialect == OTHER,
    "password": lambda chosen: chosen.way == PASSWORD,
    "remember": lambda chosen: chosen.way == PASSWORD and chosen.lasting,
    "passing": lambda chosen: chosen.way == PASSWORD and not chosen.lasting,
    "variable": lambda chosen: chosen.way == VARIABLE,
    "ssl": lambda chosen: has_ssl(chosen.dialect),
    "authority": lambda chosen: chosen.has_files,
    "certificate": lambda chosen: chosen.has_files,
    "key": lambda chosen: chosen.has_files,
}
"""When a line of the form is there; those without an entry always are."""


class ConnectionForm(Card):
    """Edits one ConnectionSpec. `submitted`: Return in the password; `said`: what is to be told (a Said)."""

    submitted = Signal()
    said = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._lasting = False
        self._secret: str | None = None
        self._credential = ""
        self._url_length = 0
        self._rest: Mapping[str, str] = {}
        self._make_boxes()
        self._make_choices()
        self._lines = self._lay_out()
        self._watch()

    def start(self, connection: ConnectionSpec | None = None, *, lasting: bool) -> None:
        """Start empty, or with a connection whose password is to be typed; `lasting`: there is a keyring."""
        self.forget()
        self._lasting = lasting
        self._credential = "" if connection is None else connection.credential
        self.remember.setChecked(lasting)
        self._fill(connection or ConnectionSpec("postgresql", "", port=default_port("postgresql")))
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
    def secret(self) -> str | None:
        """Return the password that was typed or came with a URL."""
        return self._secret

    def complete(self) -> ConnectionSpec | None:
        """Return the connection with its password, whose box is empty afterwards; None says what is missing."""
        if self.url.text() and "://" in self.url.text() and not self.database.text() and not self.host.text():
            self._read_url()
        if not self._dialect:
            self.said.emit(Said(self.tr("Which kind of database is it?"), self.tr("Name SQLAlchemy’s dialect.")))
            return None
        if not self.database.text().strip() and not self.host.text().strip():
            self.said.emit(Said(self.tr("Where is the database?"), self.tr("Fill in server and database.")))
            return None
        return self._with_secret()

    def forget(self) -> None:
        """Forget the password, wherever it was typed."""
        self._secret = None
        self.password.clear()
        self.password.setPlaceholderText("")
        self.url.clear()
        self._url_length = 0

    def shows(self, name: str) -> bool:
        """Whether a line of the form is there."""
        return self._form.isRowVisible(self._lines[name])

    @property
    def _dialect(self) -> str:
        return str(self.kind.currentData()) or self.dialect.text().strip()

    def _make_boxes(self) -> None:
        self.url, self.dialect, self.host, self.database, self.username, self.password, self.variable = (
            QLineEdit() for _ in range(7)
        )
        for box, example in (
            (self.url, "postgresql://reader@db.example.org:5432/shop"),
            (self.dialect, "mssql+pyodbc"),
            (self.host, "localhost"),
            (self.variable, "SHOP_PASSWORD"),
        ):
            box.setPlaceholderText(example)
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.port = QSpinBox(minimum=0, maximum=65_535)
        self.port.setSpecialValueText(self.tr("usual"))
        self.remember = QCheckBox(self.tr("Remember it in this computer’s keyring"))
        self.files = tuple(
            FileLine(name)
            for name in (
                self.tr("Certificate of the authority"),
                self.tr("Your own certificate"),
                self.tr("Key of your certificate"),
            )
        )

    def _make_choices(self) -> None:
        self.kind, self.way, self.ssl = QComboBox(), QComboBox(), QComboBox()
        for dialect in KINDS:
            self.kind.addItem(TITLES[dialect], dialect)
        self.kind.addItem(self.tr("Another one"), OTHER)
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
        for combo in (self.kind, self.way, self.ssl):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(18)

    def _lay_out(self) -> dict[str, QWidget]:
        self._name_all()
        self._form = form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        place = QWidget()
        line = QHBoxLayout(place)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(SPACE)
        line.addWidget(self.host, 1)
        line.addWidget(Muted(self.tr("port"), wrap=False))
        line.addWidget(self.port)
        passing = Muted(self.tr("This computer has no keyring: the password is kept until Crosslens closes."))
        lines: tuple[tuple[str, str, QWidget], ...] = (
            ("url", self.tr("Paste a URL"), self.url),
            ("kind", self.tr("Kind"), self.kind),
            ("dialect", self.tr("Dialect"), self.dialect),
            ("server", self.tr("Server"), place),
            ("database", self.tr("Database"), self.database),
            ("username", self.tr("User"), self.username),
            ("way", self.tr("Sign in with"), self.way),
            ("password", self.tr("Password"), self.password),
            ("remember", "", self.remember),
            ("passing", "", passing),
            ("variable", self.tr("Variable"), self.variable),
            ("ssl", self.tr("Encrypt (SSL)"), self.ssl),
            ("authority", self.tr("Authority"), self.files[0]),
            ("certificate", self.tr("Certificate"), self.files[1]),
            ("key", self.tr("Key"), self.files[2]),
        )
        for _, words, field in lines:
            form.addRow(words, field)
        self.body.addLayout(form)
        return {name: field for name, _, field in lines}

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

    def _watch(self) -> None:
        self.url.textChanged.connect(self._see_url)
        self.url.editingFinished.connect(self._read_url)
        self.kind.currentIndexChanged.connect(lambda _: self._show_kind())
        self.way.currentIndexChanged.connect(lambda _: self._show_lines())
        self.ssl.currentIndexChanged.connect(lambda _: self._show_lines())
        self.password.returnPressed.connect(lambda: self.submitted.emit())

    def _show_kind(self) -> None:
        known = {default_port(str(self.kind.itemData(row))) for row in range(self.kind.count())}
        if self.port.value() in known:
            self.port.setValue(default_port(self._dialect))
        self._show_lines()

    def _show_lines(self) -> None:
        mode = SslMode(self.ssl.currentData())
        chosen = Chosen(str(self.kind.currentData()), self.way.currentData(), mode, self._lasting)
        for name, is_shown in SHOWN.items():
            self._form.setRowVisible(self._lines[name], is_shown(chosen))

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
        ssl, self._rest = read_ssl(connection.dialect, without_secret(connection).options)
        self.ssl.setCurrentIndex(self.ssl.findData(ssl.mode))
        for line, path in zip(self.files, (ssl.authority, ssl.certificate, ssl.key), strict=True):
            line.box.setText(path)
        self._show_lines()

    def _options(self) -> dict[str, str]:
        ssl = Ssl(SslMode(self.ssl.currentData()), *(line.box.text().strip() for line in self.files))
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
            self.said.emit(Said.of(error))
            return
        if is_file(connection):
            self.said.emit(Said(self.tr("This is a file."), self.tr("Open it with “Open a database file…”.")))
            return
        self.said.emit(Said())
        if connection.secret is not None:
            self._hold(connection.secret)
        self.url.blockSignals(True)
        self.url.setText(url_with_options(without_secret(connection)))
        self.url.blockSignals(False)
        self._url_length = len(self.url.text())
        self._fill(connection)

    def _with_secret(self) -> ConnectionSpec:
        if typed := self.password.text():
            self._hold(typed)
        connection = self.connection
        self._credential = connection.credential or self._credential
        return replace(connection, secret=self._secret if self.way.currentData() == PASSWORD else None)

    def _hold(self, secret: str) -> None:
        self._secret = secret
        self.password.clear()
        self.password.setPlaceholderText(self.tr("entered; type to replace it"))


class FileLine(QWidget):
    """A path to type, and a button that chooses one."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QLineEdit()
        self.box.setAccessibleName(name)
        roomy(self.box)
        self.button = Button(self.tr("Choose…"))
        self.button.setAccessibleName(self.tr("Choose: {what}").format(what=name))
        self.button.setFixedHeight(self.box.minimumHeight())
        self.button.clicked.connect(lambda: self._choose(name))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(self.box, 1)
        layout.addWidget(self.button)

    def _choose(self, name: str) -> None:
        path, _ = QFileDialog.getOpenFileName(self, name, str(Path.home()))
        if path:
            self.box.setText(path)
