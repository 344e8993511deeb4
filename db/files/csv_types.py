"""What the text of a column means, decided so that nothing is lost: a type is taken when every value fits it.

DuckDB's own reading of numbers is not asked: it takes 007 for 7, 1.5 for a whole 2 and 1_000 for 1000.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from ..engines.duckdb_dialect import DuckDbType


class Meaning(StrEnum):
    """What every value of a column is."""

    UNKNOWN = "unknown"
    INTEGER = "BIGINT"
    FLOAT = "DOUBLE"
    COMMA_FLOAT = "decimal comma"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    TIMESTAMP = "TIMESTAMP"
    ZONED = "TIMESTAMPTZ"
    OTHER_DATE = "date of another form"
    TEXT = "VARCHAR"


@dataclass(frozen=True, slots=True)
class CsvType:
    """A meaning; dates of another form have a `pattern` of strptime."""

    meaning: Meaning
    pattern: str = ""


TEXT = CsvType(Meaning.TEXT)
UNKNOWN = CsvType(Meaning.UNKNOWN)

_NATIVE = {Meaning.INTEGER, Meaning.FLOAT, Meaning.BOOLEAN, Meaning.DATE, Meaning.TIMESTAMP, Meaning.ZONED}
_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_ZONE = r" ?(Z|[+-]\d{2}(:?\d{2})?)"
_FORMS = {
    # No plus sign, leading zero or more digits than a double holds: those are codes, telephone numbers, card numbers.
    Meaning.INTEGER: r"-?(0|[1-9]\d{0,17})",
    Meaning.FLOAT: r"-?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?",
    Meaning.COMMA_FLOAT: r"-?(0|[1-9]\d{0,2}(\.\d{3})+|[1-9]\d{0,14})(,\d+)?",
    Meaning.BOOLEAN: r"(?i)true|false",
    Meaning.DATE: _DAY,
    Meaning.TIMESTAMP: f"{_DAY}({_CLOCK})?",
    Meaning.ZONED: f"{_DAY}{_CLOCK}{_ZONE}",
}
_OTHER_DATES = {
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}": ("%d.%m.%Y %H:%M",),
    r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d{2}:\d{2}": ("%d.%m.%Y %H:%M:%S",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}": ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
    r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2}": ("%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
}
_WIDER = {
    Meaning.INTEGER: (Meaning.FLOAT, Meaning.COMMA_FLOAT),
    Meaning.DATE: (Meaning.TIMESTAMP,),
    Meaning.FLOAT: (),
}


def first_type(values: Iterable[str | None], decimal: str | None) -> CsvType:
    """Return the narrowest type some values fit; UNKNOWN where all are missing. `decimal` as said, or None."""
    present = [value.strip() for value in values if value is not None]
    if not present:
        return UNKNOWN
    for meaning, form in _FORMS.items():
        if meaning is Meaning.COMMA_FLOAT and not _is_decimal_comma(present, decimal):
            continue
        if meaning is Meaning.FLOAT and decimal == "," and any("." in value for value in present):
            continue
        if _all_match(form, present):
            return CsvType(meaning)
    for form, patterns in _OTHER_DATES.items():
        if _all_match(form, present):
            return CsvType(Meaning.OTHER_DATE, patterns[0])
    return TEXT


def _is_decimal_comma(values: Sequence[str], decimal: str | None) -> bool:
    """Whether commas part decimals: said, or shown by a value that cannot be thousands (1,5 or 0,123)."""
    if decimal is not None:
        return decimal == ","
    return any(re.fullmatch(r"-?(\d+,(\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+)", value) for value in values)


def _all_match(form: str, values: Sequence[str]) -> bool:
    pattern = re.compile(form)
    return all(pattern.fullmatch(value) for value in values)


def wider_types(found: CsvType, decimal: str | None) -> tuple[CsvType, ...]:
    """Return what to try when a value does not fit `found`, in order."""
    wider = [CsvType(meaning) for meaning in _WIDER.get(found.meaning, ())]
    if decimal != ",":
        wider = [item for item in wider if item.meaning is not Meaning.COMMA_FLOAT]
    if found.meaning is Meaning.OTHER_DATE:
        turns = next(patterns for patterns in _OTHER_DATES.values() if found.pattern in patterns)
        wider = [CsvType(Meaning.OTHER_DATE, pattern) for pattern in turns[turns.index(found.pattern) + 1 :]]
    return (*wider, TEXT)


def twin(found: CsvType) -> CsvType | None:
    """Return the type that reads the same dates with day and month changed about, if there is one."""
    turns = next((patterns for patterns in _OTHER_DATES.values() if found.pattern in patterns), ())
    return next((CsvType(Meaning.OTHER_DATE, other) for other in turns if other != found.pattern), None)


def fits(column: sa.ColumnElement[Any], found: CsvType) -> sa.ColumnElement[bool]:
    """Return the condition that a text has the form of a type and can be read as one; never false for NULL.

    Measured: a pattern costs less than reading, writing back and comparing, and than trimming first.
    """
    if found.meaning is Meaning.OTHER_DATE:
        return sa.or_(column.is_(None), sa.func.try_strptime(sa.func.trim(column), found.pattern).is_not(None))
    if found.meaning is Meaning.BOOLEAN:  # DuckDB reads no truth with white space around it
        return sa.func.regexp_full_match(column, form_of(found.meaning))
    formed = sa.func.regexp_full_match(column, rf"\s*({form_of(found.meaning)})\s*")
    if found.meaning in (Meaning.DATE, Meaning.TIMESTAMP, Meaning.ZONED):
        return sa.and_(formed, sa.or_(column.is_(None), _tried(column, found.meaning.value).is_not(None)))
    return formed


def form_of(meaning: Meaning) -> str:
    """Return the pattern of a meaning that has one, without the white space that may stand around it."""
    return _FORMS[meaning]


def _tried(text: sa.ColumnElement[Any], word: str) -> sa.ColumnElement[Any]:
    return sa.try_cast(text, DuckDbType(word))


def stored_as(found: CsvType, *, native: bool) -> str:
    """Return the type DuckDB reads a column with: the thing itself where all values were seen to fit, else text."""
    return found.meaning.value if native and found.meaning in _NATIVE else "VARCHAR"


def value_of(column: sa.ColumnElement[Any], found: CsvType, *, native: bool) -> sa.ColumnElement[Any]:
    """Return the expression that reads a column; not `native`: one that fails at a value that does not fit."""
    if found.meaning in (Meaning.TEXT, Meaning.UNKNOWN):
        return column
    if native:
        return column if found.meaning in _NATIVE else _read(column, found)
    fitting = sa.or_(column.is_(None), fits(column, found))
    return sa.case((fitting, _read(column, found)), else_=sa.func.error(DOES_NOT_FIT))


DOES_NOT_FIT = "a value does not fit the type its column was taken for"
"""What a guarded column says; whoever reads it looks at the whole file and starts again."""


def _read(column: sa.ColumnElement[Any], found: CsvType) -> sa.ColumnElement[Any]:
    if found.meaning is Meaning.COMMA_FLOAT:
        plain = sa.func.replace(sa.func.replace(column, ".", ""), ",", ".")
        return sa.cast(plain, DuckDbType("DOUBLE"))
    if found.meaning is Meaning.OTHER_DATE:
        moment = sa.func.strptime(sa.func.trim(column), found.pattern)
        return moment if "%H" in found.pattern else sa.cast(moment, DuckDbType("DATE"))
    return sa.cast(column, DuckDbType(found.meaning.value))
