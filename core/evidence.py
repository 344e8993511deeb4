"""Are the interactions real? Second differences at the output, and what they are worth on held-out rows.

Two stages: every pair on some rows; then the pairs of the largest effect again on rows with as many positives as can
be had. The choice never looks at labels, hence the p-values stay valid. Effects and gains are corrected for the noise
of a few background rows. What a second difference is: `differences`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crosslens.data import EncodedDataset, Float64Array, Int64Array
from crosslens.errors import DataError

from .differences import (
    FEWEST_DRAWS,
    Measured,
    Noisy,
    Sample,
    balanced_sample,
    measure_differences,
    pair_places,
    plain_sample,
)
from .metrics import Z95, log_losses, normal_tail, resample
from .quality import Curve
from .variants import Predict, Progress, Ticker, ignore, never

SIGNIFICANT = 0.05
NEGLIGIBLE = 0.02
"""An effect below this many logits (two per cent of the odds) is no finding, however certain."""
"""Share of wrong ones tolerated among the supported pairs (false discovery rate)."""
_NEGLIGIBLE = 1e-5
"""Differences below this many logits are rounding errors of a model in float32."""
_FEWEST_ROWS = 250
_ENOUGH_TO_SCREEN = 500
_PROBE_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """One pair of fields.

    effect: root mean square over rows of the second difference of the logit, with an interval;
    gain: mean log loss (nats per row) on held-out rows that is lost when the pair's second difference is taken out of
    the logit, with an interval; p_value one-sided for gain > 0, q_value after Benjamini-Hochberg over all pairs;
    supported: q_value <= 0.05 and effect_low >= 0.02 logits.
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
    rows: int = 1_000,
    background: int = 4,
    confirm: int = 15,
    confirm_rows: int = 4_000,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress = ignore,
    should_stop: Callable[[], bool] = never,
) -> tuple[InteractionEvidence, tuple[FieldEffect, ...]]:
    """Measure pairs (default: all) and single fields on held-out `data`, whose labels the model has never seen.

    `background` random rows are averaged for each row. The `confirm` strongest pairs are measured again on up to
    `confirm_rows` rows, half of them positive where possible and weighed back. `seconds` is a budget: where the model
    is too slow for it, first fewer background rows, then fewer rows are used, and `method` says so; without it the
    result depends on the seed alone. DataError without rows or labels, Stopped when asked to.
    """
    _check(data)
    rng = np.random.default_rng(seed)
    chosen = _pairs(data, pairs)
    most = min(max(rows, confirm_rows), len(data))
    plan = Plan(min(rows, len(data)), max(background, FEWEST_DRAWS), confirm, most, len(data))
    fields = len(data.schema.fields)
    ticker = Ticker(progress, should_stop)
    if seconds is not None:
        plan = plan.within(seconds * _rows_per_second(predict, data, rng, ticker), fields, len(chosen))
    ticker.total = plan.cost(fields, len(chosen))

    def measure(sample: Sample, pairs: Int64Array) -> Measured:
        return measure_differences(predict, sample, pairs, lenders=data, draws=plan.background, rng=rng, ticker=ticker)

    strongest, proved = np.arange(len(chosen)), []
    if plan.screens(len(chosen)):
        screened = measure(plain_sample(data, plan.rows, rng), chosen)
        proved = _prove(screened, chosen, data.schema.names, seed)
        strongest = np.argsort(-_mean_square(screened), kind="stable")[: plan.confirm]
    confirmed = measure(balanced_sample(data, plan.confirm_rows, rng), chosen[strongest])
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
    rows: int = 4_000,
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is looked at: all pairs on `rows` rows, the `confirm` strongest on `confirm_rows`."""

    rows: int
    background: int
    confirm: int
    confirm_rows: int
    available: int
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
        while plan.cost(fields, pairs) > budget and plan.background > FEWEST_DRAWS:
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
        rows += ", positives enriched and weighed back" if self.confirm_rows < self.available else ""
        limit = " (fewer than usual, to keep to the time limit)" if self.reduced else ""
        what = f"Second differences of the logit for {pairs:,} pairs on {rows}{limit}"
        return f"{what}, with {self.background} random rows as background for each."


def _check(data: EncodedDataset) -> None:
    if not len(data) or not data.labels:
        raise DataError("There are no labelled rows to prove interactions on.", do="Keep some rows for the test.")


def _pairs(data: EncodedDataset, pairs: Sequence[tuple[str, str]] | None) -> Int64Array:
    return pair_places(data, tuple(itertools.combinations(data.schema.names, 2)) if pairs is None else pairs)


def _rows_per_second(predict: Predict, data: EncodedDataset, rng: np.random.Generator, ticker: Ticker) -> float:
    """Return the speed of the model on rows as they will be asked, warmed up."""
    rows = data.take(rng.integers(0, len(data), _PROBE_ROWS))
    predict(rows.take(slice(0, 256)))
    ticker.check()
    start = time.perf_counter()
    predict(rows)
    return len(rows) / max(time.perf_counter() - start, 1e-9)


def _mean_square(measured: Measured) -> Float64Array:
    """Return the mean over rows of the squared differences (P,), without what the noise of the draws adds."""
    return np.average(_squares(measured.pairs), axis=1, weights=measured.sample.design)


def _squares(noisy: Noisy) -> Float64Array:
    return np.asarray(noisy.mean**2 - noisy.variance)


def _prove(measured: Measured, pairs: Int64Array, names: tuple[str, ...], seed: int) -> list[PairEvidence]:
    """Return the evidence for each pair, in the given order; q-values come later."""
    low, high = _effect_intervals(measured, seed)
    effects = np.sqrt(np.maximum(_mean_square(measured), 0.0))
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


def _effect_intervals(measured: Measured, seed: int) -> tuple[Float64Array, Float64Array]:
    """Return percentile intervals of the effects, by bootstrap over rows."""
    squares, design = _squares(measured.pairs), measured.sample.design
    draws = resample(len(design), seed=seed) * design @ squares.T / len(design)
    low, high = np.quantile(np.sqrt(np.maximum(draws, 0.0)), (0.025, 0.975), axis=0)
    return low, high


def _gains(measured: Measured, noisy: Noisy) -> tuple[Float64Array, Float64Array]:
    """Return the mean loss without each difference minus the loss with it, (K,), and its standard error.

    Noise of variance v in a logit adds p (1 - p) v / 2 to the expected loss; that is not the interaction's merit.
    """
    rows = measured.sample.rows
    labels = np.asarray(rows.target, np.float64)
    without = measured.logits - noisy.mean
    p = 1.0 / (1.0 + np.exp(-np.clip(without, -500, 500)))
    loss = log_losses(labels, without) - 0.5 * p * (1 - p) * noisy.variance
    gains = _weights(measured.sample) * (loss - log_losses(labels, measured.logits))
    return _stratified(gains, labels, measured.sample)


def _weights(sample: Sample) -> Float64Array:
    """Return the weights the user gave to rows, with mean 1 over the population."""
    if sample.rows.weights is None:
        return np.ones(len(sample.rows))
    weights = np.asarray(sample.rows.weights, np.float64)
    return np.asarray(weights / np.average(weights, weights=sample.design))


def _stratified(values: Float64Array, labels: Float64Array, sample: Sample) -> tuple[Float64Array, Float64Array]:
    """Return means (K,) of values (K, N) over the population, and standard errors of a sample drawn by label.

    Variance: that within each class by how many were drawn, that between classes by how many there are.
    """
    means = np.average(values, axis=1, weights=sample.design)
    variance = np.zeros_like(means)
    for label in (0.0, 1.0):
        part = values[:, labels == label]
        if part.shape[1]:
            share = float(sample.design[labels == label].sum()) / len(labels)
            spread = part.var(axis=1, ddof=1) if part.shape[1] > 1 else np.zeros_like(means)
            variance += share**2 * spread / part.shape[1] + share * (part.mean(axis=1) - means) ** 2 / sample.population
    return means, np.sqrt(variance)


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
    judged = [
        replace(p, q_value=q, supported=q <= SIGNIFICANT and p.effect_low >= NEGLIGIBLE)
        for p, q in zip(pairs, q_values, strict=True)
    ]
    return tuple(sorted(judged, key=lambda pair: (not pair.supported, -pair.effect, pair.fields)))


def _field_effects(measured: Measured, names: tuple[str, ...]) -> tuple[FieldEffect, ...]:
    gains, errors = _gains(measured, measured.fields)
    effects = np.sqrt(np.average(measured.field_squares, axis=1, weights=measured.sample.design))
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
