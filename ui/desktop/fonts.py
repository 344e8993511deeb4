"""Sizes and weights of text, always relative to the system font."""

from __future__ import annotations

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QWidget

SPACE = 8
"""The rhythm of margins and gaps, in logical pixels."""


def tabular(font: QFont) -> QFont:
    """Return `font` with figures of equal width, so that columns of numbers line up."""
    font = QFont(font)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def scaled(font: QFont, factor: float, *, bold: bool = False) -> QFont:
    """Return `font` larger by `factor`; never smaller than the system's."""
    font = QFont(font)
    font.setPointSizeF(font.pointSizeF() * max(factor, 1.0))
    if bold:
        font.setWeight(QFont.Weight.DemiBold)
    return font


def enlarge(widget: QWidget, factor: float, *, bold: bool = False) -> None:
    """Enlarge the text of a widget."""
    widget.setFont(scaled(widget.font(), factor, bold=bold))
