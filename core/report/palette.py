"""Colours of drawn pictures, safe for colour-blind eyes (blue and orange)."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as SVG knows them. Scales of heat maps are `scale`, `positive` and `negative` at varying opacity.

    `on_colour` is for text on a cell of full opacity.
    """

    background: str = "#ffffff"
    text: str = "#1b1f27"
    muted: str = "#5a6272"
    line: str = "#d9dde4"
    grey: str = "#8b93a3"
    accent: str = "#1f5fbf"
    scale: str = "#14549c"
    positive: str = "#c2570c"
    negative: str = "#2166ac"
    on_colour: str = "#ffffff"
    series: tuple[str, ...] = ("#1f5fbf", "#c2570c", "#1b7a4b", "#8e4ba8", "#8f6a00", "#0f7f8c")


LIGHT = Palette()
DARK = Palette(
    background="#1a1d23",
    text="#e7eaf0",
    muted="#a3abba",
    line="#373d48",
    grey="#7d8697",
    accent="#7fb0ff",
    scale="#8cc0f5",
    positive="#f29a52",
    negative="#6aaeea",
    on_colour="#0d1a2e",
    series=("#7fb0ff", "#f29a52", "#6fd39d", "#cf9be6", "#e3c25a", "#63cfdb"),
)


def css_variables(palette: Palette) -> dict[str, str]:
    """Return the colours as CSS custom properties."""
    plain = {field.name: getattr(palette, field.name) for field in fields(palette) if field.name != "series"}
    series = {f"series-{place}": colour for place, colour in enumerate(palette.series)}
    return {f"--{name.replace('_', '-')}": colour for name, colour in (plain | series).items()}


CSS = Palette(
    **{field.name: f"var(--{field.name.replace('_', '-')})" for field in fields(Palette) if field.name != "series"},
    series=tuple(f"var(--series-{place})" for place in range(len(LIGHT.series))),
)
"""Refers to `css_variables`, so that one drawing serves light and dark pages."""
