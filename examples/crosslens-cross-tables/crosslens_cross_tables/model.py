"""The model: logit(x) = b + sum_f A_f[x_f] + sum_(f,g) A_fg[x_f, x_g].

A table entry is moved by Newton steps on the log loss, damped by `rate` and shrunk by `smoothing`:

    A[cell] += rate * sum over its rows (y - p) / ( sum over its rows p (1 - p) + smoothing )
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    PairInteractions,
    Predictions,
    Stopped,
    TrainingData,
)
from crosslens.plain import from_plain, to_plain

from . import CrossTablesParameters

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

_LARGEST_TABLE = 1 << 18  # larger crosses share entries: cell number modulo this
_PATIENCE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Turns rows into one small whole number per field: local ids, and for numbers 0 = missing, then the bin."""

    schema: EncodedSchema
    edges: Floats  # (M, bins - 1)

    @classmethod
    def of(cls, train: EncodedDataset, count: int) -> Bins:
        """Put the edges at quantiles of the training rows."""
        shares = np.linspace(0, 1, count + 1)[1:-1]
        columns = [column[~np.isnan(column)] for column in train.values.T.astype(np.float64)]
        edges = [np.quantile(column, shares) if len(column) else np.zeros(count - 1) for column in columns]
        return cls(train.schema, np.array(edges, np.float64).reshape(len(columns), count - 1))

    @property
    def sizes(self) -> list[int]:
        """Return how many cells each field has, (F,)."""
        return [f.cardinality for f in self.schema.categorical] + [self.edges.shape[1] + 2] * len(self.edges)

    def cells(self, data: EncodedDataset, fields: tuple[int, ...]) -> Cells:
        """Return the cell of each row in the table of one field or of a pair, (N,)."""
        cells = self._column(data, fields[0])
        for field in fields[1:]:
            cells = cells * self.sizes[field] + self._column(data, field)
        return cells % self.table_size(fields)

    def table_size(self, fields: tuple[int, ...]) -> int:
        """Return the length of the table of these fields."""
        size = int(np.prod([self.sizes[field] for field in fields], dtype=np.int64))
        return size if len(fields) == 1 else min(size, _LARGEST_TABLE)

    def _column(self, data: EncodedDataset, field: int) -> Cells:
        categorical = data.ids.shape[1]
        if field < categorical:
            return data.ids[:, field].astype(np.int64) - self.schema.offsets[field]
        values = data.values[:, field - categorical].astype(np.float64)
        return np.where(np.isnan(values), 0, np.searchsorted(self.edges[field - categorical], values) + 1)


@dataclass(frozen=True, slots=True)
class CrossTablesEstimator:
    """Cross tables before training."""

    parameters: CrossTablesParameters

    def fit(self, data: TrainingData, context: FitContext) -> CrossTablesModel:
        """Fit the fields, choose pairs, fit all together. DataError for a single class; Stopped before a round."""
        _check(data)
        search = _Search(self.parameters, Bins.of(data.train, self.parameters.bins), data, context)
        search.run([(field,) for field in range(len(data.schema.fields))])
        search.run(search.best_pairs())
        return search.result()


class _Search:
    """Tables that grow round by round, and the best of them by validation log loss."""

    def __init__(self, parameters: CrossTablesParameters, bins: Bins, data: TrainingData, context: FitContext) -> None:
        self.parameters, self.bins, self.data, self.context = parameters, bins, data, context
        self.weights = np.ones(len(data.train)) if data.train.weights is None else data.train.weights
        rate = float(np.average(data.train.target, weights=self.weights))
        self.intercept = float(np.log(rate / (1 - rate)))
        self.logits = [np.full(len(part), self.intercept) for part in (data.train, data.validation)]
        self.tables: dict[tuple[int, ...], Floats] = {}
        self.best: dict[tuple[int, ...], Floats] | None = None
        self.best_loss, self.best_round, self.round = float("inf"), 0, 0
        self.stopped = False
        self.started = time.monotonic()

    def run(self, terms: Sequence[tuple[int, ...]]) -> None:
        """Add `terms` and go round all tables until validation stops getting better."""
        if not terms:
            return
        for term in terms:
            self.tables[term] = np.zeros(self.bins.table_size(term))
        cells = {term: [self.bins.cells(part, term) for part in self._parts] for term in self.tables}
        first = self.round
        while self.round - first < self.parameters.rounds and self.round - max(self.best_round, first) < _PATIENCE:
            if not self._one_round(cells):
                return

    def best_pairs(self) -> list[tuple[int, ...]]:
        """Return the pairs whose first step takes most off the validation log loss, at most `pairs` of them."""
        before, gains = _log_loss(self.logits[1], self.data.validation.target), {}
        for pair in combinations(range(len(self.data.schema.fields)), 2) if self.parameters.pairs else ():
            if self._asked_to_stop():
                return []
            train, validation = (self.bins.cells(part, pair) for part in self._parts)
            step = self._step(train, self.bins.table_size(pair))
            gains[pair] = before - _log_loss(self.logits[1] + step[validation], self.data.validation.target)
        found = sorted((pair for pair in gains if gains[pair] > 0), key=lambda pair: -gains[pair])
        return list(found[: self.parameters.pairs])

    def result(self) -> CrossTablesModel:
        """Return the best tables; Stopped when no round was finished."""
        if self.best is None:
            raise Stopped
        means = {term: float(table[self.bins.cells(self.data.train, term)].mean()) for term, table in self.best.items()}
        centred = {term: table - means[term] for term, table in self.best.items()}
        return CrossTablesModel(self.bins, self.intercept + sum(means.values()), centred)

    @property
    def _parts(self) -> tuple[EncodedDataset, EncodedDataset]:
        return self.data.train, self.data.validation

    def _asked_to_stop(self) -> bool:
        self.stopped = self.stopped or self.context.should_stop()
        return self.stopped

    def _one_round(self, cells: dict[tuple[int, ...], list[Cells]]) -> bool:
        for term, (train, validation) in cells.items():
            if self._asked_to_stop():
                return False
            step = self.parameters.rate * self._step(train, len(self.tables[term]))
            self.tables[term] += step
            self.logits[0] += step[train]
            self.logits[1] += step[validation]
        self.round += 1
        loss = _log_loss(self.logits[1], self.data.validation.target)
        if loss < self.best_loss:
            self.best, self.best_loss = {term: table.copy() for term, table in self.tables.items()}, loss
            self.best_round = self.round
        self._report(loss)
        return True

    def _step(self, cells: Cells, size: int) -> Floats:
        probability = 1 / (1 + np.exp(-self.logits[0]))
        pull = np.bincount(cells, self.weights * (self.data.train.target - probability), size)
        return pull / (
            np.bincount(cells, self.weights * probability * (1 - probability), size) + self.parameters.smoothing
        )

    def _report(self, loss: float) -> None:
        rounds = 2 * self.parameters.rounds  # once for the fields, once more with the pairs
        seconds = max(time.monotonic() - self.started, 1e-9)
        self.context.progress(
            FitProgress(
                epoch=self.round,
                epochs=rounds,
                step=self.round,
                steps=rounds,
                rows_per_second=self.round * len(self.data.train) / seconds,
                loss=_log_loss(self.logits[0], self.data.train.target),
                metrics={"loss": loss},
                best_epoch=self.best_round,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class CrossTablesModel:
    """Trained tables, each with mean 0 over the training rows."""

    bins: Bins
    intercept: float
    tables: dict[tuple[int, ...], Floats]

    @property
    def schema(self) -> EncodedSchema:
        """Return the schema of the training rows."""
        return self.bins.schema

    def predict(self, data: EncodedDataset) -> Predictions:
        """Return logits: one lookup per table."""
        logits = np.full(len(data), self.intercept)
        for term, table in self.tables.items():
            logits += table[self.bins.cells(data, term)]
        return Predictions({"click": logits})

    def explain(
        self, data: EncodedDataset, kinds: Collection[ExplanationKind], context: ExplainContext
    ) -> tuple[Explanation, ...]:
        """Return what the tables say about these rows."""
        makers = {
            ExplanationKind.CONTRIBUTIONS: self._contributions,
            ExplanationKind.FIELD_IMPORTANCE: self._importance,
            ExplanationKind.PAIR_INTERACTIONS: self._pairs,
        }
        return tuple(makers[kind](data) for kind in kinds)

    def save(self, folder: Path) -> None:
        """Write tables and edges as plain arrays, the rest as JSON."""
        arrays = {"-".join(map(str, term)): table for term, table in self.tables.items()}
        np.savez(folder / "tables.npz", edges=self.bins.edges, **arrays)
        facts = {"schema": to_plain(self.schema), "intercept": self.intercept}
        (folder / "model.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> CrossTablesModel:
        """Read what `save` wrote."""
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        with np.load(folder / "tables.npz", allow_pickle=False) as arrays:
            tables = {tuple(map(int, name.split("-"))): arrays[name] for name in arrays.files if name != "edges"}
            bins = Bins(from_plain(EncodedSchema, facts["schema"]), arrays["edges"])
        return cls(bins, facts["intercept"], tables)

    def _contributions(self, data: EncodedDataset) -> Contributions:
        shares = np.zeros((len(data), len(self.schema.fields)))
        for term, table in self.tables.items():
            shares[:, list(term)] += (table[self.bins.cells(data, term)] / len(term))[:, None]
        return Contributions(
            fields=self.schema.names,
            values=shares,
            baseline=np.full(len(data), self.intercept),
            logits=self.predict(data).logit(),
            method="table entries, pairs shared half and half (exact)",
        )

    def _importance(self, data: EncodedDataset) -> FieldImportance:
        sizes = [self._mean_size(data, (field,)) for field in range(len(self.schema.fields))]
        return FieldImportance(
            fields=self.schema.names,
            values=np.array(sizes),
            method="mean size of the field's table entry",
            meaning="How far the field alone moves the logit, on average.",
            rows=len(data),
        )

    def _pairs(self, data: EncodedDataset) -> PairInteractions:
        sizes = np.zeros((len(self.schema.fields),) * 2)
        for first, second in (term for term in self.tables if len(term) == 2):
            sizes[first, second] = sizes[second, first] = self._mean_size(data, (first, second))
        return PairInteractions(
            fields=self.schema.names,
            values=sizes,
            method="mean size of the pair's table entry",
            meaning="How far the two values together move the logit beyond each alone, on average.",
            rows=len(data),
        )

    def _mean_size(self, data: EncodedDataset, term: tuple[int, ...]) -> float:
        return float(np.abs(self.tables[term][self.bins.cells(data, term)]).sum()) / max(len(data), 1)


def _log_loss(logits: Floats, target: NDArray[np.float32]) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(target > 0.5, -logits, logits))))


def _check(data: TrainingData) -> None:
    if not len(data.train) or not len(data.validation):
        raise DataError("There are no rows to train on or none to validate with.", do="Choose another split.")
    if np.all(data.train.target == data.train.target[0]):
        raise DataError("Every training row has the same label.", do="Check the label column, or take more rows.")
    if not data.schema.fields:
        raise DataError("There is no field to learn from.", do="Give at least one column the role of a feature.")
