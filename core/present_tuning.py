"""A search over parameters as pictures: what was tried, what mattered, how the best value came about."""

from __future__ import annotations

import math
from typing import Any

from .display import Align, BarList, LineChart, Series, Table, TableColumn
from .tuning import Trial, TrialState, Tuning, is_better

_NOTE = (
    "Measured on the validation rows that chose among the trials: the best value is a little better than what new rows "
    "will show. Train with it to measure it on test rows."
)
_SHARES = "Share of the differences between trials, by functional analysis of variance over all of them (fANOVA)."


def trials_table(tuning: Tuning, labels: dict[str, str]) -> Table:
    """Return the trials, the best first, those without a value last; `labels` name parameters for people."""
    names = list(dict.fromkeys(name for trial in tuning.trials for name in trial.parameters))
    columns = (
        TableColumn("trial", Align.RIGHT),
        TableColumn(tuning.metric, Align.RIGHT, decimals=5, help="On validation rows."),
        TableColumn("ended", help="Left: it no longer improved and was behind the others."),
        TableColumn("epochs", Align.RIGHT),
        TableColumn("seconds", Align.RIGHT, decimals=1),
        *(TableColumn(labels.get(name, name), Align.RIGHT) for name in names),
    )
    ordered = ordered_trials(tuning)
    return Table(
        title=f"Trials of {tuning.title}",
        columns=columns,
        rows=tuple(_row(trial, names) for trial in ordered),
        greyed=tuple(trial.state is not TrialState.FINISHED for trial in ordered),
        note=_NOTE if tuning.best else "",
    )


def ordered_trials(tuning: Tuning) -> tuple[Trial, ...]:
    """Return the trials as the table lists them: the best first, those that were left, those without a value."""
    return tuple(sorted(tuning.trials, key=lambda trial: _order(tuning, trial)))


def _order(tuning: Tuning, trial: Trial) -> tuple[bool, float]:
    if trial.value is None:
        return True, float(trial.number)
    return trial.state is TrialState.PRUNED, -trial.value if tuning.rises else trial.value


def _row(trial: Trial, names: list[str]) -> tuple[Any, ...]:
    ended = {TrialState.FINISHED: "", TrialState.PRUNED: "left"}.get(trial.state, trial.error)
    facts = (trial.number + 1, trial.value, ended, trial.epochs, trial.seconds)
    return (*facts, *(parameter_text(trial.parameters.get(name)) for name in names))


def parameter_text(value: Any) -> str:
    """Return a parameter's value as a table shows it: numbers with four digits, lists parted by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def importance_bars(tuning: Tuning, labels: dict[str, str]) -> BarList:
    """Return how much of the difference between trials each parameter explains, the largest first."""
    ordered = sorted(tuning.importance.items(), key=lambda item: -item[1])
    return BarList(
        title="What mattered",
        labels=tuple(labels.get(name, name) for name, _ in ordered),
        values=tuple(share for _, share in ordered),
        note=_SHARES if ordered else "Known after eight trials.",
    )


def progress_chart(tuning: Tuning) -> LineChart:
    """Return every trial's value in order, and the best one so far."""
    done = [trial for trial in tuning.trials if trial.value is not None and trial.state is TrialState.FINISHED]
    best, so_far = math.nan, []
    for trial in done:
        assert trial.value is not None
        best = trial.value if is_better(trial.value, best, rises=tuning.rises) else best
        so_far.append(best)
    places = tuple(float(trial.number + 1) for trial in done)
    values = tuple(float(trial.value or 0.0) for trial in done)
    return LineChart(
        title="Trials in order",
        x_label="trial",
        y_label=tuning.metric,
        series=(Series("trial", places, values, points=True), Series("best so far", places, tuple(so_far))),
        note=f"On validation rows; {'higher' if tuning.rises else 'lower'} is better.",
    )
