"""The recipes in examples/ are read, and those of the sample shop lead to a trained model and a report."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow.csv as pa_csv
import pytest

import main
from core.recipe_toml import recipe_from_toml
from core.sample import generate_shop
from core.services import Services

RECIPES = Path(main.ENTRY).parent / "examples" / "recipes"
SHOPS = ("shop.toml", "shop-duckdb.toml", "shop-of-files.toml")


@pytest.fixture(scope="module")
def folder(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample shop in each of the three places, and the recipes beside it."""
    folder = tmp_path_factory.mktemp("examples")
    shop = generate_shop(rows=2_000, seed=5)
    services.sources.write_new(folder / "shop.db", shop.infos, shop.tables)
    (folder / "shop").mkdir()
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        for name, rows in shop.tables.items():
            pa_csv.write_csv(rows, folder / "shop" / f"{name}.csv")
            connection.register("rows", rows)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM rows')
            connection.unregister("rows")
    for name in SHOPS:
        (folder / name).write_bytes((RECIPES / name).read_bytes())
    return folder


def test_every_recipe_is_read_and_says_what_it_needs() -> None:
    paths = sorted(RECIPES.glob("*.toml"))
    assert len(paths) >= 7
    for path in paths:
        text = path.read_text(encoding="utf-8")
        recipe = recipe_from_toml(text, folder=path.parent)
        assert text.startswith("# ")
        assert recipe.models and recipe.fields.features
        assert recipe.source.secret is None


@pytest.mark.parametrize("name", SHOPS)
def test_a_recipe_of_the_shop_leads_to_models_and_a_report(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    project = f"project of {name}"
    assert main.main(["train", name, "--project", project, "--threads", "1", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told
    assert main.main(["report", "--project", project, "--out", f"{project}.html"]) == 0
    html = (folder / f"{project}.html").read_text(encoding="utf-8")
    assert "LightGBM" in html
    assert "Logistic regression" in html
