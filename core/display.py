"""Pictures as data: what a widget or the report paints, compared by equality in tests.

Numbers stay numbers; painting formats them. `greyed` marks what the evidence does not support.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Align(StrEnum):
    """Side of a table column."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A matrix of numbers with names on both sides; None is an empty cell.

    `diverging` maps use a scale symmetric around 0. `counts`, where given, say on how many rows a cell rests.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    unit: str = ""
    diverging: bool = False
    greyed: tuple[tuple[bool, ...], ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class BarList:
    """Named bars with optional intervals, longest first."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    unit: str = ""
    greyed: tuple[bool, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A line; `low` and `high` draw a band around it. `reference` lines are drawn thin and dashed."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    reference: bool = False
    points: bool = False


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over a common axis."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From `baseline` by signed steps to `total`, all in `unit`; a step's label may carry the field's value."""

    title: str
    baseline: float
    steps: tuple[tuple[str, float], ...]
    total: float
    unit: str = "logit"
    note: str = ""


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Two fields that interact; `strength` in 0..1 of the strongest edge shown."""

    first: str
    second: str
    strength: float
    label: str = ""
    greyed: bool = False


@dataclass(frozen=True, slots=True)
class InteractionGraph:
    """Fields as nodes (size 0..1 by importance), interactions as edges."""

    title: str
    nodes: tuple[tuple[str, float], ...]
    edges: tuple[GraphEdge, ...]
    note: str = ""


Cell: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column head. `decimals` formats floats; `help` is a sentence for the tooltip."""

    name: str
    align: Align = Align.LEFT
    decimals: int | None = None
    percent: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; `greyed` has one entry per row or is empty."""

    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    greyed: tuple[bool, ...] = ()
    note: str = ""


Picture: TypeAlias = HeatMap | BarList | LineChart | Waterfall | InteractionGraph | Table
