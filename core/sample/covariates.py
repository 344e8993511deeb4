"""Who saw what, when and where: everything about an impression except whether it was clicked.

Values of fields are kept as positions in `catalogue`; every array is drawn for all rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosslens.data import Float64Array, Int64Array

from . import catalogue
from .presets import Preset

FIRST_DAY = np.datetime64("2026-03-02T00:00:00", "s")  # a Monday
DAYS = 56
SECONDS_PER_DAY = 86_400
MOST_POSITIONS = 20

_IMPRESSIONS_PER_USER = 11.5
_BASE_ROWS = 40_000


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Users (U,): segment, region and age band as positions; day of signing up, before the first day."""

    segment: Int64Array
    region: Int64Array
    age_band: Int64Array
    signed_up: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Items (I,) with their category, brand, price band, price and title; `tier` (brands,) of each brand."""

    category: Int64Array
    brand: Int64Array
    price_band: Int64Array
    price: Float64Array
    style: Int64Array
    product: Int64Array
    tier: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Sessions (S,) in the order of their start, in seconds since the first day."""

    user: Int64Array
    device: Int64Array
    channel: Int64Array
    weekend: Int64Array
    started: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Impressions:
    """Impressions (N,) in the order of time; `position` counts from 1, `shown` in seconds since the first day."""

    session: Int64Array
    item: Int64Array
    campaign: Int64Array
    position: Int64Array
    shown: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """The shop before anybody clicks."""

    users: Users
    items: Items
    sessions: Sessions
    impressions: Impressions

    def codes(self) -> dict[str, Int64Array]:
        """Return the value of every categorical field for every impression, (N,), under the field's name."""
        session, item = self.impressions.session, self.impressions.item
        user = self.sessions.user[session]
        return {
            "user.segment": self.users.segment[user],
            "user.region": self.users.region[user],
            "user.age_band": self.users.age_band[user],
            "session.device": self.sessions.device[session],
            "session.channel": self.sessions.channel[session],
            "session.weekend": self.sessions.weekend[session],
            "category.name": self.items.category[item],
            "item.price_band": self.items.price_band[item],
            "brand.tier": self.items.tier[self.items.brand[item]],
            "campaign.objective": _OBJECTIVES[self.impressions.campaign],
        }


VALUES = {
    "user.segment": catalogue.SEGMENT,
    "user.region": catalogue.REGION,
    "user.age_band": catalogue.AGE_BAND,
    "session.device": catalogue.DEVICE,
    "session.channel": catalogue.CHANNEL,
    "session.weekend": catalogue.WEEKEND,
    "category.name": catalogue.CATEGORY,
    "item.price_band": catalogue.PRICE_BAND,
    "brand.tier": catalogue.TIER,
    "campaign.objective": catalogue.OBJECTIVE,
}
"""The categorical fields that drive clicks and conversions, with their values."""

_OBJECTIVES = np.array([objective for _, objective in catalogue.CAMPAIGNS], dtype=np.int64)


def draw_covariates(rows: int, preset: Preset, rng: np.random.Generator) -> Covariates:
    """Return the covariates of `rows` impressions; users and items grow with the rows."""
    users = _users(max(40, round(rows / _IMPRESSIONS_PER_USER)), rng)
    items = _items(max(30, round(preset.items * (rows / _BASE_ROWS) ** 0.5)), rng)
    lengths = _session_lengths(rows, rng)
    sessions = _sessions(len(lengths), users, rng)
    return Covariates(users, items, sessions, _impressions(lengths, sessions, items, preset, rng))


def _pick(probabilities: Float64Array, size: int, rng: np.random.Generator) -> Int64Array:
    edges = np.cumsum(probabilities)[:-1]
    return np.asarray(np.searchsorted(edges, rng.random(size), side="right"), dtype=np.int64)


def _pick_by_row(table: Float64Array, rows: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Return one column per entry of `rows`, drawn by the probabilities of that row of `table`."""
    edges = np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return np.asarray((rng.random(len(rows))[:, None] >= edges[rows]).sum(axis=1), dtype=np.int64)


def _tilted(values: Float64Array, rows: int, strength: float) -> Float64Array:
    """Return (rows, values) probabilities that move from the first values to the last ones down the rows.

    So two fields depend on each other without interacting: what makes a pair a decoy.
    """
    slope = np.outer(np.linspace(-1, 1, rows), np.linspace(-1, 1, len(values)))
    return values * np.exp(strength * slope)


def _users(count: int, rng: np.random.Generator) -> Users:
    segment = _pick(catalogue.SEGMENT.probabilities, count, rng)
    ages = _tilted(catalogue.AGE_BAND.probabilities, len(catalogue.SEGMENT.names), 0.8)
    return Users(
        segment=segment,
        region=_pick(catalogue.REGION.probabilities, count, rng),
        age_band=_pick_by_row(ages, segment, rng),
        signed_up=-rng.integers(1, 730, count),
    )


def _items(count: int, rng: np.random.Generator) -> Items:
    category = _pick(catalogue.CATEGORY.probabilities, count, rng)
    tier = _pick(catalogue.TIER.probabilities, len(catalogue.BRANDS), rng)
    tier[:3] = range(3)  # every tier has a brand, whatever the draw
    brand = rng.integers(0, len(catalogue.BRANDS), count)
    bands = catalogue.PRICE_BAND.probabilities
    by_category = _tilted(bands, len(catalogue.CATEGORY.names), -0.6)
    by_tier = _tilted(bands, len(catalogue.TIER.names), 1.0)
    mixed = (by_category[:, None, :] * by_tier[None, :, :]).reshape(-1, len(bands))
    price_band = _pick_by_row(mixed / np.tile(bands, (len(mixed), 1)), category * len(by_tier) + tier[brand], rng)
    low, high = np.array(catalogue.PRICE_RANGES).T
    return Items(
        category=category,
        brand=brand,
        price_band=price_band,
        price=rng.integers(low[price_band], high[price_band]) + 0.99,
        style=rng.integers(0, len(catalogue.STYLES), count),
        product=rng.integers(0, len(catalogue.PRODUCTS[0]), count),
        tier=tier,
    )


def _session_lengths(rows: int, rng: np.random.Generator) -> Int64Array:
    """Return how many impressions each session has, some eight on average, `rows` in all."""
    enough = rows // 4 + 20
    lengths = np.clip(1 + rng.poisson(7.0, enough), 1, MOST_POSITIONS)
    ends = np.cumsum(lengths)
    lengths = lengths[: int(np.searchsorted(ends, rows)) + 1]
    lengths[-1] -= lengths.sum() - rows
    return lengths.astype(np.int64)


def _sessions(count: int, users: Users, rng: np.random.Generator) -> Sessions:
    activity = rng.lognormal(0.0, 0.8, len(users.segment))
    user = _pick(activity / activity.sum(), count, rng)
    devices = _tilted(catalogue.DEVICE.probabilities, len(catalogue.AGE_BAND.names), 0.8)
    hour = np.clip(rng.normal(15.5, 4.5, count), 0.0, 23.9)
    started = np.sort(rng.integers(0, DAYS, count) * SECONDS_PER_DAY + (hour * 3600).astype(np.int64))
    return Sessions(
        user=user,
        device=_pick_by_row(devices, users.age_band[user], rng),
        channel=_pick(catalogue.CHANNEL.probabilities, count, rng),
        weekend=(started // SECONDS_PER_DAY % 7 >= 5).astype(np.int64),
        started=started,
    )


def _impressions(
    lengths: Int64Array, sessions: Sessions, items: Items, preset: Preset, rng: np.random.Generator
) -> Impressions:
    rows = int(lengths.sum())
    session = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(rows) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    shown = sessions.started[session] + _time_in_session(position, rng)
    order = np.argsort(shown, kind="stable")
    popularity = rng.lognormal(0.0, preset.popularity, len(items.category))
    return Impressions(
        session=session[order],
        item=_pick(popularity / popularity.sum(), rows, rng),
        campaign=_campaigns(sessions.channel[session[order]], rng),
        position=position[order],
        shown=shown[order],
    )


def _time_in_session(position: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Return seconds since the start of the session, growing with the position."""
    return (position - 1) * 15 + rng.integers(0, 15, len(position))


def _campaigns(channel: Int64Array, rng: np.random.Generator) -> Int64Array:
    shares = catalogue.OBJECTIVE.probabilities / np.bincount(_OBJECTIVES)
    by_channel = _tilted(catalogue.OBJECTIVE.probabilities, len(catalogue.CHANNEL.names), 0.9)
    weights = by_channel / catalogue.OBJECTIVE.probabilities * shares
    return _pick_by_row(weights[:, _OBJECTIVES], channel, rng)
