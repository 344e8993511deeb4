"""Numbers as text, the same in reports, tables and on the terminal: a true minus sign, commas, about three digits."""

from __future__ import annotations

import math

from crosslens.runs import Metric

from .display import Cell, TableColumn

NOTHING = "–"
_SMALLEST_PLAIN = 1e-4
_LARGEST_PLAIN = 1e6


def format_number(value: float, decimals: int | None = None) -> str:
    """Return a number with `decimals`, or with about three significant digits when None."""
    if not math.isfinite(value):
        return NOTHING
    if decimals is None:
        decimals = decimals_of(value)
        if value and not _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
            return f"{value:.1e}".replace("-", "−")
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.removeprefix("-")


def decimals_of(value: float) -> int:
    """Return how many decimals show three significant digits of `value`, at most 4."""
    if not value or not math.isfinite(value):
        return 0
    return max(0, min(4, 2 - math.floor(math.log10(abs(value)))))


def format_signed(value: float, decimals: int | None = None) -> str:
    """Return a number with its sign, a plus included."""
    text = format_number(value, decimals)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def format_percent(share: float, decimals: int = 1) -> str:
    """Return a share as per cent: 0.123 is "12.3 %"."""
    return f"{format_number(100 * share, decimals)} %" if math.isfinite(share) else NOTHING


def format_with_unit(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a number with its unit; shares, whose unit is "%", as per cent."""
    return format_percent(value) if unit == "%" else f"{format_number(value, decimals)} {unit}".rstrip()


def format_count(count: int) -> str:
    """Return a whole number with separators: 12,345."""
    return f"{count:,}".replace("-", "−")


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 pair", "12 pairs"."""
    return f"{format_count(count)} {one if count == 1 else many or one + 's'}"


def format_interval(low: float, high: float, decimals: int | None = None) -> str:
    """Return an interval in square brackets: "[−0.006, 0.003]"."""
    if decimals is None:
        decimals = decimals_of(max(abs(low), abs(high)))
    return f"[{format_number(low, decimals)}, {format_number(high, decimals)}]"


def format_metric(metric: Metric, decimals: int = 3) -> str:
    """Return a metric with its interval: "0.741 [0.725, 0.756]"."""
    return f"{format_number(metric.value, decimals)} {format_interval(metric.low, metric.high, decimals)}"


def format_q(value: float) -> str:
    """Return a p- or q-value: "0.012", or "< 0.001"."""
    return "< 0.001" if value < 0.001 else format_number(value, 3)


def format_seconds(seconds: float) -> str:
    """Return a duration: "0.4 s", "45 s", "2 min 5 s", "1 h 4 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_cell(value: Cell, column: TableColumn) -> str:
    """Return the text of a table cell; None is a dash."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if column.percent:
        return format_percent(value, 1 if column.decimals is None else column.decimals)
    return format_count(value) if isinstance(value, int) else format_number(value, column.decimals)


def enumerated(words: tuple[str, ...] | list[str]) -> str:
    """Return words as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""
