"""Out of the window and into files or the clipboard; every file is whole or not there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QStandardPaths
from PySide6.QtGui import QGuiApplication, QImage, QPixmap
from PySide6.QtWidgets import QFileDialog, QWidget

from core.display import Picture, Table
from core.files import replace_file, write_text
from crosslens.errors import StorageError

SHARPNESS = 2.0
"""How many pixels a saved picture has for each pixel on screen."""


SVG_WIDTH = 720.0
"""Width of a saved SVG picture, in pixels."""


def filters() -> dict[str, str]:
    """Return the file dialog's line for each kind of file."""
    return {
        "svg": _tr("SVG picture (*.svg)"),
        "png": _tr("PNG picture (*.png)"),
        "csv": _tr("CSV table (*.csv)"),
        "parquet": _tr("Parquet table (*.parquet)"),
        "xlsx": _tr("Excel workbook (*.xlsx)"),
        "onnx": _tr("ONNX model (*.onnx)"),
        "html": _tr("HTML page (*.html)"),
        "pdf": _tr("PDF document (*.pdf)"),
        "toml": _tr("Recipe (*.toml)"),
    }


def ask_path(parent: QWidget, title: str, name: str, kind: str) -> Path | None:
    """Ask where to save; None when the user changes their mind. A missing ending is added."""
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    suggested = Path(documents) / f"{file_name(name)}.{kind}"
    chosen, _ = QFileDialog.getSaveFileName(parent, title, str(suggested), filters()[kind])
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix.lower() == f".{kind}" else path.with_name(f"{path.name}.{kind}")


def file_name(title: str) -> str:
    """Return `title` as a file name every system takes."""
    name = re.sub(r"[^\w\-]+", "-", title.lower()).strip("-_")
    return name[:60].rstrip("-") or "crosslens"


def save_picture(parent: QWidget, picture: Picture, kind: str, *, image: Callable[[], QPixmap]) -> Path | None:
    """Ask where and write the picture as "svg", "png" or "csv"; StorageError if that fails, None if not wanted."""
    from .charts.as_table import as_table

    path = ask_path(parent, _tr("Save picture"), picture.title, kind)
    if path is None:
        return None
    if kind == "png":
        write_image(path, image().toImage())
    elif kind == "svg":
        write_text(path, svg_text(picture))
    else:
        write_text(path, csv_text(as_table(picture)))
    return path


def write_image(path: Path, image: QImage) -> None:
    """Write a PNG file; StorageError if the disk refuses."""

    def write(temporary: Path) -> None:
        if not image.save(str(temporary), "PNG"):  # type: ignore[call-overload]
            raise StorageError(
                f"{path.name} could not be written.",
                why="The picture is empty, or the disk refused it.",
                do="Check the free space, or choose another folder.",
                path=str(path),
            )

    replace_file(path, write)


def svg_text(picture: Picture, width: float = SVG_WIDTH) -> str:
    """Return the picture as an SVG file `width` pixels wide, in the light colours of the report."""
    from core.report import svg  # not needed before the first export

    return svg(picture, width=width)


def csv_text(table: Table) -> str:
    """Return the raw values as CSV (RFC 4180), with heads; empty cells stay empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([["" if value is None else value for value in row] for row in table.rows])
    return buffer.getvalue()


def copy_numbers(table: Table) -> None:
    """Put the table on the clipboard as tab-separated text, as spreadsheets take it."""
    lines = ["\t".join(column.name for column in table.columns)]
    lines += ["\t".join("" if value is None else str(value) for value in row) for row in table.rows]
    QGuiApplication.clipboard().setText("\n".join(lines))


def sharp_image(widget: QWidget) -> QPixmap:
    """Return the widget as painted now, in twice the pixels of the screen."""
    ratio = SHARPNESS * widget.devicePixelRatioF()
    pixmap = QPixmap(widget.size() * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(widget.palette().color(widget.backgroundRole()))
    widget.render(pixmap)
    return pixmap


def _tr(text: str) -> str:
    return QCoreApplication.translate("exports", text)
