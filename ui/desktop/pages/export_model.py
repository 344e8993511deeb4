"""The button that exports a run's model: as an ONNX file, or as a folder of weights and instructions."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QStandardPaths
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from core.commands import ExportModel, ModelExported
from crosslens.runs import RunRecord

from .. import exports
from ..session import Notice, Session
from ..widgets.buttons import Button, Weight


class ExportModelButton(Button):
    """Offers the ways out of the app to the model of the chosen run."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__("", parent, weight=Weight.QUIET, icon_name="save")
        self._session = session
        self._run: RunRecord | None = None
        self.setAccessibleName(self.tr("Export the model"))
        self.setToolTip(self.tr("Export the model, for use without Crosslens"))
        menu = QMenu(self)
        menu.addAction(self.tr("Model as ONNX file…"), self.as_onnx)
        menu.addAction(self.tr("Model as folder…"), self.as_folder)
        self.setMenu(menu)

    def show_run(self, run: RunRecord | None) -> None:
        """Be about another run; one without a measured model has nothing to export."""
        self._run = run
        self.setEnabled(run is not None and bool(run.metrics) and self._session.project is not None)

    def as_onnx(self) -> None:
        """Ask for a file and queue the export."""
        if self._run is not None:
            self._export(exports.ask_path(self, self.tr("Export the model"), self._name(self._run), "onnx"))

    def as_folder(self) -> None:
        """Ask where the new folder goes, and queue the export."""
        if self._run is None:
            return
        documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        title = self.tr("Make a folder for the model in")
        place = QFileDialog.getExistingDirectory(self, title, documents)
        if place:
            self._export(Path(place) / f"{exports.file_name(self._name(self._run))}-{self._run.id[-4:]}")

    def _name(self, run: RunRecord) -> str:
        return f"{run.title or run.model} {self.tr('model')}"

    def _export(self, path: Path | None) -> None:
        project, run = self._session.project, self._run
        if path is None or project is None or run is None:
            return
        words = self.tr("Export {model}").format(model=run.title or run.model)
        self._session.request(ExportModel(project.folder, run.id, path), self._exported, lane="job", title=words)

    def _exported(self, answer: ModelExported) -> None:
        self._session.notify(Notice(self.tr("The model is in {path}.").format(path=answer.output), tone="good"))
