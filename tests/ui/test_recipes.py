"""A recipe somebody has edited is not written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslens.errors import StorageError
from ui.terminal.recipes import write_recipe
from ui.terminal.terminal import Terminal


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(Terminal, "say", lambda _, text: told.append(text))
    return told


def test_another_recipe_of_that_name_is_kept_beside(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "größe.toml"
    path.write_text("edited by hand", encoding="utf-8")
    write_recipe(path, "new", Terminal(as_json=False))
    assert path.read_text(encoding="utf-8") == "new"
    assert (tmp_path / "größe.toml.before").read_text(encoding="utf-8") == "edited by hand"
    assert "größe.toml.before" in said[0]


@pytest.mark.parametrize("former", ["the same", None])
def test_nothing_is_kept_where_nothing_would_be_lost(former: str | None, tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "shop.toml"
    if former is not None:
        path.write_text(former, encoding="utf-8")
    write_recipe(path, "the same", Terminal(as_json=False))
    assert [each.name for each in tmp_path.iterdir()] == ["shop.toml"]
    assert said == []


def test_what_cannot_be_kept_is_not_written_over(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "shop.toml"
    path.write_text("edited by hand", encoding="utf-8")
    (tmp_path / "shop.toml.before" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be kept"):
        write_recipe(path, "new", Terminal(as_json=False))
    assert path.read_text(encoding="utf-8") == "edited by hand"
