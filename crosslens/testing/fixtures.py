"""Fixtures for the tests of plugins: in a conftest.py, `from crosslens.testing.fixtures import tiny_shop`."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslens.data import TrainingData

from .rows import main_effects, training_data
from .shop import TinyShop, write_tiny_shop


@pytest.fixture
def tiny_shop(tmp_path: Path) -> TinyShop:
    """Return a tiny relational database with unicode and quoted names and missing values."""
    return write_tiny_shop(tmp_path / "tiny shop")


@pytest.fixture
def clicks() -> TrainingData:
    """Return encoded rows of `main_effects`, split for training."""
    return training_data(main_effects())
