"""Line icons, drawn by ourselves as SVG and recoloured to the palette."""

from __future__ import annotations

from functools import cache
from importlib import resources

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from .palette import colours, mix

SIZES = (16, 20, 24, 32, 40, 48, 64)
_INK = "#000"


def icon(name: str, colour: QColor | None = None) -> QIcon:
    """Return the icon of that name in `colour` (default: the text's); disabled it is faint."""
    ink = colour or colours().text
    return _icon(name, ink.name(), mix(ink, colours().window, 0.6).name())


def app_icon() -> QIcon:
    """Return the icon of the application, in its own colours."""
    return _drawn(_source("crosslens"), (*SIZES, 128, 256))


def pixmap(name: str, size: int, ratio: float, colour: QColor | None = None) -> QPixmap:
    """Return the icon at `size` logical pixels, sharp on a screen of the given pixel ratio."""
    drawn = _paint(_source(name).replace(_INK, (colour or colours().text).name()), round(size * ratio))
    drawn.setDevicePixelRatio(ratio)
    return drawn


@cache
def _source(name: str) -> str:
    return resources.files(__package__).joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")


@cache
def _icon(name: str, ink: str, faint: str) -> QIcon:
    drawn = _drawn(_source(name).replace(_INK, ink), SIZES)
    for size in SIZES:
        drawn.addPixmap(_paint(_source(name).replace(_INK, faint), size), QIcon.Mode.Disabled)
    return drawn


def _drawn(source: str, sizes: tuple[int, ...]) -> QIcon:
    drawn = QIcon()
    for size in sizes:
        drawn.addPixmap(_paint(source, size))
    return drawn


def _paint(source: str, size: int) -> QPixmap:
    canvas = QPixmap(size, size)
    canvas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(canvas)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return canvas
