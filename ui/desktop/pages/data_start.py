"""What the Data page shows before there is a source: ways to begin, what was open before, and a drop zone."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QMenu, QScrollArea, QVBoxLayout, QWidget

from core.connections import PORTS

from ..fonts import SPACE
from ..opening import open_database, open_paths, open_project, try_sample
from ..palette import colours
from ..preferences import RecentProject
from ..session import Session
from ..sources import DATABASE_SUFFIXES, TABLE_SUFFIXES
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Choice
from ..widgets.labels import Badge, Elided, Muted, Title

DATABASES = " ".join(f"*{suffix}" for suffix in DATABASE_SUFFIXES)
COLUMNS = 3
"""Ways to begin beside each other."""
TABLES = " ".join(f"*{suffix}" for suffix in TABLE_SUFFIXES)


def choose_database(session: Session, parent: QWidget) -> None:
    """Ask for a database file and open it."""
    title = parent.tr("Open a database file")
    kinds = parent.tr("SQLite and DuckDB databases ({patterns})").format(patterns=DATABASES)
    path, _ = QFileDialog.getOpenFileName(parent, title, str(Path.home()), f"{kinds};;{parent.tr('All files (*)')}")
    if path:
        open_database(session, Path(path))


def choose_files(session: Session, parent: QWidget) -> None:
    """Ask for files of rows and open them: several must lie in one folder, whose files are tables beside each other."""
    title = parent.tr("Open files of rows")
    kinds = parent.tr("CSV, TSV, Parquet and Arrow files ({patterns})").format(patterns=TABLES)
    paths, _ = QFileDialog.getOpenFileNames(parent, title, str(Path.home()), f"{kinds};;{parent.tr('All files (*)')}")
    if paths:
        open_paths(session, [Path(path) for path in paths])


def choose_folder(session: Session, parent: QWidget) -> None:
    """Ask for a folder of files and open them as tables beside each other."""
    path = QFileDialog.getExistingDirectory(parent, parent.tr("Open a folder of files"), str(Path.home()))
    if path:
        open_database(session, Path(path))


def choose_project(session: Session, parent: QWidget) -> None:
    """Ask for a project folder and open it."""
    title = parent.tr("Open a Crosslens project folder")
    path = QFileDialog.getExistingDirectory(parent, title, str(session.preferences.projects_folder))
    if path:
        open_project(session, Path(path))


class StartPanel(QScrollArea):
    """The welcome. `connectWanted` asks for the panel that connects to a server."""

    connectWanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sample = Choice(
            self.tr("Try the sample"),
            self.tr("A generated shop with impressions, clicks and conversions, ready to train on."),
            "sample",
        )
        self.database = Choice(
            self.tr("Open a database file…"),
            self.tr("SQLite or DuckDB. It is opened read-only; Crosslens never writes to it."),
            "data",
        )
        self.server = Choice(
            self.tr("Connect to a server…"),
            self.tr("PostgreSQL, MariaDB, MySQL, or any database SQLAlchemy reaches."),
            "server",
        )
        self.files = Choice(
            self.tr("Open files…"),
            self.tr("CSV, TSV, Parquet or Arrow: read in place, joined like a database."),
            "table",
        )
        self.project = Choice(
            self.tr("Open a project…"),
            self.tr("A folder with earlier preparations, trainings and reports."),
            "folder",
        )
        self.sample.clicked.connect(lambda: try_sample(session))
        self.database.clicked.connect(lambda: choose_database(session, self))
        self.server.clicked.connect(lambda: self.connectWanted.emit())
        self.files.clicked.connect(self._offer_files)
        self.project.clicked.connect(lambda: choose_project(session, self))
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        self._lay_out()
        self.refresh()

    def refresh(self) -> None:
        """List what was open before."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        projects = self._session.preferences.recent()
        if projects:
            self._recent.addWidget(Title(self.tr("Recent"), level=3))
        for project in projects:
            self._recent.addWidget(_RecentLine(self._session, project))

    def _offer_files(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("One or more files…"), lambda: choose_files(self._session, self))
        menu.addAction(self.tr("All files of a folder…"), lambda: choose_folder(self._session, self))
        menu.popup(self.files.mapToGlobal(self.files.rect().bottomLeft()))

    def _lay_out(self) -> None:
        inner = QWidget()
        inner.setMaximumWidth(880)
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 4 * SPACE, 3 * SPACE, 3 * SPACE)
        column.setSpacing(2 * SPACE)
        column.addWidget(Title(self.tr("What drives clicks in your data?"), level=1))
        column.addWidget(
            Muted(
                self.tr(
                    "Point Crosslens at your data. It finds out which fields matter, which of them act together, "
                    "whether that is real, and writes the report. Nothing leaves this computer."
                )
            )
        )
        column.addSpacing(SPACE)
        choices = QGridLayout()
        choices.setSpacing(2 * SPACE)
        ways = (self.sample, self.database, self.server, self.files, self.project, DropZone())
        widest = max(way.sizeHint().width() for way in ways)
        for place, choice in enumerate(ways):
            choices.setColumnMinimumWidth(place % COLUMNS, widest)
            choices.addWidget(choice, place // COLUMNS, place % COLUMNS)
            choices.setColumnStretch(place % COLUMNS, 1)
        column.addLayout(choices)
        column.addSpacing(SPACE)
        column.addLayout(self._recent)
        column.addStretch(1)
        outer = QWidget()
        row = QHBoxLayout(outer)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(inner, 100)
        row.addStretch(1)
        self.setWidget(outer)


class DropZone(QWidget):
    """Says what can be dropped; the page around it takes the drop."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        words = Muted(self.tr("Or drop a database, files, a folder or a project anywhere here."))
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * SPACE, SPACE, 2 * SPACE, SPACE)
        layout.addWidget(words)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a dashed frame."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colours(self.palette()).faint, 1, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 8, 8)


class _RecentLine(QWidget):
    """A project that was open before: its name as a button, and where it is."""

    def __init__(self, session: Session, project: RecentProject) -> None:
        super().__init__()
        button = Button(project.name, weight=Weight.QUIET, icon_name="folder")
        button.setAccessibleName(self.tr("Open recent project {name}").format(name=project.name))
        button.clicked.connect(lambda: open_project(session, Path(project.folder)))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(button)
        guarded = "://" not in project.database or project.database.partition(":")[0] in PORTS
        if project.database and not guarded:
            layout.addWidget(Badge(self.tr("read-only not enforced"), tone="warn", icon_name="warn"))
        layout.addWidget(Elided(project.database or project.folder), 1)
