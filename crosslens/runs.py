"""What a project remembers: connections, preparations, runs and their metrics."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .relational import ConnectionSpec

_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class RunStatus(StrEnum):
    """Where a run stands. INTERRUPTED: its worker is gone without a word; it can be resumed from its checkpoint."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured figure with its confidence interval (level 0.95) and what it rests on."""

    name: str
    value: float
    low: float
    high: float
    rows: int
    positives: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One training of one model. Times are UTC; `recipe` is TOML; `host` and `pid` name the worker while it runs."""

    id: str
    model: str
    title: str
    status: RunStatus
    created: datetime
    recipe: str
    finished: datetime | None = None
    seconds: float | None = None
    data_fingerprint: str = ""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    error: str = ""
    starred: bool = False
    deleted: bool = False
    note: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection the user saved; its secret is never part of it."""

    id: str
    name: str
    spec: ConnectionSpec
    last_used: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredPreparation:
    """A query with the meaning of its columns, as left on the Prepare page; `recipe` is TOML without a model."""

    id: str
    name: str
    recipe: str
    changed: datetime


def new_run_id(model: str, now: datetime) -> str:
    """Return an id such as `20261122-093012-arm-net-x7k2`: sorts by time, names the model, fit for a folder name."""
    slug = re.sub(r"[^a-z0-9]+", "-", model.casefold()).strip("-")[:40] or "model"
    suffix = "".join(secrets.choice(_ID_LETTERS) for _ in range(4))
    return f"{now:%Y%m%d-%H%M%S}-{slug}-{suffix}"
