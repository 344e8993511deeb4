"""The Report page: what goes in left, how it will look right, and the ways out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.commands import MakeReport, ReportMade
from core.files import read_json, replace_file, write_text
from core.outputs import exported
from core.report.document import ReportDocument
from crosslens.errors import UserError
from crosslens.runs import RunRecord

from .. import exports
from ..fonts import SPACE
from ..paper import PaperPages, typeset
from ..pdf import pdf_bytes
from ..session import Notice, Session
from ..widgets.busy_line import BusyLine
from ..widgets.buttons import Button
from ..widgets.cards import Card, EmptyState
from ..widgets.labels import Muted, Title
from .page import Page
from .report_preview import PageStrip
from .results_loading import Background, first_output, load_predictions, unique_names
from .results_parts import Scrolling
from .results_predictions import write_rows
from .results_runs import headline, metric_words, when_words

WAIT_MILLISECONDS = 500
"""How long to wait after an edit before the preview is made again."""
SECTIONS = ("summary", "data", "quality", "funnel", "why", "limits", "provenance")
_SETTING = "report-page"
_RUN = Qt.ItemDataRole.UserRole


class ReportPage(Page):
    """Makes the report of some runs in the worker and shows it as pages."""

    page_id = "report"
    icon_name = "report"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.background = Background(self)
        self._made: tuple[MakeReport, ReportMade] | None = None
        self._wait = QTimer(self, singleShot=True, interval=WAIT_MILLISECONDS)
        self._wait.timeout.connect(self.preview)
        self._build()
        self.primary.triggered.connect(self.export_html)
        session.runsChanged.connect(self.refresh)
        session.projectChanged.connect(self._restore)
        self._restore()

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Report")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Hand over what was found, with everything needed to check it.")

    def shown(self) -> None:
        """Bring runs and preview up to date."""
        self.refresh()
        self.preview()

    def refresh(self) -> None:
        """Show the runs that can be reported."""
        try:
            runs = [run for run in self.session.runs() if run.metrics]
        except UserError as error:
            self.session.fail(error)
            return
        self._stack.setCurrentIndex(1 if runs else 0)
        if [run.id for run in runs] != [self._item_run(row).id for row in range(self.runs.count())]:
            self._list_runs(runs)
            self._renew()
        self.primary.setText(self.tr("Export HTML…") if runs else "")
        self._allow()

    def chosen(self) -> tuple[RunRecord, ...]:
        """Return the runs that go into the report."""
        rows = range(self.runs.count())
        return tuple(self._item_run(row) for row in rows if self.runs.item(row).checkState() is Qt.CheckState.Checked)

    def command(self) -> MakeReport | None:
        """Return the request for the report as it is described now; None while nothing is chosen."""
        project, runs = self.session.project, self.chosen()
        if project is None or not runs:
            return None
        sections = tuple(name for name in SECTIONS if self.sections[name].isChecked())
        return MakeReport(
            project=project.folder,
            runs=tuple(run.id for run in runs),
            output=project.folder / "reports" / "preview.html",
            title=self.name.text().strip(),
            notes=self.notes.toPlainText().strip(),
            sections=() if sections == SECTIONS else sections,
        )

    def preview(self) -> None:
        """Make the report again if it is not the one shown."""
        self.with_report(lambda made: None)

    def with_report(self, then: Callable[[ReportMade], None]) -> None:
        """Call `then` with the report as described now, made by the worker unless it already is."""
        command = self.command()
        if command is None or not self.isVisible():
            return
        if self._made is not None and self._made[0] == command:
            then(self._made[1])
            return
        self._wait.stop()

        def made(answer: ReportMade) -> None:
            self._made = (command, answer)
            self._read(answer)
            then(answer)

        self.session.ask("report", command, made, busy=self.tr("Writing the report…"))

    def export_html(self) -> None:
        """Ask where, and write the report as one HTML file."""
        self._export("html", lambda made, path: replace_file(path, lambda new: _copy(made.html, new)))

    def export_pdf(self) -> None:
        """Ask where, and write the report as PDF."""

        def write(made: ReportMade, path: Path) -> None:
            document = read_json(made.document, ReportDocument)
            data = pdf_bytes(document.title, typeset(document, exports.svg_text))
            replace_file(path, lambda new: _write_bytes(new, data))

        self._export("pdf", write)

    def export_recipe(self, run: RunRecord) -> None:
        """Ask where, and write the recipe of a run."""
        path = exports.ask_path(self, self.tr("Export recipe"), f"{run.title or run.model} recipe", "toml")
        if path is not None:
            self._write(path, lambda: write_text(path, run.recipe))

    def export_predictions(self, run: RunRecord, kind: str) -> None:
        """Ask where, and write the predictions of a run's test rows."""
        project = self.session.project
        path = exports.ask_path(self, self.tr("Export predictions"), f"{run.title or run.model} predictions", kind)
        if path is not None and project is not None:
            folder = project.run_folder(run.id)
            self._write(path, lambda: write_rows(exported(load_predictions(folder), first_output(folder)), path))

    def _build(self) -> None:
        empty = EmptyState(
            "report",
            self.tr("Nothing to report yet"),
            self.tr("Train a model; then its report is written here."),
            self.tr("Go to Train"),
        )
        empty.button.clicked.connect(lambda: self.session.navigate("train"))
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * SPACE)
        splitter.addWidget(Scrolling(self._make_side(), self.tr("What goes into the report")))
        splitter.addWidget(self._make_preview())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([320, 780])
        bench = QWidget()
        column = QVBoxLayout(bench)
        column.setContentsMargins(3 * SPACE, 0, 2 * SPACE, SPACE)
        column.addWidget(splitter)
        self._stack = QStackedWidget()
        self._stack.addWidget(empty)
        self._stack.addWidget(bench)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(BusyLine(self.session))
        layout.addWidget(self._stack, 1)

    def _make_side(self) -> QWidget:
        self.name = QLineEdit()
        self.name.setPlaceholderText(self.tr("What drives the outcome"))
        self.name.setAccessibleName(self.tr("Title of the report"))
        self.notes = QPlainTextEdit()
        self.notes.setPlaceholderText(self.tr("What the reader should know: why this was done, what was decided."))
        self.notes.setAccessibleName(self.tr("Notes"))
        self.notes.setTabChangesFocus(True)
        self.notes.setMinimumHeight(6 * self.fontMetrics().lineSpacing())
        self.runs = QListWidget()
        self.runs.setAccessibleName(self.tr("Runs in the report"))
        self.runs.setMinimumHeight(6 * self.fontMetrics().lineSpacing())
        self.runs.setWordWrap(True)
        self.runs.setSpacing(4)
        self.sections = {name: QCheckBox(words) for name, words in self._section_words().items()}
        for box in self.sections.values():
            box.setChecked(True)
            box.toggled.connect(self._edited)
        self.name.textChanged.connect(self._edited)
        self.notes.textChanged.connect(self._edited)
        self.runs.itemChanged.connect(self._edited)
        card = Card()
        for words, widgets in (
            (self.tr("Title"), [self.name]),
            (self.tr("Notes"), [self.notes]),
            (self.tr("Runs"), [self.runs]),
            (self.tr("Sections"), list(self.sections.values())),
        ):
            card.body.addWidget(Title(words, level=3))
            for widget in widgets:
                card.body.addWidget(widget)
            card.body.addSpacing(SPACE)
        card.body.addStretch(1)
        return card

    def _section_words(self) -> dict[str, str]:
        return {
            "summary": self.tr("Summary"),
            "data": self.tr("Data and query"),
            "quality": self.tr("Quality"),
            "funnel": self.tr("Funnel, of models of clicks and conversions"),
            "why": self.tr("Why: fields and interactions"),
            "limits": self.tr("Warnings and limits"),
            "provenance": self.tr("Provenance: versions, recipe, SQL"),
        }

    def _make_preview(self) -> QWidget:
        self.strip = PageStrip()
        self._count = Muted()
        self._pdf = Button(self.tr("Export PDF…"), icon_name="save")
        self._pdf.clicked.connect(self.export_pdf)
        self._more = Button(self.tr("More"))
        self._more.setAccessibleName(self.tr("Recipes and predictions"))
        self._more.setMenu(QMenu(self._more))
        self._more.menu().aboutToShow.connect(self._fill_menu)
        tools = QHBoxLayout()
        tools.setSpacing(SPACE)
        tools.addWidget(self._count, 1)
        tools.addWidget(self._pdf)
        tools.addWidget(self._more)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addLayout(tools)
        column.addWidget(self.strip, 1)
        return side

    def _list_runs(self, runs: list[RunRecord]) -> None:
        known = {self._item_run(row).id for row in range(self.runs.count())}
        left_out = known - {run.id for run in self.chosen()}
        names = unique_names(runs)
        with QSignalBlocker(self.runs):
            self.runs.clear()
            for run in runs:
                measured = metric_words(run, headline(run)) if headline(run) else ""
                words = "\n".join(filter(None, (names[run.id], measured)))
                item = QListWidgetItem(words)
                item.setToolTip(when_words(run))
                item.setData(_RUN, run)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Unchecked if run.id in left_out else Qt.CheckState.Checked)
                self.runs.addItem(item)

    def _item_run(self, row: int) -> RunRecord:
        run = self.runs.item(row).data(_RUN)
        assert isinstance(run, RunRecord)
        return run

    def _edited(self) -> None:
        self._remember()
        self._renew()

    def _renew(self) -> None:
        self._allow()
        if self.isVisible():
            self._wait.start()

    def _allow(self) -> None:
        possible = bool(self.chosen()) and any(box.isChecked() for box in self.sections.values())
        for widget in (self.primary, self._pdf, self._more):
            widget.setEnabled(possible)

    def _read(self, made: ReportMade) -> None:
        def work() -> PaperPages:
            return typeset(read_json(made.document, ReportDocument), exports.svg_text)

        self.background.ask("document", work, self._show, self.session.fail)

    def _show(self, pages: PaperPages) -> None:
        self.strip.show_pages(pages)
        self._count.setText(
            self.tr("One page") if len(pages) == 1 else self.tr("{count} pages").format(count=len(pages))
        )

    def _export(self, kind: str, write: Callable[[ReportMade, Path], None]) -> None:
        command = self.command()
        if command is None:
            return
        path = exports.ask_path(self, self.tr("Export report"), command.title or self.tr("report"), kind)
        if path is not None:
            self.with_report(lambda made: self._write(path, lambda: write(made, path)))

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        words = self.tr("Written to {path}.").format(path=path)
        self.background.ask(
            f"write {path}", write, lambda _: self.session.notify(Notice(words, tone="good")), self.session.fail
        )

    def _fill_menu(self) -> None:
        menu = self._more.menu()
        menu.clear()
        names = unique_names(self.chosen())
        for run in self.chosen():
            part = menu.addMenu(names[run.id])
            part.addAction(self.tr("Recipe (TOML)…"), partial(self.export_recipe, run))
            part.addAction(self.tr("Predictions as CSV…"), partial(self.export_predictions, run, "csv"))
            part.addAction(self.tr("Predictions as Parquet…"), partial(self.export_predictions, run, "parquet"))

    def _remember(self) -> None:
        project = self.session.project
        if project is None or project.read_only:
            return
        left_out = [name for name, box in self.sections.items() if not box.isChecked()]
        kept = {"title": self.name.text(), "notes": self.notes.toPlainText(), "left_out": left_out}
        try:
            project.save_setting(_SETTING, json.dumps(kept))
        except UserError as error:
            self.session.fail(error)

    def _restore(self) -> None:
        project = self.session.project
        kept = _read_state("" if project is None else project.setting(_SETTING))
        self._made = None
        boxes = [QSignalBlocker(widget) for widget in (self.name, self.notes, *self.sections.values())]
        self.name.setText(str(kept.get("title", "")))
        self.notes.setPlainText(str(kept.get("notes", "")))
        for name, box in self.sections.items():
            box.setChecked(name not in kept.get("left_out", ()))
        for blocker in boxes:
            blocker.unblock()
        self.refresh()


def _read_state(text: str) -> dict[str, Any]:
    try:
        state = json.loads(text) if text else {}
    except ValueError:  # written by another version: begin with an empty form
        return {}
    return state if isinstance(state, dict) else {}


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
