"""Are the interactions real? Second differences at the output, and what they are worth on held-out rows.

For a pair of fields (i, j), with x\\i the row x whose field i comes from another, random row:

    D(x) = E[ f(x) - f(x\\i) - f(x\\j) + f(x\\i,j) ] - a_i(x_i) - a_j(x_j)

The expectation removes everything that is additive in x_i and x_j under independent fields. Fields of a database are
not independent (an item has one brand), so D also loses its best additive approximation a_i + a_j over the rows that
exist (purification; Hooker, 2007; Lengerich et al., 2020): what one of two tied fields says alone is no interaction.
The group means a are shrunk by their variance components (Searle et al., 1992), so that rare values do not swallow D.

Two stages: every pair on some rows; then the pairs of the largest effect again on more rows. The choice never looks at
labels, hence the p-values stay valid. Both figures are corrected for the noise of a few background rows.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosslens.data import EncodedDataset, Float64Array, Int64Array
from crosslens.errors import DataError

from .metrics import Z95, log_losses, normal_tail, resample
from .quality import Curve
from .variants import BATCH_ROWS, Background, FieldSet, Predict, Progress, Ticker, ignore, never, predict_replaced

SIGNIFICANT = 0.05
"""Share of wrong ones tolerated among the supported pairs (false discovery rate)."""
NUMERICAL_GROUPS = 12
_SWEEPS = 4
_NEGLIGIBLE = 1e-5
"""Differences below this many logits are rounding errors of a model in float32."""
_FEWEST_ROWS = 250
_ENOUGH_TO_SCREEN = 500
_FEWEST_DRAWS = 2
_PROBE_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """One pair of fields.

    effect: root mean square over rows of the second difference of the logit, with an interval;
    gain: mean log loss (nats per row) on held-out rows that is lost when the pair's second difference is taken out of
    the logit, with an interval; p_value one-sided for gain > 0, q_value after Benjamini-Hochberg over all pairs;
    supported: q_value <= 0.05.
    """

    fields: tuple[str, str]
    effect: float
    effect_low: float
    effect_high: float
    gain: float
    gain_low: float
    gain_high: float
    p_value: float
    q_value: float
    supported: bool


@dataclass(frozen=True, slots=True)
class InteractionEvidence:
    """All pairs looked at, strongest first (supported ones before the others)."""

    fields: tuple[str, ...]
    pairs: tuple[PairEvidence, ...]
    rows: int
    background: int
    method: str
    meaning: str


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """One field: effect is the root mean square change of the logit when the field is resampled; gain as for pairs."""

    field: str
    effect: float
    gain: float
    gain_low: float
    gain_high: float
    supported: bool


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Deletion and insertion of fields in the order of their contribution against random order.

    area: mean over rows of the area between both orders, in units of |logit - baseline logit|; 0 is no better than
    random, higher is better. Interval by bootstrap over rows.
    """

    area: float
    low: float
    high: float
    deletion: Curve
    deletion_random: Curve
    insertion: Curve
    insertion_random: Curve
    rows: int


def prove_interactions(
    predict: Predict,
    data: EncodedDataset,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    rows: int = 2_000,
    background: int = 4,
    confirm: int = 15,
    confirm_rows: int = 10_000,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress = ignore,
    should_stop: Callable[[], bool] = never,
) -> tuple[InteractionEvidence, tuple[FieldEffect, ...]]:
    """Measure pairs (default: all) and single fields on held-out `data`, whose labels the model has never seen.

    `background` random rows are averaged for each row. The `confirm` strongest pairs are measured again on up to
    `confirm_rows` rows. `seconds` is a budget: where the model is too slow for it, first fewer background rows, then
    fewer rows are used, and `method` says so; without it the result depends on the seed alone. DataError without rows
    or labels, Stopped when asked to.
    """
    _check(data)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))
    chosen = _pairs(data, pairs)
    most = min(max(rows, confirm_rows), len(data))
    plan = Plan(min(rows, len(data)), max(background, _FEWEST_DRAWS), confirm, most)
    fields = len(data.schema.fields)
    ticker = Ticker(progress, should_stop)
    if seconds is not None:
        plan = plan.within(seconds * _rows_per_second(predict, data, rng, ticker), fields, len(chosen))
    ticker.total = plan.cost(fields, len(chosen))

    def measure(rows: int, pairs: Int64Array) -> _Measured:
        part = data.take(np.sort(order[:rows]))
        return _differences(predict, part, pairs, plan.background, rng, ticker, lenders=data)

    strongest, proved = np.arange(len(chosen)), []
    if plan.screens(len(chosen)):
        screened = measure(plan.rows, chosen)
        proved = _prove(screened, chosen, data.schema.names, seed)
        strongest = np.argsort(-_mean_square(screened.pairs), kind="stable")[: plan.confirm]
    confirmed = measure(plan.confirm_rows, chosen[strongest])
    again = dict(zip(strongest.tolist(), _prove(confirmed, chosen[strongest], data.schema.names, seed), strict=True))
    proved = [again[place] if place in again else proved[place] for place in range(len(chosen))]
    evidence = InteractionEvidence(
        fields=data.schema.names,
        pairs=_ranked(proved),
        rows=plan.confirm_rows,
        background=plan.background,
        method=plan.words(len(chosen)),
        meaning="How far, in logits, a pair of fields moves the prediction beyond what both fields do alone. "
        "Supported: the test rows are predicted better with it than without it.",
    )
    return evidence, _field_effects(confirmed, data.schema.names)


def field_effects(
    predict: Predict,
    data: EncodedDataset,
    *,
    rows: int = 10_000,
    background: int = 4,
    seed: int = 0,
    progress: Progress = ignore,
    should_stop: Callable[[], bool] = never,
) -> tuple[FieldEffect, ...]:
    """Return what `prove_interactions` says of single fields, without looking at pairs; strongest first."""
    return prove_interactions(
        predict, data, pairs=(), rows=1, background=background, confirm_rows=rows, seed=seed,
        progress=progress, should_stop=should_stop,
    )[1]  # fmt: skip


def second_difference(
    predict: Predict, data: EncodedDataset, pair: tuple[str, str], *, background: int = 4, seed: int = 0
) -> Float64Array:
    """Return D of one pair for every row of `data`, in logits, (N,)."""
    chosen = _pairs(data, (pair,))
    rng = np.random.default_rng(seed)
    ticker = Ticker(ignore, never)
    draws = max(background, _FEWEST_DRAWS)
    means: Float64Array = _differences(predict, data, chosen, draws, rng, ticker, fields=chosen[0]).pairs.mean
    return np.asarray(means[0])


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is looked at: all pairs on `rows` rows, the `confirm` strongest on `confirm_rows`."""

    rows: int
    background: int
    confirm: int
    confirm_rows: int
    reduced: bool = False

    def cost(self, fields: int, pairs: int) -> int:
        """Return how many rows the model has to predict."""
        every = self.rows * (1 + self.background * (fields + pairs)) if self.screens(pairs) else 0
        return every + self.confirm_rows * (1 + self.background * (fields + min(self.confirm, pairs)))

    def screens(self, pairs: int) -> bool:
        """Whether there are more pairs than can be measured thoroughly."""
        return pairs > self.confirm

    def within(self, budget: float, fields: int, pairs: int) -> Plan:
        """Return the largest plan that costs at most `budget`, or the smallest there is."""
        plan = self
        while plan.cost(fields, pairs) > budget and plan.background > _FEWEST_DRAWS:
            plan = replace(plan, background=plan.background - 1, reduced=True)
        # the choice of pairs needs fewer rows than the proof, because it does not look at noisy labels
        while plan.cost(fields, pairs) > budget and plan.screens(pairs) and plan.rows > _ENOUGH_TO_SCREEN:
            plan = replace(plan, rows=max(_ENOUGH_TO_SCREEN, plan.rows * 3 // 4), reduced=True)
        while plan.cost(fields, pairs) > budget and max(plan.rows, plan.confirm_rows) > _FEWEST_ROWS:
            fewer = [min(count, max(_FEWEST_ROWS, count * 3 // 4)) for count in (plan.rows, plan.confirm_rows)]
            plan = replace(plan, rows=fewer[0], confirm_rows=fewer[1], reduced=True)
        return plan

    def words(self, pairs: int) -> str:
        """Return the plan as a sentence for the reader of the result."""
        rows = f"{self.confirm_rows:,} held-out rows"
        if self.screens(pairs):
            rows = f"{self.rows:,} held-out rows, the {self.confirm} strongest again on {self.confirm_rows:,}"
        limit = " (fewer than usual, to keep to the time limit)" if self.reduced else ""
        what = f"Second differences of the logit for {pairs:,} pairs on {rows}{limit}"
        return f"{what}, with {self.background} random rows as background for each."


@dataclass(frozen=True, slots=True, eq=False)
class _Noisy:
    """Means over background draws, (K, N), and the variance of each mean."""

    mean: Float64Array
    variance: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Logits (N,), differences of pairs (P, N) and of single fields (F, N), and mean squares of the latter."""

    logits: Float64Array
    labels: Float64Array
    weights: Float64Array
    pairs: _Noisy
    fields: _Noisy
    field_squares: Float64Array


def _check(data: EncodedDataset) -> None:
    if not len(data) or not data.labels:
        raise DataError("There are no labelled rows to prove interactions on.", do="Keep some rows for the test.")


def _pairs(data: EncodedDataset, pairs: Sequence[tuple[str, str]] | None) -> Int64Array:
    names = data.schema.names
    found = (
        list(itertools.combinations(range(len(names)), 2))
        if pairs is None
        else [(names.index(first), names.index(second)) for first, second in pairs]
    )
    return np.array(found, np.int64).reshape(-1, 2)


def _rows_per_second(predict: Predict, data: EncodedDataset, rng: np.random.Generator, ticker: Ticker) -> float:
    """Return the speed of the model on rows as they will be asked, warmed up."""
    rows = data.take(rng.integers(0, len(data), min(_PROBE_ROWS, BATCH_ROWS)))
    predict(rows.take(slice(0, 1024)))
    ticker.check()
    start = time.perf_counter()
    predict(rows)
    return len(rows) / max(time.perf_counter() - start, 1e-9)


def _differences(
    predict: Predict,
    data: EncodedDataset,
    pairs: Int64Array,
    background: int,
    rng: np.random.Generator,
    ticker: Ticker,
    *,
    lenders: EncodedDataset | None = None,
    fields: Int64Array | None = None,
) -> _Measured:
    """Ask for single fields (ascending; default: all) and pairs of them, for each background draw, and average."""
    lenders = data if lenders is None else lenders
    fields = np.arange(len(data.schema.fields)) if fields is None else np.sort(fields)
    logits = np.asarray(predict(data), np.float64)
    ticker.advance(len(data))
    singles: list[FieldSet] = [(int(field),) for field in fields]
    i, j = np.searchsorted(fields, pairs).T
    doubles: list[FieldSet] = [(int(first), int(second)) for first, second in pairs]
    of_pairs, of_fields = _Running(len(pairs), len(data)), _Running(len(singles), len(data))
    for _ in range(background):
        draw = Background.independent(lenders, len(data), rng)
        single = predict_replaced(predict, data, singles, draw, ticker)
        double = predict_replaced(predict, data, doubles, draw, ticker)
        of_fields.add(logits - single)
        of_pairs.add(logits - single[i] - single[j] + double)
    noisy = of_pairs.noisy()
    labels = data.target if data.labels else np.zeros(len(data))
    return _Measured(
        logits=logits,
        labels=np.asarray(labels, np.float64),
        weights=_weights(data),
        pairs=replace(noisy, mean=_purified(noisy.mean, pairs, data)),
        fields=of_fields.noisy(),
        field_squares=of_fields.squares(),
    )


class _Running:
    """Mean, variance and mean square over draws, without keeping the draws."""

    def __init__(self, kinds: int, rows: int) -> None:
        self._count = 0
        self._mean = np.zeros((kinds, rows))
        self._spread = np.zeros((kinds, rows))

    def add(self, values: Float64Array) -> None:
        self._count += 1
        step = values - self._mean
        self._mean += step / self._count
        self._spread += step * (values - self._mean)

    def noisy(self) -> _Noisy:
        return _Noisy(self._mean, self._spread / (self._count - 1) / self._count)

    def squares(self) -> Float64Array:
        return self._mean**2 + self._spread / self._count


def _weights(data: EncodedDataset) -> Float64Array:
    """Return the weights of rows, with mean 1."""
    if data.weights is None:
        return np.ones(len(data))
    weights = np.asarray(data.weights, np.float64)
    return np.asarray(weights / weights.mean())


def _purified(mean: Float64Array, pairs: Int64Array, data: EncodedDataset) -> Float64Array:
    groups = [_groups(data, field) for field in range(len(data.schema.fields))]
    pure = np.empty_like(mean)
    for place, (i, j) in enumerate(pairs):
        pure[place] = mean[place] - additive_part(mean[place], groups[i], groups[j])
    return pure


def _groups(data: EncodedDataset, field: int) -> Int64Array:
    """Return a group number for each row, (N,): ids as they are, numbers in quantile bins, missing ones apart."""
    categorical = data.ids.shape[1]
    if field < categorical:
        return np.unique(data.ids[:, field], return_inverse=True)[1].astype(np.int64)
    return quantile_bins(data.values[:, field - categorical], NUMERICAL_GROUPS)[0]


def quantile_bins(values: NDArray[np.floating], bins: int) -> tuple[Int64Array, Float64Array]:
    """Return the bin of each value and the inner edges; -1 is not used, missing values get the bin after the last."""
    known = values[~np.isnan(values)].astype(np.float64)
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.zeros(0)
    if len(known):
        edges = edges[(edges > known.min())]
    places = np.searchsorted(edges, values, side="right").astype(np.int64)
    places[np.isnan(values)] = len(edges) + 1
    return places, edges


def additive_part(values: Float64Array, first: Int64Array, second: Int64Array) -> Float64Array:
    """Return the best approximation of `values` (N,) by a constant and shrunk means of both groups (backfitting)."""
    constant = values.mean()
    parts = [np.zeros_like(values), np.zeros_like(values)]
    for _ in range(_SWEEPS):
        for place, groups in enumerate((first, second)):
            parts[place] = _shrunk_means(values - constant - parts[1 - place], groups)
    return np.asarray(constant + parts[0] + parts[1])


def _shrunk_means(values: Float64Array, groups: Int64Array) -> Float64Array:
    """Return the mean of each row's group, shrunk to 0 as far as the variance between groups may be chance."""
    sizes = np.bincount(groups).astype(np.float64)
    used, rows = int((sizes > 0).sum()), len(values)
    if used < 2 or used == rows:
        return np.zeros_like(values)
    means = np.bincount(groups, weights=values) / np.maximum(sizes, 1.0)
    within = float(((values - means[groups]) ** 2).sum()) / (rows - used)
    spread = float(sizes @ (means - values.mean()) ** 2) / (used - 1)
    between = max(0.0, (spread - within) / ((rows - float(sizes @ sizes) / rows) / (used - 1)))
    if between == 0.0:
        return np.zeros_like(values)
    kept = sizes[groups] * between
    return np.asarray(means[groups] * kept / (kept + within))


def _mean_square(noisy: _Noisy) -> Float64Array:
    """Return the mean over rows of the squared difference, without what the noise of the draws adds."""
    return np.asarray((noisy.mean**2 - noisy.variance).mean(axis=1))


def _prove(measured: _Measured, pairs: Int64Array, names: tuple[str, ...], seed: int) -> list[PairEvidence]:
    """Return the evidence for each pair, in the given order; q-values come later."""
    low, high = _effect_intervals(measured.pairs, seed)
    effects = np.sqrt(np.maximum(_mean_square(measured.pairs), 0.0))
    effects[effects < _NEGLIGIBLE] = 0.0
    gains, errors = _gains(measured, measured.pairs)
    return [
        PairEvidence(
            fields=(names[i], names[j]),
            effect=float(effects[place]),
            effect_low=float(low[place]),
            effect_high=float(high[place]),
            gain=float(gains[place]),
            gain_low=float(gains[place] - Z95 * errors[place]),
            gain_high=float(gains[place] + Z95 * errors[place]),
            p_value=_one_sided(gains[place], errors[place], effects[place]),
            q_value=1.0,
            supported=False,
        )
        for place, (i, j) in enumerate(pairs)
    ]


def _effect_intervals(noisy: _Noisy, seed: int) -> tuple[Float64Array, Float64Array]:
    """Return percentile intervals of the effects, by bootstrap over rows."""
    squares = noisy.mean**2 - noisy.variance
    draws = resample(squares.shape[1], seed=seed) @ squares.T / squares.shape[1]
    low, high = np.quantile(np.sqrt(np.maximum(draws, 0.0)), (0.025, 0.975), axis=0)
    return low, high


def _gains(measured: _Measured, noisy: _Noisy) -> tuple[Float64Array, Float64Array]:
    """Return the mean loss without each difference minus the loss with it, (K,), and its standard error.

    Noise of variance v in a logit adds p (1 - p) v / 2 to the expected loss; that is not the interaction's merit.
    """
    without = measured.logits - noisy.mean
    p = 1.0 / (1.0 + np.exp(-np.clip(without, -500, 500)))
    loss = log_losses(measured.labels, without) - 0.5 * p * (1 - p) * noisy.variance
    gains = measured.weights * (loss - log_losses(measured.labels, measured.logits))
    rows = gains.shape[1]
    return gains.mean(axis=1), gains.std(axis=1, ddof=1 if rows > 1 else 0) / math.sqrt(rows)


def _one_sided(gain: float, error: float, effect: float) -> float:
    return normal_tail(gain / error) if error > 0 and effect >= _NEGLIGIBLE else 1.0


def benjamini_hochberg(p_values: Sequence[float]) -> Float64Array:
    """Return q-values (Benjamini & Hochberg, 1995), in the given order."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    q = np.empty_like(p)
    q[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / ranks))
    return q


def _ranked(pairs: Sequence[PairEvidence]) -> tuple[PairEvidence, ...]:
    """Return supported pairs by effect, then the others by effect.

    The effect is measured without labels and much more precisely than the gain, so it orders better; the gain decides
    who belongs to the first group.
    """
    q_values = benjamini_hochberg([pair.p_value for pair in pairs]).tolist()
    judged = [replace(p, q_value=q, supported=q <= SIGNIFICANT) for p, q in zip(pairs, q_values, strict=True)]
    return tuple(sorted(judged, key=lambda pair: (not pair.supported, -pair.effect, pair.fields)))


def _field_effects(measured: _Measured, names: tuple[str, ...]) -> tuple[FieldEffect, ...]:
    gains, errors = _gains(measured, measured.fields)
    effects = np.sqrt(measured.field_squares.mean(axis=1))
    q_values = benjamini_hochberg([_one_sided(*each) for each in zip(gains, errors, effects, strict=True)])
    found = [
        FieldEffect(
            field=name,
            effect=float(effects[place]),
            gain=float(gains[place]),
            gain_low=float(gains[place] - Z95 * errors[place]),
            gain_high=float(gains[place] + Z95 * errors[place]),
            supported=bool(q_values[place] <= SIGNIFICANT),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda effect: (-effect.effect, effect.field)))
