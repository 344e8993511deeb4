"""How often each value of a column occurs, counted block by block.

Whole numbers that lie close together are counted in an array. Everything else is counted within a block by Arrow; the
counts of blocks wait until they are more than those merged so far, so that merging touches a value a few times only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens.data import Int64Array

from .columns import Column, distinct

DENSE_RANGE = 1 << 18
"""Whole numbers are counted in an array while the largest is less than this above the smallest: two megabytes."""

PATIENCE = 1 << 17
"""So many counts more than are merged already may wait."""


class ValueCounter:
    """Counts the values of one column. `canonical` gives distinct values the form they are kept in; NULLs are left out.

    The memory grows with the number of different values.
    """

    def __init__(self, canonical: Callable[[Column], Column] = lambda column: column) -> None:
        self._canonical = canonical
        self._merged: pa.Table | None = None
        self._waiting: list[pa.Table] = []
        self._dense: Int64Array | None = None
        self._lowest = 0
        self._is_dense = True

    def add(self, column: Column) -> None:
        """Count some more values; all columns must be of one type."""
        if not len(column) or pa.types.is_null(column.type):
            return
        if self._is_dense and _is_whole(column.type) and self._add_dense(column):
            return
        self._give_up_dense()
        counted = pc.value_counts(column)
        values = self._canonical(pa.chunked_array([counted.field("values")]))
        self._push(pa.table({"value": values, "count": counted.field("counts")}))

    def table(self) -> pa.Table:
        """Return the different values and their counts so far: columns "value" and "count", in no order."""
        if self._dense is not None:
            return self._dense_table()
        if self._waiting:
            self._merge()
        empty = {"value": pa.array([], pa.null()), "count": pa.array([], pa.int64())}
        return pa.table(empty) if self._merged is None else self._merged

    @property
    def at_most(self) -> int:
        """Return a number that is not below that of the different values so far, without merging."""
        dense = 0 if self._dense is None else int(np.count_nonzero(self._dense))
        merged = 0 if self._merged is None else int(self._merged.num_rows)
        return dense + merged + sum(int(piece.num_rows) for piece in self._waiting)

    def _add_dense(self, column: Column) -> bool:
        values = np.asarray(column.drop_null().cast(pa.int64()).to_numpy())
        if not len(values):
            return True
        low, high = int(values.min()), int(values.max())
        if self._dense is not None:
            low, high = min(low, self._lowest), max(high, self._lowest + len(self._dense) - 1)
        if high - low >= DENSE_RANGE:
            return False
        self._widen(low, high)
        assert self._dense is not None, "widening makes the array"
        self._dense += np.bincount(values - self._lowest, minlength=len(self._dense))
        return True

    def _widen(self, low: int, high: int) -> None:
        if self._dense is not None and low == self._lowest and high - low < len(self._dense):
            return
        wider = np.zeros(high - low + 1, np.int64)
        if self._dense is not None:
            wider[self._lowest - low : self._lowest - low + len(self._dense)] = self._dense
        self._dense, self._lowest = wider, low

    def _give_up_dense(self) -> None:
        self._is_dense = False
        if self._dense is not None:
            self._push(self._dense_table())
            self._dense = None

    def _dense_table(self) -> pa.Table:
        assert self._dense is not None, "asked for only while counting in an array"
        places = np.flatnonzero(self._dense)
        values = self._canonical(pa.chunked_array([pa.array(places + self._lowest)]))
        return pa.table({"value": values, "count": self._dense[places]})

    def _push(self, piece: pa.Table) -> None:
        piece = piece.filter(pc.is_valid(piece["value"])) if piece["value"].null_count else piece
        self._waiting.append(piece)
        merged = 0 if self._merged is None else int(self._merged.num_rows)
        if sum(int(each.num_rows) for each in self._waiting) > merged + PATIENCE:
            self._merge()

    def _merge(self) -> None:
        pieces = [*([] if self._merged is None else [self._merged]), *self._waiting]
        table = pa.concat_tables(pieces)
        places, values = distinct(table["value"])
        # as float64, which is exact up to 2^53 rows
        counts = np.bincount(places, weights=table["count"].to_numpy(), minlength=len(values)).astype(np.int64)
        self._merged = pa.table({"value": values, "count": counts})
        self._waiting = []


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) and kind != pa.uint64())
