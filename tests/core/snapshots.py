"""Small snapshots for tests: columns by name, stored by position as extraction does."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from core.columns import Column
from core.vocabulary import Vocabulary, counted_vocabulary, value_counter
from crosslens import Field, FieldKind, FieldRole, FieldSchema
from crosslens.relational import ColumnRef

KINDS = {kind.value: kind for kind in FieldKind}


def ref(name: str) -> ColumnRef:
    return ColumnRef("t", name)


def snapshot(**columns: Any) -> tuple[pa.Table, tuple[ColumnRef, ...]]:
    """Return a table whose column i is called c<i>, and the references of its columns."""
    arrays = [each if isinstance(each, pa.Array | pa.ChunkedArray) else pa.array(each) for each in columns.values()]
    return pa.table({f"c{i}": array for i, array in enumerate(arrays)}), tuple(ref(name) for name in columns)


def vocabulary_of(column: Column, *, minimum_count: int = 2) -> Vocabulary:
    """Return the vocabulary of all values, counted at once."""
    counter = value_counter()
    counter.add(column)
    return counted_vocabulary(counter, column.type, minimum_count=minimum_count)


def fields(**meaning: str) -> FieldSchema:
    """Return a schema from "kind role" or "role" texts: fields(a="numerical feature", y="click")."""
    return FieldSchema(tuple(_field(name, text.split()) for name, text in meaning.items()))


def _field(name: str, words: list[str]) -> Field:
    kind = KINDS[words[0]] if len(words) > 1 else FieldKind.CATEGORICAL
    return Field(ref(name), name, kind, FieldRole(words[-1]))
