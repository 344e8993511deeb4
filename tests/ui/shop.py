"""A small shop: impressions of items, with a column that tells of clicks, as the worker would answer."""

from __future__ import annotations

from core.commands import Finding, PageRead, Preparation, QueryProposal, SourceOverview
from crosslens.models import ModelSpec
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ColumnType,
    ConnectionSpec,
    ForeignKey,
    JoinFacts,
    JoinKind,
    JoinProposal,
    JoinSpec,
    QuerySpec,
    TableInfo,
    TableRef,
)
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema
from crosslens.sequences import TextEncoderSpec

CONNECTION = ConnectionSpec("sqlite", "shop.db")
IMPRESSIONS, ITEMS, CLICKS, BRANDS = (TableRef(name) for name in ("impressions", "items", "clicks", "brands"))

_ID = ColumnInfo("id", ColumnType.INTEGER, "INTEGER", nullable=False)
TABLES = (
    TableInfo(BRANDS, (_ID, ColumnInfo("name", ColumnType.TEXT, "TEXT")), ("id",), rows=3),
    TableInfo(
        CLICKS,
        (_ID, ColumnInfo("impression_id", ColumnType.INTEGER, "INTEGER")),
        ("id",),
        (ForeignKey(("impression_id",), IMPRESSIONS, ("id",)),),
        rows=12,
    ),
    TableInfo(
        IMPRESSIONS,
        (_ID, ColumnInfo("item_id", ColumnType.INTEGER, "INTEGER"), ColumnInfo("shown_at", ColumnType.TEXT, "TEXT")),
        ("id",),
        (ForeignKey(("item_id",), ITEMS, ("id",)),),
        rows=1200,
        rows_are_estimated=True,
    ),
    TableInfo(
        ITEMS,
        (_ID, ColumnInfo("brand_id", ColumnType.INTEGER, "INTEGER"), ColumnInfo("price", ColumnType.FLOAT, "REAL")),
        ("id",),
        (ForeignKey(("brand_id",), BRANDS, ("id",)),),
        rows=40,
    ),
)
OVERVIEW = SourceOverview(CONNECTION, "Opened read-only.", TABLES)
PAGE = PageRead(TABLES[2].columns, ((1, 7, "2026-03-02"), (2, None, "2026-03-03"), (3, 9, None)), anchor=(3,))


def ref(text: str) -> ColumnRef:
    """Return "source.column" as a reference; a bare source is the yes/no of its rows."""
    source, _, column = text.partition(".")
    return ColumnRef(source, column or ColumnRef.EXISTS)


ITEM = JoinSpec("items", ITEMS, ((ref("impressions.item_id"), "id"),))
BRAND = JoinSpec("brands", BRANDS, ((ref("items.brand_id"), "id"),))
CLICKED = JoinSpec("clicks", CLICKS, ((ref("impressions.id"), "impression_id"),), JoinKind.EXISTS)
COLUMNS = tuple(
    ref(name)
    for name in (
        "impressions.id",
        "impressions.item_id",
        "impressions.shown_at",
        "items.price",
        "brands.name",
        "clicks",
    )
)
QUERY = QuerySpec(IMPRESSIONS, COLUMNS, (ITEM, BRAND, CLICKED))
PROPOSAL = QueryProposal(
    QUERY,
    tuple(JoinProposal(join, f"foreign key of {join.name}") for join in (ITEM, BRAND, CLICKED)),
    (
        JoinFacts("items", 1.0, 1, 1200, 1200),
        JoinFacts("brands", 0.975, 1, 1200, 1200),
        JoinFacts("clicks", 0.1, 2, 1200, 1320),
    ),
)
FIELDS = FieldSchema(
    (
        Field(COLUMNS[0], "id", FieldKind.CATEGORICAL, FieldRole.IGNORE, reason="A key."),
        Field(COLUMNS[1], "item_id", FieldKind.CATEGORICAL, FieldRole.ITEM, reason="Refers to items."),
        Field(COLUMNS[2], "shown_at", FieldKind.TIMESTAMP, FieldRole.IGNORE, reason="A time."),
        Field(COLUMNS[3], "items.price", FieldKind.NUMERICAL, FieldRole.FEATURE, reason="An amount."),
        Field(COLUMNS[4], "brands.name", FieldKind.CATEGORICAL, FieldRole.FEATURE, reason="Few values."),
        Field(COLUMNS[5], "clicks", FieldKind.CATEGORICAL, FieldRole.CLICK, reason="Did it happen?"),
    )
)
PROFILES = (
    ColumnProfile(COLUMNS[0], ColumnType.INTEGER, 1200, 0, 1200),
    ColumnProfile(COLUMNS[1], ColumnType.INTEGER, 1200, 0, 40, (("7", 60), ("9", 50))),
    ColumnProfile(COLUMNS[2], ColumnType.TEXT, 1200, 0, 900, (), "2026-03-02", "2026-04-02"),
    ColumnProfile(COLUMNS[3], ColumnType.FLOAT, 1200, 30, 35, (("9.5", 80),), 1.0, 99.0, 20.0, (4, 9, 2, 1)),
    ColumnProfile(COLUMNS[4], ColumnType.TEXT, 1200, 0, 3, (("Orla", 600), ("Lume", 400), ("Zest", 200))),
    ColumnProfile(COLUMNS[5], ColumnType.INTEGER, 1200, 0, 2, (("0", 1080), ("1", 120)), 0.0, 1.0, 0.1),
)
FINDINGS = (Finding("warn", "“items.price” is missing in some rows.", ("items.price",)),)
PREPARATION = Preparation(QUERY, FIELDS, PROFILES, 1200, FINDINGS, "SELECT 1")


class Problem:
    """A plugin that could not be loaded."""

    name = "broken-model"
    message = "It raised an error while it was imported."
    details = "Traceback: boom"


class Host:
    """A plugin host without models."""

    def models(self) -> tuple[ModelSpec, ...]:
        return ()

    def model(self, model_id: str) -> ModelSpec:
        raise KeyError(model_id)

    def text_encoders(self) -> tuple[TextEncoderSpec, ...]:
        return ()

    def problems(self) -> tuple[Problem, ...]:
        return (Problem(),)
