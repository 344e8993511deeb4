"""Growing the trees, watched: early stopping, Stop, progress and checkpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, cast

import lightgbm as lgb

from crosslens import (
    DataError,
    EncodedDataset,
    FitContext,
    FitProgress,
    Stopped,
    TrainingData,
    parameters_to_plain,
)

from ..areas import auc
from ..labels import check_labels, has_both_classes
from . import LightGBMParameters
from .fitted import LightGBMModel
from .matrix import feature_matrix
from .quiet import send_messages_to_log
from .training_state import TrainingState, latest_checkpoint, save_checkpoint

REPORT_SECONDS = 0.1
CHECKPOINT_TREES = 25
CHECKPOINT_SECONDS = 10.0
WATCHING_SHARE = 0.01
"""The training loss is measured, and trees are written into checkpoints, for at most this share of the time each."""
_VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class LightGBMEstimator:
    """LightGBM before training.

    Validation log loss chooses the number of trees: it is defined for any labels and rewards calibration; AUC is
    reported beside it. A training resumed from a checkpoint gives the same trees, bit for bit, as one that was never
    interrupted, unless rows or fields are sampled: LightGBM does not save the state of its random numbers, so the
    trees after the checkpoint then see other samples.
    """

    parameters: LightGBMParameters

    def fit(self, data: TrainingData, context: FitContext) -> LightGBMModel:
        """Grow trees until validation log loss stops falling and keep the best number of them.

        Stop returns the best so far. DataError for a single class or no rows; Stopped before the first tree.
        """
        check_labels(data)
        if not data.schema.fields:
            raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")
        send_messages_to_log()
        identity = {"parameters": parameters_to_plain(self.parameters), "seed": context.seed, "rows": len(data.train)}
        resumed = latest_checkpoint(context, identity)
        watch = _Watch(data, context, self.parameters, identity, state=resumed[0] if resumed else TrainingState())
        if context.should_stop():
            return watch.stopped(resumed)
        trees = self._grow(data, context, watch, resumed)
        return LightGBMModel.from_trees(data.schema, trees, watch.state.best_trees, rows=len(data.train))

    def _grow(
        self, data: TrainingData, context: FitContext, watch: _Watch, resumed: tuple[TrainingState, str] | None
    ) -> lgb.Booster:
        left = self.parameters.num_trees - watch.state.trees
        if resumed and (left <= 0 or watch.is_out_of_patience):
            return lgb.Booster(model_str=resumed[1])
        options = lightgbm_options(self.parameters, context)
        train = _dataset(data.train, options)
        watch.validation = _dataset(data.validation, options, reference=train)
        return lgb.train(
            options,
            train,
            num_boost_round=left,
            valid_sets=[watch.validation],
            valid_names=[_VALIDATION],
            init_model=lgb.Booster(model_str=resumed[1]) if resumed else None,
            callbacks=[watch],
        )


def lightgbm_options(parameters: LightGBMParameters, context: FitContext) -> dict[str, Any]:
    """Return LightGBM's own options: the model's parameters, and what makes runs repeatable."""
    options = parameters_to_plain(parameters)
    for ours in ("num_trees", "patience"):
        del options[ours]
    return options | {
        "objective": "binary",
        "metric": "binary_logloss",
        "bagging_freq": int(parameters.bagging_fraction < 1.0),
        "max_depth": parameters.max_depth or -1,
        "seed": context.seed,
        "num_threads": context.threads,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def _dataset(data: EncodedDataset, options: dict[str, Any], reference: lgb.Dataset | None = None) -> lgb.Dataset:
    # Column numbers, not names: LightGBM refuses names with quotes, colons, commas or brackets.
    return lgb.Dataset(
        feature_matrix(data),
        label=data.target,
        weight=data.weights,
        categorical_feature=list(range(len(data.schema.categorical))),
        reference=reference,
        params=dict(options),
    )


@dataclass(eq=False)
class _Watch:
    """LightGBM calls this after every tree."""

    data: TrainingData
    context: FitContext
    parameters: LightGBMParameters
    identity: dict[str, Any]
    state: TrainingState
    trees_at_start: int = field(init=False)
    started: float = field(init=False)
    reported: float = field(init=False, default=float("-inf"))
    checkpointed: float = field(init=False)
    measuring: float = field(init=False, default=0.0)
    writing: float = field(init=False, default=0.0)
    has_auc: bool = field(init=False)
    validation: lgb.Dataset | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.trees_at_start = self.state.trees
        self.started = self.checkpointed = time.monotonic()
        self.has_auc = has_both_classes(self.data.validation.target)

    def __call__(self, env: lgb.callback.CallbackEnv) -> None:
        booster, results = cast(lgb.Booster, env.model), env.evaluation_result_list or []
        measured = {metric: float(value) for _, metric, value, *_ in results}
        self.state = self.state.after(measured["binary_logloss"])
        stopping = self.context.should_stop()
        ending = stopping or self.is_out_of_patience or self.state.trees == self.parameters.num_trees
        self._report(booster, measured, ending)
        self._checkpoint(booster, stopping)
        if ending:
            raise lgb.callback.EarlyStopException(self.state.best_trees - 1, results)

    @property
    def is_out_of_patience(self) -> bool:
        """Whether validation has not improved for `patience` trees."""
        return self.state.trees - self.state.best_trees >= self.parameters.patience

    def stopped(self, resumed: tuple[TrainingState, str] | None) -> LightGBMModel:
        """Return what the checkpoint holds, or raise Stopped when there is none."""
        if resumed is None:
            raise Stopped
        booster = lgb.Booster(model_str=resumed[1])
        return LightGBMModel.from_trees(self.data.schema, booster, self.state.best_trees, rows=len(self.data.train))

    def _report(self, booster: lgb.Booster, measured: dict[str, float], ending: bool) -> None:
        now = time.monotonic()
        if not ending and now - self.reported < REPORT_SECONDS:
            return
        self.reported = now
        metrics = {"loss": measured["binary_logloss"]} | ({"auc": self._area(booster)} if self.has_auc else {})
        grown = self.state.trees - self.trees_at_start
        self.context.progress(
            FitProgress(
                epoch=self.state.trees,
                epochs=self.parameters.num_trees,
                step=self.state.trees,
                steps=self.parameters.num_trees,
                rows_per_second=grown * len(self.data.train) / max(now - self.started, 1e-9),
                loss=self._training_loss(booster, now, ending),
                metrics=metrics,
                best_epoch=self.state.best_trees,
            )
        )

    def _area(self, booster: lgb.Booster) -> float:
        """Return the AUC of validation rows; asked for with every tree it would take as long as the loss itself."""
        rows, found = self.data.validation, list[float]()

        def measure(scores: Any, _: lgb.Dataset) -> tuple[str, float, bool]:
            found.append(auc(rows.target, scores, rows.weights))
            return "auc", found[-1], True

        assert self.validation is not None, "trees grow on training rows beside validation rows"
        booster.eval(self.validation, _VALIDATION, measure)
        return found[-1]

    def _training_loss(self, booster: lgb.Booster, now: float, ending: bool) -> float | None:
        if not ending and self.measuring > WATCHING_SHARE * (now - self.started):
            return None
        training = {metric: float(value) for _, metric, value, *_ in booster.eval_train()}
        self.measuring += time.monotonic() - now
        return training["binary_logloss"]

    def _checkpoint(self, booster: lgb.Booster, stopping: bool) -> None:
        now = time.monotonic()
        by_trees = self.state.trees % CHECKPOINT_TREES == 0 and self.writing <= WATCHING_SHARE * (now - self.started)
        if by_trees or stopping or now - self.checkpointed >= CHECKPOINT_SECONDS:
            trees = booster.model_to_string(num_iteration=-1)
            save_checkpoint(self.context.checkpoints, self.state, trees, self.identity)
            self.checkpointed = time.monotonic()
            self.writing += self.checkpointed - now
