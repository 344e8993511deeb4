"""How long a training takes whose model cannot say so: it is tried for a moment, on a first part of the rows.

The seconds of an epoch are taken between two reports of progress, so that loading libraries does not count. Two tries
of n_1 < n_2 rows give those of n:

    s(n) = s(n_2) + b (n - n_2)        b = (s(n_2) - s(n_1)) / (n_2 - n_1), or s(n_2) / n_2 where that is not positive

Rows made up teach nothing: a try says how long an epoch takes, and the model how many it may need at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from crosslens.errors import Stopped
from crosslens.models import FitContext, FitProgress

MOST_ROWS = 32_000
_FEWER = 8
"""How many times fewer rows the first try has."""
_WARMING_ROWS = 400
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 4.0
"""How long a try lasts after the first report: until an epoch has been measured, within these bounds."""
_SILENT_SECONDS = 8.0
"""How long a model may train without a report before it is given up."""

Fit = Callable[[int, FitContext], object]
"""Trains a model on so many rows."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of an epoch on all rows, the most epochs, and on how many rows that was tried."""

    seconds: float
    epochs: int
    tried: int


def tried_pace(fit: Fit, rows: int, context: FitContext, *, most: int = MOST_ROWS) -> Pace | None:
    """Return the pace of a training on `rows` rows, from tries of `most` rows at most; None if it makes no report.

    Raises what `fit` raises, and Stopped where the context says so.
    """
    many = min(rows, most)
    few = max(many // _FEWER, 1)
    _try(fit, min(_WARMING_ROWS, many), context, least=0.0, most=0.0)  # imports, and whatever else is done once
    first = _try(fit, few, context) if rows > many else None
    second = _try(fit, many, context)
    if second is None:
        return None
    slope = (second.seconds - first.seconds) / (many - few) if first else 0.0
    slope = slope if slope > 0 else second.seconds / many
    return Pace(second.seconds + slope * (rows - many), second.epochs, many)


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Seconds of an epoch as it was tried, and the most epochs."""

    seconds: float
    epochs: int


def _try(
    fit: Fit, rows: int, context: FitContext, *, least: float = _LEAST_SECONDS, most: float = _MOST_SECONDS
) -> _Epoch | None:
    """Train for some seconds after the first report; None without a report."""
    clock = _Clock(context, least, most)
    with suppress(Stopped):  # a model that was stopped before there was anything to keep
        fit(rows, replace(context, progress=clock.note, should_stop=clock.should_stop))
    if context.should_stop():
        raise Stopped
    return clock.epoch()


@dataclass(eq=False)
class _Clock:
    """Notes when a training has come how far, and says when that is enough."""

    context: FitContext
    least: float
    most: float
    started: float = field(default_factory=lambda: time.perf_counter())
    reports: list[tuple[float, float]] = field(default_factory=list)
    epochs: int = 1
    has_measured: bool = False

    def note(self, progress: FitProgress) -> None:
        """Keep the first report and the last: the time, and how many epochs are done."""
        done = progress.epoch if progress.metrics else progress.epoch - 1 + progress.step / max(progress.steps, 1)
        self.reports = [*self.reports[:1], (time.perf_counter(), float(done))]
        self.epochs = max(int(progress.epochs), 1)
        self.has_measured = self.has_measured or bool(progress.metrics)

    def should_stop(self) -> bool:
        """Whether enough is known, or nothing ever will be."""
        now = time.perf_counter()
        if self.context.should_stop():
            return True
        if not self.reports:
            return now - self.started > _SILENT_SECONDS
        return now - self.reports[0][0] >= (self.least if self.has_measured else self.most)

    def epoch(self) -> _Epoch | None:
        """Return the seconds of an epoch, by the first and the last report, or the only one and the start."""
        if not self.reports:
            return None
        begin = self.reports[0] if self.reports[-1][1] > self.reports[0][1] else (self.started, 0.0)
        (since, before), (until, done) = begin, self.reports[-1]
        return _Epoch((until - since) / (done - before), self.epochs) if done > before else None
