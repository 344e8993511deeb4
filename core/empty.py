"""What to say of a table, a SELECT or a selection that has no rows; that it lacks a label says nothing then."""

from __future__ import annotations

from crosslens.errors import DataError
from crosslens.relational import QuerySpec

from .commands import Finding

CHECK = "no-rows"
"""The check that finds it; what other checks find is not worth saying beside it."""


def no_rows(query: QuerySpec) -> DataError:
    """Return the error for a query without rows."""
    name = query.base.name
    if query.filters:
        return DataError(
            f"No row of “{name}” fits the filters.",
            why="There is nothing to learn from.",
            do="Loosen a filter, or remove it.",
        )
    if query.select:
        return DataError(
            "The SELECT gives no rows.", why="There is nothing to learn from.", do="Change it, or choose a table."
        )
    return DataError(
        f"“{name}” has no rows.",
        why="There is nothing to learn from: the table is empty, or the file holds only the names of its columns.",
        do="Choose another table, or fill this one and open it again.",
    )


def no_rows_finding(query: QuerySpec) -> Finding:
    """Return the same as a finding that stops training."""
    return Finding("stop", str(no_rows(query)), check=CHECK)
