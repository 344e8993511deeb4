"""A tiny relational database as a folder of text files: unicode and quoted names, missing values, a known truth."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_SIZES = ("klein", "mittel", "groß", None)
_SCRIPTS = ("naïve", "靴", "o'clock", 'the "best"', "a,b", None)
_CUSTOMERS, _ITEMS = 30, 12

_RECIPE = """\
format = 1
title = "What drives clicks in the tiny shop"
seed = 0
minimum_count = 1

[source]
dialect = "files"
database = "tables"

[query]
base = "page views"
columns = [
    ["customer", "Größe"],
    ["item", 'say "what"'],
    ["item", "prix €"],
    ["page views", "o'clock"],
    ["page views", "clicked"],
]

[[query.joins]]
name = "customer"
table = "Kunden"
on = [["page views", "customer id", "id"]]
kind = "lookup"

[[query.joins]]
name = "item"
table = "品物"
on = [["page views", "item id", "id"]]
kind = "lookup"

[[fields]]
column = ["customer", "Größe"]
name = "customer.Größe"
kind = "categorical"
role = "feature"

[[fields]]
column = ["item", 'say "what"']
name = 'item.say "what"'
kind = "categorical"
role = "feature"

[[fields]]
column = ["item", "prix €"]
name = "item.prix €"
kind = "numerical"
role = "feature"

[[fields]]
column = ["page views", "o'clock"]
name = "o'clock"
kind = "numerical"
role = "feature"

[[fields]]
column = ["page views", "clicked"]
name = "clicked"
kind = "categorical"
role = "click"

[split]
method = "random"
validation = 0.2
test = 0.2
seed = 0

[[models]]
id = "@model@"
"""


@dataclass(frozen=True, slots=True)
class TinyShop:
    """A folder with the three tables as text files in `tables`; `recipe` trains a model on them.

    "page views" (600 rows) point at "Kunden" (30) and "品物" (12); the logit of a click is -0.5, +1.5 for the size
    "groß", +1.0 for an item called "靴". Every column that is not a key has missing values, clicks excepted.
    """

    folder: Path

    @property
    def tables(self) -> Path:
        """Return the folder of the text files: a database to open."""
        return self.folder / "tables"

    def recipe(self, model: str) -> Path:
        """Write a recipe that trains the model of that id, and return its path."""
        path = self.folder / f"{model}.toml"
        path.write_text(_RECIPE.replace("@model@", model), encoding="utf-8")
        return path


def write_tiny_shop(folder: Path, *, views: int = 600, seed: int = 0) -> TinyShop:
    """Write the tables below `folder`; the same seed gives the same files."""
    shop, random = TinyShop(folder), np.random.default_rng(seed)
    shop.tables.mkdir(parents=True)
    sizes = [_SIZES[place % len(_SIZES)] for place in range(_CUSTOMERS)]
    scripts = [_SCRIPTS[place % len(_SCRIPTS)] for place in range(_ITEMS)]
    prices = [None if place == 3 else round(float(random.uniform(1, 90)), 2) for place in range(_ITEMS)]
    _write(shop.tables / "Kunden.csv", ("id", "Größe"), enumerate(sizes, start=1))
    items = zip(range(1, _ITEMS + 1), scripts, prices, strict=True)
    _write(shop.tables / "品物.csv", ("id", 'say "what"', "prix €"), items)
    customers, chosen = random.integers(0, _CUSTOMERS, views), random.integers(0, _ITEMS, views)
    large = np.array([size == "groß" for size in sizes])[customers]
    shoe = np.array([script == "靴" for script in scripts])[chosen]
    clicked = random.random(views) < 1 / (1 + np.exp(0.5 - 1.5 * large - 1.0 * shoe))
    hours = [None if hour == 24 else int(hour) for hour in random.integers(0, 25, views)]
    rows = zip(customers + 1, chosen + 1, hours, clicked.astype(int), strict=True)
    _write(shop.tables / "page views.csv", ("customer id", "item id", "o'clock", "clicked"), rows)
    return shop


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
