"""Numbers as a person reads them: the locale's separators, a true minus sign, a width that does not dance."""

from __future__ import annotations

import math
from collections.abc import Iterable

from PySide6.QtCore import QLocale

from core.display import Cell, TableColumn

NOTHING = "–"
_MINUS = "−"
_SMALLEST_PLAIN = 1e-4


def number(value: float, decimals: int | None = None) -> str:
    """Return `value` with `decimals`, or with about three significant digits when None."""
    if not math.isfinite(value):
        return NOTHING
    if decimals is not None:
        return fixed(value, decimals)
    if value and abs(value) < _SMALLEST_PLAIN:
        return _signed(QLocale().toString(float(value), "e", 1))
    return fixed(value, _decimals_of(value))


def fixed(value: float, decimals: int) -> str:
    """Return the number with so many decimals, however small or large it is; what rounds to zero has no sign."""
    return _signed(QLocale().toString(round(float(value), decimals) + 0.0, "f", decimals))


def general(value: float, digits: int) -> str:
    """Return the number with so many significant digits, with a power of ten where that is shorter."""
    return _signed(QLocale().toString(float(value), "g", digits))


def decimals_for(values: Iterable[float]) -> int:
    """Return how many decimals a column of numbers needs for three significant digits of its largest."""
    return _decimals_of(max((abs(value) for value in values if math.isfinite(value)), default=0.0))


def signed(value: float, decimals: int | None = None) -> str:
    """Return the number with its sign, a plus included."""
    return ("+" if value > 0 else "") + number(value, decimals)


def percent(value: float, decimals: int = 1) -> str:
    """Return a share as per cent: 0.123 is "12.3 %"."""
    return f"{number(100 * value, decimals)} %" if math.isfinite(value) else NOTHING


def whole(value: int) -> str:
    """Return a count with thousands separators."""
    return _signed(QLocale().toString(int(value)))


def with_unit(value: float, unit: str, decimals: int | None = None) -> str:
    """Return the number with its unit; shares ("%") are written as per cent."""
    if unit == "%":
        return percent(value)
    return f"{number(value, decimals)} {unit}".rstrip()


def interval(low: float, high: float, decimals: int | None = None) -> str:
    """Return an interval in square brackets."""
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def cell(value: Cell, column: TableColumn) -> str:
    """Return the text of a table cell."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "✓" if value else ""
    if isinstance(value, str):
        return value
    if column.percent:
        return percent(value, 1 if column.decimals is None else column.decimals)
    return whole(value) if isinstance(value, int) else number(value, column.decimals)


def _decimals_of(value: float) -> int:
    size = abs(value)
    if size == 0:
        return 0
    return max(0, min(4, 2 - math.floor(math.log10(size))))


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
