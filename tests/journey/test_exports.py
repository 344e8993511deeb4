"""A run leaves the app: the same predictions in every format, and models that others can use."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from core.commands import ExportModel, MakeSample, Score, Train
from core.jobs import perform
from core.recipe import ModelChoice
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.services import JobControl, Services
from crosslens.errors import DataError, PluginError, Stopped, StorageError
from crosslens.relational import ConnectionSpec
from crosslens.testing.saved_files import pickled_files
from main import main
from main import services as all_services

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"


@dataclass(frozen=True)
class Shop:
    services: Services
    project: Path
    database: Path
    logistic: str
    trees: str

    def ask(self, request: Any, control: JobControl | None = None) -> Any:
        return perform(request, self.services, control or JobControl())

    def score(self, output: Path, **choices: Any) -> Any:
        return self.ask(Score(self.project, self.logistic, output, **choices))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder, services = tmp_path_factory.mktemp("shop"), all_services(threads=1)
    made = perform(MakeSample(folder / "shop.db", rows=2500), services, JobControl())
    recipe = recipe_from_toml(made.recipe, folder=folder)
    models = (ModelChoice("logistic", {"fits": 2}), ModelChoice("lightgbm", {}))
    trained = perform(Train(folder / "project", recipe_to_toml(replace(recipe, models=models))), services, JobControl())
    return Shop(services, folder / "project", made.database, *trained.runs)


@pytest.fixture(scope="module")
def expected(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Probability by key, as the Parquet file has them."""
    path = tmp_path_factory.mktemp("expected") / "all.parquet"
    shop.score(path)
    table = pq.read_table(path)
    assert table.num_rows == 2500
    return dict(zip(table["impressions.id"].to_pylist(), table["probability_click"].to_pylist(), strict=True))


def test_a_file_with_the_key_alone_can_be_joined_back(shop: Shop, expected: dict[int, float], tmp_path: Path) -> None:
    shop.score(tmp_path / "key.csv", keys_only=True)
    with (tmp_path / "key.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"impressions.id", "probability_click"}
    assert {int(row["impressions.id"]): float(row["probability_click"]) for row in rows} == expected


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_a_new_table_can_be_joined_back(shop: Shop, expected: dict[int, float], dialect: str, tmp_path: Path) -> None:
    place = ConnectionSpec(dialect, str(tmp_path / f"scores.{dialect}"))
    scored = shop.ask(Score(shop.project, shop.logistic, keys_only=True, into=place, table="My scores"))
    assert (scored.rows, scored.table, scored.place) == (2500, "My scores", place.database)
    opened: Any = sqlite3.connect(place.database) if dialect == "sqlite" else duckdb.connect(place.database)
    with closing(opened) as raw:
        assert dict(raw.execute('SELECT id, probability_click FROM "My scores"').fetchall()) == expected


def test_a_table_in_the_source_itself_leaves_the_others_as_they_were(shop: Shop, tmp_path: Path) -> None:
    copy = tmp_path / "shop.db"
    copy.write_bytes(shop.database.read_bytes())
    place = ConnectionSpec("sqlite", str(copy))
    request = Score(shop.project, shop.logistic, source=place, into=place, table="scores")
    with closing(sqlite3.connect(copy)) as raw:
        before = list(raw.iterdump())
        shop.ask(request)
        raw.execute("DROP TABLE scores")
        assert list(raw.iterdump()) == before


def test_a_table_that_is_there_is_refused_before_any_row_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.score._extract", lambda *_: pytest.fail("rows were read"))
    place = ConnectionSpec("sqlite", str(shop.database))
    with pytest.raises(StorageError, match="already has a table"):
        shop.ask(Score(shop.project, shop.logistic, into=place, table="Users"))


def test_numbers_do_not_depend_on_the_size_of_blocks(
    shop: Shop, expected: dict[int, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 333)
    monkeypatch.setattr("core.jobs.score._ROWS_AT_ONCE", 100)
    shop.score(tmp_path / "x.parquet", keys_only=True)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["probability_click"].to_pylist() == list(expected.values())


def test_a_workbook_too_small_for_the_rows_is_said(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.export.excel.MOST_ROWS", 2500)
    with pytest.raises(DataError, match="2,500 rows do not fit"):
        shop.score(tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["x.csv", "x.xlsx", "table"])
def test_stop_is_heard_at_once_and_leaves_nothing(
    shop: Shop, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.snapshots.BLOCK_ROWS", 10)
    stop, pressed = threading.Event(), [0.0]

    def progress(moment: Any) -> None:
        if moment.message.startswith("Predicting: ") and not stop.is_set():
            pressed[0] = time.monotonic()
            stop.set()

    into = ConnectionSpec("sqlite", str(tmp_path / "x.db")) if target == "table" else None
    request = Score(shop.project, shop.logistic, tmp_path / target, into=into, table="scores" if into else "")
    with pytest.raises(Stopped):
        shop.ask(request, JobControl(progress=progress, stop=stop))
    assert time.monotonic() - pressed[0] < 1
    assert list(tmp_path.iterdir()) == []
    assert not list((shop.project / "data").glob(".score-*"))


@pytest.fixture(scope="module")
def onnx_file(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    shop.ask(ExportModel(shop.project, shop.logistic, path))
    yield path


def test_the_program_in_the_documentation_gives_the_same_numbers(
    shop: Shop, expected: dict[int, float], onnx_file: Path, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(import bisect.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "score.py").write_text(code, encoding="utf-8")
    shop.score(tmp_path / "rows.csv")
    words = [sys.executable, "-W", "ignore", "score.py", str(onnx_file), "rows.csv"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, _ in lines} == {"click"}
    np.testing.assert_allclose([float(value) for _, value in lines], list(expected.values()), atol=1e-5)


def test_a_model_without_a_graph_says_so_and_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="LightGBM cannot be written as ONNX"):
        shop.ask(ExportModel(shop.project, shop.trees, tmp_path / "model.onnx"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["logistic", "trees"])
def test_a_folder_holds_what_its_instructions_name_and_nothing_secret(shop: Shop, model: str, tmp_path: Path) -> None:
    made = shop.ask(ExportModel(shop.project, getattr(shop, model), tmp_path / "model"))
    told = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert {"README.md", "encoders.json", "fields.json", "schema.json"} < set(made.files)
    assert all(f"`{name}`" in told for name in made.files if name != "README.md")
    assert pickled_files(tmp_path) == ()
    for path in (each for each in tmp_path.rglob("*") if each.is_file()):
        assert str(shop.database).encode() not in path.read_bytes()


def test_weights_in_the_folder_are_those_of_the_model(shop: Shop, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    shop.ask(ExportModel(shop.project, shop.logistic, tmp_path / "model"))
    (saved,) = (tmp_path / "model" / "model").glob("*.safetensors")
    assert load_file(saved)["table"].ndim == 1


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_that_holds_something_is_never_replaced(shop: Shop, kind: str, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    if kind == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    else:
        place.write_text("mine")
    with pytest.raises(StorageError, match="already exists"):
        shop.ask(ExportModel(shop.project, shop.logistic, place))
    assert (place / "notes.txt" if kind == "folder" else place).read_text() == "mine"


def test_an_empty_folder_may_be_filled(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert shop.ask(ExportModel(shop.project, shop.logistic, tmp_path / "empty")).files


# --- the command line -------------------------------------------------------------------------------------------------


def command(shop: Shop, *words: str) -> int:
    return main([*words, "--project", str(shop.project)])


def test_the_command_line_makes_a_table_with_the_key_alone(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "scores.duckdb"
    assert command(shop, "predict", shop.logistic, str(place), "--table", "scores") == 0
    assert f"2,500 predictions are in the new table scores of {place}." in capsys.readouterr().out
    with closing(duckdb.connect(str(place))) as raw:
        assert [name for name, *_ in raw.execute("DESCRIBE scores").fetchall()] == ["id", "probability_click"]


def test_the_command_line_never_replaces_a_table(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "scores.db"
    words = ("predict", shop.logistic, str(place), "--table", "scores", "--columns", "all", "--json")
    assert command(shop, *words) == 0
    assert json.loads(capsys.readouterr().out) == {"database": str(place), "table": "scores", "rows": 2500}
    before = place.read_bytes()
    assert command(shop, *words) == 1
    assert "already has a table" in json.loads(capsys.readouterr().out)["error"]["what"]
    assert place.read_bytes() == before


def test_the_command_line_exports_a_model(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(shop, "export-model", shop.trees, str(tmp_path / "trees")) == 0
    assert "README.md in it tells how to use it." in capsys.readouterr().out
    assert (tmp_path / "trees" / "model" / "model.txt").exists()


def test_a_table_on_a_server_nobody_answers_for_is_a_sentence(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", shop.logistic, "postgresql://ann:s3cret@127.0.0.1:1/shop", "--table", "scores")
    assert command(shop, *words) == 1
    told = capsys.readouterr()
    assert "Nothing answers on 127.0.0.1, port 1." in told.err
    assert "s3cret" not in told.err + told.out
