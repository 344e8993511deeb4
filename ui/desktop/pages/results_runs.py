"""The list of runs: figures with intervals, state, star, and the check mark that compares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QDateTime,
    QEvent,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QFrame, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from core.evidence import Faithfulness
from core.next_item.present import metric_title
from core.outputs import CLICK, output_title
from crosslens.runs import RunRecord, RunStatus

from ..charts import numbers
from ..fonts import SPACE, scaled, tabular
from ..icons import pixmap
from ..palette import Colours, colours, mix
from ..widgets.labels import tone_colours
from ..wording import duration

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
_ICON = 16


class RunRole(IntEnum):
    """What the delegate asks the model for."""

    RECORD = Qt.ItemDataRole.UserRole
    FAITHFULNESS = Qt.ItemDataRole.UserRole + 1


class RunsModel(QAbstractListModel):
    """Runs, starred ones first, then newest first. The check mark takes part in the comparison."""

    compared = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runs: tuple[RunRecord, ...] = ()
        self._checked: set[str] = set()
        self._faithfulness: dict[str, Faithfulness | None] = {}

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """Return the runs in the order shown."""
        return self._runs

    @property
    def checked(self) -> tuple[RunRecord, ...]:
        """Return the runs to compare, in the order shown."""
        return tuple(run for run in self._runs if run.id in self._checked)

    def set_runs(self, runs: tuple[RunRecord, ...]) -> None:
        """Show these runs; nothing happens when they are the same."""
        ordered = tuple(sorted(runs, key=lambda run: not run.starred))
        if ordered == self._runs:
            return
        if [run.id for run in ordered] == [run.id for run in self._runs]:
            self._runs = ordered
            self.dataChanged.emit(self.index(0), self.index(len(ordered) - 1))
            return
        self.beginResetModel()
        self._runs = ordered
        self._checked &= {run.id for run in ordered}
        self.endResetModel()
        self.compared.emit()

    def set_faithfulness(self, found: Mapping[str, Faithfulness | None]) -> None:
        """Show the faithfulness of some runs."""
        self._faithfulness.update(found)
        if self._runs:
            self.dataChanged.emit(self.index(0), self.index(len(self._runs) - 1))

    def without_faithfulness(self) -> tuple[RunRecord, ...]:
        """Return measured runs whose faithfulness was not looked up yet."""
        return tuple(run for run in self._runs if run.metrics and run.id not in self._faithfulness)

    def row_of(self, run_id: str) -> int:
        """Return the row of a run, or -1."""
        return next((row for row, run in enumerate(self._runs) if run.id == run_id), -1)

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Return the number of runs."""
        return 0 if parent.isValid() else len(self._runs)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return that runs can be selected, and compared once they were measured."""
        base = super().flags(index)
        measured = index.isValid() and bool(self._runs[index.row()].metrics)
        return base | Qt.ItemFlag.ItemIsUserCheckable if measured else base

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a role asks about a run."""
        if not index.isValid():
            return None
        run = self._runs[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return run.title or run.model
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return self._sentence(run)
        if role == Qt.ItemDataRole.CheckStateRole and run.metrics:
            return Qt.CheckState.Checked if run.id in self._checked else Qt.CheckState.Unchecked
        if role == RunRole.RECORD:
            return run
        return self._faithfulness.get(run.id) if role == RunRole.FAITHFULNESS else None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Take a run into the comparison, or out of it."""
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        name = self._runs[index.row()].id
        (self._checked.add if Qt.CheckState(value) is Qt.CheckState.Checked else self._checked.discard)(name)
        self.dataChanged.emit(index, index, [role])
        self.compared.emit()
        return True

    def _sentence(self, run: RunRecord) -> str:
        parts = [run.title or run.model, status_words(run.status, self)]
        parts += [self.tr("starred")] if run.starred else []
        parts += [result_words(run)] + [metric_words(run, name) for name in ("log_loss",) if name in run.metrics]
        parts += [when_words(run)] + ([run.error] if run.error else []) + ([run.note] if run.note else [])
        return "\n".join(part for part in parts if part)


def status_words(status: RunStatus, speaker: QObject) -> str:
    """Return the word for where a run stands."""
    return {
        RunStatus.RUNNING: speaker.tr("running"),
        RunStatus.FINISHED: speaker.tr("finished"),
        RunStatus.STOPPED: speaker.tr("stopped"),
        RunStatus.FAILED: speaker.tr("failed"),
        RunStatus.INTERRUPTED: speaker.tr("interrupted"),
    }[status]


def headline(run: RunRecord) -> str:
    """Return the name of the metric a run is known by: AUC, or the NDCG of a next-item run; empty if it has neither."""
    ranked = next((name for name in ("ndcg@10", *run.metrics) if name in run.metrics and name.startswith("ndcg@")), "")
    return "auc" if "auc" in run.metrics else ranked


def result_words(run: RunRecord) -> str:
    """Return the metric a run is known by with its interval, of a funnel for each output; empty if it has none."""
    names = [name for name in (headline(run), *_further(run)) if name]
    return "  ·  ".join(metric_words(run, name) for name in names)


def metric_words(run: RunRecord, name: str) -> str:
    """Return a metric of a run with its interval; of a funnel's AUC, of which output it is."""
    metric = run.metrics[name]
    output, _, kind = name.rpartition(".")
    title = {"auc": "AUC", "log_loss": "log loss"}.get(kind) or metric_title(kind)
    if kind == "auc" and (output or _further(run)):
        title = f"{output_title(output or CLICK)} {title}"
    return f"{title} {numbers.number(metric.value, 3)} {numbers.interval(metric.low, metric.high, 3)}"


def when_words(run: RunRecord) -> str:
    """Return when a run began and how long it took."""
    began = QLocale().toString(_local(run.created), "d MMM HH:mm")
    return f"{duration(run.seconds)}  ·  {began}" if run.seconds is not None else began


def _local(moment: datetime) -> QDateTime:
    return QDateTime.fromSecsSinceEpoch(round(moment.timestamp()))


TONES = {
    RunStatus.RUNNING: "note",
    RunStatus.STOPPED: "warn",
    RunStatus.INTERRUPTED: "warn",
    RunStatus.FAILED: "bad",
    RunStatus.FINISHED: "good",
}


class RunDelegate(QStyledItemDelegate):
    """Paints a run as a small card. `starClicked` carries the row whose star was clicked."""

    starClicked = Signal(int)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return room for four lines."""
        return QSize(240, 4 * (option.fontMetrics.height() + 4) + 2 * SPACE + 6)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint ground, check mark, star, and four lines."""
        run = index.data(RunRole.RECORD)
        tones = colours(option.palette)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_ground(painter, option, tones)
        if index.data(Qt.ItemDataRole.CheckStateRole) is not None:
            _paint_check(painter, option, _check_area(option.rect), index.data(Qt.ItemDataRole.CheckStateRole))
        self._paint_star(painter, option, run, tones)
        self._paint_lines(painter, option, run, index.data(RunRole.FAITHFULNESS), tones)
        painter.restore()

    def editorEvent(self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index) -> bool:
        """Answer clicks on the check mark and the star; Space works as in any list."""
        if isinstance(event, QMouseEvent):
            return event.type() == QEvent.Type.MouseButtonRelease and self._clicked(event, model, option, index)
        return super().editorEvent(event, model, option, index)

    def _clicked(
        self, event: QMouseEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index
    ) -> bool:
        position = event.position().toPoint()
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        if state is not None and _check_area(option.rect).adjusted(-6, -6, 6, 6).contains(position):
            checked = Qt.CheckState(state) is Qt.CheckState.Checked
            wanted = Qt.CheckState.Unchecked if checked else Qt.CheckState.Checked
            return model.setData(index, wanted, Qt.ItemDataRole.CheckStateRole)
        if _star_area(option.rect).adjusted(-6, -6, 6, 6).contains(position):
            self.starClicked.emit(index.row())
            return True
        return False

    def _paint_star(self, painter: QPainter, option: QStyleOptionViewItem, run: RunRecord, tones: Colours) -> None:
        hover = bool(option.state & QStyle.StateFlag.State_MouseOver)
        if run.starred or hover:
            ink = tones.accent if run.starred else tones.faint
            ratio = option.widget.devicePixelRatioF() if option.widget is not None else 1.0
            painter.drawPixmap(_star_area(option.rect).topLeft(), pixmap("star", _ICON, ratio, ink))

    def _paint_lines(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        run: RunRecord,
        faithfulness: Faithfulness | None,
        tones: Colours,
    ) -> None:
        line = option.fontMetrics.height() + 4
        area = option.rect.adjusted(2 * SPACE + _ICON + 4, SPACE + 3, -2 * SPACE, 0)
        area.setHeight(line)
        painter.setPen(tones.text)
        painter.setFont(scaled(option.font, 1.0, bold=True))
        _text(painter, area.adjusted(0, 0, -_ICON - SPACE, 0), run.title or run.model)
        painter.setFont(tabular(option.font))
        for words, ink in (
            (self._headline(run), tones.text if run.metrics else tone_colours(tones, TONES[run.status])[1]),
            (self._figures(run), tones.muted),
            (self._facts(run, faithfulness), tones.muted),
        ):
            area.translate(0, line)
            painter.setPen(ink)
            _text(painter, area, words)

    def _headline(self, run: RunRecord) -> str:
        if not headline(run):
            return status_words(run.status, self).capitalize()
        stopped = f"  ·  {status_words(run.status, self)}" if run.status is not RunStatus.FINISHED else ""
        return metric_words(run, headline(run)) + stopped

    def _figures(self, run: RunRecord) -> str:
        if not run.metrics:
            return run.error
        if further := _further_areas(run):
            return "  ·  ".join(further)
        parts = [
            f"{metric_title(name)} {numbers.number(run.metrics[name].value, 3)}"
            for name in (headline(run).replace("ndcg", "hr"), headline(run).replace("ndcg", "mrr"))
            if name != "auc" and name in run.metrics
        ]
        if "log_loss" in run.metrics:
            parts.append(self.tr("log loss {value}").format(value=numbers.number(run.metrics["log_loss"].value, 3)))
        if "calibration_ratio" in run.metrics:
            ratio = numbers.number(run.metrics["calibration_ratio"].value, 2)
            parts.append(self.tr("calibration {value}").format(value=ratio))
        return "  ·  ".join(parts)

    def _facts(self, run: RunRecord, faithfulness: Faithfulness | None) -> str:
        if faithfulness is None:
            return when_words(run)
        figure = numbers.number(faithfulness.area, 2)
        return self.tr("faithfulness {value}").format(value=figure) + "  ·  " + when_words(run)


def _further_areas(run: RunRecord) -> list[str]:
    """Return the AUC of the outputs of a funnel beside the first one, which is the headline."""
    areas = {name.partition(".")[0]: run.metrics[name].value for name in _further(run)}
    return [f"{output_title(output)} AUC {numbers.number(area, 3)}" for output, area in areas.items()]


def _further(run: RunRecord) -> tuple[str, ...]:
    """Return the names of the AUCs of a funnel beside that of its first output."""
    return tuple(name for name in run.metrics if name.endswith(".auc"))


def _paint_ground(painter: QPainter, option: QStyleOptionViewItem, tones: Colours) -> None:
    selected = bool(option.state & QStyle.StateFlag.State_Selected)
    hover = bool(option.state & QStyle.StateFlag.State_MouseOver)
    painter.setPen(QPen(tones.accent if selected else tones.line, 1.5 if selected else 1))
    painter.setBrush(tones.accent_soft if selected else mix(tones.base, tones.raised, 0.5 if hover else 0.0))
    painter.drawRoundedRect(QRectF(option.rect).adjusted(2, 2, -2, -2), 7, 7)


def _paint_check(painter: QPainter, option: QStyleOptionViewItem, area: QRect, state: Any) -> None:
    box = QStyleOptionViewItem(option)
    box.rect = area
    box.state &= ~(QStyle.StateFlag.State_HasFocus | QStyle.StateFlag.State_On | QStyle.StateFlag.State_Off)
    checked = Qt.CheckState(state) is Qt.CheckState.Checked
    box.state |= QStyle.StateFlag.State_On if checked else QStyle.StateFlag.State_Off
    if option.widget is not None:
        indicator = QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck
        option.widget.style().drawPrimitive(indicator, box, painter, option.widget)


def _check_area(rect: QRect) -> QRect:
    return QRect(rect.left() + SPACE + 4, rect.top() + SPACE + 4, _ICON, _ICON)


def _star_area(rect: QRect) -> QRect:
    return QRect(rect.right() - SPACE - 4 - _ICON, rect.top() + SPACE + 4, _ICON, _ICON)


def _text(painter: QPainter, area: QRect, words: str) -> None:
    shown = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)


class RunList(QListView):
    """The list itself. `runChosen` carries the run to look at, or None."""

    runChosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs = RunsModel(self)
        self.delegate = RunDelegate(self)
        self.setModel(self.runs)
        self.setItemDelegate(self.delegate)
        self.setAccessibleName(self.tr("Runs"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setSpacing(0)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.viewport().setAutoFillBackground(False)
        self.selectionModel().currentChanged.connect(
            lambda current, _: self.runChosen.emit(current.data(RunRole.RECORD))
        )

    def choose(self, run_id: str) -> None:
        """Select a run."""
        row = self.runs.row_of(run_id)
        if row >= 0:
            self.setCurrentIndex(self.runs.index(row))

    def chosen(self) -> RunRecord | None:
        """Return the selected run."""
        run = self.currentIndex().data(RunRole.RECORD)
        return run if isinstance(run, RunRecord) else None
