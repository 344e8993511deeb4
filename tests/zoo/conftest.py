"""An app with a plugins folder of its own, which starts real processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.plugins.library import Library

MAIN = Path(__file__).parents[2] / "main.py"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Return a library whose processes are those of the real program; an import may take two seconds."""
    return Library(tmp_path / "data" / "plugins", (sys.executable, str(MAIN)), seconds=2.0)
