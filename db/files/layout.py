"""How a text file is laid out: what parts its columns, what quotes them, and which row names them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from .options import TextOptions

_DELIMITERS = (",", ";", "\t", "|", "::")
_QUOTES = ('"', "'")
_SAMPLE_RECORDS = 200
_GOOD = 0.8
_STAND_IN = "\x1f"
"""Python's reader takes one character as delimiter; this one stands in for longer ones."""
_FIELD_BYTES = 1 << 27

VALUE = re.compile(
    r"\s*([+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|true|false)\s*",
    re.IGNORECASE,
)
"""What looks like a value rather than a name: a number, a date, a truth."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How to part a text file. `skip` lines above the header are left out; `names` are unique without case."""

    delimiter: str
    quote: str
    escape: str
    header: bool
    skip: int
    names: tuple[str, ...]
    agreement: float
    """The share of sampled rows that have as many fields as there are names."""


def detect_layout(text: str, options: TextOptions) -> Layout:
    """Find the layout that parts the first lines of a file most evenly; options win over what is found."""
    quotes = _QUOTES if options.quote is None else (options.quote,)
    delimiters = _DELIMITERS if options.delimiter is None else (options.delimiter,)
    tries = [_Try.of(text, delimiter, quote, options) for quote in quotes for delimiter in delimiters]
    best = max(tries, key=_Try.merit)
    records = best.records[best.skip :]
    width = max(1, best.width)
    header = options.header if options.header is not None else _is_header(records)
    first = records[0] if header and records else []
    return Layout(
        delimiter=best.delimiter,
        quote=best.quote,
        escape=best.escape,
        header=header,
        skip=best.skip_lines,
        names=unique_names(first + [""] * (max(width, len(first)) - len(first))),
        agreement=best.share,
    )


@dataclass(frozen=True, slots=True)
class _Try:
    """The first records of a file, parted one way; `width` is the number of fields most of them have."""

    delimiter: str
    quote: str
    escape: str
    records: list[list[str]]
    width: int
    share: float
    skip: int
    skip_lines: int
    stray_quotes: int

    @staticmethod
    def of(text: str, delimiter: str, quote: str, options: TextOptions) -> _Try:
        lines = text.splitlines(keepends=True)
        if options.skip_rows:
            text = "".join(lines[options.skip_rows :])
        escape = _escape(text, delimiter, quote)
        records = [record for record in _records(text, delimiter, quote, escape) if record]
        counts = Counter(len(record) for record in records)
        width, often = max(counts.items(), key=lambda item: (item[1], item[0])) if counts else (1, 0)
        skip = 0 if options.skip_rows is not None else _title_rows(records, width)
        stray = sum(_quoted(record, other) for record in records for other in _QUOTES if other != quote)
        return _Try(
            delimiter,
            quote,
            escape,
            records,
            width,
            often / max(1, len(records) - skip),
            skip,
            (options.skip_rows or 0) + (_lines_of(lines, skip) if skip else 0),
            stray,
        )

    def merit(self) -> tuple[bool, bool, bool, float, int, int, int]:
        """Return what makes one way of parting better than another: several even columns, and no quotes left over."""
        return (
            self.width > 1 and self.share >= _GOOD,
            self.width > 1,
            self.skip == 0,
            round(self.share, 1),
            -self.stray_quotes,
            self.width,
            -_QUOTES.index(self.quote) if self.quote in _QUOTES else 0,
        )


def _quoted(record: Sequence[str], quote: str) -> int:
    """Return how many fields, or neighbouring fields that a delimiter inside of quotes has parted, seem quoted."""
    begun = [place for place, field in enumerate(record) if field.startswith(quote)]
    ended = [place for place, field in enumerate(record) if field.endswith(quote)]
    return min(len(begun), len(ended)) if begun and ended and begun[0] <= ended[-1] else 0


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without blanks around them, none empty, none alike but for case."""
    found: list[str] = []
    taken: set[str] = set()
    wanted = [name.strip() for name in names]
    plain = {name.casefold() for name in wanted}
    for place, name in enumerate(wanted, start=1):
        free, number = name or f"column{place}", 1
        while free.casefold() in taken or ((number > 1 or not name) and free.casefold() in plain):
            number += 1
            free = f"{name or f'column{place}'}_{number}"
        taken.add(free.casefold())
        found.append(free)
    return tuple(found)


def _escape(text: str, delimiter: str, quote: str) -> str:
    """Return what keeps a quote inside of quotes: the quote itself, or a backslash where more records are sound so."""
    if not quote or f"\\{quote}" not in text:
        return quote
    sound = {escape: len(_records(text, delimiter, quote, escape, strict=True)) for escape in (quote, "\\")}
    return "\\" if sound["\\"] > sound[quote] else quote


def _records(text: str, delimiter: str, quote: str, escape: str, *, strict: bool = False) -> list[list[str]]:
    """Return the first records; those before an error, if `strict` makes stray quotes errors."""
    if len(delimiter) > 1:
        text, delimiter = text.replace(delimiter, _STAND_IN), _STAND_IN
    before = csv.field_size_limit(_FIELD_BYTES)
    found: list[list[str]] = []
    try:
        reader = csv.reader(
            io.StringIO(text.replace("\0", ""), newline=""),
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            escapechar="\\" if escape == "\\" else None,
            doublequote=escape != "\\",
            strict=strict,
        )
        for record in islice(reader, _SAMPLE_RECORDS):
            found.append(record)  # noqa: PERF402 - those before an error are kept
    except csv.Error:  # this way of parting does not fit at all
        return found if strict else []
    finally:
        csv.field_size_limit(before)
    return found


def _title_rows(records: Sequence[list[str]], width: int) -> int:
    """Return how many records of a single field stand above a table of several columns."""
    if width < 2:
        return 0
    lone = next((number for number, record in enumerate(records) if len(record) > 1), 0)
    return lone if lone <= 20 else 0


def _lines_of(lines: Sequence[str], records: int) -> int:
    """Return the number of lines that hold the first `records` lines with text."""
    full = [number for number, line in enumerate(lines, start=1) if line.strip("\r\n")]
    return full[records] - 1 if records < len(full) else 0


def _is_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names columns: no field of it looks like a value, and at most half are empty."""
    if not records:
        return True
    first = records[0]
    empty = sum(not field.strip() for field in first)
    return 2 * empty <= len(first) and not any(VALUE.fullmatch(field) for field in first)
