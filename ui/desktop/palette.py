"""Every colour of the window: the only module with colour literals.

Widgets ask `colours()` when they paint, and paint again when the palette changes (`QEvent.PaletteChange`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette


class Theme(StrEnum):
    """What the user chose in Settings."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Colours:
    """Named colours. `*_soft` are backgrounds that carry `text`; `series` are safe for colour-blind eyes.

    `sequential` runs from nothing to much, `diverging` from negative over neutral to positive; both are evenly spaced
    stops to interpolate between.
    """

    dark: bool
    window: QColor
    base: QColor
    raised: QColor
    text: QColor
    muted: QColor
    faint: QColor
    line: QColor
    accent: QColor
    accent_text: QColor
    accent_soft: QColor
    good: QColor
    good_soft: QColor
    warn: QColor
    warn_soft: QColor
    bad: QColor
    bad_soft: QColor
    positive: QColor
    negative: QColor
    series: tuple[QColor, ...]
    sequential: tuple[QColor, ...]
    diverging: tuple[QColor, ...]


def _many(text: str) -> tuple[QColor, ...]:
    return tuple(QColor(word) for word in text.split())


LIGHT = Colours(
    dark=False,
    window=QColor("#f5f6f8"),
    base=QColor("#ffffff"),
    raised=QColor("#eceef2"),
    text=QColor("#1b1f27"),
    muted=QColor("#5a6272"),
    faint=QColor("#7b8394"),
    line=QColor("#d9dde4"),
    accent=QColor("#1f5fbf"),
    accent_text=QColor("#ffffff"),
    accent_soft=QColor("#e3ecfa"),
    good=QColor("#1b7a4b"),
    good_soft=QColor("#e0f2e8"),
    warn=QColor("#8f5600"),
    warn_soft=QColor("#fcefd6"),
    bad=QColor("#b3261e"),
    bad_soft=QColor("#fbe4e2"),
    positive=QColor("#c2570c"),
    negative=QColor("#2166ac"),
    series=_many("#1f5fbf #c2570c #1b7a4b #8e4ba8 #8f6a00 #0f7f8c #b03a5b #5a6272"),
    sequential=_many("#f2f5fa #c6dbef #8fbbdd #4f93c6 #1f66a8 #0b3a75"),
    diverging=_many("#0b4a8f #4f93c6 #bcd6ea #f4f4f2 #f6cfa6 #dd8340 #97400a"),
)

DARK = Colours(
    dark=True,
    window=QColor("#1a1d23"),
    base=QColor("#20242b"),
    raised=QColor("#2a2f38"),
    text=QColor("#e7eaf0"),
    muted=QColor("#a3abba"),
    faint=QColor("#848d9d"),
    line=QColor("#373d48"),
    accent=QColor("#7fb0ff"),
    accent_text=QColor("#0d1a2e"),
    accent_soft=QColor("#26395a"),
    good=QColor("#6fd39d"),
    good_soft=QColor("#1d3a2c"),
    warn=QColor("#f0b95b"),
    warn_soft=QColor("#433418"),
    bad=QColor("#ff8f86"),
    bad_soft=QColor("#4a2422"),
    positive=QColor("#f29a52"),
    negative=QColor("#6aaeea"),
    series=_many("#7fb0ff #f29a52 #6fd39d #cf9be6 #e3c25a #63cfdb #f28bab #a3abba"),
    sequential=_many("#252b35 #27456b #2c629b #4585c4 #79afe2 #c2defa"),
    diverging=_many("#8cc4f5 #4a8cca #2b4f77 #2c3038 #6d4727 #c07a3a #f5b880"),
)


def colours(palette: QPalette | None = None) -> Colours:
    """Return the colours that go with `palette` (default: the application's)."""
    window = (palette or QGuiApplication.palette()).color(QPalette.ColorRole.Window)
    return DARK if window.lightness() < 128 else LIGHT


def mix(first: QColor, second: QColor, share: float) -> QColor:
    """Return `first` moved by `share` (0..1) towards `second`."""
    return QColor.fromRgbF(*(a + (b - a) * share for a, b in zip(first.getRgbF(), second.getRgbF(), strict=True)))


def along(stops: tuple[QColor, ...], share: float) -> QColor:
    """Return the colour at `share` (0..1) of evenly spaced stops."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    lower = min(int(place), len(stops) - 2)
    return mix(stops[lower], stops[lower + 1], place - lower)


def readable_on(background: QColor) -> QColor:
    """Return the dark or light text colour, whichever contrasts more with `background`."""
    return max((LIGHT.text, LIGHT.base), key=lambda colour: contrast(colour, background))


def contrast(first: QColor, second: QColor) -> float:
    """Return the contrast ratio of two colours, 1..21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue, _ = colour.getRgbF()
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def apply_theme(theme: Theme) -> None:
    """Follow the system's light or dark scheme, or the user's choice; a high-contrast system keeps its own palette."""
    application = QGuiApplication.instance()
    if not isinstance(application, QGuiApplication):
        raise RuntimeError("a theme needs a running application")
    hints = application.styleHints()
    if theme is Theme.SYSTEM:
        hints.unsetColorScheme()
    else:
        hints.setColorScheme(Qt.ColorScheme.Dark if theme is Theme.DARK else Qt.ColorScheme.Light)
    if hints.accessibility().contrastPreference() is Qt.ContrastPreference.HighContrast:
        application.setPalette(QPalette())
        return
    dark = theme is Theme.DARK or (theme is Theme.SYSTEM and hints.colorScheme() is Qt.ColorScheme.Dark)
    application.setPalette(qt_palette(DARK if dark else LIGHT))


def qt_palette(colours: Colours) -> QPalette:
    """Return a Qt palette of the given colours."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    for name, colour in (
        (role.Window, colours.window),
        (role.WindowText, colours.text),
        (role.Base, colours.base),
        (role.AlternateBase, mix(colours.base, colours.raised, 0.5)),
        (role.Text, colours.text),
        (role.Button, mix(colours.window, colours.raised, 0.5) if not colours.dark else colours.raised),
        (role.ButtonText, colours.text),
        (role.BrightText, colours.bad),
        (role.PlaceholderText, colours.muted),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.accent_text),
        (role.Accent, colours.accent),
        (role.Link, colours.accent),
        (role.LinkVisited, colours.accent),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.Light, mix(colours.window, colours.base, 0.8)),
        (role.Midlight, mix(colours.window, colours.line, 0.5)),
        (role.Mid, colours.line),
        (role.Dark, mix(colours.line, colours.text, 0.25)),
        (role.Shadow, mix(colours.line, colours.text, 0.6)),
    ):
        palette.setColor(name, colour)
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, name, mix(colours.faint, colours.window, 0.25))
    palette.setColor(group.Disabled, role.Highlight, colours.line)
    palette.setColor(group.Disabled, role.HighlightedText, colours.muted)
    return palette
