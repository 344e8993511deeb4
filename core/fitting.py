"""Learning one field from training rows that stream by: one learner per field, one class per way of reading it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosslens import DataError, Field, FieldKind
from crosslens.relational import ColumnRef
from crosslens.schema import TimePart

from .columns import Column, is_text, not_numbers, numbers
from .commands import Finding
from .counting import ValueCounter
from .encoders import BinEncoder, CategoryEncoder, FieldEncoder, Measure, NumberEncoder, measured
from .hashed import HashEncoder, buckets_of
from .inputs import Inputs
from .lists import JSON, can_hold_lists, guess_delimiter
from .multi_values import MOST_VALUES, FlagEncoder
from .quantiles import Moments, Quantiles
from .time_parts import CATEGORIES, PartEncoder, has_clock, part_column
from .vocabulary import EMPTY_TEXT, check_categorical, counted_vocabulary, value_counter

MOST_COUNTED = 1 << 20
"""A field with more different values than this is hashed where hashing is asked for, however rare they are."""
_FREQUENT = 2_000


@dataclass(slots=True)
class Learned:
    """What a field became, and what was noticed."""

    encoders: list[FieldEncoder] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Learner(ABC):
    """Learns one field; `add` is called block by block with training rows, `finish` once."""

    def __init__(self, about: Field) -> None:
        self.about = about

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns it reads."""
        return (self.about.column,)

    @property
    def effort(self) -> int:
        """Return roughly how long a row takes it, to share the work out."""
        return 1

    @abstractmethod
    def add(self, inputs: Inputs) -> None:
        """Learn from some rows."""

    @abstractmethod
    def finish(self) -> Learned:
        """Return encoders, or a finding that says why there is none. DataError where the kind does not suit."""

    def _dropped(self, why: str) -> Learned:
        about = self.about.name
        return Learned(findings=[Finding("warn", f"{about} is left out: {why}.", (about,))])

    def _empty(self) -> Learned:
        return self._dropped("it has no value in any training row")


class CategoryLearner(Learner):
    """A vocabulary, or a hash where more values occur `minimum_count` times than there are `hash_buckets`."""

    def __init__(self, about: Field, kind: pa.DataType, minimum_count: int, hash_buckets: int) -> None:
        super().__init__(about)
        check_categorical(pa.chunked_array([], kind), about.name)
        self._kind = kind
        self._minimum_count = minimum_count
        self._buckets = hash_buckets
        self._counter = value_counter()
        self._seen: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
        self._frequent: tuple[str, ...] = ()
        self._checked = 2 * hash_buckets
        self._present = 0

    @property
    def effort(self) -> int:
        """Return roughly how long a row takes it: text is hashed."""
        return 1 if pa.types.is_integer(self._kind) else 4

    def add(self, inputs: Inputs) -> None:
        """Count values, or once they are too many note their buckets."""
        column = inputs.column(self.about.column)
        self._present += len(column) - column.null_count
        if self._seen is not None:
            self._note(column.unique())
            return
        self._counter.add(column)
        if self._buckets and self._counter.at_most > self._checked:
            self._consider()

    def finish(self) -> Learned:
        """Return one encoder."""
        if not self._present:
            return self._empty()
        about = self.about
        if self._buckets and self._seen is None and self._kept() > self._buckets:
            self._start_hashing()
        if self._seen is None:
            vocabulary = counted_vocabulary(self._counter, self._kind, minimum_count=self._minimum_count)
            return Learned([CategoryEncoder(about.name, about.column, about.role, vocabulary)])
        unseen = tuple(np.flatnonzero(~self._seen).tolist())
        return Learned([HashEncoder(about.name, about.column, about.role, self._buckets, unseen, self._frequent)])

    def _consider(self) -> None:
        """Start to hash as soon as it is sure; look again when there may be twice as many values."""
        table = self._counter.table()
        kept = int(pc.sum(pc.greater_equal(table["count"], self._minimum_count)).as_py() or 0)
        if kept > self._buckets or table.num_rows > max(MOST_COUNTED, 2 * self._buckets):
            self._start_hashing()
        self._checked = max(2 * self._buckets, 2 * table.num_rows)

    def _kept(self) -> int:
        counts = self._counter.table()["count"]
        return int(pc.sum(pc.greater_equal(counts, self._minimum_count)).as_py() or 0)

    def _start_hashing(self) -> None:
        frequent = counted_vocabulary(self._counter, self._kind, minimum_count=1, most=_FREQUENT)
        self._frequent = tuple(pc.cast(frequent.values, pa.string()).to_pylist())
        self._seen = np.zeros(self._buckets, np.bool_)
        self._note(self._counter.table()["value"])
        self._counter = value_counter()

    def _note(self, values: Column | pa.Array) -> None:
        assert self._seen is not None, "noted only while hashing"
        column = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
        column = column.drop_null()
        if len(column):
            self._seen[buckets_of(column, self._buckets)] = True


class NumberLearner(Learner):
    """Mean and deviation, or quantiles for bins."""

    def __init__(
        self,
        about: Field,
        *,
        name: str = "",
        measure: Measure = Measure.VALUE,
        time: ColumnRef | None = None,
    ) -> None:
        super().__init__(about)
        self._name = name or about.name
        self._measure = measure
        self._time = time
        self._moments = Moments()
        self._quantiles = Quantiles() if about.bins > 0 and measure is Measure.VALUE else None
        self._whole = True
        self._missing = self._rows = 0
        self._strange = ""

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns it reads."""
        return (self.about.column, *((self._time,) if self._time else ()))

    @property
    def effort(self) -> int:
        """Return roughly how long a row takes it: bins are sorted for."""
        return 1 if self._quantiles is None else 6

    def add(self, inputs: Inputs) -> None:
        """Learn from some rows; what is not a number is counted."""
        values = measured(self._measure, inputs, self.about.column, self._time, "")
        present = values[~np.isnan(values)]
        if self._measure is Measure.VALUE:
            self._look(inputs.column(self.about.column), len(present))
        self.take(present)

    def take(self, present: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Learn from finite numbers."""
        if self._quantiles is None:
            self._moments.add(present)
        elif len(present):
            self._moments.count += len(present)
            self._whole &= bool((present == np.floor(present)).all() and np.abs(present).max() < 2**53)
            self._quantiles.add(present)

    def finish(self) -> Learned:
        """Return one encoder."""
        about = self.about
        if self._rows and self._missing == self._rows:
            return self._empty()
        findings = self._unreadable()
        if not self._moments.count:
            reason = (
                "it has no finite number in any training row" if self._rows else "it has no value in any training row"
            )
            return self._dropped(reason)
        if self._quantiles is not None:
            edges = self._quantiles.edges(about.bins, whole=self._whole)
            return Learned([BinEncoder(about.name, about.column, about.role, edges, self._whole)], findings)
        return Learned([self.encoder()], findings)

    def encoder(self, delimiter: str = "") -> NumberEncoder:
        """Return the encoder of what was learned so far."""
        mean, scale = self._moments.mean_and_scale()
        about = self.about
        return NumberEncoder(
            self._name, about.column, about.role, mean, scale, self._measure, self._time, delimiter=delimiter
        )

    @property
    def found(self) -> int:
        """Return how many numbers there were."""
        return self._moments.count

    def _look(self, column: Column, present: int) -> None:
        self._rows += len(column)
        self._missing += column.null_count
        if not self._strange and present < len(column) - column.null_count and is_text(column.type):
            strange = not_numbers(column)
            self._strange = str(strange[0].as_py())[:40] if len(strange) else ""

    def _unreadable(self) -> list[Finding]:
        about, unread = self.about, self._rows - self._missing - self._moments.count
        if not self._strange:
            return []
        if unread > self._moments.count:
            raise DataError(
                f"{about.name} is set to numerical, but most of its values are text such as '{self._strange}'.",
                do="Set its kind to categorical.",
                column=about.column,
            )
        message = f"{unread:,} values of {about.name}, such as '{self._strange}', are read as missing."
        return [Finding("warn", message, (about.name,))]


class TimeLearner(Learner):
    """The parts of a time: those asked for, else the hour where there is a clock, the weekday, the month if several."""

    def __init__(self, about: Field, time: ColumnRef | None, name: Callable[[str], str]) -> None:
        super().__init__(about)
        self._name = name
        wanted = about.parts or (TimePart.HOUR, TimePart.WEEKDAY, TimePart.MONTH)
        self._counters = {part: ValueCounter() for part in CATEGORIES if part in wanted}
        self._age = TimePart.AGE in wanted and time is not None and time != about.column
        self._ages = NumberLearner(about, name=name("age"), measure=Measure.AGE, time=time)
        self._asked_in_vain = TimePart.AGE in wanted and not self._age
        self._present = self._rows = self._missing = 0
        self._clock = False
        self._strange = ""

    @property
    def sources(self) -> tuple[ColumnRef, ...]:
        """Return the columns it reads."""
        return self._ages.sources if self._age else (self.about.column,)

    @property
    def effort(self) -> int:
        """Return roughly how long a row takes it."""
        return 6

    def add(self, inputs: Inputs) -> None:
        """Learn from some rows."""
        column, times = inputs.column(self.about.column), inputs.moments(self.about.column)
        readable = int((~np.isnat(times)).sum())
        self._rows += len(times)
        self._missing += column.null_count
        self._present += readable
        self._clock = self._clock or has_clock(times)
        if not self._strange and readable < len(times) - column.null_count:
            unread = pa.array(np.isnat(times))
            self._strange = str(column.filter(unread).drop_null()[0].as_py())[:40]
        for part, counter in self._counters.items():
            counter.add(part_column(times, part))
        if self._age:
            self._ages.add(inputs)

    def finish(self) -> Learned:
        """Return one encoder per part."""
        about = self.about
        if self._missing == self._rows:
            return self._empty()
        findings = self._unreadable()
        encoders: list[FieldEncoder] = []
        for part, counter in self._counters.items():
            vocabulary = counted_vocabulary(counter, pa.int64(), minimum_count=1)
            if about.parts or self._says_something(part, len(vocabulary.values)):
                encoders.append(PartEncoder(self._name(part.value), about.column, about.role, part, vocabulary))
        if self._age and self._ages.found:
            encoders.append(self._ages.encoder())
        if self._asked_in_vain:
            why = "the rows have no time of their own, or it is that time itself"
            findings.append(Finding("warn", f"The age of {about.name} is left out: {why}.", (about.name,)))
        if not encoders:
            return self._dropped("all its times are the same")
        return Learned(encoders, findings)

    def _says_something(self, part: TimePart, different: int) -> bool:
        return self._clock if part is TimePart.HOUR else different > 1

    def _unreadable(self) -> list[Finding]:
        about, unread = self.about, self._rows - self._missing - self._present
        if not unread:
            return []
        if unread > self._present:
            raise DataError(
                f"{about.name} is set to timestamp, but most of its values, such as '{self._strange}', are no times.",
                why="Times look like 2026-11-22 or 2026-11-22 08:30:00, or count seconds or milliseconds since 1970.",
                do="Set its kind to categorical or numerical.",
                column=about.column,
            )
        message = f"{unread:,} values of {about.name}, such as '{self._strange}', are no times and read as missing."
        return [Finding("warn", message, (about.name,))]


class ValuesLearner(Learner):
    """The most frequent values of a multi-valued field, each a yes or no, and how many values a row has."""

    def __init__(self, about: Field, minimum_count: int, name: Callable[[str], str]) -> None:
        super().__init__(about)
        self._name = name
        self._minimum_count = minimum_count
        self._delimiter: str | None = about.delimiter or None
        self._counter = ValueCounter()
        self._counts = NumberLearner(about, name=name("count"), measure=Measure.COUNT)
        self._fewest, self._most = np.inf, -np.inf

    @property
    def effort(self) -> int:
        """Return roughly how long a row takes it."""
        return 8

    def add(self, inputs: Inputs) -> None:
        """Learn from some rows; the first ones that have any values tell what parts them, unless that is known."""
        column = inputs.column(self.about.column)
        if column.null_count == len(column):
            return
        if self._delimiter is None:
            self._delimiter = guess_delimiter(column)
        found = inputs.lists(self.about.column, self._delimiter)
        self._counter.add(pa.chunked_array([found.flatten()]))
        counts = measured(Measure.COUNT, inputs, self.about.column, None, self._delimiter)
        counts = counts[~np.isnan(counts)]
        self._fewest, self._most = min(self._fewest, counts.min()), max(self._most, counts.max())
        self._counts.take(counts)

    def finish(self) -> Learned:
        """Return the encoders of the values, most frequent first, and of their count where it differs."""
        about, delimiter = self.about, self._delimiter if self._delimiter is not None else JSON
        if not self._counts.found:
            return self._empty()
        kept = counted_vocabulary(self._counter, pa.string(), minimum_count=self._minimum_count)
        values = kept.values.slice(0, MOST_VALUES).to_pylist()
        encoders: list[FieldEncoder] = [
            FlagEncoder(self._name(value or EMPTY_TEXT), about.column, about.role, value, delimiter, about.name)
            for value in values
        ]
        if self._most > self._fewest:
            encoders.append(self._counts.encoder(delimiter))
        if not encoders:
            return self._dropped("no value occurs often enough, and all rows have as many of them")
        findings = []
        if len(kept.values) > MOST_VALUES:
            message = f"Of {len(kept.values):,} values of {about.name}, the {MOST_VALUES} most frequent ones are read."
            findings.append(Finding("note", message, (about.name,)))
        return Learned(encoders, findings)


class Names:
    """Names for what fields give to models: "tags: red", with a number behind where that name is taken."""

    def __init__(self, taken: list[str]) -> None:
        self._taken = set(taken)

    def of(self, about: Field) -> Callable[[str], str]:
        """Return a function that names what a field gives."""

        def name(what: str) -> str:
            wanted = found = f"{about.name}: {what}"
            number = 2
            while found in self._taken:
                found, number = f"{wanted} ({number})", number + 1
            self._taken.add(found)
            return found

        return name


def learner(
    about: Field,
    kind: pa.DataType,
    *,
    time: ColumnRef | None,
    names: Names,
    minimum_count: int,
    hash_buckets: int,
) -> Learner:
    """Return what learns a field whose column has the Arrow type `kind`. DataError where models cannot read its kind.

    `time` is the column that says when a row happened.
    """
    if about.kind is FieldKind.CATEGORICAL:
        return CategoryLearner(about, kind, minimum_count, hash_buckets)
    if about.kind is FieldKind.NUMERICAL:
        numbers(pa.chunked_array([], kind))
        return NumberLearner(about)
    if about.kind is FieldKind.TIMESTAMP:
        return TimeLearner(about, time, names.of(about))
    if about.kind is FieldKind.MULTI_VALUED:
        if not can_hold_lists(kind):
            raise DataError(
                f"{about.name} is set to multi-valued, but its values are of type {kind} and hold one value each.",
                do="Set its kind to categorical or numerical.",
                column=about.column,
            )
        return ValuesLearner(about, minimum_count, names.of(about))
    raise DataError(
        f"Models cannot read the field {about.name} as {about.kind} yet.",
        do="Set its role to ignore, or its kind to categorical.",
        column=about.column,
    )
