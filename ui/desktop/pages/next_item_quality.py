"""How well a next-item run finds the next item: beside popularity, item-kNN and its backbone, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core import present
from core.commands import Finding
from core.display import LineChart
from core.next_item.present import group_chart, group_table, list_table, paired_table, rank_table
from core.next_item.story import NextItemStory, beside, common_warnings, read_story, verdicts
from core.run_folder import RunFacts, RunFolder
from crosslens.models import FitProgress
from crosslens.runs import RunRecord

from ..charts import PictureView
from ..fonts import SPACE
from ..session import Session
from ..widgets.cards import EmptyState
from ..widgets.findings_list import FindingsList
from .results_parts import Pictures, Scrolling


@dataclass(frozen=True, slots=True, eq=False)
class RankingContent:
    """What the tab shows of a run; `story` is None where nothing was measured."""

    story: NextItemStory | None
    facts: RunFacts | None
    history: tuple[FitProgress, ...]


def load_ranking(run: RunRecord, runs: Sequence[RunRecord], folder_of: Callable[[str], Path]) -> RankingContent:
    """Read a run and those to show beside it; ProjectError says which file is damaged."""
    story = read_story(run, beside(run, runs), folder_of) if run.metrics else None
    folder = RunFolder(folder_of(run.id))
    facts = folder.facts() if (folder.path / "facts.json").exists() else None
    return RankingContent(story, facts, folder.history())


class RankingTab(QWidget):
    """Shows the ranking quality of one run beside the others that were asked the same."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.findings = FindingsList()
        self.pictures = Pictures(session)
        self._grid = QGridLayout()
        self._grid.setSpacing(3 * SPACE)
        self._charts: dict[str, PictureView] = {}
        self._lower = Pictures(session)
        self._empty = EmptyState("results", self.tr("Nothing measured"), self.tr("This run ended before its test."))
        self._empty.hide()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(3 * SPACE)
        column.addWidget(self.findings)
        column.addWidget(self.pictures)
        column.addLayout(self._grid)
        column.addWidget(self._lower)
        column.addStretch(1)
        self._area = Scrolling(inner, self.tr("Ranking"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self._area)

    def show_content(self, content: RankingContent) -> None:
        """Show what was read of a run."""
        story = content.story if content.story is not None and content.story.qualities else None
        self._empty.setVisible(story is None)
        self._area.setVisible(story is not None)
        if story is None:
            return
        self.findings.show_findings(_findings(story, content.facts))
        self.pictures.show_picture("ranks", rank_table(story.qualities))
        own = story.against(story.chosen)
        self.pictures.show_picture("paired", paired_table(own) if own else None)
        charts = {
            "length": group_chart(story.qualities, "length"),
            "popularity": group_chart(story.qualities, "popularity"),
            **_training_charts(content.history),
        }
        self._show_charts(charts)
        self._lower.show_picture("by length", group_table(story.qualities, "length"))
        self._lower.show_picture("by popularity", group_table(story.qualities, "popularity"))
        self._lower.show_picture("lists", list_table(story.qualities))

    def _show_charts(self, charts: Mapping[str, LineChart | None]) -> None:
        for view in self._charts.values():
            view.hide()
        for name, picture in charts.items():
            if picture is None:
                continue
            if name not in self._charts:
                view = self._charts[name] = PictureView(picture)
                view.failed.connect(self._session.fail)
                place = len(self._charts) - 1
                self._grid.addWidget(view, place // 2, place % 2)
            self._charts[name].set_picture(picture)
            self._charts[name].show()


def _training_charts(history: tuple[FitProgress, ...]) -> dict[str, LineChart | None]:
    """Return a chart of the training loss where there is one, and of the validation metric."""
    if len(history) < 2:
        return {}
    metric = next(iter(history[-1].metrics), "loss")
    return {"validation": present.training_chart(history, metric)}


def _findings(story: NextItemStory, facts: RunFacts | None) -> tuple[Finding, ...]:
    """Return what the comparisons say, then warnings, then what was made of the rows."""
    said = tuple(Finding("note", sentence) for sentence in verdicts(story, story.chosen))
    warned = tuple(Finding("warn", sentence) for sentence in common_warnings(story))
    return said + warned + (facts.findings if facts is not None else ())
