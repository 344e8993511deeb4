"""How the shop is read and what its columns mean: the recipe of the sample."""

from __future__ import annotations

from pathlib import Path

from crosslens.relational import ColumnRef, ConnectionSpec, JoinKind, JoinSpec, QuerySpec, TableRef
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema

from ..recipe import ModelChoice, Recipe, SplitMethod, SplitSpec

BASE = "impressions"

_LOOKUPS = (
    ("session", "sessions", (BASE, "session_id")),
    ("user", "users", ("session", "user_id")),
    ("item", "items", (BASE, "item_id")),
    ("category", "categories", ("item", "category_id")),
    ("brand", "brands", ("item", "brand_id")),
    ("campaign", "campaigns", (BASE, "campaign_id")),
)
_LABELS = (
    ("clicks", (BASE, "id"), "impression_id", FieldRole.CLICK),
    ("conversions", ("clicks", "id"), "click_id", FieldRole.CONVERSION),
)
_FEATURES = (
    ("session", "user_id", FieldRole.USER),
    ("user", "segment", FieldRole.FEATURE),
    ("user", "region", FieldRole.FEATURE),
    ("user", "age_band", FieldRole.FEATURE),
    ("session", "device", FieldRole.FEATURE),
    ("session", "channel", FieldRole.FEATURE),
    ("session", "weekend", FieldRole.FEATURE),
    (BASE, "item_id", FieldRole.ITEM),
    ("category", "name", FieldRole.FEATURE),
    ("brand", "name", FieldRole.FEATURE),
    ("brand", "tier", FieldRole.FEATURE),
    ("item", "price_band", FieldRole.FEATURE),
    ("campaign", "objective", FieldRole.FEATURE),
)
_MODELS = ("arm-net", "lightgbm")


def shop_recipe(database: Path) -> Recipe:
    """Return the recipe that predicts clicks of the shop in `database`: lookups, labels, a split by time, two models.

    `item.price` and `campaign.name` are left out: price bands and objectives say the same in fewer values.
    """
    fields = FieldSchema((*(_feature(*each) for each in _FEATURES), *_others(), *_label_fields()))
    query = QuerySpec(
        base=TableRef(BASE),
        columns=tuple(field.column for field in fields),
        joins=(*_lookup_joins(), *_label_joins()),
        time=ColumnRef(BASE, "shown_at"),
    )
    return Recipe(
        source=ConnectionSpec("sqlite", str(database)),
        query=query,
        fields=fields,
        split=SplitSpec(SplitMethod.TIME, validation=0.1, test=0.2),
        models=tuple(ModelChoice(model) for model in _MODELS),
        title="What drives clicks in the sample shop",
    )


def _lookup_joins() -> tuple[JoinSpec, ...]:
    return tuple(JoinSpec(name, TableRef(table), ((ColumnRef(*key), "id"),)) for name, table, key in _LOOKUPS)


def _label_joins() -> tuple[JoinSpec, ...]:
    return tuple(
        JoinSpec(name, TableRef(name), ((ColumnRef(*key), column),), JoinKind.EXISTS)
        for name, key, column, _ in _LABELS
    )


def _feature(source: str, column: str, role: FieldRole) -> Field:
    name = column if source == BASE else f"{source}.{column}"
    return Field(ColumnRef(source, column), name, FieldKind.CATEGORICAL, role)


def _others() -> tuple[Field, ...]:
    position = Field(ColumnRef(BASE, "position"), "position", FieldKind.NUMERICAL, FieldRole.FEATURE)
    reason = "Orders the rows for the split by time."
    shown = Field(ColumnRef(BASE, "shown_at"), "shown_at", FieldKind.TIMESTAMP, FieldRole.IGNORE, reason=reason)
    return position, shown


def _label_fields() -> tuple[Field, ...]:
    return tuple(
        Field(ColumnRef(name, ColumnRef.EXISTS), name, FieldKind.CATEGORICAL, role) for name, _, _, role in _LABELS
    )
