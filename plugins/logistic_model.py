"""Logistic regression over sparse one-hot rows: training, predictions and files. Equation in logistic.py."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from crosslens import (
    Contributions,
    DataError,
    EncodedDataset,
    EncodedSchema,
    ExplainContext,
    Explanation,
    ExplanationKind,
    FieldImportance,
    FitContext,
    FitProgress,
    Predictions,
    Stopped,
    StorageError,
    TrainingData,
)
from crosslens.plain import from_plain, to_plain

from .labels import check_labels
from .logistic import LogisticParameters

_WEIGHTS = "weights.safetensors"
_FACTS = "model.json"

Float64Array = NDArray[np.float64]


def one_hot(data: EncodedDataset) -> csr_array:
    """Return (N, table_size + 2 M): a 1 per categorical id, then the numerical values, then their missing flags."""
    rows, categorical = data.ids.shape
    table, numerical = data.schema.table_size, data.values.shape[1]
    missing = np.isnan(data.values)
    slots = np.arange(numerical)
    columns = np.concatenate((data.ids, np.where(missing, table + numerical + slots, table + slots)), axis=1)
    values = np.ones(columns.shape)
    values[:, categorical:] = np.where(missing, 1.0, data.values)
    starts = np.arange(0, columns.size + 1, max(columns.shape[1], 1))
    return csr_array((values.ravel(), columns.ravel().astype(np.int32), starts), shape=(rows, table + 2 * numerical))


def log_loss(logits: Float64Array, target: NDArray[np.float32], weights: NDArray[np.float32] | None) -> float:
    """Return the mean of log(1 + exp(-s z)), s = +1 for positives and -1 for negatives."""
    return float(np.average(np.logaddexp(0.0, np.where(target > 0.5, -logits, logits)), weights=weights))


@dataclass(frozen=True, slots=True)
class LogisticEstimator:
    """Logistic regression before training: a path of L2 strengths, strongest first, each started from the last."""

    parameters: LogisticParameters

    def fit(self, data: TrainingData, context: FitContext) -> LogisticModel:
        """Return the fit with the lowest validation log loss.

        Stop is asked between fits and returns the best so far; Stopped before the first. DataError for a single class.
        """
        check_labels(data)
        if not data.schema.fields:
            raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")
        rows, solver = one_hot(data.train), self._solver(context)
        best: LogisticModel | None = None
        best_loss, best_fit, started = float("inf"), 0, time.monotonic()
        for number, strength in enumerate(self._strengths(), start=1):
            if context.should_stop():
                break
            self._solve(solver.set_params(C=1.0 / strength), rows, data.train, context)
            model = LogisticModel.from_coefficients(data.train, solver.coef_[0], float(solver.intercept_[0]))
            loss = log_loss(model.predict(data.validation).logit(), data.validation.target, data.validation.weights)
            if loss < best_loss:
                best, best_loss, best_fit = model, loss, number
            train_loss = log_loss(model.predict(data.train).logit(), data.train.target, data.train.weights)
            context.progress(
                FitProgress(
                    epoch=number,
                    epochs=self.parameters.fits,
                    step=number,
                    steps=self.parameters.fits,
                    rows_per_second=number * len(data.train) / max(time.monotonic() - started, 1e-9),
                    loss=train_loss,
                    metrics={"loss": loss},
                    best_epoch=best_fit,
                    message=f"L2 strength {strength:.3g}",
                )
            )
        if best is None:
            raise Stopped
        return best

    def _strengths(self) -> list[float]:
        strengths = np.geomspace(self.parameters.strongest, self.parameters.weakest, self.parameters.fits)
        return [float(strength) for strength in strengths]

    def _solver(self, context: FitContext) -> LogisticRegression:
        return LogisticRegression(
            solver="lbfgs",
            max_iter=self.parameters.iterations,
            tol=self.parameters.tolerance,
            warm_start=True,
            random_state=context.seed,
        )

    def _solve(self, solver: LogisticRegression, rows: csr_array, data: EncodedDataset, context: FitContext) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            solver.fit(rows, data.target, sample_weight=data.weights)
        for warning in caught:
            context.log.warning("Logistic regression: %s", warning.message)


@dataclass(frozen=True, slots=True, eq=False)
class LogisticModel:
    """A trained logistic regression.

    table (table_size,) per id; slopes, missing (M,); means (F,) of each field's term over the training rows, by which
    contributions are centred.
    """

    schema: EncodedSchema
    intercept: float
    table: Float64Array
    slopes: Float64Array
    missing: Float64Array
    means: Float64Array

    @classmethod
    def from_coefficients(cls, train: EncodedDataset, coefficients: Float64Array, intercept: float) -> LogisticModel:
        """Take the coefficients apart and measure the mean terms of the training rows."""
        table, slopes, missing = np.split(
            np.array(coefficients, np.float64),
            [train.schema.table_size, train.schema.table_size + len(train.schema.numerical)],
        )
        means = _terms(train, table, slopes, missing).mean(axis=0)
        return cls(train.schema, intercept, table, slopes, missing, means)

    @classmethod
    def load(cls, folder: Path) -> LogisticModel:
        """Read what `save` wrote; StorageError if it is not there or not readable."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            return cls(from_plain(EncodedSchema, facts["schema"]), facts["intercept"], **load_file(folder / _WEIGHTS))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise StorageError(
                "The saved logistic regression cannot be read.",
                why=str(error),
                do="Train it again.",
                folder=str(folder),
            ) from error

    def save(self, folder: Path) -> None:
        """Write the coefficients as safetensors, the schema as JSON."""
        names = ("table", "slopes", "missing", "means")
        save_file({name: getattr(self, name) for name in names}, folder / _WEIGHTS)
        facts = {"schema": to_plain(self.schema), "intercept": self.intercept}
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits: gathers and sums. Ids that training never saw have weight 0."""
        return Predictions({"click": self._shares(data).sum(axis=1) + self._baseline})

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the equation as ONNX; see `crosslens.models.OnnxExport`."""
        from .logistic_graph import write_logistic  # torch, which nothing else here needs

        write_logistic(self, path, metadata)

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return exact contributions and their mean size, in the order asked for."""
        makers: dict[ExplanationKind, Callable[[EncodedDataset], Explanation]] = {
            ExplanationKind.CONTRIBUTIONS: self._contributions,
            ExplanationKind.FIELD_IMPORTANCE: self._importance,
        }
        return tuple(makers[kind](data) for kind in kinds)

    @property
    def _baseline(self) -> float:
        return self.intercept + float(self.means.sum())

    def _shares(self, data: EncodedDataset) -> Float64Array:
        return _terms(data, self.table, self.slopes, self.missing) - self.means

    def _contributions(self, data: EncodedDataset) -> Contributions:
        return Contributions(
            fields=self.schema.names,
            values=self._shares(data),
            baseline=np.full(len(data), self._baseline),
            logits=self.predict(data).logit(),
            method="linear terms, centred on the training rows (exact)",
        )

    def _importance(self, data: EncodedDataset) -> FieldImportance:
        return FieldImportance(
            fields=self.schema.names,
            values=np.abs(self._shares(data)).sum(axis=0) / max(len(data), 1),
            method="mean size of the linear term",
            meaning="How far the field moves the logit from its mean, on average.",
            rows=len(data),
        )


def _terms(data: EncodedDataset, table: Float64Array, slopes: Float64Array, missing: Float64Array) -> Float64Array:
    """Return each field's term of the logit, (N, F)."""
    numerical = np.where(np.isnan(data.values), missing, data.values * slopes)
    return np.concatenate((table[data.ids], numerical), axis=1)
