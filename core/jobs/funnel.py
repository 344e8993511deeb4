"""When clicks and conversions happened: read from the tables the labels come from.

A label that is "a row exists in clicks" says nothing of its time, and a time of a click would be a leak among the
fields. So times are asked for apart, of some rows: that of a label's row beside that of the row it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from crosslens.data import Float64Array
from crosslens.errors import QueryError, SourceError
from crosslens.relational import ColumnRef, ColumnType, JoinKind, JoinSpec, QuerySpec, TableInfo, TableRef
from crosslens.schema import FieldRole

from ..commands import Phase
from ..funnel import FunnelTimes, StageTimes
from ..moments import MomentArray, moments
from ..ports import RowSource
from ..recipe import Recipe
from ..services import JobControl, Services
from ..snapshots import Rows
from ..words import CHANGED, TIME, says

MOST_ROWS = 50_000
_NONE = "The tables of clicks and conversions hold no times, so it is not known how long a conversion takes."


def funnel_times(recipe: Recipe, services: Services, control: JobControl) -> FunnelTimes:
    """Return how long clicks and conversions take, from at most 50,000 rows of each; why not, where it is unknown."""
    control.say(Phase.ENCODING, "Reading how long conversions take")
    try:
        with services.sources.open(recipe.source) as source:
            found = tuple(_stages(recipe, source))
    except (QueryError, SourceError) as error:  # the models need no times, so the job goes on and says what is missing
        control.log.warning("the times of the funnel cannot be read: %s", error)
        return FunnelTimes(unknown=f"How long a conversion takes could not be read: {error}")
    return (
        FunnelTimes(found) if any(stage.end == FieldRole.CONVERSION for stage in found) else FunnelTimes(found, _NONE)
    )


def _stages(recipe: Recipe, source: RowSource) -> Iterator[StageTimes]:
    joins = {join.name: join for join in recipe.query.joins}
    for role in (FieldRole.CLICK, FieldRole.CONVERSION):
        (label,) = recipe.fields.with_role(role)
        join = joins.get(label.column.source)
        if join is None or join.kind is JoinKind.LOOKUP or recipe.query.select:
            continue
        parent = _parent(join, joins, recipe.query.base)
        times = _times(join, parent, recipe, source)
        if times is not None:
            yield _measured(times, _stage_name(parent, joins, recipe), role.value)


def _parent(join: JoinSpec, joins: dict[str, JoinSpec], base: TableRef) -> TableRef:
    outer = join.on[0][0].source
    return joins[outer].table if outer in joins else base


def _stage_name(parent: TableRef, joins: dict[str, JoinSpec], recipe: Recipe) -> str:
    (click,) = recipe.fields.with_role(FieldRole.CLICK)
    join = joins.get(click.column.source)
    return FieldRole.CLICK.value if join is not None and join.table == parent else "impressions"


def _times(join: JoinSpec, parent: TableRef, recipe: Recipe, source: RowSource) -> pa.Table | None:
    """Return the time of the parent's row and of the label's row, two columns; None where a table has no time."""
    own = join.time or _moment(source.table(join.table))
    base_time = _base_time(recipe, parent)
    first = base_time or _moment(source.table(parent))
    if own is None or first is None or parent == join.table:
        return None
    name = "the_row_before"
    here = join.table.name
    keys = tuple((ColumnRef(here, inner), outer.column) for outer, inner in join.on)
    query = QuerySpec(
        base=join.table,
        columns=(ColumnRef(name, first), ColumnRef(here, own)),
        joins=(JoinSpec(name, parent, keys),),
    )
    return source.sample(query, MOST_ROWS)


def _base_time(recipe: Recipe, parent: TableRef) -> str | None:
    time, base = recipe.query.time, recipe.query.base
    return time.column if time is not None and parent == base and time.source == base.name else None


def _moment(table: TableInfo) -> str | None:
    """Return the column that says when a row came about: the first time that is not one of a change.

    Where no column has such a type, one whose name says so: SQLite keeps times as text.
    """
    named = [column for column in table.columns if not says(column.name, CHANGED)]
    typed = (column.name for column in named if column.type is ColumnType.TIMESTAMP)
    told = (column.name for column in named if column.type in _MAY_HOLD_TIMES and says(column.name, TIME))
    return next(typed, None) or next(told, None)


_MAY_HOLD_TIMES = (ColumnType.TEXT, ColumnType.INTEGER, ColumnType.OTHER)


def _measured(times: pa.Table, start: str, end: str) -> StageTimes:
    before, after = (moments(times.column(place)) for place in (0, 1))
    known = (
        ~np.isnat(before) & ~np.isnat(after) & (after >= before)
    )  # what comes before its cause is an error of clocks
    seconds = seconds_of(after[known])
    return StageTimes(start, end, seconds - seconds_of(before[known]), float(seconds.max(initial=-np.inf)))


def seconds_of(times: MomentArray) -> Float64Array:
    """Return moments, none of them NaT, as seconds since 1970."""
    return np.asarray(times.astype(np.int64) / 1e6)


def moments_of(rows: Rows, time: ColumnRef) -> MomentArray:
    """Return when every row of a snapshot happened, datetime64[us] (N,), NaT where that cannot be read."""
    parts = [moments(column) for column in rows.stream(time)()]
    return np.concatenate(parts) if parts else np.zeros(0, "datetime64[us]")
