"""The example plugins as their users get them: one file, installed, trained, explained, scored, reported, removed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.plugin_kit.bundle import write_bundle
from crosslens.testing import TinyShop, write_tiny_shop

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"

App = Callable[..., Any]


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Run a command of an app that nobody has used before; return its JSON, or the problem if it is to fail."""

    def run(*arguments: str | Path, fails: bool = False) -> Any:
        done = subprocess.run(
            [sys.executable, str(_ROOT / "main.py"), *map(str, arguments), "--json"],
            cwd=tmp_path,
            env=dict(os.environ, CROSSLENS_DATA=str(tmp_path / "data"), OMP_NUM_THREADS="1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (1 if fails else 0), done.stdout + done.stderr
        answer = json.loads(done.stdout)
        return answer["error"] if fails else answer

    return run


@pytest.fixture
def shop(tmp_path: Path) -> TinyShop:
    return write_tiny_shop(tmp_path / "shop")


def installed(app: App) -> list[str]:
    return [row["name"] for row in app("plugin", "list") if row["origin"] != "built-in"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("example", "model"), [("crosslens-cross-tables", "cross-tables"), ("crosslens-dcn", "dcn-v2")]
)
def test_a_model_is_installed_trained_explained_scored_reported_and_removed(
    example: str, model: str, app: App, shop: TinyShop, tmp_path: Path
) -> None:
    bundle = write_bundle(_EXAMPLES / example, tmp_path).path
    recipe = shop.recipe(model)
    assert model in app("train", recipe, fails=True)["what"]

    app("plugin", "install", bundle, "--yes")
    (run,) = app("train", recipe)
    assert run["model"] == model
    assert run["status"] == "finished"

    explained = app("explain", run["run"])
    assert "Größe" in json.dumps(explained, ensure_ascii=False)
    one = app("explain", run["run"], "--row", "0")
    assert 'item.say "what"' in json.dumps(one, ensure_ascii=False).replace('\\"', '"')
    app("predict", run["run"], "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 601
    app("report", run["run"], "--out", "report.html")
    assert "Größe" in (tmp_path / "report.html").read_text(encoding="utf-8")

    (name,) = installed(app)
    app("plugin", "remove", name)
    assert installed(app) == []
    assert model in app("train", recipe, fails=True)["what"]
    assert [kept["id"] for kept in app("runs")] == [run["run"]]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_text_encoder_is_installed_and_lent_to_a_model_of_the_app(app: App, tmp_path: Path) -> None:
    app("sample", "shop.db", "--rows", "3000")
    recipe = (_EXAMPLES / "recipes" / "shop-next-item.toml").read_text(encoding="utf-8")
    assert recipe.rstrip().endswith('id = "sra-cl"')
    chosen = 'parameters = { encoder = "hashed-pieces", epochs = 1, width = 8, layers = 1, length = 8, heads = 1 }\n'
    recipe = recipe.replace("baselines = true", "baselines = false").replace("minimum_events = 3", "minimum_events = 2")
    (tmp_path / "next.toml").write_text(f"{recipe.rstrip()}\n{chosen}", encoding="utf-8")

    bundle = write_bundle(_EXAMPLES / "crosslens-text-encoder", tmp_path).path
    app("plugin", "install", bundle, "--yes")
    (run,) = app("train", "next.toml")
    assert (run["model"], run["status"]) == ("sra-cl", "finished")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("kind", "recipe"), [("funnel", "shop-funnel"), ("next-item", "shop-next-item")])
def test_what_plugin_new_writes_trains_in_the_app(kind: str, recipe: str, app: App, tmp_path: Path) -> None:
    app("plugin", "new", "fresh-model", "--kind", kind)
    app("plugin", "install", app("plugin", "bundle", "fresh-model")["path"], "--yes")
    app("sample", "shop.db", "--rows", "4000")
    text = (_EXAMPLES / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    own = text[: text.index("[[models]]")].replace("baselines = true", "baselines = false")
    (tmp_path / "own.toml").write_text(f'{own}[[models]]\nid = "fresh-model"\n', encoding="utf-8")
    (run,) = app("train", "own.toml")
    assert (run["model"], run["status"]) == ("fresh-model", "finished")
    app("report", run["run"], "--out", "report.html")
    assert "Fresh model" in (tmp_path / "report.html").read_text(encoding="utf-8")
