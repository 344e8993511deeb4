"""What a single column means by itself: a kind, a role and a reason, from its type, its name and its values.

Rules are asked one after the other; the first that knows an answer gives it. Identifiers are categories and never
numbers; what tells rows apart one by one, is the same everywhere or cannot be read is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from crosslens import FieldKind, FieldRole
from crosslens.relational import ColumnProfile, ColumnRef, ColumnType, JoinKind, JoinSpec, QuerySpec, TableRef
from crosslens.schema import TimePart

from . import words
from .lists import JSON
from .vocabulary import truth_of

FEW_VALUES = 20
"""Whole numbers with at most so many different values are categories."""
LONG_TEXT = 60
"""Text longer than this on average, in characters, is free text."""
NEAR_UNIQUE = 0.9
"""From this share of different values on, a column tells rows apart instead of describing them."""
MANY_VALUES = 1000
_ENOUGH_ROWS = 20
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?")
_FIRST_EPOCH = 100_000_000
"""Smaller whole numbers are no seconds since 1970: they would lie before 1973."""
_LAST_EPOCH = 4_102_444_800
"""Seconds until the year 2100; larger ones must be milliseconds."""
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")
_HASH = re.compile(r"([0-9a-f]{24,128}|[0-9A-F]{24,128})")
_CUT = "…"
_LISTING = ("|", ";", ",")
_LONGEST_VALUE = 40
_CALENDAR = {"day": (1, 31), "month": (1, 12), "weekday": (0, 7), "hour": (0, 24)}
_SAME_CLOCK = timedelta(days=3)
_EVEN = 2.0
"""No bin of a counter holds more than so many times the mean of all."""
_NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.DECIMAL)


@dataclass(frozen=True, slots=True)
class Guess:
    """A kind, a role, and why; how values are parted, and which parts of a time models see."""

    kind: FieldKind
    role: FieldRole
    reason: str
    delimiter: str = ""
    parts: tuple[TimePart, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column with everything a guess may rest on. `target`: the table a foreign key of this column alone leads to.

    `choices` are those of an enum; `join` is the join it comes by, None for the base.
    """

    ref: ColumnRef
    type: ColumnType
    profile: ColumnProfile
    join: JoinSpec | None = None
    is_key: bool = False
    target: TableRef | None = None
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the column's own name."""
        return self.ref.column

    @property
    def in_base(self) -> bool:
        """Whether the base table holds it."""
        return self.join is None

    @property
    def is_flag(self) -> bool:
        """Whether it says that something happened, whenever: what a label may be."""
        return self.ref.column == ColumnRef.EXISTS and (self.join is None or self.join.up_to is None)

    @property
    def present(self) -> int:
        """Return the number of rows with a value."""
        return self.profile.rows - self.profile.nulls

    @property
    def is_near_unique(self) -> bool:
        """Whether nearly every row has a value of its own."""
        return self.present >= _ENOUGH_ROWS and self.profile.distinct >= NEAR_UNIQUE * self.present

    @property
    def is_binary(self) -> bool:
        """Whether there are two values."""
        return self.type is ColumnType.BOOLEAN or self.profile.distinct == 2

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the most frequent values as text."""
        return tuple(text for text, _ in self.profile.examples)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a column stands among: the query, and the column that says when a row happened (its own time)."""

    query: QuerySpec
    own_time: DescribedColumn | None = None


def guess(column: DescribedColumn, setting: Setting) -> Guess:
    """Return what a column means by itself."""
    found = (rule(column, setting) for rule in _RULES)
    return next(guess for guess in found if guess is not None)


def key_phrase(column: DescribedColumn) -> str:
    """Return how an identifier shows that it is one."""
    return f"Refers to {column.target.name}" if column.target is not None else "Named like an identifier"


def _ignore(kind: FieldKind, reason: str, **more: object) -> Guess:
    return replace(Guess(kind, FieldRole.IGNORE, reason), **more)  # type: ignore[arg-type]


def _feature(kind: FieldKind, reason: str, **more: object) -> Guess:
    return replace(Guess(kind, FieldRole.FEATURE, reason), **more)  # type: ignore[arg-type]


# --- what cannot say anything -----------------------------------------------------------------------------------------


def _empty(column: DescribedColumn, _setting: Setting) -> Guess | None:
    profile = column.profile
    if profile.rows and not column.present:
        return _ignore(FieldKind.CATEGORICAL, "Has no value in any row.")
    if profile.rows and profile.distinct == 1 and not profile.nulls:
        return _ignore(FieldKind.CATEGORICAL, "Has the same value in every row.")
    return None


def _unlimited(column: DescribedColumn, _setting: Setting) -> Guess | None:
    """Joins to many rows that also see later rows would tell the future; rows without a time may not be events."""
    join = column.join
    if join is None or not join.kind.is_to_many or join.kind is JoinKind.EXISTS:
        return None
    if join.up_to is not None or join.time is None:
        return None
    many = join.kind is JoinKind.VALUES
    kind = FieldKind.MULTI_VALUED if many else FieldKind.NUMERICAL if join.kind is JoinKind.COUNT else None
    table = join.table.name
    reason = f"Rests on all rows of {table}, also later ones: limit the join to what was known by then to use it."
    return _ignore(kind or _plain_kind(column), reason)


def _plain_kind(column: DescribedColumn) -> FieldKind:
    if is_time(column):
        return FieldKind.TIMESTAMP
    return FieldKind.NUMERICAL if column.type in _NUMBERS else FieldKind.CATEGORICAL


def _unreadable(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if column.type is ColumnType.BINARY:
        return _ignore(FieldKind.TEXT, "Binary data, which models cannot read.")
    if column.type not in (ColumnType.TEXT, ColumnType.OTHER, ColumnType.JSON):
        return None
    if column.texts and all(text.lstrip()[:1] in ("{", "[") for text in column.texts):
        return _ignore(FieldKind.TEXT, "Looks like JSON, which models cannot read.")
    if column.type is ColumnType.JSON:
        return _ignore(FieldKind.TEXT, "JSON, which models cannot read.")
    if (column.profile.mean_length or 0) > LONG_TEXT:
        return _ignore(FieldKind.TEXT, "Long free text, which models cannot read yet.")
    return None


def _row_key(column: DescribedColumn, setting: Setting) -> Guess | None:
    if column.in_base and column.is_key:
        return _ignore(FieldKind.CATEGORICAL, f"The key of {setting.query.base.name}: different in every row.")
    counts_up = column.type is ColumnType.INTEGER and (words.is_id(column.name) or _counts_up(column))
    if column.is_near_unique and (counts_up or column.type in (ColumnType.TEXT, ColumnType.OTHER)):
        return _ignore(FieldKind.CATEGORICAL, "Different in almost every row, so nothing can be learned from it.")
    return None


def _counts_up(column: DescribedColumn) -> bool:
    """Whether whole numbers lie evenly between the smallest and the largest, as counters do and measures do not."""
    bins = column.profile.histogram
    return not bins or max(bins) <= _EVEN * sum(bins) / len(bins)


# --- joins to many rows -----------------------------------------------------------------------------------------------


def _from_many(column: DescribedColumn, setting: Setting) -> Guess | None:
    join = column.join
    if join is None or column.is_flag:
        return None
    by_then = f"that were known by {join.up_to}" if join.up_to else f"that belong to a row of {setting.query.base.name}"
    if column.name == ColumnRef.COUNT:
        return _feature(FieldKind.NUMERICAL, f"How many rows of {join.table.name} there are {by_then}.")
    if column.name == ColumnRef.EXISTS:
        return _feature(FieldKind.CATEGORICAL, f"Whether there are rows of {join.table.name} {by_then}.")
    if join.kind is JoinKind.VALUES:
        return _feature(FieldKind.MULTI_VALUED, f"The values of all rows of {join.table.name} {by_then}.")
    return None


# --- times ------------------------------------------------------------------------------------------------------------


def _time(column: DescribedColumn, setting: Setting) -> Guess | None:
    if not is_time(column) and column.ref != setting.query.time:
        return None
    own = setting.own_time
    if own is not None and own.ref == column.ref:
        parts = _clock_parts(column)
        reason = f"Puts the rows in order of time. Make it a feature for models to see {_named(parts)}."
        return _ignore(FieldKind.TIMESTAMP, reason, parts=parts)
    if words.says(column.name, words.CHANGED | words.LATER):
        return _ignore(FieldKind.TIMESTAMP, "A time that was probably written after the event.", parts=(TimePart.AGE,))
    if own is not None and _runs_along(column, own):
        reason = f"A date or time that runs along with {own.name}: it says little more than that."
        return _ignore(FieldKind.TIMESTAMP, reason, parts=_clock_parts(column))
    parts = (TimePart.AGE,) if own is not None else (TimePart.YEAR, TimePart.MONTH)
    seen = f"the days up to {own.name}" if own is not None else _named(parts)
    return _feature(FieldKind.TIMESTAMP, f"A date or time: models see {seen}.", parts=parts)


def is_time(column: DescribedColumn) -> bool:
    """Whether a column holds dates or times: by its type, ISO text, or seconds since 1970 under a name that says so."""
    if column.type in (ColumnType.DATE, ColumnType.TIMESTAMP):
        return True
    if column.profile.type in (ColumnType.DATE, ColumnType.TIMESTAMP) and column.type is ColumnType.TEXT:
        return True
    if column.type is ColumnType.TEXT:
        return bool(column.texts) and all(_ISO_TIME.fullmatch(text) for text in column.texts)
    named = words.words(column.name)[-1:] in {(word,) for word in words.TIME}
    smallest, largest = column.profile.minimum, column.profile.maximum
    if not named or column.type not in (ColumnType.INTEGER, ColumnType.FLOAT) or not isinstance(smallest, (int, float)):
        return False
    seconds = smallest >= _FIRST_EPOCH and (not isinstance(largest, (int, float)) or largest <= _LAST_EPOCH)
    return seconds or smallest >= 1000 * _FIRST_EPOCH


def _clock_parts(column: DescribedColumn) -> tuple[TimePart, ...]:
    return (TimePart.HOUR, TimePart.WEEKDAY) if _has_clock(column) else (TimePart.WEEKDAY, TimePart.MONTH)


def _has_clock(column: DescribedColumn) -> bool:
    if column.type is ColumnType.DATE:
        return False
    if column.texts and all(_ISO_TIME.fullmatch(text) for text in column.texts):
        return any(len(text) > 10 and text[11:16] != "00:00" for text in column.texts)
    return True


def _named(parts: tuple[TimePart, ...]) -> str:
    return " and ".join(part.value for part in parts)


def _runs_along(column: DescribedColumn, own: DescribedColumn) -> bool:
    """Whether two columns begin and end at about the same time, as the steps of one event do."""
    theirs, ours = _span(column), _span(own)
    if theirs is None or ours is None:
        return False
    return abs(theirs[0] - ours[0]) <= _SAME_CLOCK and abs(theirs[1] - ours[1]) <= _SAME_CLOCK


def _span(column: DescribedColumn) -> tuple[datetime, datetime] | None:
    first, last = _moment(column.profile.minimum), _moment(column.profile.maximum)
    return None if first is None or last is None else (first, last)


def _moment(value: float | str | None) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        seconds = value if abs(value) <= _LAST_EPOCH else value / 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # no moment a calendar has
        return None


# --- several values in one row ----------------------------------------------------------------------------------------


def _several(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if column.type is ColumnType.ARRAY:
        return _feature(FieldKind.MULTI_VALUED, "Several values in a row.")
    if column.type not in (ColumnType.TEXT, ColumnType.JSON, ColumnType.OTHER) or not column.texts:
        return None
    if all(text.lstrip().startswith("[") for text in column.texts):
        if any("{" in text for text in column.texts):
            return None
        return _feature(FieldKind.MULTI_VALUED, "Several values in a row, as JSON arrays.", delimiter=JSON)
    mark = next((mark for mark in _LISTING if _parts_values(mark, column.texts)), None)
    if mark is None or column.profile.distinct <= 2:
        return None
    return _feature(FieldKind.MULTI_VALUED, f"Several values in a row, parted by '{mark}'.", delimiter=mark)


def _parts_values(mark: str, texts: tuple[str, ...]) -> bool:
    """Whether a mark parts texts into short values that come again in other texts, as tags do and sentences do not."""
    parted = [text.removesuffix(_CUT).split(mark) for text in texts]
    several = [parts for parts in parted if len(parts) > 1]
    if len(several) < max(2, len(texts) // 4):
        return False
    if mark == "," and any(" " in part.strip() for parts in several for part in parts):
        return False
    values = [part.strip() for parts in parted for part in parts]
    if any(len(value) > _LONGEST_VALUE for value in values) or all(_reads_as_number(value) for value in values):
        return False
    return len(set(values)) <= 0.8 * len(values)


# --- categories and numbers -------------------------------------------------------------------------------------------


def _weight(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if " ".join(words.words(column.name)) in words.WEIGHT and column.type in _NUMBERS and column.in_base:
        return Guess(FieldKind.NUMERICAL, FieldRole.WEIGHT, "Named like a weight: how much a row counts.")
    return None


def _identifier(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if column.target is None and not column.is_key and not words.is_id(column.name):
        return _looks_like_identifier(column)
    about = column.target.name if column.target is not None else column.name
    event = "visit" if words.names_one_of(about, words.SESSION) else "order"
    if words.names_one_of(about, words.SESSION | words.ORDER):
        reason = f"Names one {event}: a new one has never been seen before, so nothing can be learned from it."
        return _ignore(FieldKind.CATEGORICAL, reason)
    return _feature(FieldKind.CATEGORICAL, f"{key_phrase(column)}, so a category and not a number.")


def _looks_like_identifier(column: DescribedColumn) -> Guess | None:
    if column.type is not ColumnType.TEXT or not column.texts:
        return None
    for pattern, what in ((_UUID, "UUIDs"), (_HASH, "hashes")):
        if all(pattern.fullmatch(text) for text in column.texts):
            return _feature(FieldKind.CATEGORICAL, f"Values that look like {what}, so an identifier: a category.")
    return None


def _boolean(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if column.type is ColumnType.BOOLEAN:
        return _feature(FieldKind.CATEGORICAL, "True or false.")
    truths = {truth_of(text) for text in column.texts}
    if column.profile.distinct == 2 and truths == {True, False}:
        return _feature(FieldKind.CATEGORICAL, f"Yes or no: '{column.texts[0]}' and '{column.texts[1]}'.")
    return None


def _choice(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if not column.choices:
        return None
    return _feature(FieldKind.CATEGORICAL, f"One of {len(column.choices):,} values that the database allows.")


def _number(column: DescribedColumn, _setting: Setting) -> Guess | None:
    if column.type not in _NUMBERS:
        return None
    if column.type is ColumnType.INTEGER and (part := _calendar_part(column)):
        return _feature(FieldKind.CATEGORICAL, f"A {part} as a number, so a category.")
    if column.type is ColumnType.INTEGER and column.profile.distinct <= FEW_VALUES:
        return _feature(FieldKind.CATEGORICAL, f"Whole numbers with {_values(column)}.")
    if column.type is ColumnType.INTEGER and words.says(column.name, words.CODE):
        return _feature(FieldKind.CATEGORICAL, "Named like a code, so a category and not a number.")
    return _feature(FieldKind.NUMERICAL, f"Numbers with {_values(column)}.")


def _calendar_part(column: DescribedColumn) -> str:
    """Return which part of a calendar whole numbers are, by name and range."""
    last = words.words(column.name)[-1:]
    low, high = column.profile.minimum, column.profile.maximum
    for part, (least, most) in _CALENDAR.items():
        if last == (part,) and isinstance(low, (int, float)) and isinstance(high, (int, float)):
            return part if least <= low <= high <= most else ""
    return ""


def _text(column: DescribedColumn, _setting: Setting) -> Guess:
    texts = column.texts
    if column.profile.distinct > FEW_VALUES and texts and all(_reads_as_number(text) for text in texts):
        return _feature(FieldKind.NUMERICAL, "Numbers stored as text.")
    if texts and all(text.isdigit() for text in texts) and any(len(text) > 1 and text[0] == "0" for text in texts):
        return _feature(FieldKind.CATEGORICAL, f"Digits with leading zeros, so a code: text with {_values(column)}.")
    if column.profile.distinct > MANY_VALUES:
        return _feature(FieldKind.CATEGORICAL, f"Text with {_values(column)}; rare ones are read as unknown.")
    return _feature(FieldKind.CATEGORICAL, f"Text with {_values(column)}.")


def _reads_as_number(text: str) -> bool:
    """Whether a text is a number and not a code: leading zeros would be lost."""
    return bool(re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text.strip()))


def _values(column: DescribedColumn) -> str:
    return f"{column.profile.distinct:,} different values{' in the sample' if column.profile.sampled else ''}"


_RULES = (
    *(_empty, _unlimited, _from_many, _time, _several, _unreadable, _row_key, _weight, _identifier),
    *(_boolean, _choice, _number, _text),
)
