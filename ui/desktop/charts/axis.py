"""Axes: round numbers for ticks, a range that holds all values. No Qt but for the locale of the texts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from . import numbers

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` with ticks and their texts."""

    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]

    @property
    def span(self) -> float:
        """Return the length of the axis, never 0."""
        return self.high - self.low

    def share(self, value: float) -> float:
        """Return where a value stands: 0 at `low`, 1 at `high`."""
        return (value - self.low) / self.span


def axis_of(values: Iterable[float], *, margin: float = 0.0, whole: bool = False, count: int = 5) -> Axis:
    """Return the axis for some values, with about `count` ticks.

    `margin` is left free at both ends, as a share; `whole` keeps ticks on whole numbers.
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high <= low:
        room = abs(low) * 0.1 or 0.5
        low, high = low - room, high + room
    room = margin * (high - low)
    low, high = low - room, high + room
    step = round_step((high - low) / count)
    if whole and step != round(step):
        step = float(math.ceil(step))
    ticks = tuple(step * place for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    return Axis(low, high, ticks, tuple(_text(tick + 0.0, step, max(abs(low), abs(high))) for tick in ticks))


def round_step(rough: float) -> float:
    """Return the smallest round number not below `rough`: 1, 2, 2.5 or 5 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(rough))
    return next(step * scale for step in _STEPS if step * scale >= rough * (1 - 1e-9))


def _text(tick: float, step: float, largest: float) -> str:
    """Return a tick with as many digits as tell it from its neighbours; tiny steps need powers of ten."""
    decimals = next(
        (n for n in range(_MOST_DECIMALS) if abs(step * 10**n - round(step * 10**n)) < 1e-3 * step * 10**n), -1
    )
    if decimals >= 0 and step * 10**decimals >= 1:
        return numbers.fixed(tick, decimals)
    return numbers.general(tick, math.ceil(math.log10(largest / step)) + 2)
