"""What the checks say about the synthetic shops: nothing about tidy ones, all that is planted in the dirty one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.commands import Finding
from core.findings import check_preparation
from core.roles import suggest_fields
from core.sample import generate_shop, shop_recipe
from crosslens import FieldRole, FieldSchema
from crosslens.relational import ColumnRef, ConnectionSpec, JoinKind, JoinSpec, QuerySpec, TableRef
from db.sources import SqlSource, SqlSources

ROWS = 8_000


@contextmanager
def shop(folder: Path, preset: str) -> Iterator[SqlSource]:
    made, database = generate_shop(ROWS, preset=preset), folder / "shop.db"
    SqlSources().write_new(database, made.infos, made.tables)
    with SqlSources().open(ConnectionSpec("sqlite", str(database))) as source:
        yield source


def suggested(source: SqlSource, query: QuerySpec) -> tuple[QuerySpec, FieldSchema, tuple[Finding, ...]]:
    """Return what is suggested for every column the query offers, and what is found about it."""
    columns = source.columns(query)
    query = replace(query, columns=tuple(ref for ref, _ in columns))
    profiles = source.profile(query)
    schema = suggest_fields(columns, profiles, query, source.tables())
    return query, schema, look(source, query, schema)


def look(source: SqlSource, query: QuerySpec, schema: FieldSchema) -> tuple[Finding, ...]:
    return check_preparation(
        schema, source.profile(query), table=source.sample(query, 200_000), columns=query.columns, query=query
    )


@pytest.mark.parametrize("preset", ["default", "p1", "p2", "p3"])
def test_a_tidy_shop_raises_no_alarm(tmp_path: Path, preset: str) -> None:
    recipe = shop_recipe(tmp_path / "shop.db")
    with shop(tmp_path, preset) as source:
        _, schema, found = suggested(source, recipe.query)
        by_hand = look(source, recipe.query, recipe.fields)
    assert [each.message for each in (*found, *by_hand) if "too few" not in each.message] == []
    assert len(schema.with_role(FieldRole.CLICK)) == len(schema.with_role(FieldRole.CONVERSION)) == 1


def test_a_dirty_shop_has_its_leaks_and_its_unclicked_conversions_found(tmp_path: Path) -> None:
    query = shop_recipe(tmp_path / "shop.db").query
    on = ((ColumnRef("impressions", "id"), "impression_id"),)
    views = JoinSpec("conversions", TableRef("conversions"), on, JoinKind.EXISTS)
    joins = tuple(views if join.name == "conversions" else join for join in query.joins)
    with shop(tmp_path, "dirty") as source:
        _, _, found = suggested(source, replace(query, joins=joins))
    leaks = {each.columns for each in found if each.check == "missing-leak"}
    assert leaks == {("landing_page",), ("voucher_code",)}
    (unclicked,) = [each for each in found if each.check == "conversion-without-click"]
    assert unclicked.rows is not None
    assert unclicked.rows > 0
    assert {each.check for each in found} <= {"missing-leak", "conversion-without-click", "few-positives"}


@pytest.mark.parametrize(("table", "key"), [("clicks", "impression_id"), ("conversions", "click_id")])
def test_events_that_a_dirty_shop_counts_twice_are_found(tmp_path: Path, table: str, key: str) -> None:
    with shop(tmp_path, "dirty") as source:
        _, _, found = suggested(source, QuerySpec(TableRef(table), ()))
    (twice,) = [each for each in found if each.check == "counted-twice" and each.columns == (key,)]
    assert twice.message.startswith(f"{key} is different in every row but for ")


@pytest.mark.parametrize("table", ["clicks", "conversions", "sessions", "users", "items"])
def test_tables_of_a_tidy_shop_raise_no_alarm_but_for_the_label_they_lack(tmp_path: Path, table: str) -> None:
    with shop(tmp_path, "default") as source:
        _, _, found = suggested(source, QuerySpec(TableRef(table), ()))
    assert {each.check for each in found} <= {"no-label", "no-features"}
