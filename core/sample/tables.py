"""The shop as relational tables: what its database would hold, without a trace of the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.data import Int64Array
from crosslens.relational import ColumnInfo, ColumnType, ForeignKey, TableInfo, TableRef

from . import catalogue
from .covariates import DAYS, FIRST_DAY, SECONDS_PER_DAY, Covariates
from .funnel import BoolArray, Funnel
from .presets import Preset

LEAKS = ("impressions.landing_page", "impressions.voucher_code")
"""Columns of a dirty shop that are filled only once an impression was clicked, or bought from."""

_FOREIGN_KEYS = {
    "sessions": {"user_id": "users"},
    "items": {"category_id": "categories", "brand_id": "brands"},
    "impressions": {"session_id": "sessions", "item_id": "items", "campaign_id": "campaigns"},
    "clicks": {"impression_id": "impressions"},
    "conversions": {"click_id": "clicks", "impression_id": "impressions"},
}
_TYPES = {"int64": ColumnType.INTEGER, "double": ColumnType.FLOAT, "string": ColumnType.TEXT}
_DATABASE_TYPES = {"int64": "INTEGER", "double": "REAL", "string": "TEXT"}
_FINAL_SECOND = DAYS * SECONDS_PER_DAY


def shop_tables(
    covariates: Covariates, funnel: Funnel, preset: Preset, labels: np.random.Generator, dirt: np.random.Generator
) -> dict[str, pa.Table]:
    """Return the nine tables, parents before children; times are text such as 2026-03-02 09:30:00."""
    clicks = _clicks(covariates, funnel, preset, dirt)
    conversions = _conversions(covariates, funnel, clicks, preset, labels, dirt)
    return {
        "users": _users(covariates),
        "brands": _brands(covariates),
        "categories": _named(catalogue.CATEGORY.names),
        "items": _items(covariates),
        "campaigns": _campaigns(),
        "sessions": _sessions(covariates),
        "impressions": _impressions(covariates, funnel, preset),
        "clicks": clicks,
        "conversions": conversions,
    }


def describe(tables: Mapping[str, pa.Table]) -> tuple[TableInfo, ...]:
    """Return columns, primary and foreign keys of the tables, in their order."""
    return tuple(_describe(name, table) for name, table in tables.items())


def _describe(name: str, table: pa.Table) -> TableInfo:
    links = _FOREIGN_KEYS.get(name, {})
    keys = {column: target for column, target in links.items() if column in table.column_names}
    return TableInfo(
        ref=TableRef(name),
        columns=tuple(
            ColumnInfo(
                field.name,
                _time_or(field.name, _TYPES[str(field.type)]),
                _DATABASE_TYPES[str(field.type)],
                nullable=table.column(field.name).null_count > 0,
            )
            for field in table.schema
        ),
        primary_key=("id",),
        foreign_keys=tuple(ForeignKey((column,), TableRef(target), ("id",)) for column, target in keys.items()),
        rows=table.num_rows,
    )


def _time_or(name: str, otherwise: ColumnType) -> ColumnType:
    return ColumnType.TIMESTAMP if name.endswith("_at") else otherwise


def _ids(count: int) -> pa.Array:
    return pa.array(np.arange(1, count + 1))


def _refer(positions: Int64Array) -> pa.Array:
    return pa.array(positions + 1)


def _text(names: Sequence[str], positions: Int64Array) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(positions))


def _time(seconds: Int64Array) -> pa.Array:
    return pa.array(FIRST_DAY + seconds.astype("timedelta64[s]")).cast(pa.string())


def _named(names: Sequence[str]) -> pa.Table:
    return pa.table({"id": _ids(len(names)), "name": pa.array(names)})


def _users(covariates: Covariates) -> pa.Table:
    users = covariates.users
    return pa.table(
        {
            "id": _ids(len(users.segment)),
            "segment": _text(catalogue.SEGMENT.names, users.segment),
            "region": _text(catalogue.REGION.names, users.region),
            "age_band": _text(catalogue.AGE_BAND.names, users.age_band),
            "signed_up_at": _time(users.signed_up * SECONDS_PER_DAY),
        }
    )


def _brands(covariates: Covariates) -> pa.Table:
    tier = _text(catalogue.TIER.names, covariates.items.tier)
    return _named(catalogue.BRANDS).append_column("tier", tier)


def _items(covariates: Covariates) -> pa.Table:
    items = covariates.items
    products = [product for group in catalogue.PRODUCTS for product in group]
    noun = items.category * len(catalogue.PRODUCTS[0]) + items.product
    brands, styles = catalogue.BRANDS, catalogue.STYLES
    rows = zip(items.brand.tolist(), items.style.tolist(), noun.tolist(), strict=True)
    return pa.table(
        {
            "id": _ids(len(items.category)),
            "title": pa.array(
                [f"{brands[brand]} {styles[style]} {products[product]}" for brand, style, product in rows]
            ),
            "category_id": _refer(items.category),
            "brand_id": _refer(items.brand),
            "price": pa.array(items.price),
            "price_band": _text(catalogue.PRICE_BAND.names, items.price_band),
        }
    )


def _campaigns() -> pa.Table:
    names, objectives = zip(*catalogue.CAMPAIGNS, strict=True)
    return _named(names).append_column("objective", _text(catalogue.OBJECTIVE.names, np.array(objectives)))


def _sessions(covariates: Covariates) -> pa.Table:
    sessions = covariates.sessions
    return pa.table(
        {
            "id": _ids(len(sessions.user)),
            "user_id": _refer(sessions.user),
            "device": _text(catalogue.DEVICE.names, sessions.device),
            "channel": _text(catalogue.CHANNEL.names, sessions.channel),
            "weekend": pa.array(sessions.weekend),
            "started_at": _time(sessions.started),
        }
    )


def _impressions(covariates: Covariates, funnel: Funnel, preset: Preset) -> pa.Table:
    shown = covariates.impressions
    table = pa.table(
        {
            "id": _ids(len(shown.session)),
            "session_id": _refer(shown.session),
            "item_id": _refer(shown.item),
            "campaign_id": _refer(shown.campaign),
            "position": pa.array(shown.position),
            "shown_at": _time(shown.shown),
        }
    )
    return _with_leaks(table, funnel) if preset.dirt else table


def _with_leaks(table: pa.Table, funnel: Funnel) -> pa.Table:
    numbers = np.arange(table.num_rows)
    pages = _text(("/product", "/offer", "/collection"), numbers % 3)
    codes = _text(("TAKE5", "TAKE10", "SHIPFREE"), numbers % 3)
    bought = funnel.clicked & funnel.would_convert
    return table.append_column("landing_page", _only(pages, funnel.clicked)).append_column(
        "voucher_code", _only(codes, bought)
    )


def _only(values: pa.Array, kept: BoolArray) -> pa.Array:
    return pc.if_else(pa.array(kept), values, pa.scalar(None, values.type))


def _clicks(covariates: Covariates, funnel: Funnel, preset: Preset, dirt: np.random.Generator) -> pa.Table:
    """Return the clicks in the order of time; a dirty shop counts some of them twice."""
    impression = np.flatnonzero(funnel.clicked)
    clicked = covariates.impressions.shown[impression] + funnel.lag[impression]
    again = dirt.random(len(impression)) < preset.dirt
    impression = np.concatenate([impression, impression[again]])
    clicked = np.concatenate([clicked, clicked[again] + 1])
    order = np.argsort(clicked, kind="stable")
    times = _time(clicked[order])
    return pa.table({"id": _ids(len(order)), "impression_id": _refer(impression[order]), "clicked_at": times})


def _conversions(
    covariates: Covariates,
    funnel: Funnel,
    clicks: pa.Table,
    preset: Preset,
    labels: np.random.Generator,
    dirt: np.random.Generator,
) -> pa.Table:
    """Return the conversions in the order of time, each of the first click of its impression.

    A dirty shop has some twice, and some of impressions that nobody clicked: these have no click_id, but like all
    conversions of a dirty shop an impression_id.
    """
    shown = covariates.impressions
    amounts = covariates.items.price[shown.item] * labels.choice([1, 2, 3], len(shown.item), p=[0.8, 0.15, 0.05])
    converted = shown.shown + funnel.lag + _delays(funnel, preset)
    seen = (converted < _FINAL_SECOND) | (preset.delay_hours == 0)
    bought = np.flatnonzero(funnel.clicked & funnel.would_convert & seen)
    of_impression = clicks.column("impression_id").to_numpy() - 1
    first_click = np.zeros(len(shown.item), dtype=np.int64)
    first_click[of_impression[::-1]] = np.arange(len(of_impression))[::-1]
    again, unclicked = (np.flatnonzero(dirt.random(len(bought)) < preset.dirt) for _ in range(2))
    ignored = np.flatnonzero(~funnel.clicked & (converted < _FINAL_SECOND))
    rows = np.concatenate([bought, bought[again], ignored[dirt.integers(0, len(ignored), len(unclicked))]])
    orphan = np.arange(len(rows)) >= len(bought) + len(again)
    order = np.argsort(converted[rows], kind="stable")
    rows, orphan = rows[order], orphan[order]
    table = pa.table(
        {
            "id": _ids(len(rows)),
            "click_id": _only(_refer(first_click[rows]), ~orphan),
            "converted_at": _time(converted[rows]),
            "amount": pa.array(np.round(amounts[rows], 2)),
        }
    )
    return table.append_column("impression_id", _refer(rows)) if preset.dirt else table


def _delays(funnel: Funnel, preset: Preset) -> Int64Array:
    """Return seconds from click to conversion: minutes by default, hours or days where the preset delays."""
    scale = preset.delay_hours * 3600 if preset.delay_hours else 300
    return 30 + (funnel.delay * scale).astype(np.int64)
