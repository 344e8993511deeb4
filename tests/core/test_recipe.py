"""Recipes to TOML and back, and the sentences for recipes that are wrong."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.recipe import ModelChoice, NextItemSpec, NextItemSplit, Recipe, Repair, RepairKind, SplitMethod, SplitSpec
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from crosslens import Field, FieldKind, FieldRole, FieldSchema, RecipeError
from crosslens.relational import (
    ColumnRef,
    Comparison,
    ConnectionSpec,
    FilterSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
    TableRef,
)
from crosslens.schema import TimePart

POSITION, PRICE, CLICKS = (
    ColumnRef("impressions", "position"),
    ColumnRef("item", "price"),
    ColumnRef("clicks", "*exists"),
)
SHOWN = ColumnRef("impressions", "shown_at")


def shop() -> Recipe:
    return Recipe(
        source=ConnectionSpec("sqlite", "shop.db", secret="hunter2"),
        query=QuerySpec(
            base=TableRef("impressions"),
            columns=(POSITION, PRICE, CLICKS),
            joins=(
                JoinSpec("item", TableRef("items", "main"), ((ColumnRef("impressions", "item_id"), "id"),)),
                JoinSpec("clicks", TableRef("clicks"), ((ColumnRef("impressions", "id"), "of"),), JoinKind.EXISTS),
            ),
            filters=(FilterSpec(PRICE, Comparison.LESS, 9.5), FilterSpec(SHOWN, Comparison.NOT_NULL)),
            time=SHOWN,
            limit=1000,
        ),
        fields=FieldSchema(
            (
                Field(POSITION, "position", FieldKind.CATEGORICAL, FieldRole.FEATURE, reason="few"),
                Field(PRICE, "price", FieldKind.NUMERICAL, FieldRole.FEATURE, bins=10),
                Field(CLICKS, "clicks", FieldKind.CATEGORICAL, FieldRole.CLICK),
            )
        ),
        split=SplitSpec(SplitMethod.TIME, 0.15, 0.25, 3),
        models=(ModelChoice("lightgbm", {"leaves": 31, "rate": 0.05}), ModelChoice("arm-net", {"layers": (64, 32)})),
        title="Shop clicks",
        seed=7,
        minimum_count=3,
    )


TEXT = recipe_to_toml(shop())


def rich() -> Recipe:
    """Return a recipe that uses what a plain one leaves out."""
    recipe, user = shop(), ColumnRef("impressions", "user_id")
    before = JoinSpec("before", TableRef("clicks"), ((user, "user_id"),), JoinKind.COUNT, "clicked_at", SHOWN)
    latest = JoinSpec("last", TableRef("visits"), ((user, "user_id"),), JoinKind.LATEST, "at")
    tags = JoinSpec("tags", TableRef("tags"), ((ColumnRef("impressions", "item_id"), "item_id"),), JoinKind.VALUES)
    query = replace(
        recipe.query,
        joins=(*recipe.query.joins, before, latest, tags),
        select="SELECT *\nFROM impressions -- all of \"them\"\nWHERE x <> 'a\\b'",
        sample=SampleSpec(SampleMethod.USERS, 500, seed=3, column=user),
    )
    shown = Field(POSITION, "shown", FieldKind.TIMESTAMP, FieldRole.FEATURE, parts=(TimePart.HOUR, TimePart.AGE))
    genres = Field(PRICE, "genres", FieldKind.MULTI_VALUED, FieldRole.FEATURE, delimiter="|")
    source = ConnectionSpec("postgresql", "shop", credential="8f1c", password_variable="SHOP_PASSWORD")
    repairs = (Repair(RepairKind.DROP_MISSING, ("genres",)), Repair(RepairKind.CLICK_IF_CONVERTED))
    rest = {"hash_buckets": 4096, "moment": "before the call", "repairs": repairs}
    return replace(recipe, source=source, query=query, fields=FieldSchema((shown, genres)), **rest)


RICH = recipe_to_toml(rich())


def test_everything_a_recipe_can_say_survives_toml() -> None:
    assert recipe_from_toml(RICH) == rich()


def test_what_is_rarely_said_reads_well() -> None:
    for line in (
        'kind = "count"\ntime = "clicked_at"\nup_to = ["impressions", "shown_at"]',
        '[query.sample]\nmethod = "users"\nrows = 500\nseed = 3\ncolumn = ["impressions", "user_id"]',
        'select = """\nSELECT *\nFROM impressions -- all of',
        'parts = ["hour", "age"]',
        'delimiter = "|"',
        '[[repairs]]\nkind = "drop-missing"\nfields = ["genres"]',
        'credential = "8f1c"\npassword_variable = "SHOP_PASSWORD"',
        'hash_buckets = 4096\nmoment = "before the call"',
    ):
        assert line in RICH


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "count"', 'kind = "cuont"', "'cuont'. Did you mean 'count'"),
        ("up_to =", "upto =", r"'upto' in \[\[query.joins\]\] number 3. Did you mean 'up_to'"),
        ('up_to = ["impressions", "shown_at"]', 'up_to = ["impression", "shown_at"]', "no source 'impression'"),
        ('up_to = ["impressions", "shown_at"]', 'up_to = "shown_at"', "'up_to' .* a source and a column"),
        ('method = "users"', 'method = "user"', r"'method' in \[query.sample\] cannot be 'user'. Did you mean 'users'"),
        ("rows = 500", "rows = 0", r"'rows' in \[query.sample\] .* at least 1"),
        ("rows = 500\n", "", r"'rows' is missing in \[query.sample\]"),
        ('column = ["impressions", "user_id"]', 'column = ["imp", "user_id"]', "no source 'imp'"),
        ('parts = ["hour", "age"]', 'parts = ["hours"]', "cannot be 'hours'. Did you mean 'hour'"),
        ('parts = ["hour", "age"]', "parts = [3]", "a list of texts"),
        ("hash_buckets", "hash_bucket", "'hash_bucket' .* Did you mean 'hash_buckets'"),
        ("hash_buckets = 4096", "hash_buckets = -1", "at least 0"),
        ('kind = "drop-missing"', 'kind = "drop-mising"', "Did you mean 'drop-missing'"),
        ('fields = ["genres"]', 'fields = ["genre"]', "concerns 'genre', but there is no such field. Did you mean"),
        ('fields = ["genres"]', 'fields = "genres"', r"'fields' in \[\[repairs\]\] number 1"),
        ("password_variable =", "passwort_variable =", "Did you mean 'password_variable'"),
    ],
)
def test_what_is_wrong_with_the_rest_is_named_as_well(old: str, new: str, message: str) -> None:
    assert old in RICH
    with pytest.raises(RecipeError, match=message):
        recipe_from_toml(RICH.replace(old, new, 1))


def test_a_recipe_survives_toml_without_its_secret() -> None:
    assert recipe_from_toml(TEXT) == shop()
    assert "hunter2" not in TEXT


def test_a_recipe_reads_well() -> None:
    assert 'columns = [["impressions", "position"], ["item", "price"], ["clicks", "*exists"]]' in TEXT
    assert 'table = { name = "items", schema = "main" }' in TEXT
    sections = [line for line in TEXT.splitlines() if line.startswith("[")]
    assert sections[:3] == ["[source]", "[query]", "[[query.joins]]"]
    assert sections[-3:] == ["[split]", "[[models]]", "[[models]]"]


def test_many_columns_stand_one_per_line() -> None:
    columns = tuple(ColumnRef("impressions", f"column {i}") for i in range(9))
    recipe = replace(shop(), query=QuerySpec(TableRef("impressions"), columns), fields=FieldSchema(()))
    text = recipe_to_toml(recipe)
    assert '\n    ["impressions", "column 3"],\n' in text
    assert recipe_from_toml(text).query.columns == columns


NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ['a"b', "a'b", "a`b", "имя", "x; drop", "%s", " ", "\x7f\n", "#"]
)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    base, join, table = draw(NAMES), draw(NAMES), draw(NAMES)
    columns = tuple(ColumnRef(draw(st.sampled_from([base, join])), name) for name in draw(st.lists(NAMES, max_size=4)))
    names = draw(st.lists(NAMES, min_size=len(columns), max_size=len(columns), unique=True))
    roles, kinds = st.sampled_from(list(FieldRole)), st.sampled_from(list(FieldKind))
    fields = [
        Field(
            column,
            name,
            draw(kinds),
            draw(roles),
            draw(st.integers(0, 9)),
            *(draw(st.text(max_size=5)) for _ in range(2)),
            tuple(draw(st.lists(st.sampled_from(list(TimePart)), max_size=2))),
        )
        for column, name in zip(columns, names, strict=True)
    ]
    link = JoinSpec(
        join,
        TableRef(table, draw(st.none() | NAMES)),
        ((ColumnRef(base, draw(NAMES)), draw(NAMES)),),
        draw(st.sampled_from(list(JoinKind))),
        draw(st.none() | NAMES),
        draw(st.none() | st.just(ColumnRef(base, draw(NAMES)))),
    )
    user = draw(st.none() | st.just(ColumnRef(base, draw(NAMES))))
    sample = SampleSpec(draw(st.sampled_from(list(SampleMethod))), draw(st.integers(1, 99)), draw(st.integers()), user)
    where = FilterSpec(ColumnRef(base, draw(NAMES)), draw(st.sampled_from(list(Comparison))), draw(SCALARS))
    given = {"username": draw(NAMES), "credential": draw(NAMES), "password_variable": draw(NAMES)}
    source = ConnectionSpec(draw(NAMES), draw(NAMES), options={draw(NAMES): draw(NAMES)}, **given)
    time = draw(st.none() | st.just(ColumnRef(join, "at")))
    select = draw(st.text(max_size=20))
    query = QuerySpec(
        TableRef(base), columns, (link,), (where,), time, select=select, sample=draw(st.none() | st.just(sample))
    )
    repairs = tuple(Repair(draw(st.sampled_from(list(RepairKind))), (name,)) for name in names)
    model = ModelChoice(draw(NAMES), {draw(NAMES): draw(SCALARS | st.tuples(st.integers(0, 9)))})
    return Recipe(
        source, query, FieldSchema(tuple(fields)), models=(model,), title=draw(st.text(max_size=5)), repairs=repairs
    )


@given(recipes())
@settings(max_examples=30, deadline=None)
def test_any_names_survive_toml(recipe: Recipe) -> None:
    assert recipe_from_toml(recipe_to_toml(recipe)) == recipe


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("columns = [", "colunms = [", r"unknown key 'colunms' in \[query\]\. Did you mean 'columns'\?"),
        ("limit = 1000", "limits = 1000", r"unknown key 'limits' in \[query\]\. Did you mean 'limit'\?"),
        ("minimum_count", "minimal_count", "'minimal_count' at the top of the recipe"),
        ('kind = "exists"', 'knid = "exists"', r"'knid' in \[\[query.joins\]\] number 2\. Did you mean 'kind'\?"),
        (
            'role = "click"',
            'role = "clik"',
            r"'role' in \[\[fields\]\] number 3 cannot be 'clik'\. Did you mean 'click'",
        ),
        ("bins = 10", "bins = -1", "It must be a whole number of at least 0"),
        ("bins = 10", "bins = true", "'bins' .* cannot be True"),
        ("seed = 7", 'seed = "7"', "'seed' at the top of the recipe cannot be '7'. It must be a whole number"),
        ("test = 0.25", 'test = "a lot"', r"'test' in \[split\]"),
        ('dialect = "sqlite"\n', "", r"'dialect' is missing in \[source\]"),
        ("[source]\n", "[sauce]\n", "unknown key 'sauce' at the top of the recipe. Did you mean 'source'"),
        ("format = 1\n", "format = 2\n", "has format 2, and this Crosslens reads format 1. Use a newer Crosslens"),
        ("format = 1\n", "format = 0\n", "no recipe format 0"),
        ("format = 1\n", "", "'format' is missing"),
        ("seed = 7\n", "seed = = 7\n", "not valid TOML in line 3"),
        ('database = "shop.db"', 'database = "shop.db"\npassword = "x"', "never holds a password"),
        ('["item", "price"], [', '["itme", "price"], [', "uses itme.price, but .* 'itme'.* Did you mean 'item'"),
        ('["item", "price"], [', "[", "field 'price' reads item.price, which is not among the columns"),
        ('["item", "price"], [', '["item"], [', "'columns' .* It must be made of pairs"),
        ('[["impressions", "id", "of"]]', '[["impressions", "id"]]', "lists of 3 texts"),
        ('name = "price"', 'name = "position"', "Two fields are called 'position'"),
        ("leaves = 31", "leaves = { a = 1 }", r"'leaves' in \[\[models\]\] number 1 cannot be"),
        ("leaves = 31", "leaves = 2020-01-01", "'leaves'"),
        ("value = 9.5", "value = [9.5]", r"'value' in \[\[query.filters\]\] number 1"),
        ('table = "clicks"', "table = 3", "the name of a table"),
        ('schema = "main"', 'scheme = "main"', r"'scheme' in table in \[\[query.joins\]\] number 1"),
        ("[split]", "[[split]]", "'split' at the top of the recipe cannot be"),
        ("[[models]]\nid", "[models]\nid", "TOML|It must be a list of sections"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(RecipeError, match=message):
        recipe_from_toml(TEXT.replace(old, new, 1))


def test_sections_that_are_no_sections_are_named() -> None:
    with pytest.raises(RecipeError, match=r"sections that start with \[\[fields\]\]"):
        recipe_from_toml('fields = ["a"]\n' + TEXT.replace("[[fields]]", "[[ignored]]"))


@pytest.mark.parametrize(
    ("dialect", "database", "expected"),
    [
        ("sqlite", "shop.db", "folder/shop.db"),
        ("files", "tables", "folder/tables"),
        ("sqlite", "/data/shop.db", "/data/shop.db"),
        ("postgresql", "shop", "shop"),
    ],
)
def test_a_relative_file_lies_beside_the_recipe(dialect: str, database: str, expected: str) -> None:
    text = recipe_to_toml(replace(shop(), source=ConnectionSpec(dialect, database)))
    assert Path(recipe_from_toml(text, folder=Path("folder")).source.database) == Path(expected)
    assert recipe_from_toml(text).source.database == database


def test_server_details_are_kept() -> None:
    source = ConnectionSpec("postgresql", "shop", "db.example", 5432, "reader", {"sslmode": "require"})
    assert recipe_from_toml(recipe_to_toml(replace(shop(), source=source))).source == source


def test_a_value_toml_does_not_know_is_refused() -> None:
    recipe: Any = replace(shop(), models=(ModelChoice("m", {"when": object()}),))
    with pytest.raises(RecipeError, match="cannot hold a value of type object"):
        recipe_to_toml(recipe)


def test_line_ends_of_other_systems_change_nothing() -> None:
    assert recipe_from_toml(TEXT.replace("\n", "\r\n")) == shop()
    assert tomllib.loads(TEXT)["format"] == 1


def test_what_is_said_of_next_items_comes_back() -> None:
    spec = NextItemSpec(5, 2, NextItemSplit.TIME, exclude_seen=False, at=(1, 10), baselines=False)
    recipe = replace(shop(), next_item=spec)
    text = recipe_to_toml(recipe)
    assert "[next_item]" in text
    assert recipe_from_toml(text) == recipe
    assert "[next_item]" not in recipe_to_toml(shop())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("core = -1", "at least 0"),
        ("minimum_events = 0", "at least 1"),
        ('split = "leave one out"', "leave-one-out"),
        ("at = []", "whole numbers"),
        ("at = [0]", "whole numbers"),
        ("at = [true]", "whole numbers"),
        ("exclude_seen = 1", "true or false"),
        ('title = ["nowhere", "title"]', "no source 'nowhere'"),
        ("cores = 5", "Did you mean 'core'"),
    ],
)
def test_what_cannot_be_said_of_next_items_is_a_sentence(line: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_from_toml(recipe_to_toml(shop()) + f"\n[next_item]\n{line}\n")
    assert sentence in str(caught.value)
