"""Keys that travel: as JSON and back with their types, and a guess of what lies between two of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from crosslens.errors import QueryError

Anchor = tuple[Any, ...]

_MARK = "\x00"
"""Begins a text that stands for something else; texts that begin with it are marked as texts."""
_EXACT = 2**53
"""Whole numbers beyond it do not survive programs that read JSON numbers as floats."""
_DIGITS = 12
"""So many characters of a text are read as digits to guess the middle of two."""

_READERS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "integer": int,
    "float": float.fromhex,
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "seconds": lambda text: timedelta(seconds=float(text)),
}


def to_anchor(values: Sequence[Any]) -> Anchor:
    """Return a key as an anchor: texts, numbers, true, false and None, whatever its types."""
    return tuple(_packed(value) for value in values)


def from_anchor(anchor: Anchor) -> Anchor:
    """Return the key an anchor stands for; QueryError if it is none."""
    return tuple(_unpacked(value) for value in anchor)


def between(low: Any, high: Any, share: float) -> Any:
    """Return what lies at `share` (0..1) of the way from low to high; None where that cannot be guessed."""
    if isinstance(low, bool) or type(low) is not type(high):
        return None
    if isinstance(low, int):
        return (
            low + math.floor((high - low) * share)
            if abs(high - low) < _EXACT
            else low + int(Decimal(high - low) * Decimal(share))
        )
    if isinstance(low, (float, datetime)):
        return low + (high - low) * share
    if isinstance(low, date):
        return low + timedelta(days=math.floor((high - low).days * share))
    if isinstance(low, Decimal):
        return low + (high - low) * Decimal(share)
    if isinstance(low, UUID):
        return UUID(int=between(low.int, high.int, share))
    return _text_between(low, high, share) if isinstance(low, str) else None


def _text_between(low: str, high: str, share: float) -> str:
    """Read the characters behind the common start as digits between the smallest and the largest that occur."""
    shared = next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    common, first, last = low[:shared], low[shared:][:_DIGITS], high[shared:][:_DIGITS]
    codes = [ord(character) for character in first + last] or [0]
    least, base = min(codes), max(codes) - min(codes) + 1
    ends = [_number(text, least, base) for text in (first, last)]
    return common + _digits(between(ends[0], ends[1], share), least, base)


def _number(text: str, least: int, base: int) -> int:
    digits = [ord(character) - least for character in text.ljust(_DIGITS, chr(least))]
    return sum(digit * base**place for place, digit in enumerate(reversed(digits)))


def _digits(number: int, least: int, base: int) -> str:
    digits = [number // base**place % base for place in range(_DIGITS - 1, -1, -1)]
    return "".join(chr(least + digit) for digit in digits)


def _packed(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else f"{_MARK}integer:{value}"
    if isinstance(value, float):
        return value if math.isfinite(value) else f"{_MARK}float:{value.hex()}"
    if isinstance(value, str):
        return f"{_MARK}text:{value}" if value.startswith(_MARK) else value
    return _MARK + _named(value)


def _named(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"bytes:{bytes(value).hex()}"
    if isinstance(value, datetime):
        return f"datetime:{value.isoformat()}"
    if isinstance(value, (date, time)):
        return f"{'date' if isinstance(value, date) else 'time'}:{value.isoformat()}"
    if isinstance(value, timedelta):
        return f"seconds:{value.total_seconds()!r}"
    if isinstance(value, (Decimal, UUID)):
        return f"{'decimal' if isinstance(value, Decimal) else 'uuid'}:{value}"
    return f"text:{value}"  # a type of the driver's own: compared as text


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(_MARK):
        return value
    kind, _, text = value[1:].partition(":")
    try:
        return _READERS[kind](text)
    except (KeyError, ValueError, ArithmeticError) as error:
        raise QueryError(
            "This page cannot be found again.",
            why="What marks its place cannot be read.",
            do="Start again at the first page.",
        ) from error
