"""How raw rows become what a model reads, told to programs outside: one entry per field, in the order of the inputs.

Categorical fields come first and fill the columns of `ids`, numerical ones those of `values`. An entry is what
encoders.json says of the field, and besides

    header    what the column is called in exported rows
    offset    of a categorical field: what is added to its local id (0 missing, 1 unknown, values from 2)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crosslens import __version__
from crosslens.plain import to_plain
from crosslens.relational import ColumnRef

from ..encoders import Encoders

PREFIX = "crosslens."
"""How the names of our properties in a file begin."""


def field_guide(encoders: Encoders, headers: Mapping[ColumnRef, str]) -> list[dict[str, Any]]:
    """Return the entries; `headers` are names of columns, others are called "table.column"."""
    entries: list[dict[str, Any]] = json.loads(encoders.to_json())["fields"]
    offsets = encoders.schema.offsets.tolist()
    for place, (entry, encoder) in enumerate(zip(entries, encoders.fields, strict=True)):
        entry["header"] = headers.get(encoder.column, str(encoder.column))
        if place < len(offsets):
            entry["offset"] = offsets[place]
    return entries


def properties(encoders: Encoders, headers: Mapping[ColumnRef, str], facts: Mapping[str, str]) -> dict[str, str]:
    """Return what an exported file says of itself: who made it, the schema, and how rows are encoded."""
    return {
        f"{PREFIX}version": __version__,
        **{PREFIX + name: value for name, value in facts.items()},
        f"{PREFIX}schema": json.dumps(to_plain(encoders.schema), ensure_ascii=False),
        f"{PREFIX}fields": json.dumps(field_guide(encoders, headers), ensure_ascii=False),
    }
