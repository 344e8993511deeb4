"""Quick questions about a source: its tables, a page of rows, joins that keys suggest, what columns mean."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from crosslens.errors import DataError, QueryError, Stopped
from crosslens.relational import (
    ColumnRef,
    ExtractionEstimate,
    JoinFacts,
    JoinKind,
    JoinProposal,
    QuerySpec,
    TableRef,
)
from crosslens.schema import Field, FieldSchema

from ..commands import (
    CountRows,
    EstimateQuery,
    Finding,
    JoinsMeasured,
    MeasureJoins,
    OpenSource,
    PageRead,
    Phase,
    Preparation,
    PrepareFields,
    ProposeQuery,
    QueryProposal,
    ReadPage,
    RowsCounted,
    SourceOverview,
)
from ..empty import no_rows_finding
from ..findings import MOST_ROWS, check_preparation
from ..ports import RowSource
from ..recipe import Repair
from ..repairs import Repairing
from ..roles import suggest_fields
from ..services import JobControl, Services

_WORTH_JOINING = 0.05
COUNTING_SECONDS = 5.0
"""A preparation counts rows for so long, and is content with an estimate then."""
MEASURING_SECONDS = 60.0
"""Proposed joins are measured for so long; those left over are offered without their facts."""


def open_source(request: OpenSource, services: Services, control: JobControl) -> SourceOverview:
    """List the tables of a database."""
    control.say(Phase.CONNECTING)
    with services.sources.open(request.connection) as source:
        return SourceOverview(request.connection, source.read_only, source.tables())


def read_page(request: ReadPage, services: Services, _: JobControl) -> PageRead:
    """Read some rows of a table, or of the user's own SELECT."""
    with services.sources.open(request.connection) as source:
        page = source.page(
            request.table,
            select=request.select,
            after=request.after,
            before=request.before,
            near=request.near,
            rows=request.rows,
        )
    rows = tuple(tuple(_display(value) for value in row) for row in page.rows)
    return PageRead(page.columns, rows, page.anchor, page.start)


def count_rows(request: CountRows, services: Services, control: JobControl) -> RowsCounted:
    """Count the rows of a table or query exactly."""
    with services.sources.open(request.connection) as source:
        control.say(Phase.READING, f"Counting the rows of {request.query.base.name}")
        return RowsCounted(source.count(request.query, should_stop=control.should_stop))


def estimate_query(request: EstimateQuery, services: Services, control: JobControl) -> ExtractionEstimate:
    """Estimate what reading and training on a query would take."""
    with services.sources.open(request.connection) as source:
        control.say(Phase.READING, "Estimating rows, disk and memory")
        return source.estimate(_complete(source, request.query), request.project)


def measure_joins(request: MeasureJoins, services: Services, control: JobControl) -> JoinsMeasured:
    """Measure the joins of a query, each given the ones before it."""
    with services.sources.open(request.connection) as source:
        facts = []
        for number, join in enumerate(request.query.joins):
            control.check()
            control.say(Phase.READING, f"Measuring the join “{join.name}”", number / len(request.query.joins))
            before = replace(request.query, joins=request.query.joins[:number], columns=())
            facts.append(source.join_facts(_own_filters(before), join))
        return JoinsMeasured(tuple(facts))


def propose_query(request: ProposeQuery, services: Services, control: JobControl) -> QueryProposal:
    """Propose joins along keys and names, measured; the query takes those that match and add something."""
    with services.sources.open(request.connection) as source:
        return propose(source, request.base, control, select=request.select)


def propose(
    source: RowSource, base: TableRef, control: JobControl, *, select: str = "", guesses: bool = False
) -> QueryProposal:
    """Return the proposal for one open source; `guesses` takes joins that only names suggest as well."""
    query = QuerySpec(base=base, columns=(), select=select)
    proposals = source.propose_joins(base, select=select)
    facts: list[JoinFacts] = []
    started = clock.monotonic()
    for number, proposal in enumerate(proposals):
        control.check()
        if clock.monotonic() - started > MEASURING_SECONDS:
            facts.append(JoinFacts(proposal.join.name, 0.0, 0, 0, 0, "Not measured: there are many joins to measure."))
            continue
        control.say(Phase.READING, f"Measuring the join with {proposal.join.table.name}", number / len(proposals))
        facts.append(source.join_facts(_with_parents(query, proposals, proposal), proposal.join))
    query = _take(query, proposals, facts, guesses=guesses)
    columns = tuple(ref for ref, _ in source.columns(query))
    return QueryProposal(replace(query, columns=columns), proposals, tuple(facts))


def prepare_fields(request: PrepareFields, services: Services, control: JobControl) -> Preparation:
    """Profile the columns of a query, suggest what they mean, and check them on a sample of the rows."""
    with services.sources.open(request.connection) as source:
        control.say(Phase.READING, "Looking at the columns")
        query = _complete(source, request.query)
        profiles = source.profile(query, should_stop=control.should_stop)
        infos = dict(source.columns(query))
        columns = [(ref, infos[ref]) for ref in query.columns]
        suggested = suggest_fields(columns, profiles, query, source.tables())
        fields = suggested if request.fields is None else _as_set(suggested, request.fields)
        control.check()
        rows = _rows(source, query, control)
        if not rows:
            return Preparation(query, fields, profiles, 0, (no_rows_finding(query),), source.sql(query))
        control.say(Phase.READING, "Looking for leaks and untidy rows")
        wider = replace(query, columns=_looked_at(query, fields, request.repairs))
        findings: tuple[Finding, ...] = check_preparation(
            fields,
            profiles,
            table=source.sample(wider, MOST_ROWS, should_stop=control.should_stop),
            columns=wider.columns,
            query=query,
            moment=request.moment,
            repairs=request.repairs,
            rows=rows,
        )
        return Preparation(query, fields, profiles, rows, findings, source.sql(query))


def _rows(source: RowSource, query: QuerySpec, control: JobControl) -> int:
    """Return how many rows there are: counted where that is quick, else as estimated."""
    end = clock.monotonic() + COUNTING_SECONDS
    try:
        return source.count(query, should_stop=lambda: control.should_stop() or clock.monotonic() > end)
    except Stopped:
        control.check()
        return max(1, source.estimate(query).rows)  # none would have been counted at once


def _looked_at(query: QuerySpec, fields: FieldSchema, repairs: Sequence[Repair]) -> tuple[ColumnRef, ...]:
    """Return the columns to check: those of the query, its time, and what repairs look at."""
    wanted = [*query.columns, *((query.time,) if query.time else ())]
    for repair in repairs:
        try:
            wanted += Repairing((repair,), fields, query).columns
        except DataError:
            continue  # the findings say why this repair cannot work
    return tuple(dict.fromkeys(wanted))


def _as_set(suggested: FieldSchema, chosen: FieldSchema) -> FieldSchema:
    """Return the fields as the user has set them; columns that are new get what was suggested, under a free name."""
    known: Mapping[ColumnRef, Field] = {field.column: field for field in chosen}
    taken = {field.name for field in chosen}
    fields = []
    for field in suggested:
        if field.column not in known and field.name in taken:
            field = replace(field, name=f"{field.column.source} {field.column.column}")
        fields.append(known.get(field.column, field))
    return FieldSchema(tuple(fields))


def _complete(source: RowSource, query: QuerySpec) -> QuerySpec:
    offered = [ref for ref, _ in source.columns(query)]
    if not query.columns:
        return replace(query, columns=tuple(offered))
    missing = [str(ref) for ref in query.columns if ref not in set(offered)]
    if missing:
        raise QueryError(
            f"The source has no column {missing[0]}.",
            why="The table was changed, or its join was taken out.",
            do="Choose the table again on the Data page.",
            columns=missing,
        )
    return query


def _own_filters(query: QuerySpec) -> QuerySpec:
    """Leave out what refers to joins that are not there yet."""
    filters = tuple(item for item in query.filters if item.column.source == query.base.name)
    return replace(query, filters=filters, time=None, sample=None, limit=None)


def _with_parents(query: QuerySpec, proposals: tuple[JoinProposal, ...], wanted: JoinProposal) -> QuerySpec:
    by_name = {proposal.join.name: proposal.join for proposal in proposals}
    chain = []
    name = wanted.join.on[0][0].source
    while name in by_name:
        chain.append(by_name[name])
        name = by_name[name].on[0][0].source
    return replace(query, joins=tuple(reversed(chain)))


def _take(query: QuerySpec, proposals: tuple[JoinProposal, ...], facts: list[JoinFacts], *, guesses: bool) -> QuerySpec:
    """Take lookups that match and cannot multiply rows, and flags; guesses and counts only when asked for."""
    taken = []
    names = {query.base.name}
    for proposal, fact in zip(proposals, facts, strict=True):
        kind = proposal.join.kind
        harmless = kind is JoinKind.EXISTS or (kind is JoinKind.LOOKUP and fact.max_partners <= 1)
        has_parent = all(ref.source in names for ref, _ in proposal.join.on)
        worth = kind is JoinKind.EXISTS or fact.match_rate >= _WORTH_JOINING
        sure = (guesses or not proposal.is_guess) and not fact.problem
        if harmless and has_parent and worth and sure:
            taken.append(proposal.join)
            names.add(proposal.join.name)
    return replace(query, joins=tuple(taken))


def _display(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return str(value)
