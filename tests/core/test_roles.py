"""Suggested kinds and roles, each with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from core.roles import suggest_fields
from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ColumnType,
    ForeignKey,
    JoinKind,
    JoinSpec,
    QuerySpec,
    TableInfo,
    TableRef,
)
from crosslens.schema import TimePart

INT, FLOAT, TEXT, BOOL = ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.TEXT, ColumnType.BOOLEAN
ROWS = 1000
CAT, NUM, TIME, FREE = FieldKind.CATEGORICAL, FieldKind.NUMERICAL, FieldKind.TIMESTAMP, FieldKind.TEXT
MANY = FieldKind.MULTI_VALUED
FEATURE, IGNORE, CLICK, CONVERSION = FieldRole.FEATURE, FieldRole.IGNORE, FieldRole.CLICK, FieldRole.CONVERSION


def examples(*texts: str) -> tuple[tuple[str, int], ...]:
    return tuple((text, 2) for text in texts)


class Shop:
    """A database described column by column, for suggestions."""

    def __init__(self) -> None:
        self.columns: list[tuple[ColumnRef, ColumnInfo]] = []
        self.profiles: list[ColumnProfile] = []
        self.joins: list[JoinSpec] = []
        self.tables: dict[str, TableInfo] = {}
        self.time: ColumnRef | None = None

    def add(self, source: str, column: str, kind: ColumnType, distinct: int, **facts: Any) -> Shop:
        ref = ColumnRef(source, column)
        self.columns.append((ref, ColumnInfo(column, kind)))
        self.profiles.append(
            ColumnProfile(ref, kind, facts.pop("rows", ROWS), facts.pop("nulls", 0), distinct, **facts)
        )
        return self

    def table(self, name: str, *, key: str = "id", **targets: str) -> Shop:
        links = tuple(ForeignKey((column,), TableRef(target), ("id",)) for column, target in targets.items())
        self.tables[name] = TableInfo(TableRef(name), (), (key,), links)
        return self

    def lookup(self, name: str, table: str, source: str, column: str) -> Shop:
        self.joins.append(JoinSpec(name, TableRef(table), ((ColumnRef(source, column), "id"),)))
        return self

    def exists(self, name: str) -> Shop:
        self.joins.append(JoinSpec(name, TableRef(name), ((ColumnRef("views", "id"), "view_id"),), JoinKind.EXISTS))
        return self.add(name, ColumnRef.EXISTS, INT, 2)

    def suggest(self) -> FieldSchema:
        query = QuerySpec(TableRef("views"), tuple(ref for ref, _ in self.columns), tuple(self.joins), time=self.time)
        return suggest_fields(self.columns, self.profiles, query, tuple(self.tables.values()))


def views() -> Shop:
    return Shop().table("views")


def alone(name: str, kind: ColumnType, distinct: int, **facts: Any) -> Field:
    """Return what is suggested for one column of the base."""
    return views().add("views", name, kind, distinct, **facts).suggest().fields[0]


GENRES = examples("Drama", "Comedy", "Drama|Romance", "Comedy|Drama", "Horror|Drama|Com…")
UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


@pytest.mark.parametrize(
    ("name", "kind", "distinct", "facts", "expected", "reason"),
    [
        ("id", INT, ROWS, {}, (CAT, IGNORE), "The key of views"),
        ("serial", INT, 950, {}, (CAT, IGNORE), "Different in almost every row"),
        ("size", INT, 950, {"histogram": (900, 30, 20, 0)}, (NUM, FEATURE), "Numbers with 950"),
        ("serial", INT, 950, {"histogram": (240, 240, 240, 230)}, (CAT, IGNORE), "Different in almost every row"),
        ("tweet_id", INT, 950, {"histogram": (900, 30, 20, 0)}, (CAT, IGNORE), "Different in almost every row"),
        ("invoice_id", INT, 300, {}, (CAT, IGNORE), "Names one order"),
        ("note", TEXT, 990, {"mean_length": 20.0}, (CAT, IGNORE), "Different in almost every row"),
        ("story", TEXT, 300, {"mean_length": 200.0}, (FREE, IGNORE), "Long free text"),
        ("extra", TEXT, 30, {"examples": examples('{"a": 1}', "[]")}, (FREE, IGNORE), "Looks like JSON"),
        ("photo", ColumnType.BINARY, 90, {}, (FREE, IGNORE), "Binary data"),
        ("same", TEXT, 1, {}, (CAT, IGNORE), "same value in every row"),
        ("none", FLOAT, 0, {"nulls": ROWS}, (CAT, IGNORE), "no value in any row"),
        ("vip", TEXT, 1, {"nulls": 600}, (CAT, FEATURE), "Text with 1 different"),
        ("weekend", BOOL, 2, {}, (CAT, FEATURE), "True or false"),
        ("position", INT, 12, {}, (CAT, FEATURE), "Whole numbers with 12 different values"),
        ("age", INT, 60, {}, (NUM, FEATURE), "Numbers with 60 different values."),
        ("age", INT, 60, {"sampled": True}, (NUM, FEATURE), "60 different values in the sample."),
        ("price", ColumnType.DECIMAL, 5, {}, (NUM, FEATURE), "Numbers with 5 different values"),
        ("ratio", FLOAT, 999, {}, (NUM, FEATURE), "Numbers with 999"),
        ("postcode", INT, 300, {}, (CAT, FEATURE), "Named like a code"),
        ("store_id", INT, 300, {}, (CAT, FEATURE), "Named like an identifier"),
        ("height", TEXT, 99, {"examples": examples("1.80", "1.75")}, (NUM, FEATURE), "Numbers stored as text"),
        ("till", TEXT, 99, {"examples": examples("007", "123")}, (CAT, FEATURE), "leading zeros"),
        ("colour", TEXT, 5, {}, (CAT, FEATURE), "Text with 5 different values"),
        ("day", ColumnType.DATE, 90, {}, (TIME, IGNORE), "see weekday and month"),
        (
            "seen",
            TEXT,
            90,
            {"examples": examples("2026-01-02", "2026-01-02 10:00:00")},
            (TIME, IGNORE),
            "in order of time",
        ),
        ("shown_at", INT, 90, {"minimum": 1_700_000_000}, (TIME, IGNORE), "in order of time"),
        ("timestamp", FLOAT, 90, {"minimum": 1.7e9, "maximum": 1.8e9}, (TIME, IGNORE), "in order of time"),
        ("timestamp", INT, 90, {"minimum": 17 * 10**11, "maximum": 18 * 10**11}, (TIME, IGNORE), "in order of time"),
        ("time", INT, 90, {"minimum": 2 * 10**8, "maximum": 10**10}, (NUM, FEATURE), "Numbers"),
        ("updated_at", ColumnType.TIMESTAMP, 90, {}, (TIME, IGNORE), "in order of time"),
        ("tags", ColumnType.ARRAY, 90, {}, (MANY, FEATURE), "Several values in a row."),
        ("tags", TEXT, 90, {"examples": examples('["a"]', "[]")}, (MANY, FEATURE), "as JSON arrays"),
        ("tags", ColumnType.JSON, 90, {"examples": examples('["a"]', "[]")}, (MANY, FEATURE), "as JSON arrays"),
        ("tags", TEXT, 90, {"examples": examples('[{"a": 1}]', "[]")}, (FREE, IGNORE), "Looks like JSON"),
        ("data", ColumnType.JSON, 90, {"examples": examples("1")}, (FREE, IGNORE), "JSON, which"),
        ("genres", TEXT, 90, {"examples": GENRES}, (MANY, FEATURE), "parted by '|'"),
        ("genres", TEXT, 950, {"examples": GENRES, "mean_length": 70.0}, (MANY, FEATURE), "parted by '|'"),
        ("tags", TEXT, 90, {"examples": examples("red, big", "big", "red", "blue, big")}, (MANY, FEATURE), "by ','"),
        ("name", TEXT, 90, {"examples": examples("Doe, John", "Roe, Ann", "Poe, Edgar")}, (CAT, FEATURE), "Text"),
        ("price", TEXT, 90, {"examples": examples("1,80", "1,90", "1,80")}, (CAT, FEATURE), "Text"),
        ("smoker", TEXT, 2, {"examples": examples("yes", "no")}, (CAT, FEATURE), "Yes or no: 'yes' and 'no'"),
        ("smoker", TEXT, 2, {"examples": examples("t", "f")}, (CAT, FEATURE), "Yes or no"),
        ("smoker", TEXT, 2, {"examples": examples("1", "0")}, (CAT, FEATURE), "Yes or no"),
        ("smoker", INT, 2, {"examples": examples("1", "0")}, (CAT, FEATURE), "Yes or no"),
        ("smoker", INT, 2, {"examples": examples("1", "2")}, (CAT, FEATURE), "Whole numbers with 2"),
        ("device", TEXT, 90, {"examples": examples(UUID, UUID.upper())}, (CAT, FEATURE), "look like UUIDs"),
        ("device", TEXT, 90, {"examples": examples("0123456789abcdef" * 2)}, (CAT, FEATURE), "look like UUIDs"),
        ("device", TEXT, 90, {"examples": examples("0123456789abcdef" * 4)}, (CAT, FEATURE), "look like hashes"),
        ("device", TEXT, 950, {"examples": examples(UUID)}, (CAT, IGNORE), "Different in almost every row"),
        ("day", INT, 31, {"minimum": 1.0, "maximum": 31.0}, (CAT, FEATURE), "A day as a number"),
        ("day", INT, 31, {"minimum": 1.0, "maximum": 400.0}, (NUM, FEATURE), "Numbers"),
        ("city", TEXT, 1200, {"rows": 5000}, (CAT, FEATURE), "rare ones are read as unknown"),
        ("seen_at", INT, 90, {"minimum": 3}, (NUM, FEATURE), "Numbers"),
        ("sample_weight", FLOAT, 90, {}, (NUM, FieldRole.WEIGHT), "Named like a weight"),
        ("visit_id", INT, 200, {}, (CAT, IGNORE), "Names one visit"),
        ("clicked", BOOL, 2, {}, (CAT, CLICK), "'clicked' has two values"),
        ("y", INT, 2, {}, (CAT, CLICK), "what models learn to predict"),
        ("gekauft", INT, 2, {}, (CAT, CLICK), "what models learn to predict"),
        ("clicks_last_week", INT, 40, {}, (NUM, FEATURE), "Numbers"),
        ("label", TEXT, 2, {"nulls": 1}, (CAT, CLICK), "'label' has two values"),
    ],
)
def test_a_column_by_itself(
    name: str, kind: ColumnType, distinct: int, facts: dict[str, Any], expected: tuple[Any, ...], reason: str
) -> None:
    field = alone(name, kind, distinct, **facts)
    assert (field.kind, field.role) == expected
    assert reason in field.reason


def test_few_rows_are_not_called_near_unique() -> None:
    assert alone("colour", TEXT, 5, rows=5).role is FEATURE


def test_a_column_of_unknown_type_is_read_by_its_profile() -> None:
    shop = views()
    shop.columns.append((ColumnRef("views", "x"), ColumnInfo("x", ColumnType.OTHER)))
    shop.profiles.append(ColumnProfile(ColumnRef("views", "x"), FLOAT, ROWS, 0, 400))
    assert shop.suggest().fields[0].kind is NUM


def test_the_time_of_the_query_is_named_as_such() -> None:
    shop = views().add("views", "made_at", ColumnType.TIMESTAMP, 900).add("views", "shown_at", TEXT, 900)
    shop.time = ColumnRef("views", "shown_at")
    assert "order of time" in shop.suggest().fields[1].reason
    assert "order of time" not in shop.suggest().fields[0].reason


SPAN = {"minimum": "2026-03-01 00:00:10", "maximum": "2026-04-27 00:00:00"}


@pytest.mark.parametrize(
    ("name", "facts", "expected", "reason"),
    [
        ("signed_up_at", {"minimum": "2024-01-01", "maximum": "2026-02-01"}, FEATURE, "see the days up to shown_at"),
        ("started_at", {"minimum": "2026-03-01", "maximum": "2026-04-26 23:00:00"}, IGNORE, "runs along with shown_at"),
        ("updated_at", {"minimum": "2024-01-01", "maximum": "2026-02-01"}, IGNORE, "written after the event"),
        ("born", {"minimum": -1e9, "maximum": 1e9}, FEATURE, "see the days up to shown_at"),
        ("born", {"minimum": "0000-00-00", "maximum": "1e99"}, FEATURE, "see the days up to shown_at"),
        ("born", {}, FEATURE, "see the days up to shown_at"),
    ],
)
def test_other_times_count_days_unless_they_run_along(
    name: str, facts: dict[str, Any], expected: FieldRole, reason: str
) -> None:
    shop = views().table("users").lookup("user", "users", "views", "user_id")
    shop.add("views", "shown_at", ColumnType.TIMESTAMP, 900, **SPAN).add("user", name, ColumnType.DATE, 90, **facts)
    field = shop.suggest().fields[1]
    assert (field.kind, field.role) == (TIME, expected)
    assert reason in field.reason


def test_a_time_without_another_to_count_from_gives_year_and_month() -> None:
    shop = views().table("users").lookup("user", "users", "views", "user_id").add("user", "born", ColumnType.DATE, 90)
    assert shop.suggest().fields[0].parts == (TimePart.YEAR, TimePart.MONTH)


@pytest.mark.parametrize(
    ("kind", "column", "type_", "limited", "expected", "reason"),
    [
        (
            JoinKind.COUNT,
            ColumnRef.COUNT,
            INT,
            True,
            (NUM, FEATURE),
            "How many rows of orders there are that were known by",
        ),
        (JoinKind.COUNT, ColumnRef.COUNT, INT, False, (NUM, IGNORE), "also later ones"),
        (
            JoinKind.EXISTS,
            ColumnRef.EXISTS,
            INT,
            True,
            (CAT, FEATURE),
            "Whether there are rows of orders that were known by",
        ),
        (JoinKind.EXISTS, ColumnRef.EXISTS, INT, False, (CAT, CLICK), "what models learn to predict"),
        (JoinKind.VALUES, "colour", ColumnType.ARRAY, True, (MANY, FEATURE), "The values of all rows of orders"),
        (JoinKind.VALUES, "colour", ColumnType.ARRAY, False, (MANY, IGNORE), "also later ones"),
        (JoinKind.LATEST, "colour", TEXT, True, (CAT, FEATURE), "Text with 2 different values"),
        (JoinKind.LATEST, "amount", FLOAT, False, (NUM, IGNORE), "also later ones"),
        (JoinKind.LATEST, "item_id", INT, True, (CAT, FEATURE), "Named like an identifier"),
    ],
)
def test_joins_to_many_rows_are_features_once_they_are_limited(
    kind: JoinKind, column: str, type_: ColumnType, limited: bool, expected: tuple[Any, ...], reason: str
) -> None:
    shop = views()
    up_to = ColumnRef("views", "shown_at") if limited else None
    on = ((ColumnRef("views", "user_id"), "user_id"),)
    shop.joins.append(JoinSpec("orders", TableRef("orders"), on, kind, "ordered_at", up_to))
    field = shop.add("orders", column, type_, 2).suggest().fields[0]
    assert (field.kind, field.role) == expected
    assert reason in field.reason


def test_rows_without_a_time_may_be_gathered_as_they_are() -> None:
    shop = views()
    on = ((ColumnRef("views", "item_id"), "item_id"),)
    shop.joins.append(JoinSpec("tags", TableRef("tags"), on, JoinKind.VALUES))
    field = shop.add("tags", "tag", ColumnType.ARRAY, 20).suggest().fields[0]
    assert (field.role, field.reason) == (FEATURE, "The values of all rows of tags that belong to a row of views.")


def test_an_enum_says_that_its_values_are_given() -> None:
    shop = views()
    shop.columns.append((ColumnRef("views", "x"), ColumnInfo("x", TEXT, choices=("a", "b", "c"))))
    shop.profiles.append(ColumnProfile(ColumnRef("views", "x"), TEXT, ROWS, 0, 3))
    assert shop.suggest().fields[0].reason == "One of 3 values that the database allows."


def test_parted_values_say_by_what() -> None:
    assert alone("genres", TEXT, 90, examples=GENRES).delimiter == "|"
    assert alone("tags", TEXT, 90, examples=examples('["a"]', "[]")).delimiter == ""


def roles(shop: Shop) -> dict[str, FieldRole]:
    return {field.name: field.role for field in shop.suggest()}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("clicks", "conversions"), {"clicks": CLICK, "conversions": CONVERSION}),
        (("conversions", "clicks"), {"conversions": CONVERSION, "clicks": CLICK}),
        (("orders",), {"orders": CLICK}),
        (("ratings", "orders"), {"ratings": CLICK, "orders": CONVERSION}),
        (("ratings", "comments"), {"ratings": CLICK, "comments": IGNORE}),
        (("klicks", "käufe"), {"klicks": CLICK, "käufe": CONVERSION}),
    ],
)
def test_flags_of_what_happened_become_labels(flags: tuple[str, ...], expected: dict[str, FieldRole]) -> None:
    shop = views()
    for flag in flags:
        shop.exists(flag)
    assert roles(shop) == expected


def test_an_outcome_that_is_not_the_label_would_give_it_away() -> None:
    shop = views().add("views", "was_clicked", INT, 2).exists("clicks")
    assert roles(shop) == {"was_clicked": IGNORE, "clicks": CLICK}
    assert "give the label away" in shop.suggest().fields[0].reason


def test_a_flag_of_a_looked_up_table_is_no_label() -> None:
    shop = views().table("users").lookup("user", "users", "views", "user_id")
    assert roles(shop.add("user", "ever_purchased", INT, 2)) == {"user.ever_purchased": FEATURE}


def linked() -> Shop:
    shop = views().table("views", user_id="users", item_id="items", campaign_id="campaigns", session_id="sessions")
    for name in ("user", "item", "campaign", "session"):
        shop.table(f"{name}s").lookup(name, f"{name}s", "views", f"{name}_id")
    shop.add("views", "user_id", INT, 300).add("views", "item_id", INT, 80)
    return shop.add("views", "campaign_id", INT, 8).add("views", "session_id", INT, 500)


def test_foreign_keys_are_users_items_or_categories_and_never_numbers() -> None:
    assert roles(linked()) == {
        "user_id": FieldRole.USER,
        "item_id": FieldRole.ITEM,
        "campaign_id": FEATURE,
        "session_id": IGNORE,
    }
    assert {field.kind for field in linked().suggest()} == {CAT}


def test_there_is_one_user_and_a_declared_key_comes_before_a_name() -> None:
    shop = views().table("views", buyer="customers").add("views", "visitor_id", INT, 300)
    assert roles(shop.add("views", "buyer", INT, 200)) == {"visitor_id": FEATURE, "buyer": FieldRole.USER}


@pytest.mark.parametrize(
    ("name", "role"), [("userid", FieldRole.USER), ("kunden_nr", FieldRole.USER), ("productId", FieldRole.ITEM)]
)
def test_names_alone_tell_users_and_items(name: str, role: FieldRole) -> None:
    assert alone(name, INT, 300).role is role


def test_a_column_called_user_is_the_user_unless_an_identifier_is() -> None:
    assert roles(views().add("views", "user", INT, 300).add("views", "movie", TEXT, 90)) == {
        "user": FieldRole.USER,
        "movie": FieldRole.ITEM,
    }
    assert roles(views().add("views", "user", TEXT, 300).add("views", "user_id", INT, 300))["user"] is FEATURE
    assert alone("user", TEXT, 3).role is FEATURE
    assert "Named like a user" in alone("user", TEXT, 300).reason


def test_a_day_of_birth_says_not_when_a_row_happened() -> None:
    shop = views().add("views", "birth_date", ColumnType.DATE, 90).add("views", "day", ColumnType.DATE, 90)
    assert ["order of time" in field.reason for field in shop.suggest()] == [False, True]


def test_a_joined_key_repeats_the_column_that_refers_to_it() -> None:
    shop = linked().add("item", "id", INT, 80)
    assert shop.suggest().fields[-1].reason == "Says the same as views.item_id."
    assert roles(shop)["item.id"] is IGNORE


@pytest.mark.parametrize(
    ("column", "table", "expected"),
    [
        ("Artikel", "品物", {"Artikel": FieldRole.ITEM, "品物.id": IGNORE, "品物.名前": IGNORE}),
        ("Aktion", "企画", {"Aktion": IGNORE, "企画.id": IGNORE, "企画.名前": FEATURE}),
    ],
)
def test_of_a_key_in_letters_and_the_name_beside_it_one_stays(
    column: str, table: str, expected: dict[str, FieldRole]
) -> None:
    shop = views().table("views", **{column: table}).table(table).lookup(table, table, "views", column)
    shop.add("views", column, TEXT, 80).add(table, "id", TEXT, 80).add(table, "名前", TEXT, 80)
    assert roles(shop) == expected


def test_a_name_in_words_replaces_its_key_but_not_that_of_an_item() -> None:
    shop = linked().add("campaign", "name", TEXT, 8).add("item", "title", TEXT, 78)
    found = roles(shop)
    assert (found["campaign_id"], found["campaign.name"]) == (IGNORE, FEATURE)
    assert (found["item_id"], found["item.title"]) == (FieldRole.ITEM, IGNORE)


def test_a_coarser_text_repeats_nothing() -> None:
    found = roles(linked().add("campaign", "goal", TEXT, 3).add("item", "brand", TEXT, 12))
    assert found["campaign_id"] is found["campaign.goal"] is found["item.brand"] is FEATURE


def test_names_are_short_for_the_base_and_unique() -> None:
    shop = views().add("views", "item.price", FLOAT, 90).table("items").lookup("item", "items", "views", "item_id")
    shop.add("item", "price", FLOAT, 90).add("item", "имя", TEXT, 5).exists("clicks")
    assert [field.name for field in shop.suggest()] == ["item.price", "item.price (2)", "item.имя", "clicks"]


def test_an_empty_table_and_an_unprofiled_column_are_answered() -> None:
    assert alone("colour", TEXT, 0, rows=0).role is FEATURE
    shop = views().add("views", "colour", TEXT, 3)
    shop.profiles.clear()
    assert shop.suggest().fields[0].role is FEATURE


def test_a_whole_shop_is_guessed_as_a_person_would() -> None:
    shop = (
        linked().add("user", "segment", TEXT, 5).add("item", "price", FLOAT, 70).exists("clicks").exists("conversions")
    )
    found = shop.suggest()
    assert {field.name for field in found.features} == {
        "user_id",
        "item_id",
        "campaign_id",
        "user.segment",
        "item.price",
    }
    assert len(found.with_role(CLICK)) == len(found.with_role(CONVERSION)) == 1
    assert all(field.reason.endswith(".") for field in found)
