"""Quick questions about a source: its tables, a page of rows, joins that keys suggest, what columns mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from crosslens.errors import QueryError
from crosslens.relational import JoinFacts, JoinKind, JoinProposal, QuerySpec, TableRef

from ..commands import (
    Finding,
    OpenSource,
    PageRead,
    Phase,
    Preparation,
    PrepareFields,
    ProposeQuery,
    QueryProposal,
    ReadPage,
    SourceOverview,
)
from ..findings import check_profiles
from ..ports import RowSource
from ..roles import suggest_fields
from ..services import JobControl, Services

_WORTH_JOINING = 0.05


def open_source(request: OpenSource, services: Services, control: JobControl) -> SourceOverview:
    """List the tables of a database."""
    control.say(Phase.CONNECTING)
    with services.sources.open(request.connection) as source:
        return SourceOverview(request.connection, source.read_only, source.tables())


def read_page(request: ReadPage, services: Services, _: JobControl) -> PageRead:
    """Read the next rows of a table."""
    with services.sources.open(request.connection) as source:
        page = source.page(request.table, after=request.after, rows=request.rows)
    rows = tuple(tuple(_display(value) for value in row) for row in page.rows)
    anchor = None if page.anchor is None else tuple(page.anchor)
    return PageRead(page.columns, rows, anchor)


def propose_query(request: ProposeQuery, services: Services, control: JobControl) -> QueryProposal:
    """Propose joins along keys, measured; the query takes those that match and add something."""
    with services.sources.open(request.connection) as source:
        return propose(source, request.base, control)


def propose(source: RowSource, base: TableRef, control: JobControl) -> QueryProposal:
    """Return the proposal for one open source."""
    query = QuerySpec(base=base, columns=())
    proposals = source.propose_joins(base)
    facts: list[JoinFacts] = []
    for number, proposal in enumerate(proposals):
        control.check()
        control.say(Phase.READING, f"Measuring the join with {proposal.join.table.name}", number / len(proposals))
        facts.append(source.join_facts(_with_parents(query, proposals, proposal), proposal.join))
    query = _take(query, proposals, facts)
    columns = tuple(ref for ref, _ in source.columns(query))
    return QueryProposal(replace(query, columns=columns), proposals, tuple(facts))


def prepare_fields(request: PrepareFields, services: Services, control: JobControl) -> Preparation:
    """Profile the columns of a query and suggest what they mean."""
    with services.sources.open(request.connection) as source:
        control.say(Phase.READING, "Looking at the columns")
        query = _complete(source, request.query)
        profiles = source.profile(query, should_stop=control.should_stop)
        infos = dict(source.columns(query))
        columns = [(ref, infos[ref]) for ref in query.columns]
        fields = suggest_fields(columns, profiles, query, source.tables())
        control.check()
        rows = source.count(query)
        findings: tuple[Finding, ...] = check_profiles(fields, profiles)
        return Preparation(query, fields, profiles, rows, findings, source.sql(query))


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


def _with_parents(query: QuerySpec, proposals: tuple[JoinProposal, ...], wanted: JoinProposal) -> QuerySpec:
    by_name = {proposal.join.name: proposal.join for proposal in proposals}
    chain = []
    name = wanted.join.on[0][0].source
    while name in by_name:
        chain.append(by_name[name])
        name = by_name[name].on[0][0].source
    return replace(query, joins=tuple(reversed(chain)))


def _take(query: QuerySpec, proposals: tuple[JoinProposal, ...], facts: list[JoinFacts]) -> QuerySpec:
    taken = []
    names = {query.base.name}
    for proposal, fact in zip(proposals, facts, strict=True):
        harmless = proposal.join.kind is JoinKind.EXISTS or fact.max_partners <= 1
        has_parent = all(ref.source in names for ref, _ in proposal.join.on)
        worth = proposal.join.kind is JoinKind.EXISTS or fact.match_rate >= _WORTH_JOINING
        if harmless and has_parent and worth:
            taken.append(proposal.join)
            names.add(proposal.join.name)
    return replace(query, joins=tuple(taken))


def _display(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, (bytes, memoryview)):
        return f"‹{len(value)} bytes›"
    return str(value) if isinstance(value, Decimal) else repr(value)
