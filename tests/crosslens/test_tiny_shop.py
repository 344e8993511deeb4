"""The tiny shop that plugin authors test on is what it says it is."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

import pytest

from core.recipe_toml import recipe_from_toml
from crosslens.testing import TinyShop, write_tiny_shop
from crosslens.testing.fixtures import clicks, tiny_shop  # noqa: F401  fixtures


def rows(shop: TinyShop, table: str) -> list[dict[str, str]]:
    with (shop.tables / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_three_tables_point_at_each_other(tiny_shop: TinyShop) -> None:  # noqa: F811
    customers, items = ({row["id"] for row in rows(tiny_shop, table)} for table in ("Kunden", "品物"))
    views = rows(tiny_shop, "page views")
    assert (len(customers), len(items), len(views)) == (30, 12, 600)
    assert {view["customer id"] for view in views} <= customers
    assert {view["item id"] for view in views} <= items


@pytest.mark.parametrize(
    ("table", "column"), [("Kunden", "Größe"), ("品物", 'say "what"'), ("品物", "prix €"), ("page views", "o'clock")]
)
def test_every_column_that_is_not_a_key_has_missing_values(table: str, column: str, tiny_shop: TinyShop) -> None:  # noqa: F811
    cells = [row[column] for row in rows(tiny_shop, table)]
    assert "" in cells
    assert any(cells)


def test_large_sizes_are_clicked_more(tiny_shop: TinyShop) -> None:  # noqa: F811
    large = {row["id"] for row in rows(tiny_shop, "Kunden") if row["Größe"] == "groß"}
    clicked = {True: [], False: []}  # type: dict[bool, list[int]]
    for view in rows(tiny_shop, "page views"):
        clicked[view["customer id"] in large].append(int(view["clicked"]))
    assert sum(clicked[True]) / len(clicked[True]) > sum(clicked[False]) / len(clicked[False]) + 0.15


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    one, other, third = (
        write_tiny_shop(tmp_path / name, seed=seed) for name, seed in zip("abc", (0, 0, 1), strict=True)
    )
    content = [[path.read_bytes() for path in sorted(shop.tables.iterdir())] for shop in (one, other, third)]
    assert content[0] == content[1] != content[2]


def test_its_recipe_is_one_the_app_reads(tiny_shop: TinyShop) -> None:  # noqa: F811
    text = tiny_shop.recipe("my-model").read_text(encoding="utf-8")
    recipe = recipe_from_toml(text)
    assert [choice.id for choice in recipe.models] == ["my-model"]
    assert tomllib.loads(text)["source"]["dialect"] == "files"


def test_the_clicks_fixture_has_rows_to_train_and_to_validate(clicks) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    assert len(clicks.train) > len(clicks.validation) > 0
