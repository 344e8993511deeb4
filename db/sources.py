"""Databases to read from, as the jobs know them: open one, look around, extract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from crosslens.errors import SourceError
from crosslens.relational import (
    ColumnInfo,
    ColumnProfile,
    ColumnRef,
    ConnectionSpec,
    JoinFacts,
    JoinProposal,
    JoinSpec,
    Page,
    QuerySpec,
    Snapshot,
    TableInfo,
    TableRef,
)

from .compile import count_rows, select_rows
from .engines import Session, open_session
from .engines.base import never
from .extract import Extraction, Progress, read_columns, snapshot_key, stored_snapshot, write_snapshot
from .joins import measure_join, propose_joins, refuse_multiplying
from .paging import read_page
from .plan import FLAG, Plan, known_table, make_plan, referenced
from .profile import profile_columns
from .sampling import SAMPLE_ROWS, sample_condition
from .writing import write_database

PAGE_SECONDS = 30.0
MEASURE_SECONDS = 300.0


class SqlSources:
    """Opens databases read-only, and writes new ones."""

    @contextmanager
    def open(self, connection: ConnectionSpec) -> Iterator[SqlSource]:
        """Open read-only and close afterwards; SourceError says what is wrong."""
        source = SqlSource(open_session(connection))
        try:
            yield source
        finally:
            source.close()

    def write_new(self, path: Path, tables: Sequence[TableInfo], rows: Mapping[str, pa.Table]) -> None:
        """Write a new SQLite database with keys and indexes; StorageError if it exists or the disk is full."""
        write_database(path, tables, rows)


class SqlSource:
    """An open, read-only database. Tables are reflected once; a changed schema shows after opening again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: dict[TableRef, TableInfo] | None = None

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

    def propose_joins(self, base: TableRef) -> tuple[JoinProposal, ...]:
        """Return joins along foreign keys, breadth first, parents before children."""
        return propose_joins(self.table(base), self._known())

    def columns(self, query: QuerySpec) -> tuple[tuple[ColumnRef, ColumnInfo], ...]:
        """Return every column the base and the joins offer, the flag of an EXISTS join included."""
        plan = self._plan(replace(query, columns=()))
        found: list[tuple[ColumnRef, ColumnInfo]] = []
        for source, table in plan.tables.items():
            offered = (FLAG,) if plan.is_flag(source) else table.columns
            found += [(ColumnRef(source, column.name), column) for column in offered]
        return tuple(found)

    def sql(self, query: QuerySpec) -> str:
        """Return the Select with values rendered for reading; what is sent has them bound."""
        plan = self._plan(query)
        statement = select_rows(plan, row_id=self._row_id(plan))
        return str(statement.compile(dialect=self._session.dialect, compile_kwargs={"literal_binds": True}))

    def count(self, query: QuerySpec) -> int:
        """Return how many rows the query has."""
        plan = self._plan(query)
        self._session.identity()
        with self._session.watch(seconds=MEASURE_SECONDS):
            return self._count(plan)

    def join_facts(self, query: QuerySpec, join: JoinSpec) -> JoinFacts:
        """Measure what `join` would do, on a sample of the base's rows when there are many."""
        base = self.table(query.base)
        self._session.identity()
        row_id = self._session.row_id(base)
        with self._session.watch(seconds=MEASURE_SECONDS):
            sample = sample_condition(self._session, base, row_id, SAMPLE_ROWS)
            return measure_join(self._session, query, join, self._known(), sample=sample, row_id=row_id)

    def page(self, table: TableRef, *, after: tuple[Any, ...] | None = None, rows: int = 200) -> Page:
        """Return the next rows of a table in key order, without counting."""
        info = self.table(table)
        self._session.identity()
        with self._session.watch(seconds=PAGE_SECONDS):
            return read_page(self._session, info, after=after, rows=rows)

    def profile(self, query: QuerySpec, *, should_stop: Callable[[], bool] = never) -> tuple[ColumnProfile, ...]:
        """Return one profile per column of the query, from at most 100,000 rows spread over the table."""
        plan = self._plan(query)
        columns = tuple((ref, plan.column(ref)) for ref in query.columns)
        self._session.identity()
        with self._session.watch(should_stop=should_stop), self._session.snapshot():
            self._refuse_multiplying(plan)
            arrays, sampled = self._sample(plan)
        return profile_columns(columns, arrays, sampled=sampled, should_stop=should_stop)

    def extract(
        self,
        query: QuerySpec,
        folder: Path,
        *,
        progress: Progress = lambda rows, total, seconds: None,
        should_stop: Callable[[], bool] = never,
    ) -> Snapshot:
        """Stream the rows into `folder`, or return the snapshot already there for this query and source state."""
        plan = self._plan(query)
        key = snapshot_key(query, self._session.identity())
        kept = stored_snapshot(folder, key)
        if kept is not None:
            progress(kept.rows, kept.rows, 0.0)
            return kept
        with self._session.watch(should_stop=should_stop), self._session.snapshot():
            self._refuse_multiplying(plan)
            extraction = Extraction(
                statement=select_rows(plan, row_id=self._row_id(plan)),
                rows=self._count(plan),
                columns=tuple((ref, plan.column(ref)) for ref in query.columns),
                key=key,
                sql=self.sql(query),
            )
            return write_snapshot(
                self._session,
                extraction,
                folder,
                progress=progress,
                should_stop=should_stop,
                check=self._session.identity,
            )

    def _known(self) -> dict[TableRef, TableInfo]:
        if self._tables is None:
            self._session.identity()
            self._tables = {table.ref: table for table in self._session.tables()}
        return self._tables

    def _plan(self, query: QuerySpec) -> Plan:
        return make_plan(query, self._known())

    def _row_id(self, plan: Plan) -> str | None:
        return None if plan.base.primary_key else self._session.row_id(plan.base)

    def _count(self, plan: Plan) -> int:
        rows = int(self._session.fetch(count_rows(plan))[0][0])
        return rows if plan.query.limit is None else min(rows, plan.query.limit)

    def _refuse_multiplying(self, plan: Plan) -> None:
        refuse_multiplying(self._session, plan, plan.needed(referenced(plan.query)), self._known())

    def _sample(self, plan: Plan) -> tuple[list[pa.ChunkedArray], bool]:
        """Return rows to look at and whether there are more: few as they are, many from all over the table."""
        limit = plan.query.limit
        if limit is not None and limit <= SAMPLE_ROWS:
            return self._read(plan, select_rows(plan, row_id=self._row_id(plan))), False
        row_id = self._session.row_id(plan.base)
        condition = sample_condition(self._session, plan.base, row_id, SAMPLE_ROWS)
        if condition is not None:
            rows = self._read(plan, select_rows(plan, row_id=row_id, sample=condition))
            if len(rows[0]) >= SAMPLE_ROWS // 10:  # fewer: the filters leave little of the sample
                return rows, True
        first = replace(plan, query=replace(plan.query, time=None, limit=SAMPLE_ROWS + 1))
        rows = self._read(plan, select_rows(first, row_id=self._row_id(plan)))
        return [array[:SAMPLE_ROWS] for array in rows], len(rows[0]) > SAMPLE_ROWS

    def _read(self, plan: Plan, statement: sa.Select[*tuple[Any, ...]]) -> list[pa.ChunkedArray]:
        return read_columns(self._session, statement, [plan.column(ref) for ref in plan.query.columns])
