"""Databases to read from, as the jobs know them: open one, look around, extract."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from crosslens.errors import QueryError, SourceError
from crosslens.plain import to_plain
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ConnectionSpec,
    ExtractionEstimate,
    JoinFacts,
    JoinProposal,
    JoinSpec,
    Page,
    QuerySpec,
    SampleMethod,
    Snapshot,
    TableInfo,
    TableRef,
)

from .compile import Draw, count_rows, is_latest, most_rows, select_rows
from .engines import Session, open_session
from .engines.base import never
from .engines.server import ServerSession
from .estimate import extraction_estimate, scaled
from .extract import Extraction, Progress, read_columns, snapshot_key, stored_snapshot, write_snapshot
from .joins import measure_join, refuse_endless_lists, refuse_multiplying
from .lookups import row_reader
from .new_tables import refuse_table, write_table
from .own_select import MYSQL, POSTGRESQL, STANDARD, Lexicon, single_select
from .paging import Place, read_page
from .plan import Plan, known_table, make_plan, own_table, referenced
from .profile import profile_columns
from .proposals import propose_joins
from .sampling import SAMPLE_ROWS, first_rows, sample_rows
from .writing import write_database

PAGE_SECONDS = 30.0
ESTIMATE_ROWS = 10_000
MEASURE_SECONDS = 60.0
JOIN_SECONDS = 15.0
"""A join that takes longer to measure is offered without its facts."""

_LEXICONS = {
    "sqlite": Lexicon(backticks=True),
    "duckdb": Lexicon(dollars=True),
    "postgresql": POSTGRESQL,
    "mysql": MYSQL,
    "mariadb": MYSQL,
}


class SqlSources:
    """Opens databases read-only, and writes new ones."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[TableRef, TableInfo]] = {}

    @contextmanager
    def open(self, connection: ConnectionSpec) -> Iterator[SqlSource]:
        """Open read-only and close afterwards; SourceError says what is wrong."""
        place = json.dumps(to_plain(replace(connection, secret=None)), sort_keys=True)
        source = SqlSource(open_session(connection), self._seen.setdefault(place, {}))
        try:
            yield source
        finally:
            source.close()

    def write_new(self, path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
        """Write a new SQLite database with keys and indexes; StorageError if it exists or the disk is full."""
        write_database(path, tables, rows)

    def refuse_table(self, connection: ConnectionSpec, table: TableRef) -> None:
        """Raise unless `table` could be a new table there; see `new_tables.refuse_table`."""
        refuse_table(connection, table)

    def write_table(
        self,
        connection: ConnectionSpec,
        table: TableRef,
        schema: pa.Schema,
        rows: Iterable[pa.RecordBatch],
        *,
        should_stop: Callable[[], bool] = never,
    ) -> int:
        """Make and fill a new table over a connection of its own; see `new_tables.write_table`."""
        return write_table(connection, table, schema, rows, should_stop=should_stop)


class SqlSource:
    """An open, read-only database. Tables are reflected once; a changed schema shows after opening again.

    `seen` are the tables as they were when this database was open before: enough to turn a page, where looking at
    thousands of tables anew would take seconds.
    """

    def __init__(self, session: Session, seen: dict[TableRef, TableInfo] | None = None) -> None:
        self._session = session
        self._seen = {} if seen is None else seen
        self._tables: dict[TableRef, TableInfo] | None = None
        self._selects: dict[str, tuple[ColumnInfo, ...]] = {}

    @property
    def read_only(self) -> str:
        """Return what enforces read-only access, or an empty string where nothing does."""
        return self._session.read_only

    def close(self) -> None:
        """Let the database go."""
        self._session.close()

    def tables(self) -> tuple[TableInfo, ...]:
        """Return every table and view; SourceError if there are none."""
        tables = self._session.with_row_counts(tuple(self._known().values()))
        if not tables:
            raise SourceError(
                f"{self._session.name} has no tables.",
                why="The database is empty.",
                do="Choose another database, or make the sample to try Crosslens.",
            )
        return tables

    def table(self, ref: TableRef) -> TableInfo:
        """Return one table; QueryError if it is gone."""
        return known_table(ref, self._known())

    def propose_joins(self, base: TableRef, *, select: str = "") -> tuple[JoinProposal, ...]:
        """Return joins along keys, and guesses by names; breadth first, parents before children."""
        table = own_table(base, self._own_columns(select)) if select else self.table(base)
        return propose_joins(table, self._known())

    def columns(self, query: QuerySpec) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        """Return every column the base and the joins offer, flags and numbers included."""
        bare = replace(query, columns=(), filters=(), time=None, sample=None)
        plan = self._plan(bare)
        return tuple(
            (ColumnRef(source, column.name), column) for source in plan.tables for column in plan.offered(source)
        )

    def sql(self, query: QuerySpec) -> str:
        """Return the Select with values rendered for reading; what is sent has them bound."""
        plan = self._plan(query)
        statement = select_rows(plan, row_id=self._row_id(plan))
        return str(statement.compile(dialect=self._session.dialect, compile_kwargs={"literal_binds": True}))

    def count(self, query: QuerySpec, *, should_stop: Callable[[], bool] = never) -> int:
        """Return how many rows the query has; exact, however long it takes."""
        plan = self._plan(query)
        self._session.identity()
        with self._session.watch(should_stop=should_stop):
            return self._count(plan)

    def join_facts(self, query: QuerySpec, join: JoinSpec, *, should_stop: Callable[[], bool] = never) -> JoinFacts:
        """Measure what `join` would do, on a sample of the base's rows when there are many.

        What takes longer than some seconds is given up, and said in the facts' `problem`.
        """
        plan = self._plan(replace(query, columns=(), time=None, sample=None, limit=None, joins=(*query.joins, join)))
        self._session.identity()
        row_id = None if query.select else self._session.row_id(plan.base)
        started = time.monotonic()
        try:
            with self._session.watch(should_stop=should_stop, seconds=JOIN_SECONDS):
                return measure_join(self._session, plan, join, draw=self._draw(plan, row_id), row_id=row_id)
        except QueryError as error:
            if time.monotonic() - started < JOIN_SECONDS:
                raise
            problem = f"Not measured: it took more than {JOIN_SECONDS:g} seconds. {error.do}".strip()
            return JoinFacts(join.name, 0.0, 0, 0, 0, problem)

    def page(
        self,
        table: TableRef,
        *,
        select: str = "",
        after: tuple[Any, ...] | None = None,
        before: tuple[Any, ...] | None = None,
        near: float | None = None,
        rows: int = 200,
    ) -> Page:
        """Return some rows of a table, or of the user's own SELECT, in key order, without counting."""
        place = Place(after, before, near)
        if select:
            return self._page(own_table(table, self._own_columns(select)), place, rows, self._own_text(select))
        known = self._seen.get(table) if self._tables is None else None
        if known is not None and known.columns:
            try:
                return self._page(known, place, rows)
            except QueryError:
                if self.table(table) == known:
                    raise
        return self._page(self.table(table), place, rows)

    def _page(self, info: TableInfo, place: Place, rows: int, select: str = "") -> Page:
        self._session.identity()
        with self._session.watch(seconds=PAGE_SECONDS):
            return read_page(self._session, info, place, rows=rows, select=select)

    def profile(self, query: QuerySpec, *, should_stop: Callable[[], bool] = never) -> tuple[ColumnProfile, ...]:
        """Return one profile per column of the query, from at most 100,000 rows spread over the table."""
        plan = self._plan(query)
        columns = tuple((ref, plan.column(ref)) for ref in query.columns)
        self._session.identity()
        with self._session.watch(should_stop=should_stop), self._session.snapshot():
            self._refuse_multiplying(plan)
            arrays, sampled = self._sample(plan, SAMPLE_ROWS)
        return profile_columns(columns, arrays, sampled=sampled, should_stop=should_stop)

    def sample(self, query: QuerySpec, rows: int, *, should_stop: Callable[[], bool] = never) -> pa.Table:
        """Return at most `rows` rows from all over the query; column i holds `query.columns[i]`."""
        plan = self._plan(query)
        self._session.identity()
        with self._session.watch(should_stop=should_stop), self._session.snapshot():
            arrays, _ = self._sample(plan, rows)
        return pa.table({f"c{number}": array for number, array in enumerate(arrays)})

    def estimate(
        self, query: QuerySpec, folder: Path | None = None, *, should_stop: Callable[[], bool] = never
    ) -> ExtractionEstimate:
        """Return what extracting the query into `folder` (by default, at home) and training on it would take.

        Rows are those the database says it has, less what filters take away in a sample; few rows are counted.
        """
        plan = self._plan(query)
        self._session.identity()
        with self._session.watch(should_stop=should_stop, seconds=MEASURE_SECONDS), self._session.snapshot():
            arrays, sampled = self._sample(plan, ESTIMATE_ROWS)
            rows = max(self._about(plan), len(arrays[0])) if sampled else len(arrays[0])
        return extraction_estimate(arrays, rows, rows_are_estimated=sampled, folder=folder or Path.home())

    def _about(self, plan: Plan) -> int:
        """Return about how many rows the query has: what the database says of its base, less what filters take away."""
        known = None if plan.query.select else self._session.with_row_counts((plan.base,))[0].rows
        if known is not None and plan.query.filters:
            known = self._passing(plan, known)
        users = plan.query.sample is not None and plan.query.sample.method is SampleMethod.USERS
        most = plan.query.sample.rows if users and plan.query.sample else most_rows(plan.query)
        if known is None:
            return self._count(plan)
        return known if most is None else min(known, most)

    def _passing(self, plan: Plan, known: int) -> int | None:
        """Return how many of the `known` rows of the base pass the filters, by a sample; None where there is none."""
        row_id = self._session.row_id(plan.base)
        draw = sample_rows(self._session, plan.base, row_id, ESTIMATE_ROWS)
        if draw is None:
            return None
        counts = [
            self._session.fetch(sa.select(sa.func.count()).select_from(rows.subquery("sample")))[0][0]
            for rows in (
                select_rows(wanted, row_id=row_id, sample=draw)
                for wanted in (plan, self._plan(replace(plan.query, filters=())))
            )
        ]
        return scaled(*counts, rows=known)

    def extract(
        self,
        query: QuerySpec,
        folder: Path,
        *,
        progress: Progress = lambda rows, total, seconds, size: None,
        should_stop: Callable[[], bool] = never,
    ) -> Snapshot:
        """Stream the rows into `folder`, or return the snapshot already there for this query and source state."""
        plan = self._plan(query)
        key = snapshot_key(query, self._session.identity())
        kept = stored_snapshot(folder, key)
        if kept is not None:
            return _reused(kept, progress)
        with self._session.watch(should_stop=should_stop), self._session.snapshot():
            lasting = self._identity_of_tables(plan)
            key = key if lasting is None else snapshot_key(query, lasting)
            kept = None if lasting is None else stored_snapshot(folder, key)
            if kept is not None:
                return _reused(kept, progress)
            self._refuse_multiplying(plan)
            extraction = Extraction(
                statement=select_rows(plan, row_id=self._row_id(plan)),
                rows=self._count(plan),
                columns=tuple((ref, plan.column(ref)) for ref in query.columns),
                key=key,
                sql=self.sql(query),
            )
            return write_snapshot(
                row_reader(self._session, plan, extraction.rows, row_id=self._row_id(plan)),
                extraction,
                folder,
                progress=progress,
                should_stop=should_stop,
                check=self._session.identity,
            )

    def _identity_of_tables(self, plan: Plan) -> Mapping[str, str | int] | None:
        """Return facts that change with the tables the query rests on, where a server can tell them from others."""
        if plan.query.select or not isinstance(self._session, ServerSession):
            return None
        joins = plan.needed(referenced(plan.query))
        return self._session.identity_of([plan.base, *(plan.tables[join.name] for join in joins)])

    def _known(self) -> dict[TableRef, TableInfo]:
        if self._tables is None:
            self._session.identity()
            self._tables = {table.ref: table for table in self._session.tables()}
            self._seen.clear()
            self._seen.update(self._tables)
        return self._tables

    def _plan(self, query: QuerySpec) -> Plan:
        if not query.select:
            return make_plan(query, self._known())
        text = self._own_text(query.select)
        return make_plan(replace(query, select=text), self._known(), own=self._own_columns(query.select))

    def _own_text(self, select: str) -> str:
        return single_select(select, _LEXICONS.get(self._session.dialect.name, STANDARD))

    def _own_columns(self, select: str) -> tuple[ColumnInfo, ...]:
        if select not in self._selects:
            self._selects[select] = self._session.columns_of(select)
        return self._selects[select]

    def _row_id(self, plan: Plan) -> str | None:
        keyed = bool(plan.base.primary_key) or bool(plan.query.select)
        return None if keyed else self._session.row_id(plan.base)

    def _count(self, plan: Plan) -> int:
        rows = int(self._session.fetch(count_rows(plan))[0][0])
        most = most_rows(plan.query)
        return rows if most is None else min(rows, most)

    def _refuse_multiplying(self, plan: Plan) -> None:
        refuse_multiplying(self._session, plan, plan.needed(referenced(plan.query)))
        refuse_endless_lists(self._session, plan)

    def _draw(self, plan: Plan, row_id: str | None) -> Draw:
        drawn = None if plan.query.select else sample_rows(self._session, plan.base, row_id, SAMPLE_ROWS)
        return drawn or first_rows(SAMPLE_ROWS)

    def _sample(self, plan: Plan, size: int) -> tuple[list[pa.ChunkedArray], bool]:
        """Return rows to look at and whether there are more: few as they are, many from all over the table."""
        most = most_rows(plan.query)
        if most is not None and most <= size:
            return self._read(plan, select_rows(plan, row_id=self._row_id(plan))), False
        row_id = None if plan.query.select else self._session.row_id(plan.base)
        draw = None if plan.query.select else sample_rows(self._session, plan.base, row_id, size)
        if draw is not None:
            rows = self._read(plan, select_rows(plan, row_id=row_id, sample=draw))
            if len(rows[0]) >= size // 10:  # fewer: the filters leave little of the sample
                return rows, True
        time_of_latest = plan.query.time if is_latest(plan.query) else None
        first = replace(plan, query=replace(plan.query, time=time_of_latest, limit=size + 1))
        rows = self._read(plan, select_rows(first, row_id=self._row_id(plan)))
        return [array[:size] for array in rows], len(rows[0]) > size

    def _read(self, plan: Plan, statement: sa.Select[*tuple[Any, ...]]) -> list[pa.ChunkedArray]:
        return read_columns(self._session, statement, [plan.column(ref) for ref in plan.query.columns])


def _reused(kept: Snapshot, progress: Progress) -> Snapshot:
    progress(kept.rows, kept.rows, 0.0, kept.path.stat().st_size)
    return kept
