"""What the Data page shows before there is a source: three ways to begin, what was open before, and a drop zone."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ..fonts import SPACE
from ..opening import open_database, open_project, try_sample
from ..preferences import RecentProject
from ..session import Session
from ..widgets.buttons import Button, Weight
from ..widgets.cards import Choice
from ..widgets.labels import Elided, Muted, Title

DATABASES = "*.db *.sqlite *.sqlite3 *.db3 *.s3db *.sl3"


def choose_database(session: Session, parent: QWidget) -> None:
    """Ask for a database file and open it."""
    title = parent.tr("Open a SQLite database")
    kinds = parent.tr("SQLite databases ({patterns})").format(patterns=DATABASES) + ";;" + parent.tr("All files (*)")
    path, _ = QFileDialog.getOpenFileName(parent, title, str(Path.home()), kinds)
    if path:
        open_database(session, Path(path))


def choose_project(session: Session, parent: QWidget) -> None:
    """Ask for a project folder and open it."""
    title = parent.tr("Open a Crosslens project folder")
    path = QFileDialog.getExistingDirectory(parent, title, str(session.preferences.projects_folder))
    if path:
        open_project(session, Path(path))


class StartPanel(QScrollArea):
    """The welcome."""

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
            self.tr("Open a database…"),
            self.tr("A SQLite file. It is opened read-only; Crosslens never writes to it."),
            "data",
        )
        self.project = Choice(
            self.tr("Open a project…"),
            self.tr("A folder with earlier preparations, trainings and reports."),
            "folder",
        )
        self.sample.clicked.connect(lambda: try_sample(session))
        self.database.clicked.connect(lambda: choose_database(session, self))
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
                    "Point Crosslens at a database. It finds out which fields matter, which of them act together, "
                    "whether that is real, and writes the report. Nothing leaves this computer."
                )
            )
        )
        column.addSpacing(SPACE)
        choices = QGridLayout()
        choices.setSpacing(2 * SPACE)
        for place, choice in enumerate((self.sample, self.database, self.project)):
            choices.addWidget(choice, 0, place)
            choices.setColumnStretch(place, 1)
        column.addLayout(choices)
        column.addWidget(Muted(self.tr("You can also drop a database file or a project folder anywhere here.")))
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
        layout.addWidget(Elided(project.database or project.folder), 1)
