"""The guide's model as a module that tests can import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from .helpers import NAME, guide_module


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder: Path = tmp_path_factory.mktemp("guide")
    sys.path.insert(0, str(folder))
    yield guide_module(folder)
    sys.path.remove(str(folder))
    del sys.modules[NAME]
