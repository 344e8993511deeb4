"""What values say of a column for which the database has no type: the columns of the user's own SELECT on SQLite."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from crosslens.relational import ColumnType

_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
_DAY = len("2024-05-01")
_NUMBERS = {int, float}

Value = str | bytes | int | float | None


def seen_type(values: Sequence[Value]) -> ColumnType:
    """Return the type all values have that are not NULL; OTHER where there are none, or of several types.

    Texts are dates or moments if each of them is written as ISO 8601 has it.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return ColumnType.INTEGER
    if kinds and kinds <= _NUMBERS:
        return ColumnType.FLOAT
    if kinds == {bytes}:
        return ColumnType.BINARY
    return _type_of_texts({value for value in values if isinstance(value, str)}) if kinds == {str} else ColumnType.OTHER


def _type_of_texts(texts: set[str]) -> ColumnType:
    if not all(_is_moment(text) for text in texts):
        return ColumnType.TEXT
    return ColumnType.DATE if all(len(text) == _DAY for text in texts) else ColumnType.TIMESTAMP


def _is_moment(text: str) -> bool:
    if not _ISO.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:  # the thirtieth of February
        return False
    return True
