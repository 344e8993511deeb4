"""Values that are one and the same but for capitals, spaces or a full stop at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from crosslens.schema import Field, FieldKind

from ..columns import Column, is_text
from ..commands import Finding
from ..formats import counted
from .rows import Rows

_MOST_VALUES = 10_000
"""Texts with more different values are names and not categories."""
_SHOWN = 5


def spellings(rows: Rows) -> Iterator[Finding]:
    """Yield a note for every category some of whose values are spelt in several ways."""
    for field in rows.features:
        column = rows.column(field.column)
        if field.kind is FieldKind.CATEGORICAL and is_text(column.type):
            yield from _about(rows, field, column)


def _about(rows: Rows, field: Field, column: Column) -> Iterator[Finding]:
    counts = pc.value_counts(column.drop_null())
    if len(counts) > _MOST_VALUES:
        return
    values = pa.table({"text": counts.field("values").cast(pa.string()), "rows": counts.field("counts")})
    values = values.append_column("plain", _plain(values["text"]))
    sizes = values.group_by("plain").aggregate([("text", "count"), ("rows", "sum"), ("rows", "max")])
    several = sizes.filter(pc.and_(pc.greater(sizes["text_count"], 1), pc.not_equal(sizes["plain"], "")))
    if several.num_rows:
        rarer = pc.sum(pc.subtract(several["rows_sum"], several["rows_max"])).as_py()
        alike = values.filter(pc.is_in(values["plain"], value_set=several["plain"].combine_chunks()))
        alike = alike.sort_by([("plain", "ascending"), ("rows", "descending")])
        texts = zip(alike["text"].to_pylist(), alike["rows"].to_pylist(), strict=True)
        examples = tuple(f"'{text}' in {counted(count, 'row')}" for text, count in texts)[:_SHOWN]
        spelt = "One value" if several.num_rows == 1 else f"{several.num_rows:,} values"
        message = f"{spelt} of {field.name} {'is' if several.num_rows == 1 else 'are'} spelt in several ways"
        looked = f"{message}, such as {examples[0]} and {examples[1]}. Models take them for different values."
        yield Finding("note", looked, (field.name,), "spelling", rarer, examples)


def _plain(texts: Column) -> Column:
    trimmed = pc.replace_substring_regex(pc.utf8_lower(texts), r"\s+", " ")
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(trimmed), r"[.\s]+$", "")
