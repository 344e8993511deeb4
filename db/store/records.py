"""Records to rows and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from crosslens._processes import is_this_host, start_of
from crosslens.relational import ConnectionSpec
from crosslens.runs import Metric, RunRecord, RunStatus, StoredConnection, StoredPreparation

from .tables import CONNECTIONS, METRICS, PREPARATIONS, RUNS

_RUN_COLUMNS = tuple(field.name for field in fields(RunRecord) if field.name != "metrics")
_METRIC_COLUMNS = tuple(field.name for field in fields(Metric))
_FIGURES = ("value", "low", "high")


def connection_to_row(connection: StoredConnection) -> dict[str, Any]:
    """Return the row of a connection, without its secret."""
    spec = connection.spec
    return {
        "id": connection.id,
        "name": connection.name,
        "dialect": spec.dialect,
        "database": spec.database,
        "host": spec.host,
        "port": spec.port,
        "username": spec.username,
        "options": dict(spec.options),
        "last_used": connection.last_used,
        "credential": spec.credential,
        "password_variable": spec.password_variable,
    }


def connection_from_row(row: Row[Any]) -> StoredConnection:
    """Return the connection of a row."""
    names = ("dialect", "database", "host", "port", "username", "options", "credential", "password_variable")
    spec = ConnectionSpec(**{name: getattr(row, name) for name in names})
    return StoredConnection(row.id, row.name, spec, row.last_used)


def save_connection(connection: Connection, record: StoredConnection) -> None:
    """Insert or update by id."""
    row = connection_to_row(record)
    connection.execute(upsert(CONNECTIONS).values(row).on_conflict_do_update(index_elements=["id"], set_=row))


def rename_connection(connection: Connection, connection_id: str, name: str) -> bool:
    """Change a name; return whether there was such a connection."""
    changed = connection.execute(update(CONNECTIONS).where(CONNECTIONS.c.id == connection_id).values(name=name))
    return changed.rowcount > 0


def delete_connection(connection: Connection, connection_id: str) -> bool:
    """Remove a connection; return whether there was one."""
    return connection.execute(delete(CONNECTIONS).where(CONNECTIONS.c.id == connection_id)).rowcount > 0


def save_preparation(connection: Connection, record: StoredPreparation) -> None:
    """Insert or update by id."""
    row = {name: getattr(record, name) for name in ("id", "name", "recipe", "changed")}
    connection.execute(upsert(PREPARATIONS).values(row).on_conflict_do_update(index_elements=["id"], set_=row))


def save_run(connection: Connection, run: RunRecord, before: RunRecord | None) -> None:
    """Write what differs from `before`, or everything if there is no `before`."""
    row = _changes(run, before)
    if row:
        whole = {"process_start": "", **_run_to_row(run), **row}
        connection.execute(upsert(RUNS).values(whole).on_conflict_do_update(index_elements=["id"], set_=row))
    if before is None or dict(run.metrics) != dict(before.metrics):
        _save_metrics(connection, run)


def load_runs(connection: Connection, rows: Iterable[Row[Any]]) -> tuple[RunRecord, ...]:
    """Return the runs of rows of RUNS with their metrics."""
    found = tuple(rows)
    ids = [row.id for row in found]
    metrics: dict[str, dict[str, Metric]] = {run_id: {} for run_id in ids}
    for row in connection.execute(select(METRICS).where(METRICS.c.run_id.in_(ids)).order_by(METRICS.c.position)):
        metrics[row.run_id][row.name] = _metric_from_row(row)
    return tuple(_run_from_row(row, metrics[row.id]) for row in found)


def _changes(run: RunRecord, before: RunRecord | None) -> dict[str, Any]:
    row = _run_to_row(run)
    if before is not None:
        old = _run_to_row(before)
        row = {name: value for name, value in row.items() if value != old[name]}
    if run.status is RunStatus.RUNNING and row.keys() & {"status", "host", "pid"}:
        row["process_start"] = start_of(run.pid) if is_this_host(run.host) else ""
    return row


def _run_to_row(run: RunRecord) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _RUN_COLUMNS} | {"status": run.status.value}


def _run_from_row(row: Row[Any], metrics: Mapping[str, Metric]) -> RunRecord:
    values = {name: getattr(row, name) for name in _RUN_COLUMNS} | {"status": RunStatus(row.status)}
    return RunRecord(**values, metrics=metrics)


def _save_metrics(connection: Connection, run: RunRecord) -> None:
    connection.execute(delete(METRICS).where(METRICS.c.run_id == run.id))
    rows = [
        {"run_id": run.id, "position": position, **{name: getattr(metric, name) for name in _METRIC_COLUMNS}}
        | {"name": key}
        for position, (key, metric) in enumerate(run.metrics.items())
    ]
    if rows:
        connection.execute(insert(METRICS), rows)


def _metric_from_row(row: Row[Any]) -> Metric:
    values = {name: getattr(row, name) for name in _METRIC_COLUMNS}
    return Metric(**values | {name: math.nan for name in _FIGURES if values[name] is None})
