"""Rows on their way out: their columns, how many there are, and the rows themselves, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

ROWS_AT_ONCE = 4096
"""So many rows are written before Stop is looked at again."""


@dataclass(frozen=True, slots=True, eq=False)
class RowStream:
    """`tables` of `schema`, to be read once; `rows` of them together where that is known."""

    schema: pa.Schema
    tables: Iterable[pa.Table]
    rows: int | None = None

    def blocks(self, check: Callable[[], None], size: int = ROWS_AT_ONCE) -> Iterator[pa.RecordBatch]:
        """Yield at most `size` rows at a time; `check` is called before each and may raise."""
        for table in self.tables:
            for batch in table.to_batches(size):
                check()
                yield batch


def distinct_names(names: Sequence[str], *, most_bytes: int = 0) -> tuple[str, ...]:
    """Return names that stay apart when case is ignored, as databases do: later ones get a number behind.

    `most_bytes` cuts longer names (0: none); a character is never cut in two. A name without letters gets one.
    """
    taken: set[str] = set()
    found = []
    for name in names:
        candidate, number = _cut(name or "column", most_bytes), 2
        while candidate.casefold() in taken:
            mark = f"_{number}"
            candidate = _cut(name, most_bytes - len(mark) if most_bytes else 0) + mark
            number += 1
        taken.add(candidate.casefold())
        found.append(candidate)
    return tuple(found)


def _cut(name: str, most_bytes: int) -> str:
    return name.encode()[:most_bytes].decode(errors="ignore") if most_bytes else name
