"""How statements are written for DuckDB: PostgreSQL's grammar with DuckDB's parameters, divisions and places of tables.

duckdb-engine is not used: with SQLAlchemy 2.1 it cannot reflect columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

_NOT_IN_NAMES = re.compile(r"\W", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table really is, when its row numbers are asked for by the name `row_id`."""

    schema: str
    name: str
    row_id: str


class _Compiler(PGCompiler):
    dialect: DuckDbDialect

    @property
    def bindtemplate(self) -> str:
        """Write parameters as $name; positional ones would be found by a pattern that also matches inside names."""
        return "$%(name)s"

    @bindtemplate.setter
    def bindtemplate(self, value: str) -> None:
        """Ignore what the compiler chooses by paramstyle: none of them is DuckDB's."""

    compilation_bindtemplate = bindtemplate

    def bindparam_string(self, name: str, *args: Any, **kw: Any) -> str:
        """Name parameters after columns of any name with letters a parameter may have."""
        if not kw.get("escaped_from") and _NOT_IN_NAMES.search(name):
            kw["escaped_from"] = name
            name = _NOT_IN_NAMES.sub("_", name)
        return str(super().bindparam_string(name, *args, **kw))

    def visit_try_cast(self, cast: Any, **kw: Any) -> str:
        """Write TRY_CAST, which PostgreSQL does not have."""
        return f"TRY_CAST({self.process(cast.clause, **kw)} AS {self.process(cast.typeclause, **kw)})"

    def visit_truediv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Divide with `/`, which DuckDB never cuts to whole numbers."""
        return f"{self.process(binary.left, **kw)} / {self.process(binary.right, **kw)}"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Divide whole numbers with `//`."""
        return f"{self.process(binary.left, **kw)} // {self.process(binary.right, **kw)}"

    def visit_table(self, table: Any, *args: Any, **kw: Any) -> str:
        """Write a table with its database in front: a schema may be called as the database is."""
        quote = self.preparer.quote_identifier
        place = self.dialect.places.get((table.schema, table.name))
        if kw.get("asfrom") and place is not None and place.row_id in table.c:
            return f"{quote(place.schema)}.{quote(place.name)}"
        text = str(super().visit_table(table, *args, **kw))  # type: ignore[no-untyped-call]
        catalog = self.dialect.catalog
        if not kw.get("asfrom") or table.schema is None or catalog is None:
            return text
        return f"{quote(catalog)}.{text}"


class DuckDbDialect(PGDialect):
    """DuckDB's words. `catalog` is what it calls the database, `places` where tables with row numbers are."""

    name = "duckdb"
    statement_compiler = _Compiler
    supports_statement_cache = False
    _backslash_escapes = False

    def __init__(
        self, catalog: str | None = None, places: Mapping[tuple[str | None, str], Place] | None = None
    ) -> None:
        super().__init__(paramstyle="named")  # type: ignore[no-untyped-call]
        self.catalog = catalog
        self.places = {} if places is None else places


class Varchars(UserDefinedType[Any]):
    """A list of text."""

    def get_col_spec(self, **kw: Any) -> str:
        """Return DuckDB's word for it."""
        return "VARCHAR[]"


class DuckDbType(UserDefinedType[Any]):
    """A type by DuckDB's own word, one of ours and never a user's."""

    def __init__(self, word: str) -> None:
        self.word = word

    def get_col_spec(self, **kw: Any) -> str:
        """Return the word."""
        return self.word


class Struct(sa.ColumnElement[Any]):
    """A literal struct whose field names may hold any character: `{'a b': 'VARCHAR'}`."""

    inherit_cache = False

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)


@compiles(Struct)
def _struct(element: Struct, compiler: Any, **kw: Any) -> str:
    text = sa.String()
    pairs = (
        f"{compiler.render_literal_value(name, text)}: {compiler.render_literal_value(value, text)}"
        for name, value in element.fields.items()
    )
    return "{" + ", ".join(pairs) + "}"


def named(name: str, value: Any) -> sa.ColumnElement[Any]:
    """Return a named argument of a table function; DuckDB writes them as comparisons."""
    return sa.column(name) == (value if isinstance(value, sa.ColumnElement) else sa.literal(value))
