"""Moments and quantiles of numbers that stream by, in bounded memory, the same whatever the blocks hold.

Moments are merged by the pairwise formula of Chan, Golub and LeVeque (1979), each block scaled by its largest value so
that nothing overflows. Quantiles are exact while there are at most 2^17 different values; beyond that, neighbours are
drawn together into about 2^16 weighted values of equal share, the most frequent one standing for the others: a
quantile is then off by well under 0.1 % of the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crosslens.data import Float64Array, Int64Array

EXACT_VALUES = 1 << 17


@dataclass(slots=True)
class Moments:
    """Mean and deviation of the numbers so far."""

    count: int = 0
    _size: float = 0.0
    _mean: float = 0.0
    _variance: float = 0.0

    def add(self, values: Float64Array) -> None:
        """Add finite numbers (N,)."""
        if not len(values):
            return
        size = float(np.abs(values).max())
        scaled = values / (size or 1.0)
        other = Moments(len(values), size, float(scaled.mean()), float(scaled.var()))
        if self.count:
            other = self._with(other)
        self.count, self._size, self._mean, self._variance = other.count, other._size, other._mean, other._variance

    def mean_and_scale(self) -> tuple[float, float]:
        """Return mean and standard deviation; the scale of a constant is 1."""
        mean, deviation = self._mean, math.sqrt(self._variance)
        constant = deviation <= 1e-12 * max(1.0, abs(mean)) or deviation * self._size == 0
        return mean * self._size, 1.0 if constant else deviation * self._size

    def _with(self, other: Moments) -> Moments:
        size, count = max(self._size, other._size) or 1.0, self.count + other.count
        first, second = self._size / size, other._size / size
        step = other._mean * second - self._mean * first
        weight = other.count / count
        mean = self._mean * first + step * weight
        within = self._variance * first**2 * (1 - weight) + other._variance * second**2 * weight
        return Moments(count, size, mean, within + step**2 * weight * (1 - weight))


class Quantiles:
    """The different values so far and how often each occurs, ascending."""

    def __init__(self, most: int = EXACT_VALUES) -> None:
        self._most = most
        self._values: Float64Array = np.zeros(0)
        self._counts: Int64Array = np.zeros(0, np.int64)
        self._pending: list[tuple[Float64Array, Int64Array]] = []
        self._waiting = 0

    def add(self, values: Float64Array) -> None:
        """Add finite numbers (N,)."""
        found, counts = np.unique(values, return_counts=True)
        self._pending.append((found, counts.astype(np.int64)))
        self._waiting += len(found)
        if self._waiting > self._most:
            self._merge()

    def edges(self, bins: int, *, whole: bool) -> tuple[float, ...]:
        """Return at most bins - 1 different inner quantiles between which no bin is empty.

        Quantiles of `whole` numbers are values that occur, those of others are interpolated.
        """
        self._merge()
        inner = np.unique([self._quantile(step / bins, whole=whole) for step in range(1, bins)])
        places = np.searchsorted(inner, self._values, side="right")
        counts = np.bincount(places, weights=self._counts, minlength=len(inner) + 1)
        return tuple(float(edge) for edge in inner[counts[:-1] > 0])

    def _quantile(self, share: float, *, whole: bool) -> float:
        """Return what numpy.quantile returns by the methods "higher" and "linear"."""
        ends = np.cumsum(self._counts)
        place = (int(ends[-1]) - 1) * share
        if whole:
            return float(self._values[np.searchsorted(ends, math.ceil(place), side="right")])
        below, above = (
            float(self._values[np.searchsorted(ends, min(rank, int(ends[-1]) - 1), side="right")])
            for rank in (math.floor(place), math.floor(place) + 1)
        )
        step, gap = place - math.floor(place), above - below
        return above - gap * (1 - step) if step >= 0.5 else below + gap * step

    def _merge(self) -> None:
        if not self._pending:
            return
        pieces = [(self._values, self._counts), *self._pending]
        values = np.concatenate([piece[0] for piece in pieces])
        counts = np.concatenate([piece[1] for piece in pieces])
        self._values, places = np.unique(values, return_inverse=True)
        self._counts = np.bincount(places, weights=counts).astype(np.int64)
        self._pending, self._waiting = [], 0
        if len(self._values) > self._most:
            self._draw_together()

    def _draw_together(self) -> None:
        middles = np.cumsum(self._counts) - self._counts / 2
        groups = np.floor(middles * (self._most // 2) / self._counts.sum()).astype(np.int64)
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        heaviest = np.repeat(np.maximum.reduceat(self._counts, starts), np.diff(starts, append=len(groups)))
        candidates = np.flatnonzero(self._counts == heaviest)
        # of equally frequent neighbours the one in the middle
        first = np.searchsorted(candidates, starts)
        last = np.append(first[1:], len(candidates)) - 1
        self._values = self._values[candidates[(first + last) // 2]]
        self._counts = np.add.reduceat(self._counts, starts)
