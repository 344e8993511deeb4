"""What encoders read of some rows: columns, moments and lists, each worked out once however many fields ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from crosslens.relational import ColumnRef

from .columns import Column
from .lists import ListValues, lists
from .moments import MomentArray, moments
from .snapshots import Block

T = TypeVar("T")


class Inputs:
    """The columns of one block as encoders want them. Used by one thread at a time."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._known: dict[tuple[object, ...], object] = {}

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return self._block.rows

    def column(self, ref: ColumnRef) -> Column:
        """Return a column as it is, (N,)."""
        return self._once(("column", ref), lambda: self._block.column(ref))

    def moments(self, ref: ColumnRef) -> MomentArray:
        """Return a column read as moments in time, datetime64[us] (N,), NaT where missing or unreadable."""
        return self._once(("moments", ref), lambda: moments(self.column(ref)))

    def lists(self, ref: ColumnRef, delimiter: str) -> pa.ListArray:
        """Return a column read as several values a row, list<string> (N,)."""
        return self._once(("lists", ref, delimiter), lambda: lists(self.column(ref), delimiter))

    def values(self, ref: ColumnRef, delimiter: str) -> ListValues:
        """Return a column read as several values a row, sorted by value."""
        return self._once(("values", ref, delimiter), lambda: ListValues.of(self.lists(ref, delimiter)))

    def _once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]  # type: ignore[return-value]
