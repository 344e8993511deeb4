"""The Results page: runs left, everything about the chosen one right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from core.next_item.run_files import NextItemFiles
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml
from crosslens.errors import UserError
from crosslens.models import Task
from crosslens.runs import RunRecord, RunStatus

from ..fonts import SPACE
from ..session import Session
from ..widgets.busy_line import BusyLine
from ..widgets.buttons import Button, Weight
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted
from .export_model import ExportModelButton
from .next_item_quality import RankingContent, RankingTab, load_ranking
from .next_item_users import UsersTab
from .page import Page
from .results_compare import CompareTab
from .results_funnel import FunnelTab
from .results_loading import Background, RunContent, load_faithfulness, load_predictions, load_run
from .results_outputs import OutputChooser
from .results_predictions import PredictionsTab
from .results_quality import QualityTab
from .results_row import RowTab
from .results_runs import RunList, headline
from .results_why import WhyTab

_RESUMABLE = (RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.FAILED)


class ResultsPage(Page):
    """Shows the project's runs. A tab reads its run when it is first looked at."""

    page_id = "results"
    icon_name = "results"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.background = Background(self)
        self._run: RunRecord | None = None
        self._content: RunContent | None = None
        self._in_bin = False
        self._output = ""
        self._fresh: set[QWidget] = set()
        self._seen: set[str] = set()
        self._beside: tuple[str, ...] = ()
        self.list = RunList()
        self.quality, self.why = QualityTab(session), WhyTab(session)
        self.row, self.predictions = RowTab(session), PredictionsTab(session, self.background)
        self.compare, self.funnel = CompareTab(session, self.background), FunnelTab(session)
        self.ranking, self.users = RankingTab(session), UsersTab(session)
        self.outputs = OutputChooser()
        self._build()
        self.outputs.chosen.connect(self._look_at)
        self.list.runChosen.connect(self._choose)
        self.list.delegate.starClicked.connect(self._star_row)
        self.list.runs.compared.connect(self._compared)
        self.tabs.currentChanged.connect(lambda _: self._fill_tab())
        self.primary.triggered.connect(lambda: session.navigate("report"))
        session.runsChanged.connect(self.refresh)
        session.projectChanged.connect(self._forget)
        self.refresh()

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Results")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("How good each model is on rows it has not seen, and why it predicts what it predicts.")

    def shown(self) -> None:
        """Bring the list up to date, and show the tab in front: of a run just measured, if there is one."""
        self.refresh(arriving=True)
        self._fill_tab()

    def refresh(self, *, arriving: bool = False) -> None:
        """Show the runs of the project, or of its bin; who arrives is shown the best of those measured meanwhile."""
        try:
            runs = self.session.runs(deleted=self._in_bin)
            binned = len(self.session.runs(deleted=True))
        except UserError as error:
            self.session.fail(error)
            return
        chosen = "" if self._run is None or (arriving and self._has_news(runs)) else self._run.id
        if arriving or self.isVisible():
            self._seen = {run.id for run in runs if run.metrics}
        self.list.runs.set_runs(runs)
        self._stack.setCurrentIndex(1 if runs or binned or self._in_bin else 0)
        self._show_bin(binned)
        self.list.choose(chosen if self.list.runs.row_of(chosen) >= 0 else _first_look(runs))
        self._choose(self.list.chosen())
        self._renew_ranking(runs)
        self._look_up_faithfulness()
        self.primary.setText(self.tr("Make a report →") if any(run.metrics for run in runs) else "")

    def _has_news(self, runs: tuple[RunRecord, ...]) -> bool:
        return not self._in_bin and any(run.metrics and run.id not in self._seen for run in runs)

    def chosen_runs(self) -> tuple[RunRecord, ...]:
        """Return the runs a report would be about: those ticked, or the one looked at."""
        ticked = self.list.runs.checked
        return ticked or ((self._run,) if self._run is not None and self._run.metrics else ())

    def _build(self) -> None:
        empty = EmptyState(
            "results",
            self.tr("No results yet"),
            self.tr("Train a model; its quality and the reasons for its predictions appear here."),
            self.tr("Go to Train"),
        )
        empty.button.clicked.connect(lambda: self.session.navigate("train"))
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(self.tr("About the run"))
        self._reading = Muted(self.tr("Reading…"), wrap=False)
        self._reading.hide()
        self.background.readingChanged.connect(self._reading.setVisible)
        self.tabs.setCornerWidget(self._reading)
        for tab, words in (
            (self.ranking, self.tr("Ranking")),
            (self.users, self.tr("Users")),
            (self.quality, self.tr("Quality")),
            (self.funnel, self.tr("Funnel")),
            (self.why, self.tr("Why")),
            (self.row, self.tr("One row")),
            (self.predictions, self.tr("Predictions")),
            (self.compare, self.tr("Compare")),
        ):
            self.tabs.addTab(tab, words)
        for tab in (self.ranking, self.users):
            self.tabs.setTabVisible(self.tabs.indexOf(tab), False)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(2 * SPACE)
        splitter.addWidget(self._make_side())
        splitter.addWidget(self._make_bench())
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([270, 820])
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

    def _make_bench(self) -> QWidget:
        self.tabs.setTabVisible(self.tabs.indexOf(self.funnel), False)
        bench = QWidget()
        column = QVBoxLayout(bench)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.outputs)
        column.addWidget(self.tabs, 1)
        return bench

    def _look_at(self, output: str) -> None:
        """Show another output of the run in every tab."""
        self._output = output
        run, self._content = self._run, None
        if run is not None:
            self._read_run(run)

    def _make_side(self) -> QWidget:
        self._side_words = Muted(self.tr("Tick runs to compare them."))
        self._bin_button = Button("", weight=Weight.QUIET)
        self._bin_button.clicked.connect(self._switch_bin)
        self._resume = self._tool(self.tr("Resume"), "play", self.tr("Go on from the last checkpoint"), self._go_on)
        self._again = self._tool(
            self.tr("Reproduce"), "redo", self.tr("Train again from the run's recipe; the numbers must be the same"),
            self._reproduce,
        )  # fmt: skip
        self._delete = self._tool(self.tr("To bin"), "bin", self.tr("Put the run into the bin"), self._throw_away)
        tools = QHBoxLayout()
        tools.setSpacing(4)
        self.export_model = ExportModelButton(self.session)
        for button in (self._resume, self._again, self._delete, self.export_model):
            tools.addWidget(button)
        tools.addStretch(1)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addWidget(self._side_words)
        column.addWidget(self.list, 1)
        column.addLayout(tools)
        column.addWidget(self._bin_button, 0, Qt.AlignmentFlag.AlignLeft)
        return side

    def _tool(self, words: str, icon_name: str, tip: str, act: object) -> Button:
        button = Button(words, weight=Weight.QUIET, icon_name=icon_name)
        button.setToolTip(tip)
        button.clicked.connect(act)
        return button

    def _choose(self, run: RunRecord | None) -> None:
        before, self._run = self._run, run
        self._show_tools(run)
        self.tabs.setEnabled(run is not None)
        if run is None or self.session.project is None:
            self._content = None
            return
        if before is not None and before.id == run.id and before.status == run.status and self._content is not None:
            return
        self._read_run(run)

    def _read_run(self, run: RunRecord) -> None:
        self._content = None
        self._fresh.clear()
        if self.session.project is None:
            return
        folder, output = self.session.project.run_folder(run.id), self._output
        self.background.ask(
            "run", lambda: load_run(folder, output), lambda found: self._read(run, found), self.session.fail
        )

    def _read(self, run: RunRecord, content: RunContent) -> None:
        if self._run is not None and self._run.id == run.id:
            self._content = content
            self._fresh.clear()
            self.outputs.show_outputs(content.outputs, content.output)
            self._show_tabs(content)
            self._fill_tab()

    def _renew_ranking(self, runs: tuple[RunRecord, ...]) -> None:
        """Read the ranking again when another run that was asked the same has come or gone."""
        asked = self._run.data_fingerprint if self._run is not None else ""
        beside = tuple(run.id for run in runs if run.metrics and run.data_fingerprint == asked)
        if beside == self._beside:
            return
        self._beside = beside
        self._fresh.discard(self.ranking)
        if self.tabs.currentWidget() is self.ranking:
            self._fill_tab()

    def _show_tabs(self, content: RunContent) -> None:
        """Show the tabs that the task of the run has something to say in."""
        of_items = self._recommends()
        self.tabs.setTabVisible(self.tabs.indexOf(self.funnel), content.funnel is not None)
        about_items = (self.ranking, self.users)
        about_rows = (self.quality, self.why, self.row, self.predictions, self.compare)
        shown, hidden = (about_items, about_rows) if of_items else (about_rows, about_items)
        for tab in shown:
            self.tabs.setTabVisible(self.tabs.indexOf(tab), True)
        if self.tabs.currentWidget() in hidden:
            self.tabs.setCurrentWidget(shown[0])
        for tab in hidden:
            self.tabs.setTabVisible(self.tabs.indexOf(tab), False)

    def _recommends(self) -> bool:
        """Whether the chosen run is one of a next-item model."""
        run = self._run
        return run is not None and any(
            spec.id == run.model and spec.task is Task.NEXT_ITEM for spec in self.session.models
        )

    def _fill_tab(self) -> None:
        """Fill the tab in front, unless it shows the chosen run already."""
        tab = self.tabs.currentWidget()
        if tab is self.compare:
            self.compare.compare(self.list.runs.checked, self.session.project, self._compared_output())
        if not self.isVisible() or self._run is None or self._content is None or tab in self._fresh:
            return
        self._fresh.add(tab)
        if isinstance(tab, QualityTab | WhyTab):
            tab.show_run(self._run, self._content)
        elif tab is self.ranking:
            self._read_ranking(self._run)
        elif tab is self.users:
            self._read_users(self._run)
        elif isinstance(tab, FunnelTab):
            tab.show_run(self._run.title or self._run.model, self._content)
        elif isinstance(tab, RowTab | PredictionsTab):
            self._read_rows(tab, self._run, self._content.output)

    def _compared_output(self) -> str:
        return self._content.output if self._content is not None else self._output

    def _read_rows(self, tab: RowTab | PredictionsTab, run: RunRecord, output: str) -> None:
        if self.session.project is None:
            return
        folder = self.session.project.run_folder(run.id)

        def then(rows: pa.Table) -> None:
            if self._run is not None and self._run.id == run.id:
                tab.show_rows(run, rows, output)

        topic = f"rows of {type(tab).__name__}"
        self.background.ask(topic, lambda: load_predictions(folder, output), then, self.session.fail)

    def _read_ranking(self, run: RunRecord) -> None:
        project = self.session.project
        if project is None:
            return

        def then(content: RankingContent) -> None:
            if self._run is not None and self._run.id == run.id:
                self.ranking.show_content(content)

        runs = self.session.runs()
        folders = {each.id: project.run_folder(each.id) for each in runs}
        self.background.ask("ranking", lambda: load_ranking(run, runs, folders.__getitem__), then, self.session.fail)

    def _read_users(self, run: RunRecord) -> None:
        if self.session.project is None:
            return
        files = NextItemFiles(self.session.project.run_folder(run.id))

        def then(users: pa.Table | None) -> None:
            if self._run is not None and self._run.id == run.id:
                self.users.show_users(run, pa.table({}) if users is None else users)

        self.background.ask("users", files.users, then, self.session.fail)

    def _compared(self) -> None:
        if self.tabs.currentWidget() is self.compare:
            self._fill_tab()
        elif len(self.list.runs.checked) > 1 and not self._recommends():
            self.tabs.setCurrentWidget(self.compare)

    def _look_up_faithfulness(self) -> None:
        project, runs = self.session.project, self.list.runs.without_faithfulness()
        if project is None or not runs:
            return
        paths: dict[str, Path] = {run.id: project.run_folder(run.id) for run in runs}
        self.background.ask(
            "faithfulness", lambda: load_faithfulness(paths), self.list.runs.set_faithfulness, self.session.fail
        )

    def _show_tools(self, run: RunRecord | None) -> None:
        self.export_model.show_run(run)
        editable = run is not None and self.session.project is not None and not self.session.project.read_only
        still = run is not None and run.status is not RunStatus.RUNNING
        self._delete.setEnabled(editable and still)
        self._delete.setText(self.tr("Take out") if self._in_bin else self.tr("To bin"))
        self._again.setEnabled(editable and not self._in_bin)
        resumable = run is not None and run.status in _RESUMABLE and not self._in_bin
        self._resume.setVisible(resumable)
        self._resume.setEnabled(editable)

    def _show_bin(self, count: int) -> None:
        words = self.tr("Back to the runs") if self._in_bin else self.tr("Bin ({count})").format(count=count)
        self._bin_button.setText(words)
        self._bin_button.setVisible(self._in_bin or count > 0)
        self._side_words.setText(self.tr("In the bin") if self._in_bin else self.tr("Tick runs to compare them."))

    def _switch_bin(self) -> None:
        self._in_bin = not self._in_bin
        self.refresh()

    def _star_row(self, row: int) -> None:
        run = self.list.runs.runs[row]
        self._save(replace(run, starred=not run.starred))

    def _throw_away(self) -> None:
        if self._run is not None:
            self._save(replace(self._run, deleted=not self._run.deleted))

    def _save(self, run: RunRecord) -> None:
        if self.session.project is None or self.session.project.read_only:
            return
        try:
            self.session.project.save_run(run)
        except UserError as error:
            self.session.fail(error)
            return
        self.session.runsChanged.emit()

    def _go_on(self) -> None:
        if self._run is not None:
            self._train(self._run, resume=self._run.id)

    def _reproduce(self) -> None:
        if self._run is not None:
            self._train(self._run)

    def _train(self, run: RunRecord, *, resume: str = "") -> None:
        models: tuple[ModelChoice, ...] = ()
        try:
            models = recipe_from_toml(run.recipe).models
        except UserError as error:
            self.session.fail(error)
            return
        if self.session.train(models, resume=resume, recipe=run.recipe) is not None:
            self.session.navigate("train")

    def _forget(self) -> None:
        self._run, self._content, self._in_bin = None, None, False
        self._fresh.clear()
        self._seen.clear()
        self.refresh()


def _first_look(runs: tuple[RunRecord, ...]) -> str:
    """Return the run to show first: of those tested on the same rows as the newest, the best by AUC or NDCG@10."""
    if not runs:
        return ""
    same = [run for run in runs if run.data_fingerprint == runs[0].data_fingerprint and headline(run)]
    return max(same, key=lambda run: run.metrics[headline(run)].value, default=runs[0]).id
