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

    [[query.joins]]
    name = "clicks before"
    table = "clicks"
    on = [["impressions", "user_id", "user_id"]]
    kind = "count"                                 lookup, exists, count, latest or values
    time = "clicked_at"
    up_to = ["impressions", "shown_at"]            only clicks known before that

    [query.sample]
    method = "users"                               random, users or latest
    rows = 100_000
    column = ["impressions", "user_id"]

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

    [[repairs]]
    kind = "drop-missing"
    fields = ["price"]

    [next_item]                                    for models that rank the next item; every key may be left out
    core = 5                                       keep users and items that occur at least so often; 0: all
    minimum_events = 3                             leave out users with fewer
    split = "leave-one-out"                        or "time": what comes after a moment is the test
    exclude_seen = true                            never recommend what the user has had
    at = [5, 10, 20]                               lengths of the lists measured
    title = ["item", "title"]                      what people call an item
    baselines = true                               train popularity, item-kNN and the backbone beside

A table is a name, or `{ name = "items", schema = "shop" }`. With `select = "SELECT ..."` in [query], the user's own
SELECT takes the place of the base table, which names it then. A secret is never written.
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
    SampleMethod,
    SampleSpec,
    TableRef,
)
from crosslens.schema import TimePart

from .recipe import (
    FORMAT,
    ModelChoice,
    NextItemSpec,
    NextItemSplit,
    Recipe,
    Repair,
    RepairKind,
    SplitMethod,
    SplitSpec,
)

E = TypeVar("E", bound=StrEnum)

FILE_DIALECTS = frozenset({"sqlite", "duckdb", "files"})
"""Dialects whose database is a file or a folder, so that a relative path means: beside the recipe."""
_LINE_WIDTH = 120


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML; what equals its default is left out."""
    return "\n\n".join("\n".join(section) for section in _sections(recipe)) + "\n"


def _sections(recipe: Recipe) -> Iterator[list[str]]:
    top = {"title": recipe.title or None, "seed": recipe.seed, "minimum_count": recipe.minimum_count}
    rest = {"hash_buckets": recipe.hash_buckets or None, "moment": recipe.moment or None}
    yield _lines({"format": FORMAT, **top, **rest})
    yield ["[source]", *_lines(_source(recipe.source))]
    yield ["[query]", *_lines(_query(recipe.query))]
    if recipe.query.sample is not None:
        yield ["[query.sample]", *_lines(_sample(recipe.query.sample))]
    for join in recipe.query.joins:
        yield ["[[query.joins]]", *_lines(_join(join))]
    for filter_ in recipe.query.filters:
        yield ["[[query.filters]]", *_lines(_filter(filter_))]
    for field in recipe.fields:
        yield ["[[fields]]", *_lines(_field(field))]
    split = recipe.split
    shares = {"validation": split.validation, "test": split.test, "seed": split.seed}
    yield ["[split]", *_lines({"method": split.method, **shares})]
    if recipe.next_item != NextItemSpec():
        yield ["[next_item]", *_lines(_next_item(recipe.next_item))]
    for model in recipe.models:
        yield ["[[models]]", *_lines({"id": model.id, "parameters": dict(model.parameters) or None})]
    for repair in recipe.repairs:
        yield ["[[repairs]]", *_lines({"kind": repair.kind, "fields": list(repair.fields) or None})]


def _next_item(spec: NextItemSpec) -> dict[str, Any]:
    return {
        "core": spec.core,
        "minimum_events": spec.minimum_events,
        "split": spec.split,
        "exclude_seen": spec.exclude_seen,
        "at": list(spec.at),
        "title": None if spec.title is None else _pair(spec.title),
        "baselines": spec.baselines,
    }


def _source(source: ConnectionSpec) -> dict[str, Any]:
    return {
        "dialect": source.dialect,
        "database": source.database,
        "host": source.host or None,
        "port": source.port or None,
        "username": source.username or None,
        "options": dict(source.options) or None,
        "credential": source.credential or None,
        "password_variable": source.password_variable or None,
    }


def _query(query: QuerySpec) -> dict[str, Any]:
    return {
        "base": _table(query.base),
        "select": query.select or None,
        "columns": [_pair(column) for column in query.columns],
        "time": None if query.time is None else _pair(query.time),
        "limit": query.limit,
    }


def _join(join: JoinSpec) -> dict[str, Any]:
    pairs = [[*_pair(left), right] for left, right in join.on]
    moment = {"time": join.time, "up_to": None if join.up_to is None else _pair(join.up_to)}
    return {"name": join.name, "table": _table(join.table), "on": pairs, "kind": join.kind, **moment}


def _sample(sample: SampleSpec) -> dict[str, Any]:
    column = None if sample.column is None else _pair(sample.column)
    return {"method": sample.method, "rows": sample.rows, "seed": sample.seed or None, "column": column}


def _filter(filter_: FilterSpec) -> dict[str, Any]:
    return {"column": _pair(filter_.column), "operator": filter_.operator, "value": filter_.value}


def _field(field: Field) -> dict[str, Any]:
    return {
        "column": _pair(field.column),
        "name": field.name,
        "kind": field.kind,
        "role": field.role,
        "bins": field.bins or None,
        "delimiter": field.delimiter or None,
        "parts": [str(part) for part in field.parts] or None,
        "reason": field.reason or None,
    }


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
    """Return a text in quotes, one of several lines (a SELECT, say) as it was written."""
    lines = [_escaped(line) for line in str(value).split("\n")]
    return f'"{lines[0]}"' if len(lines) == 1 else '"""\n' + "\n".join(lines) + '"""'


def _escaped(line: str) -> str:
    # JSON's escapes are a subset of TOML's; DEL is the one character TOML wants escaped and JSON does not
    return json.dumps(line, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{_escaped(key)}"'


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
        hash_buckets=top.integer("hash_buckets", 0, minimum=0),
        moment=top.text("moment", ""),
        source=_read_source(top.section("source"), folder),
        query=_read_query(top.section("query")),
        fields=_read_fields(top),
        split=_read_split(top.section("split", optional=True)),
        next_item=_read_next_item(top.section("next_item", optional=True)),
        models=tuple(_read_model(section) for section in top.sections("models")),
        repairs=tuple(_read_repair(section) for section in top.sections("repairs")),
    )
    top.done()
    _check_columns(recipe)
    _check_repairs(recipe)
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
            do="Remove it from [source]; Crosslens asks for it, or reads keyring or environment variable.",
        )
    dialect, database = section.text("dialect"), section.text("database")
    spec = ConnectionSpec(
        dialect=dialect,
        database=_resolved(dialect, database, folder),
        host=section.text("host", ""),
        port=section.integer("port", 0, minimum=0),
        username=section.text("username", ""),
        options=section.texts_by_name("options"),
        credential=section.text("credential", ""),
        password_variable=section.text("password_variable", ""),
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
        select=section.text("select", ""),
        sample=_read_sample(section.section("sample")) if section.has("sample") else None,
    )
    section.done()
    return query


def _read_join(section: _Section) -> JoinSpec:
    join = JoinSpec(
        name=section.text("name"),
        table=section.table("table"),
        on=tuple((ColumnRef(left, column), right) for left, column, right in section.triples("on")),
        kind=section.choice("kind", JoinKind, JoinKind.LOOKUP),
        time=section.text("time") if section.has("time") else None,
        up_to=section.column("up_to") if section.has("up_to") else None,
    )
    section.done()
    return join


def _read_sample(section: _Section) -> SampleSpec:
    sample = SampleSpec(
        method=section.choice("method", SampleMethod),
        rows=section.integer("rows", minimum=1),
        seed=section.integer("seed", 0),
        column=section.column("column") if section.has("column") else None,
    )
    section.done()
    return sample


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
        delimiter=section.text("delimiter", ""),
        parts=tuple(section.choices("parts", TimePart)),
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


def _read_next_item(section: _Section) -> NextItemSpec:
    default = NextItemSpec()
    spec = NextItemSpec(
        core=section.integer("core", default.core, minimum=0),
        minimum_events=section.integer("minimum_events", default.minimum_events, minimum=1),
        split=section.choice("split", NextItemSplit, default.split),
        exclude_seen=section.truth("exclude_seen", default.exclude_seen),
        at=section.lengths("at", default.at),
        title=section.column("title") if section.has("title") else None,
        baselines=section.truth("baselines", default.baselines),
    )
    section.done()
    return spec


def _read_model(section: _Section) -> ModelChoice:
    model = ModelChoice(id=section.text("id"), parameters=section.parameters("parameters"))
    section.done()
    return model


def _read_repair(section: _Section) -> Repair:
    repair = Repair(section.choice("kind", RepairKind), tuple(section.texts("fields")))
    section.done()
    return repair


def _check_repairs(recipe: Recipe) -> None:
    names = [field.name for field in recipe.fields]
    for repair in recipe.repairs:
        for name in repair.fields:
            if name not in names:
                raise RecipeError(
                    f"The repair {repair.kind} concerns '{name}', but there is no such field.",
                    do=_did_you_mean(name, names) or "Correct the name, or remove the repair.",
                    name=name,
                )


def _check_columns(recipe: Recipe) -> None:
    query = recipe.query
    sources = [query.base.name, *(join.name for join in query.joins)]
    used = [*query.columns, *(each.column for each in query.filters), *([query.time] if query.time else [])]
    if query.sample is not None and query.sample.column is not None:
        used.append(query.sample.column)
    used += [recipe.next_item.title] if recipe.next_item.title else []
    used += [join.up_to for join in query.joins if join.up_to is not None]
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

    def truth(self, key: str, default: bool) -> bool:
        value: bool = self._get(key, default, bool, "true or false")
        return value

    def lengths(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        wanted = "a list of whole numbers of at least 1"
        value = self._get(key, list(default), list, wanted)
        if not value or not all(type(entry) is int and entry > 0 for entry in value):
            raise self._wrong(key, value, wanted)
        return tuple(sorted(set(value)))

    def scalar(self, key: str) -> str | int | float | bool:
        value: str | int | float | bool = self._get(
            key, None, (str, int, float, bool), "a text, a number, true or false"
        )
        return value

    def texts(self, key: str) -> list[str]:
        value: list[str] = self._get(key, [], list, "a list of texts")
        if not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, value, "a list of texts")
        return value

    def choices(self, key: str, kind: type[E]) -> list[E]:
        return [self._chosen(key, text, kind) for text in self.texts(key)]

    def choice(self, key: str, kind: type[E], default: E | None = None) -> E:
        return self._chosen(key, self.text(key, default), kind)

    def _chosen(self, key: str, text: str, kind: type[E]) -> E:
        try:
            return kind(text)
        except ValueError:
            known = [str(entry) for entry in kind]
            near = _did_you_mean(text, known)
            raise self._wrong(key, text, f"one of {', '.join(known)}", near) from None

    def section(self, key: str, *, optional: bool = False) -> _Section:
        return _Section(self._get(key, {} if optional else None, dict, "a section"), f"in [{self._full(key)}]")

    def sections(self, key: str) -> list[_Section]:
        entries = self._get(key, [], list, "a list of sections")
        name = self._full(key)
        if not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(key, entries, f"sections that start with [[{name}]]")
        return [_Section(entry, f"in [[{name}]] number {place}") for place, entry in enumerate(entries, start=1)]

    def _full(self, key: str) -> str:
        return key if self._place.startswith("at the top") else f"{self._place[4:-1]}.{key}"

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
