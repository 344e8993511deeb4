"""Where rows come from: connections, tables, joins, queries, and what was found in them.

A *source* in a query is the base table (under its own name) or a join (under the join's name); columns are addressed
as (source, column), so names may contain dots, quotes, spaces and any script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """How to reach a database. `secret` never appears in repr, equality, recipes, projects or logs.

    `dialect` is "sqlite", "duckdb", "postgresql", "mysql" or "mariadb", "files" (CSV, TSV, Parquet, Arrow), or the name
    of any installed SQLAlchemy dialect ("mssql+pyodbc"). `database` is a file (SQLite, DuckDB), a file or a folder
    (files), or the name of a database on a server. `options` are the driver's own (SSL among them). `credential` names
    an entry of the system's keyring that holds the password; `password_variable` an environment variable that does.
    """

    dialect: str
    database: str
    host: str = ""
    port: int = 0
    username: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    credential: str = ""
    password_variable: str = ""
    secret: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table or view, as the database names it."""

    name: str
    schema: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    """A column of one source of a query.

    `EXISTS` as column is the 0/1 flag of a join of kind EXISTS, `COUNT` the number of partners of one of kind COUNT.
    """

    source: str
    column: str

    EXISTS = "*exists"
    COUNT = "*count"

    def __str__(self) -> str:
        if self.column == ColumnRef.COUNT:
            return f"{self.source}.count"
        return self.source if self.column == ColumnRef.EXISTS else f"{self.source}.{self.column}"


class ColumnType(StrEnum):
    """The logical type of a column, whatever the database calls it."""

    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BINARY = "binary"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column as reflected. `database_type` is the database's own word for the type; `choices` those of an enum."""

    name: str
    type: ColumnType
    database_type: str = ""
    nullable: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of this table refer to `target_columns` of `target`; compound keys have several."""

    columns: tuple[str, ...]
    target: TableRef
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table as reflected. `rows` is None until counted; `is_view` tables have no keys.

    A table that cannot be read has no columns; `problem` says why, where that is known.
    """

    ref: TableRef
    columns: tuple[ColumnInfo, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    is_view: bool = False
    rows: int | None = None
    rows_are_estimated: bool = False
    problem: str = ""

    def column(self, name: str) -> ColumnInfo:
        """Return the column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class JoinKind(StrEnum):
    """What a join adds to a row of the base. None of them multiplies rows.

    LOOKUP  the columns of at most one row            COUNT   how many rows there are
    EXISTS  a 0/1 flag                                LATEST  the columns of the latest row
    VALUES  for each column, the distinct values of all rows, as a multi-valued field
    """

    LOOKUP = "lookup"
    EXISTS = "exists"
    COUNT = "count"
    LATEST = "latest"
    VALUES = "values"

    @property
    def is_to_many(self) -> bool:
        """Whether the joined table may hold several rows for one row of the base."""
        return self is not JoinKind.LOOKUP


@dataclass(frozen=True, slots=True)
class JoinSpec:
    """Join `table` under `name`; `on` pairs a column of an earlier source with a column of `table`.

    `time` is the column of `table` that says when a row came to be known: LATEST needs it. With `up_to`, a column of
    an earlier source, only rows known before that moment count (`time` < `up_to`): nothing leaks from the future.
    """

    name: str
    table: TableRef
    on: tuple[tuple[ColumnRef, str], ...]
    kind: JoinKind = JoinKind.LOOKUP
    time: str | None = None
    up_to: ColumnRef | None = None


class Comparison(StrEnum):
    """Operators of a filter."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    IS_NULL = "is null"
    NOT_NULL = "is not null"


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """Keep rows where `column operator value`; the value is always bound, never rendered into SQL."""

    column: ColumnRef
    operator: Comparison
    value: str | int | float | bool | None = None


class SampleMethod(StrEnum):
    """How to take fewer rows: any rows, all rows of some users, or the latest rows."""

    RANDOM = "random"
    USERS = "users"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """Take about `rows` rows (LATEST: exactly); the same ones each time for one `seed`.

    `column` holds the users for USERS. RANDOM and USERS are drawn by a hash of key or user, in the database.
    """

    method: SampleMethod
    rows: int
    seed: int = 0
    column: ColumnRef | None = None


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """The rows of `base`, one per base row, with columns of joined tables beside them.

    `columns` in the order of the result; `time` orders the rows for a split by time; `limit` keeps the first rows in
    that order (the latest when `time` is given). With `select`, the user's own SELECT takes the place of the base
    table, and `base.name` names it; it is checked to be one statement that only reads.
    """

    base: TableRef
    columns: tuple[ColumnRef, ...]
    joins: tuple[JoinSpec, ...] = ()
    filters: tuple[FilterSpec, ...] = ()
    time: ColumnRef | None = None
    limit: int | None = None
    select: str = ""
    sample: SampleSpec | None = None


@dataclass(frozen=True, slots=True)
class JoinFacts:
    """What a join would do, measured: share of base rows with a partner, and the most partners one row has.

    `rows_before` are the base rows looked at, `rows_after` what a plain join would make of them. `problem` is a
    sentence where nothing could be measured (it took too long, say); the numbers are 0 then.
    """

    name: str
    match_rate: float
    max_partners: int
    rows_before: int
    rows_after: int
    problem: str = ""

    @property
    def fan_out(self) -> float:
        """Return rows_after / rows_before of a plain join; above 1 it would multiply rows."""
        return self.rows_after / self.rows_before if self.rows_before else 1.0


@dataclass(frozen=True, slots=True)
class JoinProposal:
    """A join that keys or names suggest. `reason` is a phrase such as "foreign key impressions.user_id".

    `is_guess`: no key says so, only names and types match; it is offered, and never taken without being asked for.
    `kinds` are those the join may be changed to, the suggested one among them. `up_to` is the moment that limits a
    COUNT, LATEST or VALUES to what was known by then; a label (EXISTS) looks beyond it.
    """

    join: JoinSpec
    reason: str
    is_guess: bool = False
    kinds: tuple[JoinKind, ...] = ()
    up_to: ColumnRef | None = None


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the values of one column look like, on `rows` rows (a sample when `sampled`).

    `examples` are the most frequent values with their counts, as display text; `histogram` holds counts of equal-width
    bins between `minimum` and `maximum` for numbers and times.
    """

    column: ColumnRef
    type: ColumnType
    rows: int
    nulls: int
    distinct: int
    examples: tuple[tuple[str, int], ...] = ()
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    histogram: tuple[int, ...] = ()
    mean_length: float | None = None
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a table or query for the browser: display values (None is NULL), and where its neighbours are.

    Both anchors are opaque. Pass `anchor` back as `after` for the next page; None means this was the last one. Pass
    `start` back as `before` for the page in front of it; None means this was the first one.
    """

    columns: tuple[ColumnInfo, ...]
    rows: tuple[tuple[Any, ...], ...]
    anchor: tuple[Any, ...] | None
    start: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExtractionEstimate:
    """What reading a query would come to: rows, bytes on disk, and bytes of memory to train on all of it.

    `free_disk` and `free_memory` are what this machine has left; `suggested_rows` is a sample that would fit, None when
    everything does.
    """

    rows: int
    rows_are_estimated: bool
    disk: int
    memory: int
    free_disk: int
    free_memory: int
    suggested_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Extracted rows, kept in the project as an Arrow IPC file; column i of the file is `columns[i]`.

    `fingerprint` is a digest of the content; `key` names query and source state, to find the snapshot again.
    """

    path: Path
    columns: tuple[ColumnRef, ...]
    rows: int
    fingerprint: str
    key: str
    sql: str
    source: str
    seconds: float = 0.0
