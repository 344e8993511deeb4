"""What is installed beside Crosslens: drivers it reads with, and parts it can do without."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Package:
    """A package: what it is for, the module to import, and its name for pip. `optional`: Crosslens works without.

    A heavy one is looked for but not imported.
    """

    purpose: str
    module: str
    name: str
    optional: bool = False
    heavy: bool = False

    def problem(self) -> str:
        """Return why it cannot be used, or an empty text."""
        try:
            if find_spec(self.module) is None:
                return "not installed"
            if not self.heavy:
                import_module(self.module)
        except (ImportError, OSError, ValueError) as error:  # a library it needs is missing, or of another machine
            return f"installed, but does not load ({error})"
        return ""

    @property
    def installed_version(self) -> str:
        """Return the version that is installed, empty if none is."""
        try:
            return version(self.name)
        except PackageNotFoundError:
            return ""

    @property
    def remedy(self) -> str:
        """Return the line that installs it into this Python."""
        extra = "psycopg[binary]" if self.name == "psycopg" else self.name
        return f'Run: {sys.executable} -m pip install --upgrade "{extra}"'


DRIVERS = (
    Package("SQLite, rows in bulk", "adbc_driver_sqlite.dbapi", "adbc-driver-sqlite"),
    Package("DuckDB, CSV, Parquet and Arrow", "duckdb", "duckdb"),
    Package("PostgreSQL", "psycopg", "psycopg"),
    Package("MySQL and MariaDB", "pymysql", "PyMySQL"),
)
"""Drivers that come with Crosslens; one that is missing is a damaged installation."""

LEARNERS = (
    Package("ARM-Net and other neural models", "torch", "torch", heavy=True),
    Package("LightGBM", "lightgbm", "lightgbm", heavy=True),
)
"""What models are made with."""

OPTIONAL = (
    Package("Text fields by small static embeddings", "model2vec", "model2vec", optional=True, heavy=True),
    Package("Text fields by ONNX models", "onnxruntime", "onnxruntime", optional=True, heavy=True),
    Package(
        "Text fields by sentence transformers",
        "sentence_transformers",
        "sentence-transformers",
        optional=True,
        heavy=True,
    ),
)
"""Parts that are used when they are there."""
