"""Growing the trees of a funnel: first those of clicks on all rows, then those of conversions on clicked rows.

Both trainings share one run: progress goes on from one to the other, and a checkpoint of the second holds the finished
trees of the first. The loss that is reported is that of what happens to a row (nothing, a click, a click that
converts), in nats: L = BCE(y, a) + (y-weighted) BCE(z, b). It falls through both trainings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crosslens import Checkpoints, DataError, EncodedDataset, FitContext, FitProgress, TrainingData, parameters_to_plain

from ..funnel import CONVERSION, Rates, check_funnel, click_rows, conversion_rows
from . import LightGBMParameters
from .estimator import LightGBMEstimator
from .fitted import LightGBMModel
from .funnel_model import FunnelTrees

_FINISHED = "finished-clicks"
_IDENTITY = "identity.json"


@dataclass(frozen=True, slots=True)
class FunnelTreesEstimator:
    """LightGBM on clicks and, on clicked rows, on conversions, before training; both with the same parameters."""

    parameters: LightGBMParameters

    def fit(self, data: TrainingData, context: FitContext) -> FunnelTrees:
        """Grow trees of clicks, then of conversions, each until its validation log loss stops falling.

        Stop while the trees of clicks grow is Stopped: without trees of conversions there is no funnel. DataError for
        labels that are all alike, no rows, or validation rows without a click.
        """
        check_funnel(data)
        conversion_part = _conversions(data)
        watch = _Watch.start(self.parameters, data, context)
        clicks = watch.finished_clicks() or self._clicks(data, context, watch)
        context.log.info("Clicks: %d trees.", clicks.booster.num_trees())
        second = replace(context, progress=watch.conversions(clicks), checkpoints=watch.keeping(clicks))
        conversions = LightGBMEstimator(self.parameters).fit(conversion_part, second)
        return FunnelTrees(data.schema, clicks, conversions)

    def _clicks(self, data: TrainingData, context: FitContext, watch: _Watch) -> LightGBMModel:
        rows = TrainingData(click_rows(data.train), click_rows(data.validation))
        return LightGBMEstimator(self.parameters).fit(rows, replace(context, progress=watch.clicks))


def _conversions(data: TrainingData) -> TrainingData:
    train, validation = conversion_rows(data.train), conversion_rows(data.validation)
    if not len(validation):
        raise DataError(
            "No validation row was clicked.",
            why="The clicked ones decide when the trees of conversions stop to grow.",
            do="Take more rows, or give the validation part a larger share.",
        )
    return TrainingData(train, validation)


@dataclass(eq=False)
class _Watch:
    """Tells of two trainings as of one, and keeps what the first one found."""

    context: FitContext
    identity: dict[str, Any]
    share: float
    """Clicked validation rows, as a share of all: what a loss of theirs counts for among all rows."""
    prior: float
    """Validation log loss of conversions for as long as only their rate is known."""
    train_share: float = 0.0
    train_prior: float = 0.0
    """The same two of the training rows."""
    grown: int = 0
    click_loss: float = float("nan")
    click_train_loss: float | None = None

    @classmethod
    def start(cls, parameters: LightGBMParameters, data: TrainingData, context: FitContext) -> _Watch:
        rate = min(max(Rates.of(data.train).conversion, 1e-6), 1 - 1e-6)
        identity = {"parameters": parameters_to_plain(parameters), "seed": context.seed, "rows": len(data.train)}
        return cls(context, identity, *_share_and_prior(data.validation, rate), *_share_and_prior(data.train, rate))

    def clicks(self, progress: FitProgress) -> None:
        """Hear of the trees of clicks."""
        self.grown = progress.epoch
        metrics = dict(progress.metrics)
        if "loss" in metrics:
            self.click_loss = metrics["loss"]
            metrics["loss"] += self.share * self.prior
        loss = progress.loss
        if loss is not None:
            self.click_train_loss = loss
            loss += self.train_share * self.train_prior
        self._tell(replace(progress, loss=loss), metrics, f"Trees of clicks: {progress.epoch}")

    def conversions(self, clicks: LightGBMModel) -> Callable[[FitProgress], None]:
        """Return what hears of the trees of conversions, once those of clicks are grown."""
        self.grown = max(self.grown, clicks.booster.num_trees())
        first = self.grown

        def hear(progress: FitProgress) -> None:
            metrics = {f"{name}_{CONVERSION}": value for name, value in progress.metrics.items()}
            own = progress.metrics.get("loss")
            if own is not None and np.isfinite(self.click_loss):
                metrics["loss"] = self.click_loss + self.share * own
            best = None if progress.best_epoch is None else first + progress.best_epoch
            moved = replace(
                progress,
                epoch=first + progress.epoch,
                step=first + progress.step,
                best_epoch=best,
                loss=self._of_both(progress.loss),
            )
            self._tell(moved, metrics, f"Trees of conversions: {progress.epoch}")

        return hear

    def _of_both(self, loss: float | None) -> float | None:
        """Return the training loss of clicks and conversions, on the scale it had while the trees of clicks grew."""
        if loss is None or self.click_train_loss is None:  # unknown after a resumption
            return None
        return self.click_train_loss + self.train_share * loss

    def _tell(self, progress: FitProgress, metrics: dict[str, float], words: str) -> None:
        most = 2 * progress.epochs
        self.context.progress(replace(progress, epochs=most, steps=most, metrics=metrics, message=words))

    def finished_clicks(self) -> LightGBMModel | None:
        """Return the trees of clicks where a checkpoint holds them, finished, and of this very training."""
        folder = self.context.checkpoints.latest()
        if folder is None or not (folder / _FINISHED).exists():
            return None
        known = json.loads((folder / _FINISHED / _IDENTITY).read_text(encoding="utf-8"))
        if known["identity"] != json.loads(json.dumps(self.identity)):
            return None
        self.click_loss, self.grown = known["loss"], known["grown"]
        return LightGBMModel.load(folder / _FINISHED)

    def keeping(self, clicks: LightGBMModel) -> Checkpoints:
        """Return checkpoints that hold the finished trees of clicks beside what is saved into them."""
        facts = {"identity": self.identity, "loss": self.click_loss, "grown": self.grown}
        return _Keeping(self.context.checkpoints, clicks, facts)


@dataclass(frozen=True, slots=True, eq=False)
class _Keeping:
    """Checkpoints of the second training: those of the first are not its own."""

    checkpoints: Checkpoints
    clicks: LightGBMModel
    facts: dict[str, Any]

    def save(self, write: Callable[[Path], None]) -> None:
        """Save, with the finished trees beside."""

        def both(folder: Path) -> None:
            finished = folder / _FINISHED
            finished.mkdir()
            self.clicks.save(finished)
            (finished / _IDENTITY).write_text(json.dumps(self.facts), encoding="utf-8")
            write(folder)

        self.checkpoints.save(both)

    def latest(self) -> Path | None:
        """Return the last checkpoint of the second training."""
        folder = self.checkpoints.latest()
        return folder if folder is not None and (folder / _FINISHED).exists() else None


def _weights(data: EncodedDataset) -> np.ndarray:
    return np.ones(len(data)) if data.weights is None else np.asarray(data.weights, np.float64)


def _share_and_prior(data: EncodedDataset, rate: float) -> tuple[float, float]:
    """Return the clicked rows as a share of all, and their log loss where each is given `rate`."""
    converted = conversion_rows(data)
    losses = np.where(np.asarray(converted.target) > 0.5, -np.log(rate), -np.log1p(-rate))
    prior = float(np.average(losses, weights=_weights(converted))) if len(converted) else 0.0
    return float(_weights(converted).sum() / _weights(data).sum()), prior
