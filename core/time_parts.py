"""Hour, weekday, day, month and year of a moment as categories, and its age in days as a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from crosslens import MISSING_ID, EncodedField, FieldKind, FieldRole
from crosslens.data import Float64Array, Int32Array, Int64Array
from crosslens.relational import ColumnRef
from crosslens.schema import TimePart

from .columns import Column
from .inputs import Inputs
from .moments import MomentArray, moments
from .vocabulary import Vocabulary

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NAMES: Mapping[TimePart, Mapping[str, str]] = {
    TimePart.WEEKDAY: {str(number): name for number, name in enumerate(WEEKDAYS)},
    TimePart.MONTH: {str(number): name for number, name in enumerate(MONTHS, 1)},
}
CATEGORIES = tuple(part for part in TimePart if part is not TimePart.AGE)
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_THURSDAY = 3
"""The weekday of 1 January 1970, from Monday as 0."""


def part_of(times: MomentArray, part: TimePart) -> Int64Array:
    """Return a part of datetime64[us] (N,) as int64 (N,).

    Hours are 0..23, weekdays from Monday as 0, days and months from 1. What NaT becomes means nothing.
    """
    micros: Int64Array = times.view(np.int64)
    if part is TimePart.HOUR:
        return micros // _HOUR % 24
    if part is TimePart.WEEKDAY:
        return (micros // _DAY + _THURSDAY) % 7
    months = times.astype("datetime64[M]")
    if part is TimePart.DAY:
        return np.asarray((times.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1)
    if part is TimePart.MONTH:
        return months.astype(np.int64) % 12 + 1
    return months.astype("datetime64[Y]").astype(np.int64) + 1970


def part_column(times: MomentArray, part: TimePart) -> Column:
    """Return a part as an Arrow column, int64 (N,), NULL where there is no moment."""
    return pa.chunked_array([pa.array(part_of(times, part), mask=np.isnat(times))])


def age_in_days(times: MomentArray, now: MomentArray) -> Float64Array:
    """Return the days from `times` to `now`, float64 (N,), NaN where either is missing, negative for the future."""
    days = (now.view(np.int64).astype(np.float64) - times.view(np.int64).astype(np.float64)) / _DAY
    days[np.isnat(times) | np.isnat(now)] = np.nan
    return days


def has_clock(times: MomentArray) -> bool:
    """Whether some moment is not midnight."""
    return bool((times[~np.isnat(times)].view(np.int64) % _DAY != 0).any())


@dataclass(frozen=True, slots=True, eq=False)
class PartEncoder:
    """A part of a time as a category: 13, "Monday", "May". The vocabulary holds whole numbers."""

    name: str
    column: ColumnRef
    role: FieldRole
    part: TimePart
    vocabulary: Vocabulary

    @property
    def encoded(self) -> EncodedField:
        """Return the field as models see it."""
        return EncodedField(self.name, FieldKind.CATEGORICAL, self.vocabulary.cardinality, self.role)

    def reader(self) -> Callable[[Inputs], Int32Array]:
        """Return a function that reads local ids, int32 (N,), of block after block."""
        read = self.vocabulary.reader()

        def ids(inputs: Inputs) -> Int32Array:
            times = inputs.moments(self.column)
            found = read(pa.chunked_array([pa.array(part_of(times, self.part))]))
            found[np.isnat(times)] = MISSING_ID
            return found

        return ids

    def local_ids(self, column: Column) -> Int32Array:
        """Return local ids, int32 (N,)."""
        return self.vocabulary.local_ids(part_column(moments(column), self.part))

    def text(self, local_id: int) -> str:
        """Return how a local id is shown."""
        text = self.vocabulary.text(local_id)
        return _NAMES.get(self.part, {}).get(text, text)

    def local_id(self, text: str | None) -> int:
        """Return the local id of a value given by its name or its number."""
        numbers = {name.casefold(): number for number, name in _NAMES.get(self.part, {}).items()}
        return self.vocabulary.local_id(text if text is None else numbers.get(text.strip().casefold(), text))
