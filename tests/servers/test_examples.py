"""The recipes for servers in examples/ lead to a trained model and a report, on the servers they are for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import main
from core.recipe_toml import recipe_from_toml, recipe_to_toml

from .conftest import Server
from .shop import write_shop

RECIPES = Path(main.ENTRY).parent / "examples" / "recipes"


def test_the_recipe_for_a_server_leads_to_models_and_a_report(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shop(server, rows=2_000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", server.reader.secret or "")
    here = server.reader
    recipe = recipe_from_toml((RECIPES / f"shop-{here.dialect}.toml").read_text(encoding="utf-8"))
    assert recipe.source.dialect == here.dialect
    there = replace(
        recipe.source, host=here.host, port=here.port, database=here.database, username=here.username,
    )  # fmt: skip
    (tmp_path / "shop.toml").write_text(recipe_to_toml(replace(recipe, source=there)), encoding="utf-8")
    assert main.main(["train", "shop.toml", "--project", "project", "--threads", "1"]) == 0
    assert main.main(["report", "--project", "project", "--out", "report.html"]) == 0
    capfd.readouterr()
    assert "LightGBM" in (tmp_path / "report.html").read_text(encoding="utf-8")
