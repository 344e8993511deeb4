"""The funnel of a run: how many rows reach each stage, how soon, and who is left to learn conversions from."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from core import funnel_views
from core.commands import Finding

from ..fonts import SPACE
from ..session import Session
from ..widgets.cards import EmptyState
from ..widgets.findings_list import FindingsList
from ..widgets.labels import Muted
from .results_loading import RunContent
from .results_parts import Pictures, Scrolling


class FunnelTab(QWidget):
    """Shows what a funnel model tells of its funnel."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._findings = FindingsList()
        self._pictures = Pictures(session)
        self._unknown = Muted()
        self._empty = EmptyState("results", self.tr("No funnel"), self.tr("This run ended before its test."))
        self._empty.hide()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(3 * SPACE)
        for widget in (self._findings, self._pictures, self._unknown):
            column.addWidget(widget)
        column.addStretch(1)
        self._area = Scrolling(inner, self.tr("Funnel"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self._area)

    def show_run(self, title: str, content: RunContent) -> None:
        """Show the funnel of a run, whichever output is looked at."""
        report = content.funnel
        self._empty.setVisible(report is None)
        self._area.setVisible(report is not None)
        if report is None:
            return
        self._findings.show_findings(tuple(Finding("warn", words) for words in report.warnings))
        show = self._pictures.show_picture
        show("stages", funnel_views.stage_bars(report))
        show("rates", funnel_views.stages_table(report))
        show("outputs", funnel_views.outputs_table({title: content.qualities}))
        show("selection", funnel_views.selection_table(report.selection) if report.selection else None)
        show("delays", funnel_views.delays_table(report))
        self._unknown.setText(report.delays_unknown)
        self._unknown.setVisible(bool(report.delays_unknown))

    @property
    def pictures(self) -> Pictures:
        """Return the pictures."""
        return self._pictures
