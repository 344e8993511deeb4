"""Recipes as TOML: written to be read and edited by people, read strictly.

    format = 1
    title = "Shop clicks"

    [source]
    dialect = "sqlite"
    database = "shop.db"

    [query]
    base = "impressions"
    columns = [["impressions", "position"], ["item", "price"], ["clicks", "*exists"]]

    [[query.joins]]
    name = "item"
    table = "items"
    on = [["impressions", "item_id", "id"]]        earlier source, its column, column of the joined table

    [[fields]]
    column = ["item", "price"]
    name = "price"
    kind = "numerical"
    role = "feature"

    [split]
    method = "time"

    [[models]]
    id = "lightgbm"
    parameters = { leaves = 31 }

A table is a name, or `{ name = "items", schema = "shop" }`. A secret is never written.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from crosslens import Field, FieldKind, FieldRole, FieldSchema, RecipeError
from crosslens.relational import (
    ColumnRef,
    Comparison,
    ConnectionSpec,
    FilterSpec,
    JoinKind,
    JoinSpec,
    QuerySpec,
    TableRef,
)

from .recipe import FORMAT, ModelChoice, Recipe, SplitMethod, SplitSpec

E = TypeVar("E", bound=StrEnum)

FILE_DIALECTS = frozenset({"sqlite", "duckdb"})
"""Dialects whose database is a file, so that a relative path means: beside the recipe."""
_LINE_WIDTH = 120


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML; what equals its default is left out."""
    return "\n\n".join("\n".join(section) for section in _sections(recipe)) + "\n"


def _sections(recipe: Recipe) -> Iterator[list[str]]:
    top = {"title": recipe.title or None, "seed": recipe.seed, "minimum_count": recipe.minimum_count}
    yield _lines({"format": FORMAT, **top})
    yield ["[source]", *_lines(_source(recipe.source))]
    yield ["[query]", *_lines(_query(recipe.query))]
    for join in recipe.query.joins:
        yield ["[[query.joins]]", *_lines(_join(join))]
    for filter_ in recipe.query.filters:
        yield ["[[query.filters]]", *_lines(_filter(filter_))]
    for field in recipe.fields:
        yield ["[[fields]]", *_lines(_field(field))]
    split = recipe.split
    shares = {"validation": split.validation, "test": split.test, "seed": split.seed}
    yield ["[split]", *_lines({"method": split.method, **shares})]
    for model in recipe.models:
        yield ["[[models]]", *_lines({"id": model.id, "parameters": dict(model.parameters) or None})]


def _source(source: ConnectionSpec) -> dict[str, Any]:
    return {
        "dialect": source.dialect,
        "database": source.database,
        "host": source.host or None,
        "port": source.port or None,
        "username": source.username or None,
        "options": dict(source.options) or None,
    }


def _query(query: QuerySpec) -> dict[str, Any]:
    return {
        "base": _table(query.base),
        "columns": [_pair(column) for column in query.columns],
        "time": None if query.time is None else _pair(query.time),
        "limit": query.limit,
    }


def _join(join: JoinSpec) -> dict[str, Any]:
    pairs = [[*_pair(left), right] for left, right in join.on]
    return {"name": join.name, "table": _table(join.table), "on": pairs, "kind": join.kind}


def _filter(filter_: FilterSpec) -> dict[str, Any]:
    return {"column": _pair(filter_.column), "operator": filter_.operator, "value": filter_.value}


def _field(field: Field) -> dict[str, Any]:
    meaning = {"kind": field.kind, "role": field.role, "bins": field.bins or None, "reason": field.reason or None}
    return {"column": _pair(field.column), "name": field.name, **meaning}


def _table(table: TableRef) -> str | dict[str, str]:
    return table.name if table.schema is None else {"name": table.name, "schema": table.schema}


def _pair(column: ColumnRef) -> list[str]:
    return [column.source, column.column]


def _lines(entries: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_outer(key, value)}" for key, value in entries.items() if value is not None]


def _outer(key: str, value: Any) -> str:
    """Return a value; a list too long for a line has one entry per line."""
    text = _inline(value)
    if isinstance(value, list) and len(key) + 3 + len(text) > _LINE_WIDTH:
        return "[\n" + "".join(f"    {_inline(entry)},\n" for entry in value) + "]"
    return text


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(entry) for entry in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(entry)}" for key, entry in value.items()) + " }"
    raise RecipeError(
        f"A recipe cannot hold a value of type {type(value).__name__}.",
        do="Use text, numbers, true, false, or lists of these.",
        value=value,
    )


def _text(value: str) -> str:
    # JSON's escapes are a subset of TOML's; DEL is the one character TOML wants escaped and JSON does not
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def recipe_from_toml(text: str, *, folder: Path | None = None) -> Recipe:
    """Return the recipe a TOML text describes; a relative database file is looked for in `folder`.

    RecipeError names the line, key or value that is wrong, and what is meant instead.
    """
    top = _Section(_parse(text), "at the top of the recipe")
    _check_format(top)
    recipe = Recipe(
        title=top.text("title", ""),
        seed=top.integer("seed", 0),
        minimum_count=top.integer("minimum_count", 2, minimum=1),
        source=_read_source(top.section("source"), folder),
        query=_read_query(top.section("query")),
        fields=_read_fields(top),
        split=_read_split(top.section("split", optional=True)),
        models=tuple(_read_model(section) for section in top.sections("models")),
    )
    top.done()
    _check_columns(recipe)
    return recipe


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        where = f" in line {place.group(1)}" if place else ""
        raise RecipeError(
            f"The recipe is not valid TOML{where}.",
            why=f"{error}.",
            do="Correct the text there.",
            line=int(place.group(1)) if place else None,
        ) from error


def _check_format(top: _Section) -> None:
    found = top.integer("format")
    if found > FORMAT:
        raise RecipeError(
            f"The recipe has format {found}, and this Crosslens reads format {FORMAT}.",
            do="Use a newer Crosslens.",
            format=found,
        )
    if found < 1:
        raise RecipeError(f"There is no recipe format {found}.", do=f"Write format = {FORMAT}.", format=found)


def _read_source(section: _Section, folder: Path | None) -> ConnectionSpec:
    if "secret" in section.data or "password" in section.data:
        raise RecipeError(
            "A recipe never holds a password.",
            do="Remove it from [source]; Crosslens asks for it, or reads the keyring.",
        )
    dialect, database = section.text("dialect"), section.text("database")
    spec = ConnectionSpec(
        dialect=dialect,
        database=_resolved(dialect, database, folder),
        host=section.text("host", ""),
        port=section.integer("port", 0, minimum=0),
        username=section.text("username", ""),
        options=section.texts_by_name("options"),
    )
    section.done()
    return spec


def _resolved(dialect: str, database: str, folder: Path | None) -> str:
    if folder is None or dialect not in FILE_DIALECTS or not database or Path(database).is_absolute():
        return database
    return str(folder / database)


def _read_query(section: _Section) -> QuerySpec:
    query = QuerySpec(
        base=section.table("base"),
        columns=tuple(section.columns("columns")),
        joins=tuple(_read_join(each) for each in section.sections("joins")),
        filters=tuple(_read_filter(each) for each in section.sections("filters")),
        time=section.column("time") if section.has("time") else None,
        limit=section.integer("limit", minimum=1) if section.has("limit") else None,
    )
    section.done()
    return query


def _read_join(section: _Section) -> JoinSpec:
    join = JoinSpec(
        name=section.text("name"),
        table=section.table("table"),
        on=tuple((ColumnRef(left, column), right) for left, column, right in section.triples("on")),
        kind=section.choice("kind", JoinKind, JoinKind.LOOKUP),
    )
    section.done()
    return join


def _read_filter(section: _Section) -> FilterSpec:
    filter_ = FilterSpec(
        column=section.column("column"),
        operator=section.choice("operator", Comparison),
        value=section.scalar("value") if section.has("value") else None,
    )
    section.done()
    return filter_


def _read_fields(top: _Section) -> FieldSchema:
    fields = tuple(_read_field(section) for section in top.sections("fields"))
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"Two fields are called '{name}'.", do="Give each field a name of its own.", name=name)
    return FieldSchema(fields)


def _read_field(section: _Section) -> Field:
    field = Field(
        column=section.column("column"),
        name=section.text("name"),
        kind=section.choice("kind", FieldKind),
        role=section.choice("role", FieldRole),
        bins=section.integer("bins", 0, minimum=0),
        reason=section.text("reason", ""),
    )
    section.done()
    return field


def _read_split(section: _Section) -> SplitSpec:
    default = SplitSpec()
    split = SplitSpec(
        method=section.choice("method", SplitMethod, default.method),
        validation=section.number("validation", default.validation),
        test=section.number("test", default.test),
        seed=section.integer("seed", default.seed),
    )
    section.done()
    return split


def _read_model(section: _Section) -> ModelChoice:
    model = ModelChoice(id=section.text("id"), parameters=section.parameters("parameters"))
    section.done()
    return model


def _check_columns(recipe: Recipe) -> None:
    query = recipe.query
    sources = [query.base.name, *(join.name for join in query.joins)]
    used = [*query.columns, *(each.column for each in query.filters), *([query.time] if query.time else [])]
    for column in (*used, *(left for join in query.joins for left, _ in join.on)):
        if column.source not in sources:
            raise RecipeError(
                f"The query uses {column}, but there is no source '{column.source}'.",
                why=f"Sources are the base table and the joins: {', '.join(sources)}.",
                do=_did_you_mean(column.source, sources) or "Correct the name, or add the join.",
                column=column,
            )
    for field in recipe.fields:
        if field.column not in query.columns:
            raise RecipeError(
                f"The field '{field.name}' reads {field.column}, which is not among the columns of the query.",
                do="Add the column to [query], or remove the field.",
                column=field.column,
            )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""


class _Section:
    """A table of the TOML text: hands out entries by type, and at the end reports what nobody asked for."""

    def __init__(self, data: Mapping[str, Any], place: str) -> None:
        self.data = data
        self._place = place
        self._asked: list[str] = []

    def done(self) -> None:
        """Raise RecipeError for the first key that was not asked for."""
        for key in self.data:
            if key not in self._asked:
                raise RecipeError(
                    f"There is an unknown key '{key}' {self._place}.",
                    do=_did_you_mean(key, self._asked) or f"Known are: {', '.join(self._asked)}.",
                    key=key,
                    place=self._place,
                )

    def has(self, key: str) -> bool:
        """Whether an entry that may be left out is there."""
        self._asked.append(key)
        return key in self.data

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self._get(key, default, str, "a text")
        return value

    def integer(self, key: str, default: int | None = None, *, minimum: int | None = None) -> int:
        value: int = self._get(key, default, int, "a whole number")
        if minimum is not None and value < minimum:
            raise self._wrong(key, value, f"a whole number of at least {minimum}")
        return value

    def number(self, key: str, default: float) -> float:
        return float(self._get(key, default, (int, float), "a number"))

    def scalar(self, key: str) -> str | int | float | bool:
        value: str | int | float | bool = self._get(
            key, None, (str, int, float, bool), "a text, a number, true or false"
        )
        return value

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        text = self.text(key, default)
        try:
            return kind(text)
        except ValueError:
            known = [str(entry) for entry in kind]
            near = _did_you_mean(text, known)
            raise self._wrong(key, text, f"one of {', '.join(known)}", near) from None

    def section(self, key: str, *, optional: bool = False) -> _Section:
        return _Section(self._get(key, {} if optional else None, dict, "a section"), f"in [{key}]")

    def sections(self, key: str) -> list[_Section]:
        entries = self._get(key, [], list, "a list of sections")
        name = key if self._place.startswith("at the top") else f"{self._place[4:-1]}.{key}"
        if not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(key, entries, f"sections that start with [[{name}]]")
        return [_Section(entry, f"in [[{name}]] number {place}") for place, entry in enumerate(entries, start=1)]

    def table(self, key: str) -> TableRef:
        value = self._get(key, None, (str, dict), "the name of a table")
        if isinstance(value, str):
            return TableRef(value)
        section = _Section(value, f"in {key} {self._place}")
        table = TableRef(section.text("name"), section.text("schema") if section.has("schema") else None)
        section.done()
        return table

    def column(self, key: str) -> ColumnRef:
        value = self._get(key, None, list, 'a source and a column, as in ["items", "price"]')
        return ColumnRef(*self._texts(key, value, 2))

    def columns(self, key: str) -> list[ColumnRef]:
        value = self._get(key, None, list, 'a list of columns, as in [["items", "price"]]')
        return [ColumnRef(*self._texts(key, entry, 2)) for entry in value]

    def triples(self, key: str) -> list[list[str]]:
        value = self._get(key, None, list, 'a list as in [["impressions", "item_id", "id"]]')
        return [self._texts(key, entry, 3) for entry in value]

    def texts_by_name(self, key: str) -> dict[str, str]:
        value: dict[str, str] = self._get(key, {}, dict, "a table of texts")
        if not all(isinstance(entry, str) for entry in value.values()):
            raise self._wrong(key, value, "a table of texts")
        return value

    def parameters(self, key: str) -> dict[str, Any]:
        value = self._get(key, {}, dict, "a table of parameters")
        return {name: self._parameter(name, entry) for name, entry in value.items()}

    def _parameter(self, name: str, value: Any) -> Any:
        entries = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, (str, int, float, bool)) for entry in entries):
            raise self._wrong(name, value, "a text, a number, true, false, or a list of these")
        return tuple(value) if isinstance(value, list) else value

    def _texts(self, key: str, value: Any, count: int) -> list[str]:
        if not isinstance(value, list) or len(value) != count or not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, value, f"made of lists of {count} texts" if count > 2 else "made of pairs of texts")
        return value

    def _get(self, key: str, default: Any, kind: type | tuple[type, ...], wanted: str) -> Any:
        self._asked.append(key)
        if key not in self.data:
            if default is None:
                raise self._missing(key)
            return default
        value = self.data[key]
        accepts_bool = kind is bool or (isinstance(kind, tuple) and bool in kind)
        if not isinstance(value, kind) or (isinstance(value, bool) and not accepts_bool):
            raise self._wrong(key, value, wanted)
        return value

    def _missing(self, key: str) -> RecipeError:
        near = difflib.get_close_matches(key, [name for name in self.data if name not in self._asked], n=1)
        if near:
            return RecipeError(
                f"There is an unknown key '{near[0]}' {self._place}.",
                do=f"Did you mean '{key}'?",
                key=near[0],
                place=self._place,
            )
        return RecipeError(
            f"'{key}' is missing {self._place}.",
            do="Add it; the user guide shows every key.",
            key=key,
            place=self._place,
        )

    def _wrong(self, key: str, value: Any, wanted: str, hint: str = "") -> RecipeError:
        return RecipeError(
            f"'{key}' {self._place} cannot be {_shown(value)}.",
            why=hint,
            do=f"It must be {wanted}.",
            key=key,
            place=self._place,
        )


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, Sequence) or isinstance(value, str) else str(list(value))
    return text if len(text) <= 60 else text[:57] + "..."
