"""The truth: how likely every impression is clicked, and converts if clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crosslens.data import Float64Array, Int64Array

from .covariates import VALUES, Covariates
from .presets import Preset

BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

POSITION_DECAY = 0.35
"""delta: how fast clicks fall with the logarithm of the position."""

MAIN_EFFECT = 0.22
"""Standard deviation of the main effect of each field, in logits."""

ITEM_TASTE, USER_TASTE = 0.40, 0.30
"""Standard deviations of the latents of items and users, in logits."""


@dataclass(frozen=True, slots=True)
class PlantedInteraction:
    """An interaction of unit variance with its coefficients, in logits, for clicks and for conversions."""

    fields: tuple[str, ...]
    click: float = 0.0
    conversion: float = 0.0

    @property
    def order(self) -> int:
        """Return how many fields take part."""
        return len(self.fields)

    @property
    def where(self) -> str:
        """Return "click", "conversion" or "both"."""
        if self.click and self.conversion:
            return "both"
        return "click" if self.click else "conversion"

    @property
    def strength(self) -> float:
        """Return the larger coefficient of the two; of equal ones that of clicks."""
        return max(self.click, self.conversion, key=abs)


PLANTED = (
    PlantedInteraction(("user.segment", "category.name"), click=1.2),
    PlantedInteraction(("session.device", "item.price_band"), conversion=-1.0),
    PlantedInteraction(("user.region", "brand.tier"), click=0.7, conversion=-0.7),
    PlantedInteraction(("user.age_band", "session.channel", "session.weekend"), conversion=1.5),
)

DECOYS = (
    ("user.segment", "user.age_band"),
    ("user.age_band", "session.device"),
    ("category.name", "item.price_band"),
    ("brand.tier", "item.price_band"),
    ("session.channel", "campaign.objective"),
)
"""Pairs that occur together and have strong main effects, but do not interact."""


@dataclass(frozen=True, slots=True, eq=False)
class Funnel:
    """What happened, (N,): c, r and the draws; `lag` seconds to a click, `delay` in units of the delay's scale.

    `click_share` and `conversion_share` are the factors that turn nominal coefficients of clicks and conversions into
    those of the click logit: with selection (kappa), what sells is also clicked.
    """

    click_probability: Float64Array
    conversion_probability: Float64Array
    clicked: BoolArray
    would_convert: BoolArray
    lag: Int64Array
    delay: Float64Array
    click_share: float
    conversion_share: float

    def effective(self, planted: PlantedInteraction) -> PlantedInteraction:
        """Return the interaction with the coefficients it has in both logits."""
        click = self.click_share * planted.click
        if self.conversion_share:
            click += self.conversion_share * planted.conversion
        return PlantedInteraction(planted.fields, click, planted.conversion)


def draw_funnel(
    covariates: Covariates, preset: Preset, taste: np.random.Generator, labels: np.random.Generator
) -> Funnel:
    """Return clicks and potential conversions; `taste` draws effects and latents, `labels` the outcomes."""
    codes = covariates.codes()
    clicks, sales = _scores(covariates, codes, preset, taste)
    rows = len(clicks)
    hidden = preset.gamma * labels.standard_normal(rows)
    scale = clicks.std()
    own, selected = float(np.sqrt(1 - preset.kappa**2)), preset.kappa * float(scale / sales.std())
    wanted = own * (clicks - clicks.mean()) + selected * (sales - sales.mean()) + hidden
    click_probability = _calibrated(wanted, lambda p: float(p.mean()), preset.ctr)
    total = click_probability.sum()
    conversion_probability = _calibrated(
        sales + hidden, lambda p: float((click_probability * p).sum() / total), preset.cvr
    )
    return Funnel(
        click_probability=click_probability,
        conversion_probability=conversion_probability,
        clicked=labels.random(rows) < click_probability,
        would_convert=labels.random(rows) < conversion_probability,
        lag=labels.integers(2, 60, rows),
        delay=labels.weibull(0.8, rows),
        click_share=own,
        conversion_share=selected,
    )


def interaction(codes: Sequence[Int64Array], sides: Sequence[Float64Array]) -> Float64Array:
    """Return I_k, (N,): the product of the values' codes, orthogonal to all lower orders, of mean 0 and variance 1.

    `codes` holds (N,) positions per field, `sides` the code of every position. Orthogonal on these very rows: the
    weighted least squares fit by all effects of lower order is taken out of the table of cells.
    """
    shape = tuple(len(side) for side in sides)
    cell = np.ravel_multi_index(tuple(codes), shape)
    counts = np.bincount(cell, minlength=int(np.prod(shape))).astype(np.float64)
    product = np.ones(())
    for side in sides:
        product = np.multiply.outer(product, side)
    values = _without_lower_orders(product.ravel(), counts, shape)[cell]
    return np.asarray(values / values.std())


def _without_lower_orders(values: Float64Array, counts: Float64Array, shape: tuple[int, ...]) -> Float64Array:
    position = np.indices(shape).reshape(len(shape), -1)
    columns = []
    for kept in combinations(range(len(shape)), len(shape) - 1):
        group = np.ravel_multi_index(tuple(position[list(kept)]), tuple(shape[axis] for axis in kept))
        columns.append(np.eye(int(group.max()) + 1)[group])
    design, root = np.concatenate(columns, axis=1), np.sqrt(counts)
    fit = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return np.asarray(values - design @ fit)


def _scores(
    covariates: Covariates, codes: dict[str, Int64Array], preset: Preset, rng: np.random.Generator
) -> tuple[Float64Array, Float64Array]:
    """Return g_c and g_v, (N,) each."""
    item, session = covariates.impressions.item, covariates.impressions.session
    user = covariates.sessions.user[session]
    of_items = _latents(len(covariates.items.category), ITEM_TASTE, preset.rho, rng)[:, item]
    of_users = _latents(len(covariates.users.segment), USER_TASTE, preset.rho, rng)[:, user]
    clicks, sales = of_items + of_users
    clicks = clicks - POSITION_DECAY * np.log(covariates.impressions.position)
    for name, column in codes.items():
        effects = _main_effects(len(VALUES[name].names), rng)
        clicks, sales = clicks + effects[0][column], sales + effects[1][column]
    for planted in PLANTED:
        sides = [np.asarray(VALUES[name].codes) for name in planted.fields]
        term = interaction([codes[name] for name in planted.fields], sides)
        clicks, sales = clicks + planted.click * term, sales + planted.conversion * term
    return clicks, sales


def _latents(count: int, spread: float, rho: float, rng: np.random.Generator) -> Float64Array:
    """Return (2, count): the taste for clicks and for conversions, correlated by rho."""
    first, second = rng.standard_normal((2, count))
    return spread * np.stack([first, rho * first + np.sqrt(1 - rho**2) * second])


def _main_effects(values: int, rng: np.random.Generator) -> Float64Array:
    """Return (2, values) effects on clicks and conversions, centred, all fields equally strong."""
    effects = rng.standard_normal((2, values))
    effects -= effects.mean(axis=1, keepdims=True)
    return np.asarray(MAIN_EFFECT * effects / effects.std(axis=1, keepdims=True))


def _calibrated(score: Float64Array, rate: Callable[[Float64Array], float], target: float) -> Float64Array:
    """Return sigmoid(x + score) with x found by bisection so that `rate` of it is `target`."""
    low, high = -40.0, 40.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(_sigmoid(middle + score)) < target else (low, middle)
    return _sigmoid((low + high) / 2 + score)


def _sigmoid(logit: Float64Array) -> Float64Array:
    return 1.0 / (1.0 + np.exp(-logit))
