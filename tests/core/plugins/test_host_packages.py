"""What the app shares with plugins, as the Python that runs these tests has it."""

from __future__ import annotations

import importlib.metadata

import pytest

from core.plugins.host_packages import host_packages


@pytest.mark.parametrize("name", ["numpy", "torch", "lightgbm", "sqlalchemy", "crosslens"])
def test_what_crosslens_is_built_on_is_shared(name: str) -> None:
    assert name in host_packages().needed


def test_versions_are_those_installed() -> None:
    assert host_packages().needed["numpy"] == importlib.metadata.version("numpy")


@pytest.mark.parametrize(
    "module",
    ["numpy", "torch", "functorch", "sklearn", "yaml_that_is_not_there", "PySide6", "attr", "CORE", "ui", "main"],
)
def test_names_that_are_taken_have_an_owner(module: str) -> None:
    assert bool(host_packages().owner(module)) is (module != "yaml_that_is_not_there")


def test_packages_of_developers_are_not_part_of_crosslens() -> None:
    assert "pytest" in host_packages().beside
    assert host_packages().owner("pytest") == ""
