"""What a job has said so far about each model it trains, and the curves drawn from it. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.commands import Phase, Progress
from core.display import LineChart, Series
from core.next_item.present import metric_title as ranking_title
from core.outputs import CLICK, OUTPUTS, output_title
from core.present import metrics_title
from crosslens.models import FitProgress

MOST_POINTS = 400
"""Points of a live line; beyond them every other one is dropped."""
ORDER = (Phase.CONNECTING, Phase.READING, Phase.ENCODING, Phase.TRAINING, Phase.EVALUATING, Phase.EXPLAINING)


@dataclass(slots=True)
class Track:
    """One model's way through a job. `loss`: (epochs done, mean training loss) of every report."""

    run: str
    model: str
    phase: Phase = Phase.TRAINING
    loss: list[tuple[float, float]] = field(default_factory=list)
    epochs: dict[int, FitProgress] = field(default_factory=dict)
    latest: FitProgress | None = None

    def hear(self, progress: Progress) -> None:
        """Take in one report."""
        self.phase = progress.phase
        fit = progress.fit
        if fit is None:
            return
        self.latest = fit
        if fit.loss is not None:
            self.loss.append((epochs_done(fit), fit.loss))
            if len(self.loss) > MOST_POINTS:
                self.loss = self.loss[1::2]
        if fit.metrics:
            self.epochs[fit.epoch] = fit

    @property
    def best_epoch(self) -> int | None:
        """Return the epoch that will be kept if training ends now."""
        return self.latest.best_epoch if self.latest is not None else None


class TrainingLog:
    """The tracks of one job, in the order in which its models came."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.phase: Phase | None = None
        self.progress: Progress | None = None

    def hear(self, progress: Progress) -> Track | None:
        """Take in one report and return the track it belongs to, or None before the first model."""
        self.phase, self.progress = progress.phase, progress
        if not progress.run:
            return None
        track = self.tracks.setdefault(progress.run, Track(progress.run, progress.model))
        track.hear(progress)
        return track


def epochs_done(fit: FitProgress) -> float:
    """Return how many epochs are done, parts included; models count from 1."""
    part = fit.step / fit.steps if fit.steps else 1.0
    return fit.epoch - 1 + min(part, 1.0)


def seconds_left(fit: FitProgress, elapsed: float) -> float | None:
    """Return how long training takes at most at its pace so far, or None while that is a guess."""
    done = epochs_done(fit)
    if not fit.epochs or done <= 0 or elapsed < 1.0:
        return None
    return elapsed / done * max(fit.epochs - done, 0.0)


def loss_chart(track: Track, title: str, words: tuple[str, str, str, str]) -> LineChart:
    """Return training and validation loss over epochs; `words`: x axis, y axis, and the names of both lines."""
    x_label, y_label, training, validation = words
    measured = [(fit.epoch, fit.metrics["loss"]) for fit in track.epochs.values() if "loss" in fit.metrics]
    lines = [_series(training, track.loss)] + ([_series(validation, measured, points=True)] if measured else [])
    return LineChart(title, x_label, y_label, tuple(lines))


def metric_chart(track: Track, title: str, x_label: str) -> LineChart:
    """Return the validation metrics other than losses over epochs; those of a funnel say which output they are of."""
    names = sorted({name for fit in track.epochs.values() for name in fit.metrics if not name.startswith("loss")})
    is_funnel = any(_parts(name)[1] for name in names)
    series = [
        _series(
            metric_title(name, is_funnel=is_funnel),
            [(fit.epoch, fit.metrics[name]) for fit in track.epochs.values() if name in fit.metrics],
            points=True,
        )
        for name in names
    ]
    return LineChart(title, x_label, metric_title(names[0]) if len(names) == 1 else "", tuple(series))


def metric_title(name: str, *, is_funnel: bool = False) -> str:
    """Return a metric's name as people write it: "AUC", "NDCG@10", and "pCVR AUC" of "auc_conversion".

    In a funnel a metric without an output is that of clicks.
    """
    metric, output = _parts(name)
    title = ranking_title(metric) if "@" in metric else metrics_title(metric)
    return f"{output_title(output or CLICK)} {title}" if output or is_funnel else title


def _parts(name: str) -> tuple[str, str]:
    """Return a metric and the output of a funnel it is measured on; the latter empty where the name has none."""
    for output in sorted(OUTPUTS, key=len, reverse=True):  # "click_and_conversion" ends like "conversion"
        if name.endswith(f"_{output}"):
            return name.removesuffix(f"_{output}"), output
    return name, ""


def _series(name: str, values: Sequence[tuple[float, float]], *, points: bool = False) -> Series:
    return Series(name, tuple(float(x) for x, _ in values), tuple(y for _, y in values), points=points)
