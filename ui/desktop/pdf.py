"""The report as a PDF file: text as text, figures as vectors, A4."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMarginsF
from PySide6.QtGui import QGuiApplication, QPageLayout, QPageSize, QPainter, QPdfWriter

from core.files import replace_file
from core.report.document import ReportDocument
from crosslens.errors import InternalError

from .exports import svg_text
from .paper import PaperPages, typeset
from .paper.type import RESOLUTION

_kept: list[QGuiApplication] = []
"""The application made for a process without one; Qt's fonts live as long as it does."""


def write_pdf(document: ReportDocument, path: Path) -> None:
    """Write the report to `path`, whole or not at all; StorageError if the disk refuses. Needs no display."""
    if QGuiApplication.instance() is None:
        _kept.append(QGuiApplication(["crosslens", "-platform", "offscreen"]))
    data = pdf_bytes(document.title, typeset(document, svg_text))
    replace_file(path, lambda temporary: _write(temporary, data))


def pdf_bytes(title: str, pages: PaperPages) -> bytes:
    """Return the pages as a PDF."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = _writer(buffer, title)
    painter = QPainter()
    if not painter.begin(writer):
        raise InternalError("Qt could not begin a PDF in memory.")
    try:
        for number in range(len(pages)):
            if number:
                writer.newPage()
            pages.paint(painter, number)
    finally:
        painter.end()
        buffer.close()
    return bytes(data.data())


def _writer(buffer: QBuffer, title: str) -> QPdfWriter:
    writer = QPdfWriter(buffer)
    writer.setResolution(RESOLUTION)
    writer.setTitle(title)
    writer.setCreator("Crosslens")
    layout = QPageLayout(QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Portrait, QMarginsF())
    writer.setPageLayout(layout)
    return writer


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
