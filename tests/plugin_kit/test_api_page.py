"""The reference of the plugin API is what the docstrings say today, and leaves nothing out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import crosslens
import crosslens.testing

_FOLDER = Path(__file__).parents[2] / "docs" / "plugins"


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", _FOLDER / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(make_api: ModuleType) -> None:
    written = (_FOLDER / "api.md").read_text(encoding="utf-8")
    assert written == make_api.reference(), "the docstrings have changed; run: make docs"


@pytest.mark.parametrize("module", [crosslens, crosslens.testing], ids=lambda module: module.__name__)
def test_every_public_name_has_its_entry(module: ModuleType, make_api: ModuleType) -> None:
    page = make_api.reference()
    missing = [name for name in module.__all__ if f"`{name}`" not in page and f"### `{name}(" not in page]
    assert missing == []


def test_no_address_of_this_computer_and_no_address_in_memory_is_on_the_page(make_api: ModuleType) -> None:
    assert " at 0x" not in make_api.reference()
    assert str(Path.home()) not in make_api.reference()


def test_code_in_docstrings_stays_in_one_piece(make_api: ModuleType) -> None:
    assert "```\n\n```" not in make_api.reference()
