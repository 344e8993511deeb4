"""What happens to impressions on their way: how many are clicked and convert, how soon, and who is left to learn from.

Conversions are only seen of clicked rows, and those are no random rows. How far a model thinks they differ is told by
its own predictions: mean pCTR of all rows against clicked ones, and Kish's effective size of the clicked rows once each
is weighed by 1 / pCTR to stand for all of them (Kish, 1965): (sum w)^2 / sum w^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosslens.data import EncodedDataset, Float64Array

from .formats import counted, format_count, format_percent
from .metrics import FEW_LABELS, wilson
from .outputs import CLICK, CONVERSION

LATE_SHARE = 0.01
"""More test conversions than this still to come make the observed rate too low to learn from as it is."""
FAR_APART = 1.5
"""Clicked rows whose mean pCTR is this many times that of all rows are a special kind of rows."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its Wilson interval (level 0.95)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, rows: int) -> Rate | None:
        """Return the share of `rows` that are `hits`; None of no rows."""
        return cls(hits / rows, *wilson(hits, rows)) if rows else None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the funnel: how many rows reach it, of the stage before and of the first one."""

    name: str
    count: int
    of_previous: Rate | None = None
    of_first: Rate | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """How long it takes from one stage to the next, in seconds, over `rows` rows that reach both."""

    start: str
    end: str
    median: float
    p90: float
    rows: int


@dataclass(frozen=True, slots=True)
class Selection:
    """How clicked test rows differ from all of them, in the eyes of the model; `effective` rows of `clicked` ones.

    pcvr_all and pcvr_clicked are mean predictions, `observed` is the rate among clicked rows.
    """

    rows: int
    clicked: int
    pctr_all: float
    pctr_clicked: float
    effective: float
    pcvr_all: float
    pcvr_clicked: float
    observed: Rate


@dataclass(frozen=True, slots=True)
class FunnelReport:
    """The funnel of a run. `late` is the share of test conversions expected to be still to come, where it is known.

    `delays_unknown` says why there are no delays; empty where there are.
    """

    stages: tuple[Stage, ...]
    delays: tuple[Delay, ...] = ()
    selection: Selection | None = None
    late: float | None = None
    delays_unknown: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StageTimes:
    """Seconds from `start` to `end` of rows that reach both, (N,). `last` is the latest end.

    `last` is in seconds since 1970.
    """

    start: str
    end: str
    seconds: Float64Array
    last: float

    def delay(self) -> Delay | None:
        """Return the median and the 90th percentile; None where nothing was measured."""
        if not len(self.seconds):
            return None
        median, p90 = np.quantile(self.seconds, (0.5, 0.9))
        return Delay(self.start, self.end, float(median), float(p90), len(self.seconds))


@dataclass(frozen=True, slots=True, eq=False)
class FunnelTimes:
    """What is known of time: stage by stage, the last being that of conversions. `unknown` says why nothing is."""

    stages: tuple[StageTimes, ...] = ()
    unknown: str = ""


def funnel_report(
    names: Mapping[str, str],
    labels: Mapping[str, NDArray[np.floating]],
    test: EncodedDataset,
    probabilities: Mapping[str, Float64Array],
    *,
    times: FunnelTimes,
    shown_at: Float64Array | None = None,
) -> FunnelReport:
    """Return what a funnel model and its rows tell.

    names: what the stages are called, by "impressions", "click" and "conversion"; labels of all rows, (N,) each; `test`
    rows with `probabilities` (T,) of their outputs; `shown_at` (T,) when each test row happened, in seconds since
    1970, for telling which conversions may still come.
    """
    stages = _stages(names, labels)
    selection = _selection(test, probabilities)
    late = _late(test, times, shown_at)
    return FunnelReport(
        stages=stages,
        delays=tuple(delay for stage in times.stages if (delay := stage.delay())),
        selection=selection,
        late=late,
        delays_unknown=times.unknown,
        warnings=tuple(_warnings(stages, labels, selection, late)),
    )


def effective_size(probabilities: Float64Array) -> float:
    """Return Kish's effective size of rows that are each weighed by 1 / probability; 0 of no rows."""
    if not len(probabilities):
        return 0.0
    weights = probabilities.min() / probabilities  # scaled: 1 / p of a tiny p may not have a square
    return float(weights.sum() ** 2 / (weights @ weights))


def _stages(names: Mapping[str, str], labels: Mapping[str, NDArray[np.floating]]) -> tuple[Stage, ...]:
    clicked = np.asarray(labels[CLICK]) > 0.5
    rows, clicks = len(clicked), int(clicked.sum())
    conversions = int((clicked & (np.asarray(labels[CONVERSION]) > 0.5)).sum())
    return (
        Stage(names["impressions"], rows),
        Stage(names[CLICK], clicks, Rate.of(clicks, rows), Rate.of(clicks, rows)),
        Stage(names[CONVERSION], conversions, Rate.of(conversions, clicks), Rate.of(conversions, rows)),
    )


def _selection(test: EncodedDataset, probabilities: Mapping[str, Float64Array]) -> Selection | None:
    if CLICK not in probabilities or CONVERSION not in probabilities:
        return None
    clicked = np.asarray(test.labels[CLICK]) > 0.5
    observed = Rate.of(int((np.asarray(test.labels[CONVERSION])[clicked] > 0.5).sum()), int(clicked.sum()))
    if observed is None:
        return None
    pctr, pcvr = probabilities[CLICK], probabilities[CONVERSION]
    return Selection(
        rows=len(test),
        clicked=int(clicked.sum()),
        pctr_all=float(pctr.mean()),
        pctr_clicked=float(pctr[clicked].mean()),
        effective=effective_size(pctr[clicked]),
        pcvr_all=float(pcvr.mean()),
        pcvr_clicked=float(pcvr[clicked].mean()),
        observed=observed,
    )


def _late(test: EncodedDataset, times: FunnelTimes, shown_at: Float64Array | None) -> float | None:
    """Return the mean, over clicked test rows, of the chance that a conversion takes longer than they were watched.

    Delays are those of conversions that were seen, so the truth is no smaller.
    """
    known = next((stage for stage in reversed(times.stages) if stage.end == CONVERSION and len(stage.seconds)), None)
    if known is None or shown_at is None:
        return None
    clicked = np.asarray(test.labels[CLICK]) > 0.5
    if not clicked.any():
        return None
    watched = max(known.last, float(shown_at.max())) - shown_at[clicked]
    delays = np.sort(known.seconds)
    return float(1.0 - (np.searchsorted(delays, watched, side="right") / len(delays)).mean())


def _warnings(
    stages: Sequence[Stage],
    labels: Mapping[str, NDArray[np.floating]],
    selection: Selection | None,
    late: float | None,
) -> list[str]:
    found = []
    if stages[2].count < FEW_LABELS:
        few = counted(stages[2].count, "conversion")
        found.append(f"There {'is' if stages[2].count == 1 else 'are'} only {few}: too few for firm conclusions.")
    unclicked = int(((np.asarray(labels[CLICK]) <= 0.5) & (np.asarray(labels[CONVERSION]) > 0.5)).sum())
    if unclicked:
        found.append(f"{format_count(unclicked)} conversions have no click; the funnel does not count them.")
    if late is not None and late > LATE_SHARE:
        found.append(
            f"About {format_percent(late, 0)} of the conversions of the test rows were probably still to come when the "
            "data ended. The observed rate is too low by that much: leave out the latest rows, or wait."
        )
    if selection is not None and selection.pctr_clicked > FAR_APART * selection.pctr_all:
        found.append(
            f"Clicked rows are a special kind: their mean pCTR is {format_percent(selection.pctr_clicked)}, that of "
            f"all rows {format_percent(selection.pctr_all)}. Weighed to stand for all rows, the "
            f"{format_count(selection.clicked)} clicked ones tell as much as {format_count(round(selection.effective))}"
            ". What pCVR says of rows that are rarely clicked rests on few of them."
        )
    return found
