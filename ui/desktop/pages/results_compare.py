"""Two or more runs on the same rows: differences with intervals and words, curves together, evidence side by side."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core import present
from core.display import Align, Cell, Table, TableColumn
from core.evidence import InteractionEvidence
from core.ports import ProjectStore
from crosslens.errors import UserError
from crosslens.runs import RunRecord

from ..fonts import SPACE
from ..session import Session
from ..widgets.cards import EmptyState
from ..widgets.labels import Muted
from ..worker_client import Failure
from .results_loading import Background, Comparison, compare_runs, unique_names
from .results_parts import Pictures, Scrolling

_PAIRS = 15


class CompareTab(QWidget):
    """Compares the runs whose check mark is set."""

    def __init__(self, session: Session, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._background = session, background
        self._shown: tuple[tuple[str, ...], str] = ((), "")
        self._empty = EmptyState(
            "results",
            self.tr("Compare two or more runs"),
            self.tr("Tick runs in the list on the left. They must have been tested on the same rows."),
        )
        self._words, self._problem = QLabel(wordWrap=True), Muted()
        self._pictures = Pictures(session)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, SPACE, SPACE, 2 * SPACE)
        column.setSpacing(2 * SPACE)
        for widget in (self._words, self._problem, self._pictures):
            column.addWidget(widget)
        column.addStretch(1)
        self._area = Scrolling(inner, self.tr("Comparison"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self._area)
        self._show(False)

    def compare(self, runs: tuple[RunRecord, ...], project: ProjectStore | None, output: str = "") -> None:
        """Compare what these runs predict of an output; fewer than two runs show how to choose them."""
        asked = tuple(run.id for run in runs), output
        if asked == self._shown:
            return
        self._shown = asked
        self._show(len(runs) > 1)
        if len(runs) < 2 or project is None:
            self._background.forget("compare")
            return
        self._words.setText(self.tr("Comparing…"))
        names = unique_names(runs)
        paths = [(names[run.id], project.run_folder(run.id)) for run in runs]
        self._background.ask("compare", lambda: compare_runs(paths, output), self.show_comparison, self._fail)

    def show_comparison(self, comparison: Comparison) -> None:
        """Show what was found."""
        self._problem.hide()
        self._pictures.show()
        lines = [present.comparison_words(first, second, result) for first, second, result in comparison.pairs]
        heads = [f"{present.metrics_title(result.metric)}, {a} − {b}" for a, b, result in comparison.pairs]
        self._words.setText("\n".join(f"{head}: {line}" for head, line in zip(heads, lines, strict=True)))
        show, qualities = self._pictures.show_picture, comparison.qualities
        show("comparison", present.comparison_table(comparison.pairs))
        show("metrics", present.metrics_table(qualities) if qualities else None)
        show("roc", present.roc_chart(qualities) if qualities else None)
        show("reliability", present.reliability_chart(qualities) if qualities else None)
        show("agreement", agreement_table(comparison.evidence) if len(comparison.evidence) > 1 else None)

    def _fail(self, error: UserError | Failure) -> None:
        self._words.setText(error.what)
        self._problem.setText(" ".join(part for part in (error.why, error.do) if part))
        self._problem.show()
        self._pictures.hide()

    def _show(self, comparing: bool) -> None:
        self._area.setVisible(comparing)
        self._empty.setVisible(not comparing)


def agreement_table(evidence: Mapping[str, InteractionEvidence]) -> Table:
    """Return the rank every model gives to each pair and whether it is supported; agreement is evidence."""
    ranks = {name: _ranks(each) for name, each in evidence.items()}
    pairs = sorted({pair for each in ranks.values() for pair in each}, key=lambda pair: _mean_rank(pair, ranks))[
        :_PAIRS
    ]
    columns = [TableColumn("Fields"), *(TableColumn(name, Align.LEFT) for name in ranks), TableColumn("Models agree")]
    rows = tuple(_agreement_row(pair, ranks) for pair in pairs)
    return Table(
        title="Interactions, model by model",
        columns=tuple(columns),
        rows=rows,
        greyed=tuple(row[-1] == "no support" for row in rows),
        note="Rank among all pairs by the same measure on the same rows.",
    )


_Ranks = Mapping[tuple[str, ...], tuple[int, bool]]


def _ranks(evidence: InteractionEvidence) -> dict[tuple[str, ...], tuple[int, bool]]:
    return {tuple(sorted(pair.fields)): (rank, pair.supported) for rank, pair in enumerate(evidence.pairs, start=1)}


def _mean_rank(pair: tuple[str, ...], ranks: Mapping[str, _Ranks]) -> float:
    worst = max(len(each) for each in ranks.values()) + 1
    return sum(each[pair][0] if pair in each else worst for each in ranks.values()) / len(ranks)


def _agreement_row(pair: tuple[str, ...], ranks: Mapping[str, _Ranks]) -> tuple[Cell, ...]:
    cells: list[Cell] = [" × ".join(pair)]
    for each in ranks.values():
        rank, supported = each.get(pair, (0, False))
        cells.append(f"{rank}, {'supported' if supported else 'not supported'}" if rank else "not looked at")
    supporting = sum(pair in each and each[pair][1] for each in ranks.values())
    cells.append({len(ranks): "all support it", 0: "no support"}.get(supporting, f"{supporting} of {len(ranks)}"))
    return tuple(cells)
