"""How good a run is: metrics with intervals, curves, and how it learned."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core import present
from core.commands import Finding
from core.display import LineChart
from core.quality import Quality
from crosslens.runs import RunRecord

from ..charts import PictureView
from ..fonts import SPACE
from ..session import Session
from ..widgets.cards import EmptyState
from ..widgets.findings_list import FindingsList
from .results_loading import RunContent
from .results_parts import Pictures, Scrolling


class QualityTab(QWidget):
    """Shows the quality of one run on its test rows."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._findings = FindingsList()
        self._pictures = Pictures(session)
        self._grid = QGridLayout()
        self._grid.setSpacing(3 * SPACE)
        self._charts: dict[str, PictureView] = {}
        self._empty = EmptyState("results", self.tr("Nothing measured"), self.tr("This run ended before its test."))
        self._empty.hide()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(3 * SPACE)
        column.addWidget(self._findings)
        column.addWidget(self._pictures)
        column.addLayout(self._grid)
        column.addStretch(1)
        self._area = Scrolling(inner, self.tr("Quality"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self._area)

    def show_run(self, run: RunRecord, content: RunContent) -> None:
        """Show a run."""
        quality = content.quality
        self._empty.setVisible(quality is None)
        self._area.setVisible(quality is not None)
        if quality is None:
            return
        self._findings.show_findings(_warnings(quality, content))
        named = {run.title or run.model: quality}
        self._pictures.show_picture("metrics", present.metrics_table(named))
        for place, (name, make) in enumerate(
            (
                ("roc", present.roc_chart),
                ("reliability", present.reliability_chart),
                ("precision", present.precision_recall_chart),
                ("gains", present.gains_chart),
            )
        ):
            self._show_chart(name, make(named), place)
        if content.history:
            self._show_chart("training", present.training_chart(content.history), 4)
            self._show_chart("auc", present.training_chart(content.history, "auc"), 5)
        for name in ("training", "auc"):
            if name in self._charts:
                self._charts[name].setVisible(bool(content.history))

    def _show_chart(self, name: str, picture: LineChart, place: int) -> None:
        if name in self._charts:
            self._charts[name].set_picture(picture)
            return
        view = self._charts[name] = PictureView(picture)
        view.failed.connect(self._session.fail)
        self._grid.addWidget(view, place // 2, place % 2)


def _warnings(quality: Quality, content: RunContent) -> tuple[Finding, ...]:
    found = tuple(Finding("warn", words) for words in quality.warnings)
    return found + (content.facts.findings if content.facts is not None else ())
