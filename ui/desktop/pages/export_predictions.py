"""The dialog that asks what of a run's predictions goes where: into a file, or into a new table of a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QStandardPaths
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from core.commands import Score, Scored
from core.connections import FILE_DIALECTS, connection_from_path
from core.recipe_toml import recipe_from_toml
from crosslens.errors import UserError
from crosslens.relational import ConnectionSpec
from crosslens.runs import RunRecord

from .. import exports
from ..fonts import SPACE
from ..session import Notice, Session
from ..sources import is_file, source_key, source_name
from ..widgets.buttons import Button, Weight
from ..widgets.labels import Muted
from ..widgets.views import roomy
from ..wording import whole

FORMATS = ("csv", "parquet", "xlsx", "table")
_WIDTH = 560
_NEW_FILES = {".duckdb": "duckdb", ".ddb": "duckdb"}
_WRITABLE = frozenset({"sqlite", "duckdb", "postgresql", "mysql", "mariadb"})


class ExportDialog(QDialog):
    """Asks for rows, format, place and columns; `command` is what was chosen once it is accepted.

    `own` is the run's own source, `others` are connections that may be read or written instead. `top` items per user
    are asked of a next-item run, whose lists have columns of their own.
    """

    def __init__(
        self,
        session: Session,
        run: RunRecord,
        own: ConnectionSpec | None,
        *,
        top: int = 0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export predictions of {model}").format(model=run.title or run.model))
        self._session, self._run, self._top = session, run, top
        saved = tuple(each.spec for each in session.connections.saved())
        others = _distinct((*((own,) if own is not None else ()), *saved))
        self.rows, self.database = QComboBox(), QComboBox()
        for spec in others:
            self.rows.addItem(source_name(spec), spec)
            if spec.dialect in _WRITABLE:
                self.database.addItem(source_name(spec), spec)
        if own is not None:
            self.rows.setItemText(0, self.tr("{name} (the run's own)").format(name=source_name(own)))
        self.format, self.columns = QComboBox(), QComboBox()
        self.path, self.table = QLineEdit(), QLineEdit()
        self._title = f"{run.title or run.model} {self.tr('predictions')}"
        self._build()
        self._format_chosen()

    @property
    def into_table(self) -> bool:
        """Whether a new table is wanted."""
        return bool(self.format.currentData() == "table")

    @property
    def command(self) -> Score:
        """Return what was chosen."""
        assert self._session.project is not None
        is_own = self.rows.currentIndex() <= 0
        return Score(
            self._session.project.folder,
            self._run.id,
            Path() if self.into_table else self._file(),
            None if is_own else self._session.connections.with_secret(self.rows.currentData()),
            top=self._top or 10,
            keys_only=self.columns.currentData() == "key" and not self._top,
            into=self._session.connections.with_secret(self.database.currentData()) if self.into_table else None,
            table=self.table.text().strip() if self.into_table else "",
        )

    def choose_file(self) -> None:
        """Ask for the file to write."""
        path = exports.ask_path(self, self.windowTitle(), self._title, self.format.currentData())
        if path is not None:
            self.path.setText(str(path))

    def choose_rows(self) -> None:
        """Ask for another file of the same shape to read rows from."""
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Rows of another database or file"), str(Path.home()))
        if path:
            self._offer(self.rows, connection_from_path(Path(path)))

    def choose_database(self) -> None:
        """Ask for a database file that gets the table; one that is not there yet is made."""
        title = self.tr("Database file for the new table")
        path, _ = QFileDialog.getSaveFileName(
            self, title, str(Path.home()), self.tr("SQLite and DuckDB databases (*.db *.sqlite *.duckdb)"),
            options=QFileDialog.Option.DontConfirmOverwrite,
        )  # fmt: skip
        if path:
            self._offer(self.database, target_of(Path(path)))

    def _offer(self, box: QComboBox, spec: ConnectionSpec) -> None:
        box.addItem(source_name(spec), spec)
        box.setCurrentIndex(box.count() - 1)
        self._check()

    def _file(self) -> Path:
        text, kind = self.path.text().strip(), self.format.currentData()
        path = Path(text).expanduser()
        return path if path.suffix.lower() == f".{kind}" else path.with_name(f"{path.name}.{kind}")

    # -- building -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        words = {
            "csv": self.tr("CSV file"),
            "parquet": self.tr("Parquet file"),
            "xlsx": self.tr("Excel workbook"),
            "table": self.tr("New table in a database"),
        }
        for name in FORMATS:
            self.format.addItem(words[name], name)
        self.columns.addItem(self.tr("All columns of the query"), "all")
        self.columns.addItem(self.tr("The key of the rows only"), "key")
        for widget, name in (
            (self.rows, self.tr("Rows")),
            (self.format, self.tr("Format")),
            (self.columns, self.tr("Columns beside the predictions")),
            (self.path, self.tr("File")),
            (self.database, self.tr("Database")),
            (self.table, self.tr("Name of the new table")),
        ):
            widget.setAccessibleName(name)
        roomy(self.rows, self.format, self.columns, self.path, self.database, self.table)
        for box in (self.rows, self.database):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(16)
        self._lay_out()
        self.format.currentIndexChanged.connect(lambda _: self._format_chosen())
        self.path.textChanged.connect(lambda _: self._check())
        self.table.textChanged.connect(lambda _: self._check())

    def _lay_out(self) -> None:
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        self.path.setText(str(Path(documents) / f"{exports.file_name(self._title)}.csv"))
        self.table.setPlaceholderText(self.tr("a name no table has yet"))
        self._form = form = QFormLayout()
        form.setHorizontalSpacing(2 * SPACE)
        form.setVerticalSpacing(SPACE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Rows of"), self._beside(self.rows, self.choose_rows, self.tr("Other rows…")))
        form.addRow(self.tr("Format"), self.format)
        if not self._top:
            form.addRow(self.tr("Columns"), self.columns)
        self._file_row = form.rowCount()
        form.addRow(self.tr("File"), self._beside(self.path, self.choose_file, self.tr("Browse…")))
        form.addRow(self.tr("Database"), self._beside(self.database, self.choose_database, self.tr("A file…")))
        form.addRow(self.tr("New table"), self.table)
        self.note = Muted()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(2 * SPACE)
        layout.addWidget(
            Muted(self.tr("Rows are read again, scored block by block, and written. Labels are not read."))
        )
        layout.addLayout(form)
        layout.addWidget(self.note)
        layout.addStretch(1)
        layout.addLayout(self._make_buttons())
        self.setMinimumWidth(_WIDTH)

    def _beside(self, field: QWidget, act: object, words: str) -> QHBoxLayout:
        button = Button(words)
        button.clicked.connect(act)
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        row.addWidget(field, 1)
        row.addWidget(button)
        return row

    def _make_buttons(self) -> QHBoxLayout:
        self.go, self.leave = Button(self.tr("Export"), weight=Weight.PRIMARY), Button(self.tr("Cancel"))
        self.go.setDefault(True)
        self.go.clicked.connect(self.accept)
        self.leave.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        row.addStretch(1)
        row.addWidget(self.leave)
        row.addWidget(self.go)
        return row

    # -- choosing -----------------------------------------------------------------------------------------------------

    def _format_chosen(self) -> None:
        kind = self.format.currentData()
        for row, is_of_tables in ((0, False), (1, True), (2, True)):
            self._form.setRowVisible(self._file_row + row, is_of_tables is self.into_table)
        self.columns.setCurrentIndex(1 if self.into_table else 0)
        if not self.into_table and self.path.text():
            self.path.setText(str(Path(self.path.text()).with_suffix(f".{kind}")))
        notes = {
            "csv": self.tr(
                "Texts are written as they are; a spreadsheet may take those that begin with = for formulas."
            ),
            "parquet": self.tr("Keeps every type; read by pandas, DuckDB, Spark and others."),
            "xlsx": self.tr("Up to 1,048,575 rows. Text is always text, never a formula."),
            "table": self.tr(
                "Databases are only ever read; for this export alone a second connection is opened that writes. It "
                "makes this one table, whole or not at all, and never replaces or changes another."
            ),
        }
        self.note.setText(notes[kind])
        self._check()

    def _check(self) -> None:
        """Let nobody go on before the place is named."""
        named = bool(self.table.text().strip()) and self.database.count() > 0
        self.go.setEnabled(named if self.into_table else bool(self.path.text().strip()))


def export_predictions(session: Session, run: RunRecord, words: str, parent: QWidget, *, top: int = 0) -> ExportDialog:
    """Open the dialog for a run; what is chosen in it becomes a job called `words`, and its end is told."""
    dialog = ExportDialog(session, run, _own_source(session, run), top=top, parent=parent)

    def begin() -> None:
        session.request(dialog.command, lambda answer: session.notify(_told(parent, answer)), lane="job", title=words)

    dialog.accepted.connect(begin)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def _own_source(session: Session, run: RunRecord) -> ConnectionSpec | None:
    """Return the source of a run's recipe, as the saved connection that leads there; None if it cannot be read."""
    try:
        own = recipe_from_toml(run.recipe, folder=None if session.project is None else session.project.folder).source
    except UserError:  # scoring will say what is wrong with it
        return None
    return next((each.spec for each in session.connections.saved() if source_key(each.spec) == source_key(own)), own)


def _told(speaker: QWidget, answer: Scored) -> Notice:
    count = whole(answer.rows)
    if not answer.table:
        return Notice(speaker.tr("{count} rows are in {path}.").format(count=count, path=answer.output), tone="good")
    words = speaker.tr("{count} rows are in the new table {table} of {place}.")
    return Notice(words.format(count=count, table=answer.table, place=answer.place), tone="good")


def target_of(path: Path) -> ConnectionSpec:
    """Return the database in a file; one that is not there yet is SQLite, or DuckDB by its ending."""
    found = connection_from_path(path)
    if path.exists() and found.dialect in FILE_DIALECTS:
        return found
    return ConnectionSpec(_NEW_FILES.get(path.suffix.lower(), "sqlite"), str(path.absolute()))


def _distinct(specs: Sequence[ConnectionSpec]) -> tuple[ConnectionSpec, ...]:
    found: dict[str, ConnectionSpec] = {}
    for spec in specs:
        found.setdefault(spec.database if is_file(spec) else source_key(spec), spec)
    return tuple(found.values())
