"""The shop as a DuckDB file and as a folder of text files: the same rows, a trained model and a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.csv as pa_csv
import pytest

from core.commands import MakeReport, Train
from core.jobs import perform
from core.jobs.suggest import suggest_recipe
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.run_folder import RunFolder
from core.sample import generate_shop, shop_recipe
from core.services import JobControl, Services
from crosslens.relational import ConnectionSpec

ROWS = 1_500
MODELS = (ModelChoice("logistic"),)
DUCKDB = ConnectionSpec("duckdb", "shop.duckdb")
FILES = ConnectionSpec("files", "shop of files")
SQLITE = ConnectionSpec("sqlite", "shop.db")


@pytest.fixture(scope="module")
def folder(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shop, written three times."""
    folder = tmp_path_factory.mktemp("größe & co")
    shop = generate_shop(rows=ROWS, seed=5)
    services.sources.write_new(folder / SQLITE.database, shop.infos, shop.tables)
    (folder / FILES.database).mkdir()
    with duckdb.connect(str(folder / DUCKDB.database)) as connection:
        connection.execute("SET python_enable_replacements = false")
        for info in shop.infos:
            table = shop.tables[info.ref.name]
            pa_csv.write_csv(table, folder / FILES.database / f"{info.ref.name}.csv")
            connection.register("rows", table)
            connection.execute(f'CREATE TABLE "{info.ref.name}" AS SELECT * FROM rows')
            connection.execute(f'ALTER TABLE "{info.ref.name}" ADD PRIMARY KEY ("{info.primary_key[0]}")')
            connection.unregister("rows")
    return folder


def trained(services: Services, folder: Path, source: ConnectionSpec) -> RunFolder:
    recipe = replace(shop_recipe(Path(source.database)), source=source, models=MODELS)
    read = recipe_from_toml(recipe_to_toml(recipe), folder=folder)  # the path is beside the recipe
    assert Path(read.source.database) == folder / source.database
    project = folder / f"project {source.dialect}"
    found = perform(Train(project, recipe_to_toml(read)), services, JobControl())
    return RunFolder(project / "runs" / found.runs[0])


def probabilities(run: RunFolder) -> list[float]:
    found = run.predictions()
    assert found is not None
    return found["probability"].to_pylist()


@pytest.fixture(scope="module")
def from_sqlite(services: Services, folder: Path) -> list[float]:
    return probabilities(trained(services, folder, SQLITE))


@pytest.mark.parametrize("source", [DUCKDB, FILES], ids=lambda source: source.dialect)
def test_every_engine_trains_the_same_model_and_writes_a_report(source, services, folder: Path, from_sqlite) -> None:
    run = trained(services, folder, source)
    assert probabilities(run) == pytest.approx(from_sqlite, abs=1e-6)
    report = folder / f"{source.dialect}.html"
    project = folder / f"project {source.dialect}"
    perform(MakeReport(project, (run.path.name,), report), services, JobControl())
    assert source.database in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("source", [DUCKDB, FILES], ids=lambda source: source.dialect)
def test_a_recipe_is_suggested_where_no_foreign_key_says_anything(source, services, folder: Path) -> None:
    connection = replace(source, database=str(folder / source.database))
    found: Recipe = suggest_recipe(
        connection, base="items", label="price_band", models=MODELS, services=services, control=JobControl()
    ).recipe
    assert found.query.base.name == "items"
    assert recipe_from_toml(recipe_to_toml(found), folder=folder).query == found.query
